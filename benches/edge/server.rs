//! What is measured: a relay that sends nothing on.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use posthouse::auth::hash_password;
use posthouse::secret::Secret;

use crate::common::command_line::Place;
use crate::common::configuration::{
    IMPLICIT, LOGIN, PASSWORD, PLAIN, account, account_with, base, upstream,
};
use crate::common::server::Server;

/// Starts it. No bound on connections but that of the system, and idle ones are not ended while they are counted.
///
/// # Errors
/// It does not become ready.
pub(crate) fn unbounded(place: &Place) -> io::Result<Server> {
    let bounds = "connections = 1000000\nconnections_per_address = 1000000\nconnections_per_prefix = 1000000";
    start(
        place,
        bounds,
        "[session.timeouts]\nbefore_auth = \"10m\"\ncommand = \"10m\"\n",
    )
}

/// Starts it with the bounds that it has where nothing is configured.
///
/// # Errors
/// It does not become ready.
pub(crate) fn usual(place: &Place) -> io::Result<Server> {
    start(place, "", "")
}

fn start(place: &Place, keys: &str, more: &str) -> io::Result<Server> {
    let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
    let config = [
        base(keys, "nobody"),
        PLAIN.to_owned(),
        IMPLICIT.to_owned(),
        upstream("nobody", nowhere, "tls = \"disabled\""),
        more.to_owned(),
    ];
    Server::start(place, &config.concat(), &accounts(0)?)
}

/// The account of [`LOGIN`], and those of [`checked`] with hashes that are new each turn, so that no login is remembered.
///
/// # Errors
/// There is not enough memory to hash.
pub(crate) fn accounts(turn: u64) -> io::Result<String> {
    let mut accounts = account(LOGIN.0, "");
    for number in 0..CHECKED {
        let salt = (u128::from(turn) * u128::from(CHECKED) + u128::from(number)).to_be_bytes();
        let hash = hash_password(&Secret::new(PASSWORD.to_owned()), salt);
        let hash = hash.map_err(io::Error::other)?;
        accounts += &account_with(&checked(number), hash.as_str(), "");
    }
    Ok(accounts)
}

/// The name of an account whose password is checked.
pub(crate) fn checked(number: u32) -> String {
    format!("checked{number}")
}

/// How many of them there are.
pub(crate) const CHECKED: u32 = 5;
