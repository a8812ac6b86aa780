//! What is remembered of observations across restarts: `live.bin` in the state directory, replaced as a whole now and then
//! and at the end. It is nobody's truth: what it lacks is told again by whoever observes, so damage is dropped and a disk
//! that is full changes nothing that is served.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use loadcast_model::series::SeriesName;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::{lock, memory::Memory};
use crate::{
    cache::Cache,
    error::{Error, Result},
    state::record::{head_of, replace_file, scan},
};

/// The file's name in the state directory.
pub const FILE: &str = "live.bin";

/// So often it is written while observations flow: what is lost by kill -9.
pub const WRITE_INTERVAL: Duration = Duration::from_secs(30);

/// Writing takes at most one part in so many of the time.
const REST: u32 = 20;

/// The first record, and its version: a file that begins otherwise is of another build.
const SCHEMA: &[u8] = b"loadcast live 1";

/// One writes at a time: the last write, at the stop, may come while one of those before it still waits for the disk.
static WRITING: Mutex<()> = Mutex::new(());

#[derive(Serialize)]
struct RecordOut<'a> {
    series: &'a SeriesName,
    memory: &'a Memory,
}

#[derive(Deserialize)]
struct RecordIn {
    series: SeriesName,
    memory: Memory,
}

/// Writes what is remembered to `folder`, at intervals, until `stop`.
pub async fn keep(cache: Arc<Cache>, folder: PathBuf, stop: CancellationToken) {
    let mut written = cache.live().changes();
    let mut pause = WRITE_INTERVAL;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        let changes = cache.live().changes();
        if changes == written {
            continue;
        }
        let begun = Instant::now();
        let (writer, folder) = (Arc::clone(&cache), folder.clone());
        let writing = tokio::task::spawn_blocking(move || writer.write_live(&folder)).await;
        match writing {
            Ok(Ok(())) => written = changes,
            Ok(Err(error)) => {
                tracing::warn!(%error, "observations are not written; they are tried again");
            }
            Err(error) => tracing::error!(%error, "writing observations died"),
        }
        pause = WRITE_INTERVAL.max(begun.elapsed() * REST);
    }
}

impl Cache {
    /// Writes what is remembered of observations to `folder`. Blocks.
    ///
    /// # Errors
    /// [`Error::State`]; what was written before is then still there.
    pub fn write_live(&self, folder: &Path) -> Result<()> {
        let _turn = lock(&WRITING);
        let slots = self.live().slots.load_full();
        let path = folder.join(FILE);
        replace_file(&path, |file| {
            file.write_all(&head_of(SCHEMA)?)?;
            file.write_all(SCHEMA)?;
            for (series, slot) in slots.iter() {
                let record = {
                    let memory = lock(&slot.memory);
                    let memory = &*memory;
                    rmp_serde::to_vec_named(&RecordOut { series, memory })
                };
                let record = record.map_err(std::io::Error::other)?;
                file.write_all(&head_of(&record)?)?;
                file.write_all(&record)?;
            }
            Ok(())
        })
        .map(drop)
    }

    /// Takes up what was written to `folder`, as far as it checks out and is of what is served; then the gates that are
    /// closed. Blocks.
    pub fn restore_live(&self, folder: &Path) {
        let path = folder.join(FILE);
        // What a writer left that was killed.
        let _ = std::fs::remove_file(path.with_extension("new"));
        if path.exists()
            && let Err(error) = self.read_live(&path)
        {
            tracing::warn!(path = %path.display(), %error, "remembered observations are dropped; they are to be told again");
        }
        let live = self.live();
        let now = self.clock().now();
        for entry in self.state().entries.values() {
            let Some(served) = &entry.served else {
                continue;
            };
            let gate = entry.gate.as_ref();
            let closed = gate.filter(|gate| gate.version == served.version);
            let slot = match closed {
                Some(_) => live.slot_for(served, now),
                None => live.slot(&entry.series.name),
            };
            let Some(slot) = slot else { continue };
            let mut memory = lock(&slot.memory);
            memory.set_gate(closed.map(|gate| gate.reason.clone()));
            // The catalog may ask for something else by now.
            self.settle_gate(&mut memory, served);
            live.publish(&entry.series.name, &slot, &memory, now);
        }
    }

    fn read_live(&self, path: &Path) -> Result<()> {
        let live = self.live();
        let now = self.clock().now();
        let mut known_schema = false;
        let extent = scan(path, |_, payload| {
            if !known_schema {
                known_schema = payload == SCHEMA;
                let other = || "it was written by another build".to_owned();
                return if known_schema { Ok(()) } else { Err(other()) };
            }
            let RecordIn { series, mut memory } =
                rmp_serde::from_slice(payload).map_err(|error| error.to_string())?;
            if !memory.is_sound() {
                tracing::warn!(%series, "remembered observations make no sense and are dropped");
                return Ok(());
            }
            if let Some(served) = self.get(&series).filter(|served| memory.fits(served)) {
                memory.follow(&served);
                live.add(&series, memory, now);
            }
            Ok(())
        })?;
        let length = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
        if extent.damaged || extent.good_bytes < length {
            let lost = length.saturating_sub(extent.good_bytes);
            return Err(Error::state(
                path,
                format!("{lost} bytes of it are damaged"),
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    #[test]
    fn writes_at_once_take_turns_and_none_fails_of_another() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path(), Clock::system()).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..25 {
                        cache.write_live(folder.path()).unwrap();
                    }
                });
            }
        });
        assert!(folder.path().join(FILE).exists());
        cache.read_live(&folder.path().join(FILE)).unwrap();
    }
}
