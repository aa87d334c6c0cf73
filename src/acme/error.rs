//! Why there is no certificate.

use std::time::Duration;

use instant_acme::{Error as ProtocolError, Problem};

use super::file::FileError;
use super::hook::HookError;
use crate::tls::client::ClientTlsError;

/// Why a certificate was not got. Texts may repeat what the authority said.
#[derive(Debug, thiserror::Error)]
pub enum AcmeError {
    /// There is no account at the authority, and it gives none.
    #[error("cannot use an account at {host}")]
    Account {
        /// The host of the authority.
        host: Box<str>,
        /// What it said.
        #[source]
        source: ProtocolError,
    },
    /// What the authority issued cannot be used.
    #[error("the certificate from the authority cannot be used: {reason}")]
    Certificate {
        /// Why.
        reason: &'static str,
    },
    /// The authority does not offer this way to prove a name.
    #[error("the authority does not offer {challenge} for {name}")]
    ChallengeNotOffered {
        /// The name.
        name: Box<str>,
        /// The way.
        challenge: &'static str,
    },
    /// How the authority is judged cannot be set up.
    #[error("cannot set up connections to the authority")]
    Client(#[from] ClientTlsError),
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The operator's program has failed.
    #[error(transparent)]
    Hook(#[from] HookError),
    /// A key or a request for a certificate could not be made.
    #[error("cannot make a key or request for a certificate")]
    Make(#[source] rcgen::Error),
    /// The authority, or the way to it, has failed in the middle.
    #[error("{step} failed")]
    Step {
        /// What was done.
        step: &'static str,
        /// What the authority said.
        #[source]
        source: ProtocolError,
    },
    /// It has taken too long.
    #[error("there was no certificate within {} minutes", limit.as_secs() / 60)]
    Timeout {
        /// How long it was given.
        limit: Duration,
    },
    /// The authority does not believe that a name is ours.
    #[error("the authority could not see that {name} is ours: {reason}")]
    Unproven {
        /// The name.
        name: Box<str>,
        /// What it said.
        reason: Box<str>,
    },
}

/// The beginning of all types of problems (RFC 8555 §6.7).
const PROBLEM: &str = "urn:ietf:params:acme:error:";

impl AcmeError {
    /// Returns whether the authority's problem is of this type, such as `badNonce`.
    pub(super) fn is_problem(&self, wanted: &str) -> bool {
        let (Self::Account { source, .. } | Self::Step { source, .. }) = self else {
            return false;
        };
        kind(source) == Some(wanted)
    }
}

/// Returns whether the authority has said something that is so for good, rather than being busy or having missed a step.
pub(super) fn is_final(error: &ProtocolError) -> bool {
    let ProtocolError::Api(Problem { status, .. }) = error else {
        return false;
    };
    let is_passing = matches!(
        kind(error),
        Some("badNonce" | "rateLimited" | "serverInternal")
    );
    !is_passing && status.is_none_or(|status| status < 500)
}

fn kind(error: &ProtocolError) -> Option<&str> {
    let ProtocolError::Api(Problem { r#type, .. }) = error else {
        return None;
    };
    r#type.as_deref()?.strip_prefix(PROBLEM)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(kind: &str, status: u16) -> ProtocolError {
        let json = serde_json::json!({ "type": format!("{PROBLEM}{kind}"), "status": status });
        ProtocolError::Api(serde_json::from_value(json).unwrap())
    }

    #[test]
    fn what_passes_by_itself_ends_no_order() {
        for (kind, status) in [
            ("badNonce", 400),
            ("rateLimited", 429),
            ("serverInternal", 500),
            ("other", 503),
        ] {
            assert!(!is_final(&problem(kind, status)), "{kind}");
        }
        for kind in ["malformed", "orderNotReady", "unauthorized"] {
            assert!(is_final(&problem(kind, 403)), "{kind}");
        }
        assert!(!is_final(&ProtocolError::Timeout(None)));
    }
}
