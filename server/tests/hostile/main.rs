//! Peers that mean ill: what each attack comes to, what it costs a healthy client beside it, and how much memory it takes.
//! In `make test` with hundreds of peers; `make soak` sends thousands and prints the table.

// Helpers of tests are tests, which clippy does not see.
#![allow(clippy::unwrap_used)]

mod attack;
mod flood;
mod frames;
mod healthy;
mod leaving;
mod scene;
mod slow;
#[path = "../it/support.rs"]
mod support;

use loadcast_components::soak;

use crate::{
    attack::Attack,
    scene::{Scene, Verdict},
};

/// How many peers each attack has, in `make test` and in `make soak`.
fn peers(attack: Attack, soak: bool) -> usize {
    match (attack, soak) {
        // A server that is tested so takes 100 connections of one address.
        (Attack::SilentTcp | Attack::HalfPreface | Attack::OneByteASecond, false) => 90,
        (Attack::SilentTcp | Attack::HalfPreface | Attack::OneByteASecond, true) => 2_000,
        (Attack::ManyConnections, false) => 300,
        (Attack::ManyConnections, true) => 10_000,
        (Attack::NeverReading | Attack::SubscribeStorm, false) => 300,
        (Attack::NeverReading | Attack::SubscribeStorm, true) => 10_000,
        // Each as fast as it can: a few take a core.
        (_, false) => 2,
        (_, true) => 4,
    }
}

/// Runs one attack in the size of `make test`, and holds it to its bound.
async fn short(attack: Attack) -> Verdict {
    let scene = Scene::new(peers(attack, false), false).await;
    let verdict = scene.run(attack).await;
    println!("{verdict:?}");
    verdict.assert_bounded();
    verdict
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_connections_half_a_preface_and_a_byte_a_second_cost_no_more_than_their_sockets() {
    for attack in [
        Attack::SilentTcp,
        Attack::HalfPreface,
        Attack::OneByteASecond,
    ] {
        short(attack).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_of_frames_are_bounded_and_end_their_connection() {
    for attack in [
        Attack::RapidReset,
        Attack::ContinuationFlood,
        Attack::PingFlood,
        Attack::SettingsFlood,
    ] {
        let verdict = short(attack).await;
        assert!(verdict.closed > 0, "{verdict:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gzip_bomb_is_refused_unread() {
    short(Attack::GzipBomb).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_that_never_read_behind_a_huge_window_are_bounded() {
    short(Attack::NeverReading).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_beyond_the_cap_of_an_address_are_closed_and_others_come_in() {
    let verdict = short(Attack::ManyConnections).await;
    assert!(verdict.closed >= 200, "{verdict:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_comes_back_at_once_after_a_restart() {
    short(Attack::SubscribeStorm).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn soak_hostile_every_attack_with_thousands_of_peers() {
    if !soak::wanted_or_skipped() {
        return;
    }
    let mut verdicts = Vec::new();
    for attack in Attack::ALL {
        let scene = Scene::new(peers(attack, true), true).await;
        verdicts.push(scene.run(attack).await);
        Verdict::print(&verdicts);
    }
    for verdict in &verdicts {
        verdict.assert_bounded();
    }
}
