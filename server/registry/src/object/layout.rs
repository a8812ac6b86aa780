//! Where things lie. Series, alias and attachment names are validated before they come here; none holds a slash.

use loadcast_model::{artifact::sha256_hex, series::SeriesName};
use object_store::path::Path;

pub(super) fn versions(series: &SeriesName) -> Path {
    Path::from_iter(["models", series.as_ref(), "versions"])
}

fn version_folder(series: &SeriesName, version: u64) -> Path {
    versions(series).join(version.to_string())
}

pub(super) fn claim(series: &SeriesName, version: u64) -> Path {
    file(series, version, "claim")
}

pub(super) fn manifest(series: &SeriesName, version: u64) -> Path {
    file(series, version, "manifest.json")
}

/// The number under whose folder `path` lies, and what it is called there.
pub(super) fn version_of(series: &SeriesName, path: &Path) -> Option<(u64, Path)> {
    let mut parts = path.prefix_match(&versions(series))?;
    let version = parts.next()?.as_ref().parse().ok()?;
    Some((version, Path::from_iter(parts)))
}

pub(super) fn completed(series: &SeriesName, version: u64) -> Path {
    file(series, version, "completed")
}

pub(super) fn pinned(series: &SeriesName, version: u64) -> Path {
    file(series, version, "pinned")
}

pub(super) fn file(series: &SeriesName, version: u64, name: &str) -> Path {
    version_folder(series, version).join(name)
}

/// The object called `name` in the folder of `version`, which may lie deeper.
pub(super) fn below(series: &SeriesName, version: u64, name: &Path) -> Path {
    version_folder(series, version)
        .parts()
        .chain(name.parts())
        .collect()
}

pub(super) fn attachment(series: &SeriesName, version: u64, name: &str) -> Path {
    version_folder(series, version)
        .join("attachments")
        .join(name)
}

pub(super) fn key(series: &SeriesName, key: &str) -> Path {
    Path::from_iter(["models", series.as_ref(), "keys"]).join(sha256_hex(key.as_bytes()))
}

/// The folder of all aliases.
pub(super) fn all_aliases() -> Path {
    Path::from("aliases")
}

pub(super) fn aliases(alias: &str) -> Path {
    Path::from_iter(["aliases", alias])
}

pub(super) fn alias(alias: &str, series: &SeriesName) -> Path {
    aliases(alias).join(series.as_ref())
}

pub(super) fn tombstones() -> Path {
    Path::from("tombstones")
}

pub(super) fn tombstone(series: &SeriesName) -> Path {
    tombstones().join(series.as_ref())
}
