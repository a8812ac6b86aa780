//! One attack on one server: a healthy client before it and beside it, and the server's memory all the while.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use loadcast_client::Client;
use tempfile::TempDir;

use crate::{
    attack::{Attack, Target},
    healthy::{self, p99},
    support::{Process, push},
};

/// What a connection may cost that says nothing or little: its task, its buffers, and an HTTP/2 codec.
const BYTES_PER_CONNECTION: u64 = 48 * 1024;

/// What a stream may cost whose peer reads nothing: one send buffer, one message, and what a stream costs anyway.
const BYTES_PER_STREAM: u64 = 96 * 1024;

/// What a flood may cost on each connection: what HTTP/2 has to hold for a peer, and what it has not closed yet.
const BYTES_PER_FLOOD: u64 = 4 * 1024 * 1024;

/// What the healthy client's questions and the allocator may take meanwhile.
const SLACK_BYTES: u64 = 32 * 1024 * 1024;

/// A server to be attacked.
pub(crate) struct Scene {
    folder: TempDir,
    process: Process,
    peers: usize,
    /// Whether to tell what the attackers take of the machine from what the attack does to the server.
    soak: bool,
    /// The most connections that the server takes from one address.
    per_address: usize,
    window: Duration,
}

/// What came of an attack.
#[derive(Debug)]
pub(crate) struct Verdict {
    attack: Attack,
    peers: usize,
    happened: String,
    /// Connections that the server closed meanwhile.
    pub(crate) closed: u64,
    /// Before it, while another server of this machine is attacked so, and while this one is.
    p99: [f64; 3],
    grown: u64,
    bound: u64,
}

impl Scene {
    pub(crate) async fn new(peers: usize, soak: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let per_address = if soak { 2_000 } else { 100 };
        let process = server(&folder, per_address).await;
        Self {
            folder,
            process,
            peers,
            soak,
            per_address,
            window: Duration::from_secs(if soak { 15 } else { 1 }),
        }
    }

    /// What the healthy client meets while another server is attacked: the attackers take their share of the machine, and
    /// this server nothing.
    async fn elsewhere(&self, attack: Attack, client: &Client) -> f64 {
        // What matters of a storm is the restart, and another's is nothing to the client.
        if !self.soak || attack == Attack::SubscribeStorm {
            return f64::NAN;
        }
        let folder = tempfile::tempdir().unwrap();
        let other = server(&folder, self.per_address).await;
        let target = Target::new(other.grpc.parse().unwrap());
        let mut attackers = attack.begin(&target, self.peers);
        let p99 = p99(&healthy::ask(client, self.window).await);
        target.stop.cancel();
        while attackers.join_next().await.is_some() {}
        p99
    }

    pub(crate) async fn run(mut self, attack: Attack) -> Verdict {
        let client = self.process.client();
        // What comes first is not what a client meets that has been there.
        healthy::ask(&client, self.window / 5).await;
        let before = p99(&healthy::ask(&client, self.window).await);
        let elsewhere = self.elsewhere(attack, &client).await;
        let (base, peak) = (self.resident(), Arc::new(AtomicU64::new(0)));
        let target = Target::new(self.process.grpc.parse().unwrap());
        let mut attackers = attack.begin(&target, self.peers);
        let beside = if attack == Attack::SubscribeStorm {
            self.restarted(&target).await
        } else {
            let watching = tokio::spawn(watch(self.process.child.id(), Arc::clone(&peak)));
            let beside = p99(&healthy::ask(&client, self.window).await);
            watching.abort();
            beside
        };
        if attack == Attack::ManyConnections {
            // Those that are too many are closed as they come, which takes as long as the machine takes.
            let beyond = self.peers.saturating_sub(self.per_address);
            until(&target.tally.closed, beyond as u64).await;
        }
        peak.fetch_max(self.resident(), Ordering::Relaxed);
        let happened = target.tally.text();
        let closed = target.tally.closed.load(Ordering::Relaxed);
        target.stop.cancel();
        while attackers.join_next().await.is_some() {}
        // And whoever comes after it is answered.
        healthy::ask(&self.process.client(), self.window / 5).await;
        let peers = self.peers as u64;
        let each = match attack {
            Attack::NeverReading | Attack::SubscribeStorm => BYTES_PER_STREAM,
            Attack::SilentTcp
            | Attack::HalfPreface
            | Attack::OneByteASecond
            | Attack::ManyConnections => BYTES_PER_CONNECTION,
            _ => BYTES_PER_FLOOD,
        };
        Verdict {
            attack,
            peers: self.peers,
            happened,
            closed,
            p99: [before, elsewhere, beside],
            grown: peak.load(Ordering::Relaxed).saturating_sub(base),
            bound: peers * each + SLACK_BYTES,
        }
    }

    /// Everybody has subscribed; the server is killed and comes back on the same port, and all come back to it at once.
    async fn restarted(&mut self, target: &Target) -> f64 {
        until(&target.tally.answered, self.peers as u64).await;
        let addr = self.process.grpc.clone();
        self.process.child.kill().unwrap();
        self.process.child.wait().unwrap();
        self.process = Process::start_at(self.folder.path(), &addr);
        let client = Client::new(&format!("http://{addr}")).unwrap();
        let beside = p99(&healthy::ask(&client, self.window).await);
        until(&target.tally.answered, 2 * self.peers as u64).await;
        beside
    }

    fn resident(&self) -> u64 {
        resident_bytes(self.process.child.id())
    }
}

impl Verdict {
    /// The server grew by no more than it may.
    pub(crate) fn assert_bounded(&self) {
        assert!(
            self.grown < self.bound,
            "{:?}: grew by {} bytes, {} are allowed: {}",
            self.attack,
            self.grown,
            self.bound,
            self.happened
        );
    }

    pub(crate) fn print(verdicts: &[Self]) {
        println!(
            "{:18} {:>6}  {:>34}  {:>14}  what happened",
            "attack", "peers", "healthy p99 ms: before, other, this", "RSS MiB (bound)"
        );
        for verdict in verdicts {
            let [before, elsewhere, beside] = verdict.p99;
            let ratio = beside / before;
            println!(
                "{:18} {:>6}  {:>34}  {:>14}  {}",
                format!("{:?}", verdict.attack),
                verdict.peers,
                format!("{before:.2}, {elsewhere:.2}, {beside:.2} ({ratio:.2})"),
                format!("+{} ({})", verdict.grown >> 20, verdict.bound >> 20),
                verdict.happened
            );
        }
    }
}

/// A server that takes so many connections of one address, and has what the healthy client asks for.
async fn server(folder: &TempDir, per_address: usize) -> Process {
    let cap = format!("--max-connections-per-address={per_address}");
    let process = Process::start_with(folder.path(), &["--registry=memory:", &cap], &[]);
    let pushed = process.client().push(push(healthy::SERIES, 1.0)).await;
    pushed.unwrap();
    process
}

/// Waits until `counter` is at `count`.
pub(crate) async fn until(counter: &AtomicU64, count: u64) {
    let waiting = async {
        while counter.load(Ordering::Relaxed) < count {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(120), waiting)
        .await
        .unwrap_or_else(|_| panic!("{counter:?} of {count}"));
}

/// Keeps the most memory that a process has taken.
async fn watch(id: u32, peak: Arc<AtomicU64>) {
    let mut ticks = tokio::time::interval(Duration::from_millis(50));
    loop {
        ticks.tick().await;
        peak.fetch_max(resident_bytes(id), Ordering::Relaxed);
    }
}

/// Bytes of a process that are in memory.
fn resident_bytes(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.unwrap().split_whitespace().nth(1).unwrap();
    kib.parse::<u64>().unwrap() * 1024
}
