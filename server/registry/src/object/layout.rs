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

/// The version whose manifest lies at `path`; `None` for everything else.
pub(super) fn manifest_version(series: &SeriesName, path: &Path) -> Option<u64> {
    let version = path.parts().rev().nth(1)?.as_ref().parse().ok()?;
    (*path == manifest(series, version)).then_some(version)
}

pub(super) fn completed(series: &SeriesName, version: u64) -> Path {
    file(series, version, "completed")
}

pub(super) fn file(series: &SeriesName, version: u64, name: &str) -> Path {
    version_folder(series, version).join(name)
}

pub(super) fn attachment(series: &SeriesName, version: u64, name: &str) -> Path {
    version_folder(series, version)
        .join("attachments")
        .join(name)
}

pub(super) fn key(series: &SeriesName, key: &str) -> Path {
    Path::from_iter(["models", series.as_ref(), "keys"]).join(sha256_hex(key.as_bytes()))
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
