//! Work that many ask for at once is done once: a bounded memory of bytes by what they answer.

use std::{
    collections::{HashMap, VecDeque},
    future::Future,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use tokio::sync::OnceCell;

/// What one kept answer costs beside its own bytes: key, cell and their places.
const OVERHEAD_BYTES: usize = 256;

/// Bytes by key, the oldest forgotten first once they are too many. A key always means the same bytes.
#[derive(Debug)]
pub(crate) struct Memo<K> {
    kept: Mutex<Kept<K>>,
    max_bytes: usize,
}

#[derive(Debug)]
struct Kept<K> {
    cells: HashMap<K, Arc<OnceCell<Bytes>>>,
    /// Oldest first.
    order: VecDeque<K>,
    bytes: usize,
}

impl<K: Clone + Eq + Hash> Memo<K> {
    /// An empty memory of at most `max_bytes`.
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self {
            kept: Mutex::new(Kept {
                cells: HashMap::new(),
                order: VecDeque::new(),
                bytes: 0,
            }),
            max_bytes,
        }
    }

    /// The bytes for `key`. However many ask at once, one makes them and the others wait for it.
    pub(crate) async fn get<F>(&self, key: K, make: impl FnOnce() -> F) -> Bytes
    where
        F: Future<Output = Bytes>,
    {
        let cell = {
            let mut kept = self.lock();
            match kept.cells.get(&key) {
                Some(cell) => Arc::clone(cell),
                None => {
                    let cell = Arc::default();
                    kept.cells.insert(key.clone(), Arc::clone(&cell));
                    kept.order.push_back(key.clone());
                    kept.bytes += OVERHEAD_BYTES;
                    cell
                }
            }
        };
        let make = || async {
            let bytes = make().await;
            self.keep(&key, &cell, bytes.len());
            bytes
        };
        cell.get_or_init(make).await.clone()
    }

    /// Accounts for what `cell` is about to hold.
    fn keep(&self, key: &K, cell: &Arc<OnceCell<Bytes>>, len: usize) {
        let mut kept = self.lock();
        if kept
            .cells
            .get(key)
            .is_some_and(|kept| Arc::ptr_eq(kept, cell))
        {
            kept.bytes += len;
        }
        while kept.bytes > self.max_bytes {
            let Some(oldest) = kept.order.pop_front() else {
                break;
            };
            if let Some(forgotten) = kept.cells.remove(&oldest) {
                // The cell in hand is not set yet, but accounted for.
                let held = if Arc::ptr_eq(&forgotten, cell) {
                    len
                } else {
                    forgotten.get().map_or(0, Bytes::len)
                };
                kept.bytes -= OVERHEAD_BYTES + held;
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
        let (memo, made) = (Memo::new(1 << 20), AtomicUsize::new(0));
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
        let memo = Memo::new(10_000);
        for key in 0..1_000 {
            let size = key % 700;
            let bytes = memo.get(key, || async { vec![0; size].into() }).await;
            assert_eq!(bytes.len(), size);
            let kept = memo.lock();
            let held: usize = kept
                .cells
                .values()
                .filter_map(|cell| cell.get())
                .map(Bytes::len)
                .sum();
            assert_eq!(kept.bytes, held + OVERHEAD_BYTES * kept.cells.len());
            assert!(kept.bytes <= 10_000 && kept.order.len() == kept.cells.len());
        }
    }
}
