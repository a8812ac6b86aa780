//! Who may come in: so many connections in all, and so many of one address; and for a moment nobody of an address that
//! broke the protocol.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::time::{Duration, Instant};

use crate::edge::{Limits, metrics::PortMetrics};

/// An address whose connection broke the protocol, as floods do, is not let in again for this long: what a connection costs
/// until it is cut, it costs once a second and not as often as its peer can connect. Connections that it has go on.
const SHUNNED: Duration = Duration::from_secs(1);

/// Addresses that are remembered beyond those with connections; then the expired are forgotten.
const MAX_SHUNNED: usize = 4_096;

/// Counts connections and refuses those too many.
#[derive(Debug)]
pub(super) struct Admission {
    limits: Limits,
    metrics: PortMetrics,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    total: usize,
    by_address: HashMap<IpAddr, usize>,
    shunned: HashMap<IpAddr, Instant>,
}

/// One connection's place, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Permit {
    admission: Arc<Admission>,
    address: Option<IpAddr>,
}

impl Admission {
    pub(super) fn new(limits: Limits, metrics: PortMetrics) -> Self {
        Self {
            limits,
            metrics,
            open: Mutex::default(),
        }
    }

    /// A place for a connection from `address`, or none, which is counted.
    pub(super) fn admit(self: &Arc<Self>, address: Option<IpAddr>) -> Option<Permit> {
        let address = address.map(network);
        let mut open = self.lock();
        let of_address = address.map_or(0, |address| {
            open.by_address.get(&address).copied().unwrap_or(0)
        });
        let reason = if open.total >= self.limits.connections {
            Some("connections")
        } else if of_address >= self.limits.connections_per_address {
            Some("connections_per_address")
        } else if address.is_some_and(|address| open.is_shunned(address)) {
            Some("shunned")
        } else {
            None
        };
        if let Some(reason) = reason {
            drop(open);
            self.metrics.refused(reason);
            tracing::debug!(?address, reason, "a connection is refused");
            return None;
        }
        open.total += 1;
        if let Some(address) = address {
            open.by_address.insert(address, of_address + 1);
        }
        drop(open);
        self.metrics.opened();
        Some(Permit {
            admission: Arc::clone(self),
            address,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn is_shunned(&mut self, address: IpAddr) -> bool {
        match self.shunned.get(&address) {
            Some(until) if Instant::now() < *until => true,
            Some(_) => {
                self.shunned.remove(&address);
                false
            }
            None => false,
        }
    }
}

impl Permit {
    /// The connection broke the protocol.
    pub(super) fn shun(&self) {
        let Some(address) = self.address else { return };
        let now = Instant::now();
        let mut open = self.admission.lock();
        // Connections that it had before come to their end one by one: others behind its address are not to wait for them
        // all.
        if open.is_shunned(address) {
            return;
        }
        if open.shunned.len() >= MAX_SHUNNED {
            open.shunned.retain(|_, until| now < *until);
        }
        // More than that many at once are not the doing of one: they take their turn.
        if open.shunned.len() < MAX_SHUNNED {
            open.shunned.insert(address, now + SHUNNED);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut open = self.admission.lock();
        open.total = open.total.saturating_sub(1);
        if let Some(address) = self.address
            && let Some(count) = open.by_address.get_mut(&address)
        {
            *count -= 1;
            if *count == 0 {
                open.by_address.remove(&address);
            }
        }
        drop(open);
        self.admission.metrics.closed();
    }
}

/// What counts as one address: with IPv6 everybody has 2^64 of them.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::metrics::EdgeMetrics;

    fn admission(connections: usize, connections_per_address: usize) -> Arc<Admission> {
        let hour = Duration::from_secs(3_600);
        let limits = Limits {
            connections,
            connections_per_address,
            age: hour,
            stall: hour,
            drain: hour,
        };
        Arc::new(Admission::new(limits, EdgeMetrics::default().port("grpc")))
    }

    fn from(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn one_address_cannot_take_every_place_and_gives_back_what_it_had() {
        let admission = admission(4, 2);
        let first = admission.admit(from("10.0.0.1")).unwrap();
        let _second = admission.admit(from("10.0.0.1")).unwrap();
        assert!(admission.admit(from("10.0.0.1")).is_none());
        let _third = admission.admit(from("10.0.0.2")).unwrap();
        let _fourth = admission.admit(None).unwrap();
        assert!(admission.admit(from("10.0.0.3")).is_none(), "all are taken");
        drop(first);
        let _fifth = admission.admit(from("10.0.0.1")).unwrap();
        assert_eq!(admission.lock().by_address.len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn who_broke_the_protocol_waits_a_second_and_nobody_else_does() {
        let admission = admission(9, 9);
        let offender = admission.admit(from("10.0.0.1")).unwrap();
        let _other_of_its = admission.admit(from("10.0.0.1")).unwrap();
        offender.shun();
        drop(offender);
        assert!(admission.admit(from("10.0.0.1")).is_none());
        assert!(admission.admit(from("10.0.0.2")).is_some());
        tokio::time::advance(SHUNNED).await;
        assert!(admission.admit(from("10.0.0.1")).is_some());
        assert!(admission.lock().shunned.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_whose_connections_break_the_protocol_one_after_another_is_let_in_between() {
        let admission = admission(9, 9);
        let first = admission.admit(from("10.0.0.1")).unwrap();
        let second = admission.admit(from("10.0.0.1")).unwrap();
        first.shun();
        tokio::time::advance(SHUNNED * 9 / 10).await;
        second.shun();
        assert!(admission.admit(from("10.0.0.1")).is_none());
        tokio::time::advance(SHUNNED / 10).await;
        assert!(admission.admit(from("10.0.0.1")).is_some());
        second.shun();
        assert!(admission.admit(from("10.0.0.1")).is_none());
    }

    #[test]
    fn neighbours_in_an_ipv6_network_are_one_address_and_a_mapped_one_is_its_ipv4() {
        let admission = admission(9, 1);
        let _first = admission.admit(from("2001:db8:1:2::1")).unwrap();
        assert!(admission.admit(from("2001:db8:1:2:3::9")).is_none());
        let _second = admission.admit(from("2001:db8:1:3::1")).unwrap();
        let _third = admission.admit(from("::ffff:10.0.0.1")).unwrap();
        assert!(admission.admit(from("10.0.0.1")).is_none());
    }
}
