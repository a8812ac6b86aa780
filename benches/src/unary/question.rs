//! What is asked: the same again and again, or never the same twice.

use bytes::{BufMut as _, Bytes, BytesMut};
use loadcast_proto::v1::{self as pb, get_forecast_request::Range};

/// Seconds between points.
pub(super) const STEP: i64 = 300;

/// Whether questions repeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Always the same.
    Repeated,
    /// Random series, start and levels.
    Different,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Repeated => "repeated",
            Self::Different => "different",
        }
    }
}

/// Questions to a fleet.
#[derive(Debug)]
pub(super) struct Questions {
    series: usize,
    /// The first instant that is asked about.
    start: i64,
}

impl Questions {
    pub(super) fn new(series: usize) -> Self {
        let now = jiff::Timestamp::now().as_second();
        Self {
            series,
            start: now - now.rem_euclid(STEP),
        }
    }

    pub(super) fn asked(&self, kind: Kind, points: i64) -> Asked {
        Asked {
            kind,
            points,
            series: self.series,
            start: self.start,
            turn: 0,
        }
    }
}

/// Numbered questions of one kind.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) kind: Kind,
    pub(super) points: i64,
    series: usize,
    start: i64,
    turn: u64,
}

/// The name of series `i`.
pub(super) fn name(i: usize) -> String {
    format!("namespace-{}.workload-{i}.cpu", i % 10)
}

impl Asked {
    /// The same questions, or others of the same kind.
    pub(super) fn turned(&self, turn: usize) -> Self {
        Self {
            turn: 1 + turn as u64,
            ..self.clone()
        }
    }

    /// Question `number`: the series, the first instant, and the levels of the band.
    fn parts(&self, number: u64) -> (usize, i64, [f64; 2]) {
        if self.kind == Kind::Repeated {
            return (7, self.start, [0.1, 0.9]);
        }
        let mut random = SplitMix(self.turn << 40 | number);
        let series = random.below(self.series as u64) as usize;
        // To the second, within four weeks: two are hardly ever alike.
        let start = self.start + random.below(28 * 86_400) as i64;
        let low = 0.01 + random.below(400_000) as f64 * 1e-6;
        let high = 0.55 + random.below(400_000) as f64 * 1e-6;
        (series, start, [low, high])
    }

    /// What question `number` means: the series, the instants, the levels.
    pub(super) fn meaning(&self, number: u64) -> (usize, Vec<i64>, [f64; 2]) {
        let (series, start, levels) = self.parts(number);
        let times = (0..self.points).map(|i| start + i * STEP).collect();
        (series, times, levels)
    }

    /// Question `number` as the body of a call.
    pub(super) fn request(&self, number: u64) -> Bytes {
        let (series, start, levels) = self.parts(number);
        let instant = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
        let request = pb::GetForecastRequest {
            series: name(series),
            range: Some(Range::TimeRange(pb::TimeRange {
                start: instant(start),
                end: instant(start + self.points * STEP),
            })),
            levels: levels.to_vec(),
            ..Default::default()
        };
        envelope(&request)
    }
}

/// A message in its envelope.
pub(super) fn envelope(message: &impl prost::Message) -> Bytes {
    let len = message.encoded_len();
    let mut body = BytesMut::with_capacity(5 + len);
    body.put_u8(0);
    body.put_u32(u32::try_from(len).unwrap_or(u32::MAX));
    // The buffer has the room.
    let _ = message.encode(&mut body);
    body.freeze()
}

/// Sebastiano Vigna's splitmix64: questions are known by their number.
struct SplitMix(u64);

impl SplitMix {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}
