//! The way to an upstream as people want to see it, step by step: for `posthouse upstream test` and `test-mail`. Values
//! only; whoever connects makes them.

use std::net::SocketAddr;
use std::time::Duration;

use crate::dns::Host;
use crate::mail::{Failure, Health, TlsVia};
use crate::smtp::extension::Extensions;
use crate::tls::client::PeerCertificate;

/// A step that has been done, and how long it took.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Step {
    /// What.
    pub passed: Passed,
    /// Since the step before, or the beginning.
    pub took: Duration,
}

/// What has been got through on the way to an upstream. Texts are a stranger's, as they came.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Passed {
    /// A TCP connection is there.
    Connected {
        /// To where.
        address: SocketAddr,
    },
    /// The server has greeted.
    Greeted {
        /// With these words.
        text: Box<str>,
    },
    /// It has said in reply to EHLO what it offers.
    Introduced {
        /// As keywords, in its order; none where it knows only HELO.
        keywords: Vec<Box<str>>,
        /// As they are understood.
        extensions: Box<Extensions>,
        /// Whether it said so inside TLS; what was said before counts no more then.
        is_encrypted: bool,
    },
    /// It has accepted the login.
    LoggedIn {
        /// The mechanism, such as `LOGIN`.
        mechanism: Box<str>,
        /// The user name.
        name: Box<str>,
    },
    /// It has been taken leave of.
    Left,
    /// An address could not be used; the next one is tried.
    PassedOver {
        /// Which.
        address: SocketAddr,
        /// Why.
        failure: Box<Failure>,
    },
    /// The servers and their addresses are known.
    Resolved {
        /// In the order to try them.
        hosts: Vec<Host>,
    },
    /// The connection is encrypted.
    Secured {
        /// How.
        tls: TlsVia,
        /// The certificates shown, its own first.
        chain: Vec<PeerCertificate>,
    },
}

/// Why a probe did not come to its end.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Trouble {
    /// Where it failed, and why.
    pub failure: Failure,
    /// What an attempt that failed so would say of the upstream.
    pub health: Health,
    /// The last address that was tried.
    pub address: Option<SocketAddr>,
    /// The certificates that the server shows, its own first, where one was not accepted.
    pub shown: Vec<PeerCertificate>,
}
