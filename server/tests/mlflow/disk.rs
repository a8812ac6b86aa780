//! The state directory taken away, and a disk that is full: forecasts go on, and so does following.

use std::{
    fs::{self, File},
    io::Write as _,
    path::Path,
    process::Command,
};

use loadcast_client::Model;

use crate::{
    proxy::Fault,
    scene::{Scene, serve},
};

#[tokio::test]
async fn the_state_directory_is_removed_and_both_series_are_served_refreshed_and_remembered() {
    let Some(scene) = Scene::start("removed").await else {
        return;
    };
    fs::remove_dir_all(scene.server.folder.path().join("state")).unwrap();
    for series in [&scene.a, &scene.b] {
        assert_eq!(scene.answer(series).await, 1);
    }
    for _ in 0..3 {
        scene.the_other_series_moves().await;
    }
    assert_eq!(scene.answer(&scene.a).await, 1);
    // It was made again: a restart without MLflow serves what was served last.
    let Scene {
        mlflow,
        proxy,
        server,
        a,
        b,
    } = scene;
    let folder = server.stop().await;
    proxy.fail("", Fault::Drop);
    let server = serve(&proxy, folder).await;
    let scene = Scene {
        mlflow,
        proxy,
        server,
        a,
        b,
    };
    assert_eq!(scene.answer(&scene.a).await, 1);
    assert_eq!(scene.answer(&scene.b).await, 4);
    scene.end().await;
}

/// A small file system in memory, unmounted when dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// `None`, with the reason said, where mounting is not allowed.
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]);
        let mounted = mount.arg(folder.path()).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(folder));
        }
        assert!(
            std::env::var_os("LOADCAST_REQUIRE_ALL").is_none(),
            "a small tmpfs is required and cannot be mounted: run the tests as root"
        );
        eprintln!("skipped: a small tmpfs cannot be mounted (root is needed)");
        None
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).output();
    }
}

/// Writes until nothing more fits.
fn fill(path: &Path) {
    let mut file = File::create(path).unwrap();
    for size in [4_096, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
}

#[tokio::test]
async fn a_full_disk_fails_no_forecast_is_told_and_both_series_move_when_there_is_room_again() {
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    let folder = tempfile::tempdir_in(disk.path()).unwrap();
    let Some(scene) = Scene::start_in("full", folder).await else {
        return;
    };
    let filler = disk.path().join("filler");
    fill(&filler);
    // What still fits in the log's last block is kept and served; then nothing is.
    let mut last = 1;
    loop {
        let version = scene.make(&scene.a).await;
        let is_full = |model: &Model| model.reason.as_deref() == Some("RETRYING");
        let is_served = |model: &Model| {
            let served = model.served.as_ref();
            served.is_some_and(|served| served.version == version)
        };
        let decided = |model: &Model| is_served(model) || is_full(model);
        if is_full(&scene.until_said(&scene.a, decided).await) {
            break;
        }
        last = version;
    }
    let version = last + 1;
    let other = scene.make(&scene.b).await;
    let retrying = |model: &Model| model.reason.as_deref() == Some("RETRYING");
    let model = scene.until_said(&scene.b, retrying).await;
    assert!(model.message.unwrap().contains("No space left"));
    assert_eq!(scene.answer(&scene.a).await, last);
    assert_eq!(scene.answer(&scene.b).await, 1);
    fs::remove_file(&filler).unwrap();
    scene.until(&scene.a, version).await;
    scene.until(&scene.b, other).await;
    assert_eq!(scene.answer(&scene.b).await, other);
    scene.end().await;
}
