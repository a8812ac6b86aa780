//! The state directory taken away, and a disk that is full: forecasts go on, and so does following.

use std::{
    fs::{self, File},
    io::Write as _,
    path::Path,
    process::Command,
};

use loadcast_client::{Code, Push};

use crate::{
    pushes::refused,
    scene::{PATIENCE, Scene},
    support::{TestServer, push, staged_files},
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
    let scene = scene.restarted_without_mlflow(|| ()).await;
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

/// A scene whose disk has been filled until its server could not write down what it serves; `None` where that cannot be.
async fn on_a_full_disk(name: &str) -> Option<(SmallDisk, Scene)> {
    let disk = SmallDisk::mount()?;
    let folder = tempfile::tempdir_in(disk.path()).unwrap();
    let scene = Scene::start_in(name, folder).await?;
    fill(&disk.path().join("filler"));
    let forgetful = scene.server.cache.forgetful();
    // What fits into the last block of a file is still written down.
    while forgetful.borrow().is_none() {
        let version = scene.make(&scene.a).await;
        scene.until(&scene.a, version).await;
    }
    Some((disk, scene))
}

#[tokio::test]
async fn on_a_full_disk_both_series_move_and_that_is_told_and_remembered_when_there_is_room_again()
{
    let Some((disk, scene)) = on_a_full_disk("full").await else {
        return;
    };
    for _ in 0..2 {
        scene.the_other_series_moves().await;
        let version = scene.make(&scene.a).await;
        scene.until(&scene.a, version).await;
        assert_eq!(scene.answer(&scene.a).await, version);
    }
    let ready = format!("http://{}/readyz", scene.server.http);
    let ready = reqwest::get(ready).await.unwrap();
    assert_eq!(ready.status(), 200);
    let said = ready.text().await.unwrap();
    assert!(said.contains("state: not remembered since"), "{said}");
    assert!(said.contains("No space left"), "{said}");

    fs::remove_file(disk.path().join("filler")).unwrap();
    let mut forgetful = scene.server.cache.forgetful();
    let remembered = forgetful.wait_for(Option::is_none);
    tokio::time::timeout(PATIENCE, remembered)
        .await
        .unwrap()
        .unwrap();
    let before = scene.server.cache.state();
    let (a, b) = (scene.answer(&scene.a).await, scene.answer(&scene.b).await);
    let scene = scene.restarted_without_mlflow(|| ()).await;
    let after = scene.server.cache.state();
    assert_eq!(after.epoch, before.epoch);
    assert!(after.revision >= before.revision);
    assert_eq!(scene.answer(&scene.a).await, a);
    assert_eq!(scene.answer(&scene.b).await, b);
    scene.end().await;
}

#[tokio::test]
async fn a_server_that_ends_on_a_full_disk_serves_what_fitted_in_a_new_epoch_until_mlflow_answers()
{
    let Some((disk, scene)) = on_a_full_disk("fuller").await else {
        return;
    };
    let version = scene.make(&scene.b).await;
    scene.until(&scene.b, version).await;
    let epoch = scene.server.cache.state().epoch;
    let room = || fs::remove_file(disk.path().join("filler")).unwrap();
    let scene = scene.restarted_without_mlflow(room).await;
    assert_ne!(scene.server.cache.state().epoch, epoch);
    assert_eq!(scene.answer(&scene.b).await, 1);
    scene.proxy.heal();
    scene.until(&scene.b, version).await;
    scene.end().await;
}

#[tokio::test]
async fn a_server_starts_on_a_full_disk_says_so_and_its_new_epoch_is_remembered_when_there_is_room()
{
    let Some((disk, scene)) = on_a_full_disk("fullest").await else {
        return;
    };
    let epoch = scene.server.cache.state().epoch;
    let scene = scene.restarted_without_mlflow(|| ()).await;
    let begun = scene.server.cache.state().epoch;
    assert_ne!(begun, epoch);
    assert_eq!(scene.answer(&scene.b).await, 1);
    let a = scene.answer(&scene.a).await;
    let ready = format!("http://{}/readyz", scene.server.http);
    let said = reqwest::get(ready).await.unwrap().text().await.unwrap();
    assert!(said.contains("state: not remembered since"), "{said}");
    assert!(said.contains("No space left"), "{said}");

    fs::remove_file(disk.path().join("filler")).unwrap();
    let mut forgetful = scene.server.cache.forgetful();
    let remembered = forgetful.wait_for(Option::is_none);
    tokio::time::timeout(PATIENCE, remembered)
        .await
        .unwrap()
        .unwrap();
    let scene = scene.restarted_without_mlflow(|| ()).await;
    assert_eq!(scene.server.cache.state().epoch, begun);
    assert_eq!(scene.answer(&scene.a).await, a);
    assert_eq!(scene.answer(&scene.b).await, 1);
    scene.end().await;
}

#[tokio::test]
async fn a_push_when_the_state_has_no_room_is_durable_in_the_registry_served_and_made_once() {
    let Some((disk, scene)) = on_a_full_disk("full.push").await else {
        return;
    };
    let client = scene.server.client();
    let at = scene.answer(&scene.a).await;
    let this = Push {
        expected_version: Some(at),
        ..push(&scene.a, (at + 1) as f64)
    };
    let pushed = client.push(this.clone()).await.unwrap();
    assert_eq!(pushed.version, at + 1);
    assert_eq!(scene.answer(&scene.a).await, at + 1);
    let again = client.push(this).await.unwrap();
    assert_eq!((again.version, again.already_registered), (at + 1, true));
    assert!(scene.server.cache.forgetful().borrow().is_some());
    // What was acknowledged outlives the server, though that remembers nothing of it.
    let room = || fs::remove_file(disk.path().join("filler")).unwrap();
    let scene = scene.restarted_without_mlflow(room).await;
    scene.proxy.heal();
    scene.until(&scene.a, at + 1).await;
    let registry = scene.mlflow.open();
    let versions = registry.versions(&scene.a.parse().unwrap()).await.unwrap();
    assert_eq!(versions, (1..=at + 1).collect::<Vec<_>>());
    scene.end().await;
}

#[tokio::test]
async fn a_push_when_the_registry_has_no_room_is_unavailable_leaves_nothing_and_its_retry_is_served()
 {
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    let folder = tempfile::tempdir_in(disk.path()).unwrap();
    // The registry is full, and the state is not.
    let registry = format!(
        "--registry=file://{}",
        folder.path().join("registry").display()
    );
    let elsewhere = tempfile::tempdir().unwrap();
    let server = TestServer::start_with(elsewhere, &[&registry]).await;
    let series = "full.registry";
    let client = server.client();
    client.push(push(series, 1.0)).await.unwrap();
    let filler = disk.path().join("filler");
    fill(&filler);
    let mut at = 1;
    // What fits into what is left of it is still taken.
    let (this, reason) = loop {
        let this = Push {
            expected_version: Some(at),
            ..push(series, (at + 1) as f64)
        };
        match client.push(this.clone()).await {
            Ok(pushed) => at = pushed.version,
            full => {
                let (code, reason, message) = refused(full);
                assert_eq!(code, Code::Unavailable, "{message}");
                assert!(message.contains("No space left"), "{message}");
                break (this, reason);
            }
        }
    };
    assert_eq!(reason, "REGISTRY_UNREACHABLE");
    let models = folder.path().join("registry/models");
    let versions = || {
        let listed = fs::read_dir(models.join(series).join("versions")).unwrap();
        let folders = listed.map(|entry| entry.unwrap().path());
        folders
            .filter(|folder| folder.join("manifest.json").exists())
            .count() as u64
    };
    assert_eq!(versions(), at);
    assert_eq!(staged_files(folder.path()), [] as [String; 0]);
    let served = server.cache.get(&series.parse().unwrap()).unwrap();
    assert_eq!(served.version, at);
    fs::remove_file(&filler).unwrap();
    // The number that the first attempt took may stay a gap.
    let pushed = client.push(this).await.unwrap();
    assert_eq!(versions(), at + 1);
    let served = server.cache.get(&series.parse().unwrap()).unwrap();
    assert_eq!(served.version, pushed.version);
    server.stop().await;
}
