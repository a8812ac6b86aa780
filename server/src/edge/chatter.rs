//! Frames of HTTP/2 that ask for nothing: PING, SETTINGS, WINDOW_UPDATE, PRIORITY, RST_STREAM of what has ended, and kinds
//! that nobody knows. The library bounds calls that are taken back, headers without an end and data without bytes; these it
//! takes for ever, as fast as they come, and a peer that sends nothing else keeps a core busy.

use tokio::time::{Duration, Instant};

/// How HTTP/2 begins.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A length of three bytes, the kind, flags and a stream.
const HEAD_BYTES: usize = 9;

/// What begins a call, and may be followed by one frame that takes it back.
const HEADERS: u8 = 1;

/// What else calls consist of: DATA, CONTINUATION.
const OF_CALLS: [u8; 2] = [0, 9];

/// So many in [`PERIOD`] are heard on any connection, and up to as many more after a rest: a client that measures its line
/// sends one a round trip.
const MAX_FRAMES: u64 = 10_000;
const PERIOD: Duration = Duration::from_secs(1);

/// And one more for so many bytes that were sent to the peer since it had used those up: it gives their room back with such
/// frames. Never more than [`MAX_FRAMES`] at once.
const BYTES_FOR_ONE: u64 = 64;

/// Listens to one connection.
#[derive(Debug)]
pub(super) struct Chatter {
    awaited: Awaited,
    /// How many more such frames are heard in this period.
    spare: u64,
    period: Instant,
    /// What had been sent when the last were granted.
    sent: u64,
}

#[derive(Debug)]
enum Awaited {
    /// So many bytes of the preface.
    Preface(usize),
    /// So much of a frame's head.
    Head([u8; HEAD_BYTES], usize),
    /// A frame of which so many bytes are to come.
    Rest(usize),
    /// Not HTTP/2.
    Other,
}

impl Chatter {
    pub(super) fn new() -> Self {
        Self {
            awaited: Awaited::Preface(0),
            spare: MAX_FRAMES,
            period: Instant::now(),
            sent: 0,
        }
    }

    /// Whether the peer says too much with `bytes`, to whom `sent` bytes were sent in all.
    pub(super) fn is_too_much(&mut self, mut bytes: &[u8], sent: u64) -> bool {
        while !bytes.is_empty() {
            let wanted = match self.awaited {
                Awaited::Other => return false,
                Awaited::Preface(known) => PREFACE.len() - known,
                Awaited::Head(_, known) => HEAD_BYTES - known,
                Awaited::Rest(len) => len,
            };
            let (now, later) = bytes.split_at(wanted.min(bytes.len()));
            bytes = later;
            match &mut self.awaited {
                Awaited::Preface(known) if !PREFACE[*known..].starts_with(now) => {
                    self.awaited = Awaited::Other;
                }
                Awaited::Head(head, known) => {
                    head[*known..][..now.len()].copy_from_slice(now);
                    *known += now.len();
                    if *known == HEAD_BYTES {
                        let [a, b, c, kind, ..] = *head;
                        self.expect(u32::from_be_bytes([0, a, b, c]) as usize);
                        match kind {
                            HEADERS => self.spare = (self.spare + 1).min(MAX_FRAMES),
                            kind if OF_CALLS.contains(&kind) => {}
                            _ if self.is_granted(sent) => {}
                            _ => return true,
                        }
                    }
                }
                Awaited::Preface(_) if now.len() == wanted => self.expect(0),
                Awaited::Preface(known) => *known += now.len(),
                Awaited::Rest(len) => {
                    let rest = *len - now.len();
                    self.expect(rest);
                }
                Awaited::Other => {}
            }
        }
        false
    }

    /// `len` bytes come before the next head.
    fn expect(&mut self, len: usize) {
        self.awaited = match len {
            0 => Awaited::Head([0; HEAD_BYTES], 0),
            len => Awaited::Rest(len),
        };
    }

    /// Whether one more frame is heard.
    fn is_granted(&mut self, sent: u64) -> bool {
        if self.spare == 0 {
            let now = Instant::now();
            if now - self.period >= PERIOD {
                self.period = now;
                self.spare = MAX_FRAMES;
            }
            let unused = sent - self.sent;
            self.spare = (self.spare + unused / BYTES_FOR_ONE).min(MAX_FRAMES);
            self.sent = sent - unused % BYTES_FOR_ONE;
        }
        let granted = self.spare > 0;
        self.spare = self.spare.saturating_sub(1);
        granted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PING: &[u8] = &[0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
    const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
    const UPDATE: &[u8] = &[0, 0, 4, 8, 0, 0, 0, 0, 1, 0, 0, 1, 0];
    const CALL: &[u8] = &[0, 0, 2, 1, 4, 0, 0, 0, 1, 6, 6];
    const RESET: &[u8] = &[0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 8];
    const DATA: &[u8] = &[0, 0, 3, 0, 0, 0, 0, 0, 1, 6, 6, 6];

    /// What listens to a peer that has greeted.
    fn greeted() -> Chatter {
        let mut chatter = Chatter::new();
        assert!(!chatter.is_too_much(PREFACE, 0));
        chatter
    }

    #[tokio::test(start_paused = true)]
    async fn ten_thousand_pings_or_settings_a_second_are_heard_and_no_more() {
        for frame in [PING, SETTINGS] {
            let mut chatter = greeted();
            for second in 0..3 {
                let most = frame.repeat(MAX_FRAMES as usize);
                assert!(!chatter.is_too_much(&most, 0), "second {second}");
                tokio::time::advance(PERIOD).await;
            }
            assert!(chatter.is_too_much(&frame.repeat(MAX_FRAMES as usize + 1), 0));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_sent_much_may_give_back_much_room_and_saves_nothing_up() {
        let mut chatter = greeted();
        let mut sent = 0;
        for _ in 0..1_000 {
            sent += 100 * BYTES_FOR_ONE;
            assert!(!chatter.is_too_much(&UPDATE.repeat(100), sent));
        }
        sent += 1_000_000_000;
        assert!(chatter.is_too_much(&PING.repeat(3 * MAX_FRAMES as usize), sent));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_may_be_taken_back_and_what_has_ended_not_for_ever() {
        let mut chatter = greeted();
        let taken_back = [CALL, RESET].concat();
        assert!(!chatter.is_too_much(&taken_back.repeat(3 * MAX_FRAMES as usize), 0));
        assert!(chatter.is_too_much(&RESET.repeat(MAX_FRAMES as usize + 1), 0));
    }

    #[tokio::test(start_paused = true)]
    async fn the_answers_to_pings_grant_no_other_pings_for_ever() {
        let mut chatter = greeted();
        let pings = 2 * MAX_FRAMES;
        let answered = (0..pings).find(|ping| chatter.is_too_much(PING, ping * PING.len() as u64));
        assert!(answered.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn frames_of_calls_are_not_counted_wherever_reads_cut_them() {
        let frames = [PING, DATA, SETTINGS, DATA, DATA].concat();
        for cut in 1..30 {
            let mut chatter = Chatter::new();
            let talk = [&PREFACE[..], &frames.repeat(MAX_FRAMES as usize / 2)].concat();
            for bytes in talk.chunks(cut) {
                assert!(!chatter.is_too_much(bytes, 0), "{cut}");
            }
            assert_eq!(chatter.spare, 0);
            assert!(chatter.is_too_much(PING, 0), "{cut}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn http_1_is_not_taken_for_frames() {
        let mut chatter = Chatter::new();
        let talk = "PRI /livez HTTP/1.1\r\nhost: a\r\n\r\n".repeat(100_000);
        assert!(!chatter.is_too_much(talk.as_bytes(), 0));
    }
}
