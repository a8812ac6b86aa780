//! A connection's bytes: whether any came, whether any go, and that those of one turn go together.
//!
//! HTTP/2 flushes after every answer, and each flush is a call of the system, which costs as much as all else that is done
//! for a small answer. Here what is written while the connection is polled is gathered, and sent once it has been.

use std::{
    future::{Future, poll_fn},
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};
use tower::BoxError;

use crate::edge::chatter::Chatter;

/// What a read fails with whose peer says too much. HTTP/2 passes on no more of an error than this.
pub(super) const TOO_MUCH: io::ErrorKind = io::ErrorKind::QuotaExceeded;

/// The most bytes that are gathered: as much as a peer that takes nothing makes a connection hold.
const MAX_GATHERED_BYTES: usize = 32 * 1024;

/// So many at once are handed on as they are, uncopied: they fill a call of the system by themselves.
const LARGE_BYTES: usize = 12 * 1024;

/// A socket that fails with `TimedOut` once its peer took nothing for a time and with [`TOO_MUCH`] when it floods, and tells
/// how much the peer has sent. What is written to it is sent by its [`Line`].
#[derive(Debug)]
pub(super) struct Socket<C> {
    line: Line<C>,
    heard: Heard,
    chatter: Chatter,
    is_write_vectored: bool,
}

/// Sends what was written to a socket.
#[derive(Debug)]
pub(super) struct Line<C>(Arc<Mutex<Outgoing<C>>>);

#[derive(Debug)]
struct Outgoing<C> {
    io: C,
    stall: Duration,
    /// Runs while bytes wait for the peer.
    waiting: Option<Pin<Box<Sleep>>>,
    gathered: Vec<u8>,
    /// How many of them are sent.
    sent: usize,
    /// Bytes that were taken since the beginning.
    taken: u64,
    /// Whether the socket has bytes that it was not told to pass on.
    unflushed: bool,
}

/// Bytes that a peer has sent.
#[derive(Debug, Clone, Default)]
pub(super) struct Heard(Arc<AtomicUsize>);

impl Heard {
    pub(super) fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl<C: AsyncWrite + Unpin> Socket<C> {
    /// A socket, and what sends for it.
    pub(super) fn new(io: C, stall: Duration) -> (Self, Line<C>) {
        let is_write_vectored = io.is_write_vectored();
        let line = Arc::new(Mutex::new(Outgoing {
            io,
            stall,
            waiting: None,
            gathered: Vec::new(),
            sent: 0,
            taken: 0,
            unflushed: false,
        }));
        let socket = Self {
            line: Line(Arc::clone(&line)),
            heard: Heard::default(),
            chatter: Chatter::new(),
            is_write_vectored,
        };
        (socket, Line(line))
    }

    pub(super) fn heard(&self) -> Heard {
        self.heard.clone()
    }
}

impl<C> Line<C> {
    fn lock(&self) -> MutexGuard<'_, Outgoing<C>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C: AsyncWrite + Unpin> Line<C> {
    /// What `served`, which writes to the socket, comes to. It takes each turn after the tasks that are ready, for it is
    /// their answers that it writes; and what it writes in one turn is sent together.
    ///
    /// # Errors
    /// Those of `served`, and those of the socket.
    pub(super) async fn turns<F, E>(&self, mut served: Pin<&mut F>) -> Result<(), BoxError>
    where
        F: Future<Output = Result<(), E>>,
        BoxError: From<E>,
    {
        let mut has_queued = false;
        poll_fn(|cx| {
            has_queued = !has_queued;
            if has_queued {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let outcome = served.as_mut().poll(cx);
            match (outcome, self.lock().poll_send(cx)) {
                (Poll::Ready(outcome), _) => Poll::Ready(outcome.map_err(BoxError::from)),
                (Poll::Pending, Poll::Ready(Err(error))) => Poll::Ready(Err(error.into())),
                (Poll::Pending, _) => Poll::Pending,
            }
        })
        .await
    }

    /// Sends what was written last, which nobody writes behind.
    ///
    /// # Errors
    /// Those of the socket.
    pub(super) async fn sent(&self) -> io::Result<()> {
        poll_fn(|cx| self.lock().poll_send(cx)).await
    }
}

impl<C: AsyncWrite + Unpin> Outgoing<C> {
    /// Takes of `bufs` what there is room for, once there is room.
    fn poll_take(&mut self, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let len: usize = bufs.iter().map(|buf| buf.len()).sum();
        if self.gathered.len() + len > MAX_GATHERED_BYTES || len >= LARGE_BYTES {
            ready!(self.poll_empty(cx))?;
        }
        if len >= LARGE_BYTES
            && let Poll::Ready(taken) = Pin::new(&mut self.io).poll_write_vectored(cx, bufs)?
        {
            self.waiting = None;
            self.unflushed = true;
            self.taken += taken as u64;
            return Poll::Ready(Ok(taken));
        }
        // Of what the peer does not take at once, too: all that waits for it waits in one place.
        let taken = len.min(MAX_GATHERED_BYTES - self.gathered.len());
        self.make_room(taken);
        let mut left = taken;
        for buf in bufs {
            let now = left.min(buf.len());
            self.gathered.extend_from_slice(&buf[..now]);
            left -= now;
        }
        self.taken += taken as u64;
        Poll::Ready(Ok(taken))
    }

    /// Room for `more` bytes: twice what is needed, and never more than the bound.
    fn make_room(&mut self, more: usize) {
        let needed = self.gathered.len() + more;
        if needed > self.gathered.capacity() {
            let room = (2 * needed).min(MAX_GATHERED_BYTES);
            self.gathered.reserve_exact(room - self.gathered.len());
        }
    }

    /// Sends all that was taken.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_empty(cx))?;
        if !self.unflushed {
            return Poll::Ready(Ok(()));
        }
        let polled = Pin::new(&mut self.io).poll_flush(cx);
        self.unflushed = polled.is_pending();
        self.bounded(cx, polled)
    }

    /// Hands all that was gathered to the socket. Nobody who waits keeps room for it.
    fn poll_empty(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.gathered.len() {
            let rest = &self.gathered[self.sent..];
            let polled = Pin::new(&mut self.io).poll_write(cx, rest);
            self.unflushed = true;
            match ready!(self.bounded(cx, polled))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                sent => self.sent += sent,
            }
        }
        self.gathered = Vec::new();
        self.sent = 0;
        Poll::Ready(Ok(()))
    }

    /// `polled`, or that the peer took nothing for too long.
    fn bounded<T>(
        &mut self,
        cx: &mut Context<'_>,
        polled: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.waiting = None;
            return polled;
        }
        let stall = self.stall;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep(stall)));
        waiting
            .as_mut()
            .poll(cx)
            .map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<C: AsyncRead + Unpin> AsyncRead for Socket<C> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let socket = self.get_mut();
        let before = buf.filled().len();
        let mut outgoing = socket.line.lock();
        ready!(Pin::new(&mut outgoing.io).poll_read(cx, buf))?;
        let bytes = &buf.filled()[before..];
        socket.heard.0.fetch_add(bytes.len(), Ordering::Relaxed);
        if socket.chatter.is_too_much(bytes, outgoing.taken) {
            return Poll::Ready(Err(TOO_MUCH.into()));
        }
        Poll::Ready(Ok(()))
    }
}

impl<C: AsyncWrite + Unpin> AsyncWrite for Socket<C> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.line.lock().poll_take(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.line.lock().poll_take(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.is_write_vectored
    }

    /// At the end of the turn.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut outgoing = self.line.lock();
        ready!(outgoing.poll_send(cx))?;
        let polled = Pin::new(&mut outgoing.io).poll_shutdown(cx);
        outgoing.bounded(cx, polled)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream},
        time::Instant,
    };

    use super::*;

    const STALL: Duration = Duration::from_secs(60);

    /// What is written to it in one call goes to `calls`; it takes nothing while `full`.
    #[derive(Debug, Default)]
    struct Recorder {
        calls: Arc<Mutex<Vec<Vec<u8>>>>,
        full: Arc<AtomicBool>,
    }

    impl AsyncWrite for Recorder {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &[u8],
        ) -> Poll<io::Result<usize>> {
            if self.full.load(Ordering::Relaxed) {
                return Poll::Pending;
            }
            self.calls.lock().unwrap().push(buf.to_vec());
            Poll::Ready(Ok(buf.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    /// Writes and flushes answers of `size` bytes, `each` in a turn.
    async fn answers(
        mut socket: Socket<Recorder>,
        turns: u8,
        each: u8,
        size: usize,
    ) -> io::Result<()> {
        for turn in 0..turns {
            for answer in 0..each {
                socket.write_all(&vec![turn * each + answer; size]).await?;
                socket.flush().await?;
            }
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    #[tokio::test]
    async fn the_answers_of_one_turn_leave_in_one_call_in_their_order() {
        let recorder = Recorder::default();
        let calls = Arc::clone(&recorder.calls);
        let (socket, line) = Socket::new(recorder, STALL);
        let served = std::pin::pin!(answers(socket, 3, 5, 100));
        line.turns(served).await.unwrap();
        let calls = calls.lock().unwrap();
        let answers: Vec<Vec<u8>> = calls
            .iter()
            .map(|call| call.iter().step_by(100).copied().collect())
            .collect();
        assert_eq!(
            answers,
            [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9], [10, 11, 12, 13, 14]]
        );
    }

    #[tokio::test]
    async fn a_turn_comes_after_the_tasks_that_are_ready() {
        let recorder = Recorder::default();
        let calls = Arc::clone(&recorder.calls);
        let (mut socket, line) = Socket::new(recorder, STALL);
        let (sender, mut answers) = tokio::sync::mpsc::channel::<[u8; 1]>(10);
        let serving = tokio::spawn(async move {
            let served = std::pin::pin!(async move {
                while let Some(answer) = answers.recv().await {
                    socket.write_all(&answer).await?;
                    socket.flush().await?;
                }
                io::Result::Ok(())
            });
            line.turns(served).await
        });
        for answer in 0..4 {
            let sender = sender.clone();
            tokio::spawn(async move { sender.send([answer]).await });
        }
        drop(sender);
        serving.await.unwrap().unwrap();
        assert_eq!(*calls.lock().unwrap(), [vec![0, 1, 2, 3]]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_for_a_peer_is_bounded_and_a_peer_that_takes_nothing_is_cut_off() {
        let recorder = Recorder::default();
        recorder.full.store(true, Ordering::Relaxed);
        let (socket, line) = Socket::new(recorder, STALL);
        let begun = Instant::now();
        let served = std::pin::pin!(answers(socket, 1, 250, 1_000));
        let error = line.turns(served).await.unwrap_err();
        let error = error.downcast::<io::Error>().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(begun.elapsed(), STALL);
        let held = line.lock().gathered.len();
        assert!((MAX_GATHERED_BYTES - 1_000..=MAX_GATHERED_BYTES).contains(&held));
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_takes_nothing_of_a_large_write_is_cut_off_too() {
        for size in [LARGE_BYTES, 10 * MAX_GATHERED_BYTES] {
            let recorder = Recorder::default();
            recorder.full.store(true, Ordering::Relaxed);
            let (socket, line) = Socket::new(recorder, STALL);
            let begun = Instant::now();
            let served = std::pin::pin!(async move {
                answers(socket, 1, 1, size).await?;
                std::future::pending::<io::Result<()>>().await
            });
            let error = line.turns(served).await.unwrap_err();
            let error = error.downcast::<io::Error>().unwrap();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            assert_eq!(begun.elapsed(), STALL);
            assert!(line.lock().gathered.capacity() <= MAX_GATHERED_BYTES);
        }
    }

    #[tokio::test]
    async fn bytes_of_any_sizes_arrive_whole_through_a_pipe_that_is_often_full() {
        let sizes = [
            1,
            700,
            LARGE_BYTES - 1,
            3,
            LARGE_BYTES,
            40_000,
            9,
            9_000,
            MAX_GATHERED_BYTES,
        ];
        let mut told = Vec::new();
        for (i, size) in sizes.into_iter().cycle().take(90).enumerate() {
            told.push(vec![i as u8; size]);
        }
        let (ours, mut theirs): (_, DuplexStream) = tokio::io::duplex(777);
        let (mut socket, line) = Socket::new(ours, STALL);
        let whole = told.concat();
        let reading = tokio::spawn(async move {
            let mut bytes = Vec::new();
            theirs.read_to_end(&mut bytes).await.unwrap();
            bytes
        });
        let served = std::pin::pin!(async move {
            for bytes in told {
                socket.write_all(&bytes).await?;
                socket.flush().await?;
            }
            socket.shutdown().await
        });
        line.turns(served).await.unwrap();
        assert!(reading.await.unwrap() == whole);
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_that_nobody_takes_fails_and_one_that_is_taken_in_time_does_not() {
        let (ours, mut theirs) = tokio::io::duplex(10);
        let (mut socket, line) = Socket::new(ours, STALL);
        let slow = tokio::spawn(async move {
            for _ in 0..3 {
                tokio::time::sleep(Duration::from_secs(50)).await;
                theirs.read_exact(&mut [0; 10]).await.unwrap();
            }
            theirs
        });
        let mut send = async |bytes: &[u8]| {
            socket.write_all(bytes).await?;
            line.sent().await
        };
        send(&[7; 40]).await.unwrap();
        let _theirs = slow.await.unwrap();
        let begun = Instant::now();
        let error = send(&[7; 40]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(begun.elapsed().as_secs(), STALL.as_secs());
    }
}
