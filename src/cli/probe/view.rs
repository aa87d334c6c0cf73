//! Steps and failures as JSON.

use std::time::Duration;

use serde::Serialize;

use crate::identity::UpstreamName;
use crate::mail::{Failure, Health, Stage};
use crate::tls::client::PeerCertificate;
use crate::upstream::probe::{Passed, Step};

use super::{advice, words};

/// A length of time, in milliseconds.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(transparent)]
pub(in crate::cli) struct Time(u64);

impl From<Duration> for Time {
    fn from(span: Duration) -> Self {
        Self(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
    }
}

/// A step that has been done.
#[derive(Clone, Debug, Serialize)]
pub(in crate::cli) struct StepView {
    step: &'static str,
    took_ms: Time,
    #[serde(flatten)]
    facts: Facts,
}

/// What came of a step.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
enum Facts {
    Address {
        address: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        passed_over: Option<String>,
    },
    Greeting {
        greeting: String,
    },
    Hosts {
        hosts: Vec<HostView>,
    },
    Login {
        mechanism: String,
        name: String,
    },
    None {},
    Offer {
        offers: Vec<String>,
        encrypted: bool,
    },
    Tls {
        version: &'static str,
        cipher: &'static str,
        certificates: Vec<CertificateView>,
    },
}

#[derive(Clone, Debug, Serialize)]
struct HostView {
    name: String,
    addresses: Vec<String>,
}

/// A certificate that was shown.
#[derive(Clone, Debug, Serialize)]
pub(in crate::cli) struct CertificateView {
    subject: String,
    issuer: String,
    names: Vec<String>,
    not_before: String,
    not_after: String,
    sha256: String,
}

impl From<&PeerCertificate> for CertificateView {
    fn from(certificate: &PeerCertificate) -> Self {
        Self {
            subject: certificate.subject.to_string(),
            issuer: certificate.issuer.to_string(),
            names: certificate.names.iter().map(ToString::to_string).collect(),
            not_before: certificate.not_before.to_second(),
            not_after: certificate.not_after.to_second(),
            sha256: certificate.fingerprint.to_string(),
        }
    }
}

impl From<&Step> for StepView {
    fn from(step: &Step) -> Self {
        Self {
            step: words::name(&step.passed),
            took_ms: step.took.into(),
            facts: facts(&step.passed),
        }
    }
}

fn facts(passed: &Passed) -> Facts {
    match passed {
        Passed::Connected { address } => Facts::Address {
            address: address.to_string(),
            passed_over: None,
        },
        Passed::Greeted { text } => Facts::Greeting {
            greeting: text.to_string(),
        },
        Passed::Introduced {
            keywords,
            is_encrypted,
            ..
        } => Facts::Offer {
            offers: keywords.iter().map(ToString::to_string).collect(),
            encrypted: *is_encrypted,
        },
        Passed::Left => Facts::None {},
        Passed::LoggedIn { mechanism, name } => Facts::Login {
            mechanism: mechanism.to_string(),
            name: name.to_string(),
        },
        Passed::PassedOver { address, failure } => Facts::Address {
            address: address.to_string(),
            passed_over: Some(failure.to_string()),
        },
        Passed::Resolved { hosts } => Facts::Hosts {
            hosts: hosts
                .iter()
                .map(|host| HostView {
                    name: host.name.to_string(),
                    addresses: host.addresses.iter().map(ToString::to_string).collect(),
                })
                .collect(),
        },
        Passed::Secured { tls, chain } => Facts::Tls {
            version: tls.version,
            cipher: tls.cipher,
            certificates: chain.iter().map(CertificateView::from).collect(),
        },
    }
}

/// Why it went no further.
#[derive(Clone, Debug, Serialize)]
pub(in crate::cli) struct FailureView {
    step: &'static str,
    reason: String,
    health: &'static str,
    advice: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    certificates: Vec<CertificateView>,
}

impl FailureView {
    pub(in crate::cli) fn new(
        failure: &Failure,
        health: &Health,
        upstream: &UpstreamName,
        shown: &[PeerCertificate],
    ) -> Self {
        Self {
            step: step_of(failure.stage),
            reason: failure.to_string(),
            health: match health {
                Health::Good => "good",
                Health::Throttled { .. } => "throttled",
                Health::Unreachable => "unreachable",
                Health::Unusable => "unusable",
            },
            advice: advice(failure, upstream),
            certificates: shown.iter().map(CertificateView::from).collect(),
        }
    }
}

/// Returns the name of the step that a failure belongs to.
pub(super) fn step_of(stage: Stage) -> &'static str {
    match stage {
        Stage::Resolve => "resolve",
        Stage::Connect => "connect",
        Stage::Greeting => "greeting",
        Stage::Tls => "tls",
        Stage::Authenticate => "login",
        Stage::Sender => "mail",
        Stage::Recipient => "rcpt",
        Stage::Content => "data",
        Stage::Final => "reply",
    }
}
