//! How many connections there may be.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use super::Settings;

/// Counts connections, all of them and those of one client.
#[derive(Debug)]
pub(super) struct Admission {
    most: usize,
    most_of_one: usize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    all: usize,
    of: HashMap<IpAddr, usize>,
}

/// One admitted connection, until it is dropped.
#[derive(Debug)]
pub(super) struct Pass {
    admission: Arc<Admission>,
    client: IpAddr,
}

impl Admission {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            most: settings.connections,
            most_of_one: settings.connections_per_address,
            open: Mutex::default(),
        }
    }

    /// Admits a connection, where there may be one more.
    pub(super) fn admit(self: &Arc<Self>, peer: IpAddr) -> Option<Pass> {
        let client = client(peer);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let of_one = open.of.get(&client).copied().unwrap_or_default();
        if open.all >= self.most || of_one >= self.most_of_one {
            return None;
        }
        open.all += 1;
        open.of.insert(client, of_one + 1);
        drop(open);
        Some(Pass {
            admission: Arc::clone(self),
            client,
        })
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let open = &self.admission.open;
        let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
        open.all = open.all.saturating_sub(1);
        if let Some(count) = open.of.get_mut(&self.client) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                open.of.remove(&self.client);
            }
        }
    }
}

/// One IPv6 client has a /64.
fn client(peer: IpAddr) -> IpAddr {
    match peer {
        IpAddr::V4(_) => peer,
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_at_most_so_many_of_one_client_and_of_all() {
        let admission = Arc::new(Admission::new(&Settings {
            connections: 3,
            connections_per_address: 2,
            ..Settings::default()
        }));
        let admit = |peer: &str| admission.admit(peer.parse().unwrap());
        let first = admit("2001:db8::1");
        let second = admit("2001:db8::2");
        assert!(first.is_some() && second.is_some());
        assert!(admit("2001:db8::3").is_none(), "the same /64");
        let other = admit("192.0.2.1");
        assert!(other.is_some());
        assert!(admit("192.0.2.2").is_none(), "all are taken");
        drop(first);
        assert!(admit("192.0.2.2").is_some());
        drop((second, other));
        assert!(admission.open.lock().unwrap().of.is_empty());
    }
}
