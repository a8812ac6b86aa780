//! Work that many ask for at once is done once: a bounded memory of bytes by what they answer.

use std::{
    collections::{HashMap, VecDeque},
    convert::Infallible,
    future::Future,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use futures::FutureExt as _;
use tokio::sync::OnceCell;

/// What one kept answer costs beside its own bytes and its key: the cell, and their places.
const OVERHEAD_BYTES: usize = 256;

/// Bytes by key, the oldest forgotten first once they are too many. A key always means the same bytes.
#[derive(Debug)]
pub(crate) struct Memo<K> {
    kept: Mutex<Kept<K>>,
    max_bytes: usize,
    overhead: usize,
}

#[derive(Debug)]
struct Kept<K> {
    cells: HashMap<K, Slot>,
    /// Oldest first.
    order: VecDeque<K>,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Slot {
    cell: Arc<OnceCell<Bytes>>,
    /// What is accounted for its bytes: they are before they are set.
    len: usize,
}

impl<K: Clone + Eq + Hash> Memo<K> {
    /// An empty memory of at most `max_bytes`, whose keys own up to `key_bytes` each.
    pub(crate) fn new(max_bytes: usize, key_bytes: usize) -> Self {
        Self {
            kept: Mutex::new(Kept {
                cells: HashMap::new(),
                order: VecDeque::new(),
                bytes: 0,
            }),
            max_bytes,
            overhead: OVERHEAD_BYTES + key_bytes,
        }
    }

    /// The bytes for `key`. However many ask at once, one makes them and the others wait for it.
    pub(crate) async fn get<F>(&self, key: K, make: impl FnOnce() -> F) -> Bytes
    where
        F: Future<Output = Bytes>,
    {
        let make = || make().map(Ok::<_, Infallible>);
        match self.try_get(key, make).await {
            Ok(bytes) => bytes,
            Err(never) => match never {},
        }
    }

    /// The same for bytes that may fail to be made; nothing is kept then, and the next one to ask tries again.
    ///
    /// # Errors
    /// Those of `make`.
    pub(crate) async fn try_get<F, E>(&self, key: K, make: impl FnOnce() -> F) -> Result<Bytes, E>
    where
        F: Future<Output = Result<Bytes, E>>,
    {
        let cell = {
            let mut kept = self.lock();
            match kept.cells.get(&key) {
                Some(slot) => Arc::clone(&slot.cell),
                None => {
                    let slot = Slot::default();
                    let cell = Arc::clone(&slot.cell);
                    kept.cells.insert(key.clone(), slot);
                    kept.order.push_back(key.clone());
                    kept.bytes += self.overhead;
                    self.forget(&mut kept);
                    cell
                }
            }
        };
        if let Some(bytes) = cell.get() {
            return Ok(bytes.clone());
        }
        let make = || async {
            let bytes = make().await?;
            self.keep(&key, &cell, bytes.len());
            Ok(bytes)
        };
        cell.get_or_try_init(make).await.cloned()
    }

    /// Accounts for what `cell` is about to hold.
    fn keep(&self, key: &K, cell: &Arc<OnceCell<Bytes>>, len: usize) {
        let mut kept = self.lock();
        if let Some(slot) = kept.cells.get_mut(key)
            && Arc::ptr_eq(&slot.cell, cell)
        {
            slot.len = len;
            kept.bytes += len;
        }
        self.forget(&mut kept);
    }

    /// Forgets the oldest until the rest is within the bound.
    fn forget(&self, kept: &mut Kept<K>) {
        while kept.bytes > self.max_bytes {
            let Some(oldest) = kept.order.pop_front() else {
                break;
            };
            if let Some(forgotten) = kept.cells.remove(&oldest) {
                kept.bytes -= self.overhead + forgotten.len;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept<K>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn however_many_ask_at_once_it_is_made_once() {
        let (memo, made) = (Memo::new(1 << 20, 0), AtomicUsize::new(0));
        let ask = || {
            memo.get(7, || async {
                made.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                Bytes::from_static(b"seven")
            })
        };
        let answers = futures::future::join_all((0..100).map(|_| ask())).await;
        assert!(answers.iter().all(|answer| &answer[..] == b"seven"));
        assert_eq!(made.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn what_is_kept_stays_within_its_bound() {
        let memo = Memo::new(10_000, 0);
        for key in 0..1_000 {
            let size = key % 700;
            let bytes = memo.get(key, || async { vec![0; size].into() }).await;
            assert_eq!(bytes.len(), size);
            let kept = memo.lock();
            let held: usize = kept
                .cells
                .values()
                .filter_map(|slot| slot.cell.get())
                .map(Bytes::len)
                .sum();
            assert_eq!(kept.bytes, held + OVERHEAD_BYTES * kept.cells.len());
            assert!(kept.bytes <= 10_000 && kept.order.len() == kept.cells.len());
        }
    }

    #[tokio::test]
    async fn what_is_forgotten_between_its_accounting_and_its_setting_leaves_nothing_behind() {
        let memo = Memo::new(2_000, 0);
        let slow = memo.try_get(1, || async { Err::<Bytes, ()>(()) });
        assert_eq!(slow.await, Err(()));
        let cell = Arc::clone(&memo.lock().cells[&1].cell);
        // As another thread may do while the first is about to set what it made.
        memo.keep(&1, &cell, 1_000);
        for key in 2..10 {
            memo.get(key, || async { Bytes::from_static(b"two") }).await;
        }
        let kept = memo.lock();
        assert!(!kept.cells.contains_key(&1));
        assert_eq!(kept.bytes, (OVERHEAD_BYTES + 3) * kept.cells.len());
    }

    #[tokio::test]
    async fn what_cannot_be_made_is_tried_again_and_takes_no_more_room_than_what_can() {
        let memo = Memo::new(10_000, 0);
        for key in 0..1_000 {
            let made = memo.try_get(key, || async { Err::<Bytes, _>(key) });
            assert_eq!(made.await, Err(key));
        }
        assert!(memo.lock().bytes <= 10_000 && memo.lock().cells.len() < 50);
        let made = memo.try_get(999, || async { Ok::<_, Infallible>("now".into()) });
        assert_eq!(made.await, Ok(Bytes::from_static(b"now")));
    }
}
