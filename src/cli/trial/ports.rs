//! Free ports for a trial.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener};

use crate::cli::failure::{Code, Failure};

/// How many ports are tried.
const TRIED: u16 = 100;

/// Returns the loopback addresses of this machine. IPv6 may be switched off.
pub(super) fn addresses() -> Vec<IpAddr> {
    let all = [
        IpAddr::from(Ipv4Addr::LOCALHOST),
        IpAddr::from(Ipv6Addr::LOCALHOST),
    ];
    let has = |address: &IpAddr| TcpListener::bind((*address, 0)).is_ok();
    all.into_iter().filter(has).collect()
}

/// Returns the first port from `wanted` on that is free on all addresses, other than `taken`.
pub(super) fn free(addresses: &[IpAddr], wanted: u16, taken: Option<u16>) -> Result<u16, Failure> {
    let is_free = |port: &u16| {
        let mut addresses = addresses.iter();
        Some(*port) != taken
            && addresses.all(|&address| TcpListener::bind((address, *port)).is_ok())
    };
    let mut ports = wanted..wanted.saturating_add(TRIED);
    ports.find(is_free).ok_or_else(|| {
        let message = format!("no port from {wanted} on is free on this machine");
        Failure::new(Code::Unavailable, message).with_hint("name another one with --port")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_passed_over() {
        let address = IpAddr::from(Ipv4Addr::LOCALHOST);
        let listener = TcpListener::bind((address, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let found = free(&[address], port, None).map(|found| found > port);
        // The highest port of all has none above it.
        assert!(found == Ok(true) || port == u16::MAX);
    }
}
