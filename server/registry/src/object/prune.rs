//! Versions that are kept no longer, and what pushes that died left among them.

use std::collections::{BTreeMap, BTreeSet};

use loadcast_model::series::SeriesName;
use object_store::{ObjectMeta, path::Path};

use super::{Claim, ObjectRegistry, Pointer, layout};
use crate::{
    error::{Error, Result},
    registry::{MAX_PRUNED, Registry as _},
};

/// The objects of a series by the number they belong to.
#[derive(Debug, Default)]
pub(super) struct Numbered(BTreeMap<u64, Vec<Path>>);

impl Numbered {
    /// From a listing of everything under `versions/`.
    pub(super) fn of(series: &SeriesName, listed: &[ObjectMeta]) -> Self {
        let mut numbers: BTreeMap<u64, Vec<Path>> = BTreeMap::new();
        for meta in listed {
            if let Some((number, name)) = layout::version_of(series, &meta.location) {
                numbers.entry(number).or_default().push(name);
            }
        }
        Self(numbers)
    }

    /// Numbers that have a manifest, ascending.
    pub(super) fn registered(&self) -> impl DoubleEndedIterator<Item = u64> {
        let registered = self
            .0
            .iter()
            .filter(|(_, names)| has(names, "manifest.json"));
        registered.map(|(number, _)| *number)
    }

    /// What lies under `number`.
    pub(super) fn names(&self, number: u64) -> &[Path] {
        self.0.get(&number).map_or(&[], Vec::as_slice)
    }

    /// Numbers that may go, ascending: registered ones, and those that a push which died claimed long ago.
    fn prunable(&self, keep: usize, spared: &BTreeSet<u64>) -> Vec<u64> {
        let Some(oldest_kept) = self.registered().rev().take(keep.max(1)).last() else {
            return Vec::new();
        };
        let old = self.0.range(..oldest_kept);
        old.filter(|(number, names)| !spared.contains(number) && !has(names, "pinned"))
            .map(|(number, _)| *number)
            .collect()
    }
}

fn has(names: &[Path], name: &str) -> bool {
    names.iter().any(|path| path.as_ref() == name)
}

impl ObjectRegistry {
    /// See [`Registry::prune`](crate::registry::Registry::prune).
    pub(super) async fn prune_versions(
        &self,
        series: &SeriesName,
        keep: usize,
        spared: &[u64],
    ) -> Result<Vec<u64>> {
        let listed = self.objects.list(&layout::versions(series)).await?;
        let numbered = Numbered::of(series, &listed);
        let mut spared: BTreeSet<u64> = spared.iter().copied().collect();
        spared.extend(self.named(series).await?);
        let registered: BTreeSet<u64> = numbered.registered().collect();
        let mut gone = Vec::new();
        for number in numbered.prunable(keep, &spared) {
            if gone.len() == MAX_PRUNED {
                break;
            }
            // Another server may have named it since.
            if self.named(series).await?.contains(&number) {
                continue;
            }
            let names = numbered.names(number);
            match self.delete_number(series, number, names).await {
                Ok(()) if registered.contains(&number) => gone.push(number),
                Ok(()) => {}
                Err(error @ Error::Corrupt { .. }) => {
                    tracing::warn!(%series, version = number, %error, "a version cannot be pruned");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(gone)
    }

    /// The versions that aliases name now.
    async fn named(&self, series: &SeriesName) -> Result<BTreeSet<u64>> {
        let mut named = BTreeSet::new();
        for alias in self.objects.folders(&layout::all_aliases()).await? {
            named.extend(self.alias(series, &alias).await?);
        }
        Ok(named)
    }

    /// First the key, so that its retry takes another number; then the manifest, which makes the version disappear; the
    /// claim last, so that what is interrupted is found again. The number does not come back: the newest is never deleted.
    pub(super) async fn delete_number(
        &self,
        series: &SeriesName,
        number: u64,
        names: &[Path],
    ) -> Result<()> {
        let claim = layout::claim(series, number);
        if let Some(Claim { key }) = self.objects.read_json(&claim).await? {
            let taken = layout::key(series, &key);
            let pointer: Option<Pointer> = self.objects.read_json(&taken).await?;
            // Of two servers that pushed one key at one moment, the one that lost left a claim, and the key is the other's.
            if pointer.is_some_and(|pointer| pointer.version == number) {
                self.objects.delete(&taken).await?;
            }
        }
        let manifest = layout::manifest(series, number);
        self.objects.delete(&manifest).await?;
        for name in names {
            let path = layout::below(series, number, name);
            if path != claim {
                self.objects.delete(&path).await?;
            }
        }
        self.objects.delete(&claim).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_the_pinned_and_the_spared_are_kept_and_old_claims_go() {
        let numbers = |names: &[(u64, &[&str])]| {
            let entries = names.iter().map(|(number, names)| {
                let names = names.iter().map(|name| Path::from(*name)).collect();
                (*number, names)
            });
            Numbered(entries.collect())
        };
        let whole: &[&str] = &["claim", "manifest.json", "model.pr"];
        let numbered = numbers(&[
            (1, whole),
            (2, &["claim", "manifest.json", "pinned"]),
            (3, &["claim", "model.pr"]),
            (4, whole),
            (5, whole),
            (6, whole),
            (7, &["claim"]),
        ]);
        let spared = BTreeSet::from([4]);
        assert_eq!(numbered.prunable(2, &spared), [1, 3]);
        assert_eq!(numbered.prunable(0, &spared), [1, 3, 5], "never the newest");
        assert_eq!(numbered.prunable(9, &spared), [0; 0]);
        assert_eq!(numbers(&[(1, &["claim"])]).prunable(1, &spared), [0; 0]);
    }
}
