//! A registry of ours as the copy of another one: versions come with their number, and aliases follow.

use loadcast_model::series::SeriesName;

use super::{ObjectRegistry, layout, objects::to_json};
use crate::{
    error::Result,
    manifest::Manifest,
    registry::{StoredVersion, Tombstone},
};

impl ObjectRegistry {
    /// Whether `version` is here.
    pub(crate) async fn has(&self, series: &SeriesName, version: u64) -> Result<bool> {
        self.objects
            .exists(&layout::manifest(series, version))
            .await
    }

    /// Keeps a version under the number it has, in place of another that had it. Its attachments are not copied.
    pub(crate) async fn store(&self, stored: &StoredVersion) -> Result<()> {
        let manifest = Manifest {
            attachments: Vec::new(),
            ..stored.manifest.clone()
        };
        let (series, version) = (&manifest.series, manifest.version);
        if let Some(here) = self.manifest(series, version).await.ok().flatten()
            && here.metadata == manifest.metadata
            && here.activate_at == manifest.activate_at
        {
            return Ok(());
        }
        let path = layout::manifest(series, version);
        self.objects.delete(&path).await?;
        self.write_model(version, &manifest.metadata, stored.model_pr.clone())
            .await?;
        self.objects.write(&path, to_json(&manifest)).await
    }

    /// Takes an alias away; nothing to do where there is none.
    pub(crate) async fn drop_alias(&self, series: &SeriesName, alias: &str) -> Result<()> {
        self.objects.delete(&layout::alias(alias, series)).await
    }

    /// A tombstone, whether or not there is a version.
    pub(crate) async fn lay_tombstone(
        &self,
        series: &SeriesName,
        tombstone: &Tombstone,
    ) -> Result<()> {
        let path = layout::tombstone(series);
        self.objects.write(&path, to_json(tombstone)).await
    }

    /// Deletes versions that are gone from the registry this is a copy of.
    pub(crate) async fn forget(&self, series: &SeriesName, versions: &[u64]) -> Result<()> {
        if versions.is_empty() {
            return Ok(());
        }
        let listed = self.objects.list(&layout::versions(series)).await?;
        let numbered = super::prune::Numbered::of(series, &listed);
        for version in versions {
            self.delete_number(series, *version, numbered.names(*version))
                .await?;
        }
        Ok(())
    }
}
