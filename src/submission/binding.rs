//! Ports, bound together at the start.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener as StdListener};
use std::sync::Arc;

use super::listener::Listener;
use super::settings::{ListenerSettings, OnPortInUse};
use crate::port::listen;

/// A bound port that nobody serves yet.
#[derive(Debug)]
pub struct Bound {
    pub(super) socket: StdListener,
    pub(super) address: SocketAddr,
    pub(super) listener: Arc<Listener>,
}

impl Bound {
    /// Returns the name of its listener in the configuration.
    pub fn name(&self) -> &str {
        self.listener.name()
    }

    /// Returns the address and the port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// All bound ports, and what was left out.
#[derive(Debug)]
pub struct Binding {
    /// The bound ports.
    pub bound: Vec<Bound>,
    /// The ports that were taken by other programs.
    pub skipped: Vec<Skipped>,
}

/// Ports of one listener and address that were taken by other programs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Skipped {
    /// The listener's name.
    pub listener: String,
    /// The address.
    pub address: IpAddr,
    /// The ports; never empty.
    pub ports: Vec<u16>,
}

/// Why a port could not be bound.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} for listener `{name}`")]
pub struct BindError {
    /// The listener's name.
    pub name: String,
    /// The address and the port.
    pub address: SocketAddr,
    /// Why.
    #[source]
    pub source: io::Error,
}

/// Binds all ports of all listeners. A taken port of a range is skipped.
///
/// # Errors
/// [`BindError`] for the first port that must be bound and cannot be.
pub fn bind(listeners: &[ListenerSettings]) -> Result<Binding, BindError> {
    let mut binding = Binding {
        bound: Vec::new(),
        skipped: Vec::new(),
    };
    for settings in listeners {
        let listener = Arc::new(Listener::new(settings));
        for &address in &settings.addresses {
            binding.add(settings, address, &listener)?;
        }
    }
    Ok(binding)
}

impl Binding {
    fn add(
        &mut self,
        settings: &ListenerSettings,
        address: IpAddr,
        listener: &Arc<Listener>,
    ) -> Result<(), BindError> {
        let mut skipped = Vec::new();
        for (port, is_of_range) in settings.ports.iter() {
            let address = SocketAddr::new(address, port);
            let may_skip = match settings.on_port_in_use {
                None => is_of_range,
                Some(OnPortInUse::Fail) => false,
                Some(OnPortInUse::Skip) => true,
            };
            match listen(address) {
                Ok(socket) => self.bound.push(Bound {
                    address: socket.local_addr().unwrap_or(address),
                    socket,
                    listener: Arc::clone(listener),
                }),
                Err(error) if may_skip && error.kind() == io::ErrorKind::AddrInUse => {
                    skipped.push(port);
                }
                Err(source) => {
                    return Err(BindError {
                        name: settings.name.clone(),
                        address,
                        source,
                    });
                }
            }
        }
        if !skipped.is_empty() {
            self.skipped.push(Skipped {
                listener: settings.name.clone(),
                address,
                ports: skipped,
            });
        }
        Ok(())
    }
}
