//! How many connections there may be, in all and from one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Bounds on connections.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ConnectionLimits {
    /// In all.
    pub total: usize,
    /// From one IPv4 address or one IPv6 network of 64 bits.
    pub per_address: usize,
}

impl Default for ConnectionLimits {
    /// 10,000 in all, 500 from one address.
    fn default() -> Self {
        Self {
            total: 10_000,
            per_address: 500,
        }
    }
}

/// Counts connections.
#[derive(Debug)]
pub(super) struct Gate {
    limits: ConnectionLimits,
    counts: Mutex<Counts>,
    refusals: Mutex<Refusals>,
}

/// Connections that were refused and not told of yet.
#[derive(Debug, Default)]
struct Refusals {
    untold: u64,
    next_line: Option<Instant>,
}

/// How often the log tells of refused connections; whoever fills it with them would hide the rest.
const LINE_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
struct Counts {
    total: usize,
    by_address: HashMap<IpAddr, usize>,
}

impl Gate {
    pub(super) fn new(limits: ConnectionLimits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            counts: Mutex::default(),
            refusals: Mutex::default(),
        })
    }

    /// Lets a connection in, or not. It is counted until its pass is dropped.
    pub(super) fn admit(self: &Arc<Self>, address: IpAddr) -> Option<Pass> {
        let address = prefix(address);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let from_here = counts.by_address.get(&address).copied().unwrap_or_default();
        if counts.total >= self.limits.total || from_here >= self.limits.per_address {
            return None;
        }
        counts.total += 1;
        counts.by_address.insert(address, from_here + 1);
        drop(counts);
        Some(Pass {
            gate: Arc::clone(self),
            address: Some(address),
        })
    }

    /// Lets in a connection whose client is not known yet, as that of a balancer; or not. Until [`Pass::name`] it counts
    /// for no address.
    pub(super) fn admit_unnamed(self: &Arc<Self>) -> Option<Pass> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.total >= self.limits.total {
            return None;
        }
        counts.total += 1;
        drop(counts);
        Some(Pass {
            gate: Arc::clone(self),
            address: None,
        })
    }

    /// Notes a refused connection; returns how many there were since the last line of the log, when one is due.
    pub(super) fn refused(&self, now: Instant) -> Option<u64> {
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        refusals.untold += 1;
        if refusals.next_line.is_some_and(|next| now < next) {
            return None;
        }
        refusals.next_line = now.checked_add(LINE_EVERY);
        Some(std::mem::take(&mut refusals.untold))
    }

    /// Returns how many connections there are.
    pub(super) fn open(&self) -> usize {
        self.counts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .total
    }
}

/// The right to be connected.
#[derive(Debug)]
pub(super) struct Pass {
    gate: Arc<Gate>,
    /// Whom it counts for.
    address: Option<IpAddr>,
}

impl Pass {
    /// Says whose connection it is, where that was not known; returns whether there may be another from there.
    pub(super) fn name(&mut self, address: IpAddr) -> bool {
        if self.address.is_some() {
            return true;
        }
        let address = prefix(address);
        let limits = self.gate.limits;
        let counts = self.gate.counts.lock();
        let mut counts = counts.unwrap_or_else(PoisonError::into_inner);
        let from_here = counts.by_address.entry(address).or_default();
        if *from_here >= limits.per_address {
            return false;
        }
        *from_here += 1;
        self.address = Some(address);
        true
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut counts = self
            .gate
            .counts
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        counts.total = counts.total.saturating_sub(1);
        let Some(address) = self.address else { return };
        if let Some(count) = counts.by_address.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                counts.by_address.remove(&address);
            }
        }
    }
}

/// One customer usually has 64 bits of IPv6 addresses, so they count as one.
fn prefix(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) >> 64 << 64).into()),
        IpAddr::V4(address) => IpAddr::V4(address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock as _, SystemClock};

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_address_cannot_take_all_connections() {
        let gate = Gate::new(ConnectionLimits {
            total: 3,
            per_address: 2,
        });
        let passes: Vec<_> = (0..3).map(|_| gate.admit(address("192.0.2.1"))).collect();
        assert!(passes[1].is_some() && passes[2].is_none());
        assert!(gate.admit(address("192.0.2.2")).is_some());
    }

    #[test]
    fn refusals_are_told_once_a_second_with_their_number() {
        let (gate, now) = (
            Gate::new(ConnectionLimits::default()),
            SystemClock.instant(),
        );
        assert_eq!(gate.refused(now), Some(1));
        assert_eq!(gate.refused(now), None);
        assert_eq!(gate.refused(now), None);
        assert_eq!(gate.refused(now + LINE_EVERY), Some(3));
    }

    #[test]
    fn a_closed_connection_makes_room() {
        let gate = Gate::new(ConnectionLimits {
            total: 1,
            per_address: 1,
        });
        let pass = gate.admit(address("192.0.2.1"));
        assert!(gate.admit(address("192.0.2.2")).is_none());
        drop(pass);
        assert_eq!(gate.open(), 0);
        assert!(gate.admit(address("192.0.2.2")).is_some());
    }

    #[test]
    fn clients_of_a_balancer_count_for_themselves() {
        let gate = Gate::new(ConnectionLimits {
            total: 3,
            per_address: 1,
        });
        let mut passes = Vec::new();
        for _ in 0..3 {
            passes.extend(gate.admit_unnamed());
        }
        assert_eq!(passes.len(), 3, "they come from one address");
        assert!(gate.admit_unnamed().is_none());
        assert!(passes[0].name(address("192.0.2.1")));
        assert!(!passes[1].name(address("192.0.2.1")));
        assert!(passes[2].name(address("192.0.2.2")));
        passes.clear();
        assert_eq!(gate.open(), 0);
        assert!(gate.admit(address("192.0.2.1")).is_some());
    }

    #[test]
    fn addresses_of_one_network_count_together() {
        let gate = Gate::new(ConnectionLimits {
            total: 9,
            per_address: 1,
        });
        let _first = gate.admit(address("2001:db8::1")).unwrap();
        assert!(gate.admit(address("2001:db8::2")).is_none());
        assert!(gate.admit(address("2001:db8:0:1::2")).is_some());
        let _v4 = gate.admit(address("192.0.2.1")).unwrap();
        assert!(gate.admit(address("::ffff:192.0.2.1")).is_none());
    }
}
