//! What is measured: posthouse in front of the sink.

use std::io;
use std::net::SocketAddr;

use crate::common::command_line::Place;
use crate::common::configuration::{BY_ADDRESS, PLAIN, account, base, upstream};
use crate::common::server::Server;

/// An account whose mail goes to the sink; who does not log in has it.
pub(crate) const BULK: &str = "bulk";

/// Another one.
pub(crate) const OTHER: &str = "other";

/// An account whose mail waits: its upstream cannot be reached.
pub(crate) const STORED: &str = "stored";

/// The ports that it needs to know.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Upstreams {
    /// The sink.
    pub(crate) sink: SocketAddr,
    /// Where nobody listens.
    pub(crate) nowhere: SocketAddr,
}

/// Starts it with an empty spool. `keys` are more of the sink's table.
///
/// # Errors
/// It does not become ready.
pub(crate) fn start(place: &Place, upstreams: Upstreams, keys: &str) -> io::Result<Server> {
    let config = [
        base(
            "connections_per_address = 10000\nshutdown_grace = \"1s\"",
            "sink",
        ),
        PLAIN.to_owned(),
        upstream(
            "sink",
            upstreams.sink,
            &format!("tls = \"disabled\"\n{keys}"),
        ),
        upstream("nowhere", upstreams.nowhere, "tls = \"disabled\""),
        "[spool]\nmax_messages = 20000000\nmax_memory = \"16 GiB\"\n".to_owned(),
    ];
    let to = |upstream: &str| format!("upstream = [\"{upstream}\"]\n");
    let accounts = [
        account(BULK, &(to("sink") + BY_ADDRESS)),
        account(OTHER, &to("sink")),
        account(STORED, &to("nowhere")),
    ];
    Server::start(place, &config.concat(), &accounts.concat())
}
