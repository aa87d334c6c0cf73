//! What went wrong or right with TLS, in words an operator can act on.

use rustls::{
    AlertDescription, CertificateError, ClientConnection, HandshakeKind, ProtocolVersion,
};

use crate::mail::{Defect, Stage, TlsVia, Unusable};
use crate::telemetry::printable;
use crate::tls::client::OtherFingerprint;
use crate::tls::{client, fault};
use crate::upstream::classify::{self, Break, Judgement};

/// Why there is no TLS connection.
#[derive(Debug)]
pub(super) enum TlsProblem {
    /// The certificate is not acceptable.
    Certificate(Unusable),
    /// The connection broke or was silent.
    Connection(Break),
    /// Both sides do not understand each other.
    Protocol(Unusable),
}

impl TlsProblem {
    /// Returns whether somebody answered who is not the configured upstream.
    pub(super) const fn is_about_certificate(&self) -> bool {
        matches!(self, Self::Certificate(_))
    }

    pub(super) fn judgement(self) -> Judgement {
        match self {
            Self::Certificate(unusable) | Self::Protocol(unusable) => {
                classify::unusable(Stage::Tls, unusable)
            }
            Self::Connection(end) => classify::broken(Stage::Tls, end),
        }
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a library's list of errors; what is not named here is printed"
)]
impl From<mail_send::Error> for TlsProblem {
    fn from(error: mail_send::Error) -> Self {
        match error {
            mail_send::Error::InvalidTLSName => Self::Certificate(Unusable::new(
                Defect::CertificateName,
                "the configured host name is not one that a certificate can carry",
            )),
            mail_send::Error::Timeout => Self::Connection(Break::Timeout),
            mail_send::Error::Tls(error) => tls(&error),
            other => Self::Connection(Break::Closed(words(&other))),
        }
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a library's list of errors; what is not named here is printed"
)]
fn tls(error: &rustls::Error) -> TlsProblem {
    match error {
        rustls::Error::InvalidCertificate(error) => {
            let text = format!(
                "the upstream's certificate is not accepted: {}",
                fault(error)
            );
            TlsProblem::Certificate(Unusable::new(defect(error), printable(&text)))
        }
        rustls::Error::NoCertificatesPresented => TlsProblem::Certificate(Unusable::new(
            Defect::CertificateMissing,
            "the upstream shows no certificate",
        )),
        rustls::Error::InvalidMessage(_) => TlsProblem::Protocol(Unusable::new(
            Defect::TlsMissing,
            "the upstream does not speak TLS here; is the port right for this TLS policy?",
        )),
        // It is not at odds with us; it has trouble of its own, which passes.
        rustls::Error::AlertReceived(
            AlertDescription::CloseNotify
            | AlertDescription::InternalError
            | AlertDescription::UserCanceled,
        ) => TlsProblem::Connection(Break::Closed(printable(&format!(
            "the upstream broke the TLS handshake off: {error}"
        )))),
        rustls::Error::AlertReceived(AlertDescription::ProtocolVersion)
        | rustls::Error::PeerIncompatible(_) => TlsProblem::Protocol(Unusable::new(
            Defect::TlsVersion,
            printable(&format!(
                "the upstream offers no TLS 1.2 or 1.3 that both sides understand: {error}"
            )),
        )),
        other => {
            TlsProblem::Protocol(printable(&format!("the TLS handshake failed: {other}")).into())
        }
    }
}

/// Returns which repair a fault of a certificate needs.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a library's list of errors; what is not named here needs none of its own"
)]
fn defect(error: &CertificateError) -> Defect {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            Defect::CertificateExpired
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            Defect::CertificateNotYetValid
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            Defect::CertificateName
        }
        CertificateError::UnknownIssuer => Defect::CertificateUntrusted,
        CertificateError::Other(other) if other.0.is::<OtherFingerprint>() => {
            Defect::CertificatePinned
        }
        _ => Defect::CertificateOther,
    }
}

/// Says what was agreed on: version, cipher suite, whether a session was resumed, and the fingerprint that could be pinned.
pub(super) fn facts(connection: &ClientConnection) -> String {
    let TlsVia { version, cipher } = agreed(connection);
    let leaf = connection
        .peer_certificates()
        .and_then(|chain| chain.first());
    let fingerprint = leaf.map_or_else(|| "unknown".to_owned(), client::fingerprint_of);
    let resumed = match connection.handshake_kind() {
        Some(HandshakeKind::Resumed) => ", resumed",
        Some(HandshakeKind::Full | HandshakeKind::FullWithHelloRetryRequest) | None => "",
    };
    format!("{version} with {cipher}{resumed}, certificate SHA-256 {fingerprint}")
}

/// Returns version and cipher suite of a connection.
pub(super) fn agreed(connection: &ClientConnection) -> TlsVia {
    let suite = connection.negotiated_cipher_suite();
    TlsVia {
        version: match connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
            Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
            Some(_) | None => "TLS",
        },
        cipher: suite
            .and_then(|suite| suite.suite().as_str())
            .unwrap_or("an unknown cipher suite"),
    }
}

/// Words for what broke a connection, without the library's prefix.
pub(super) fn words(error: &mail_send::Error) -> Box<str> {
    if let mail_send::Error::Io(error) = error {
        printable(&error.to_string())
    } else {
        printable(&error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use rustls::CertificateError;

    use super::*;

    #[test]
    fn a_wrong_certificate_is_told_in_words() {
        let error = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let problem = TlsProblem::from(mail_send::Error::Tls(Box::new(error)));
        assert!(problem.is_about_certificate());
        let TlsProblem::Certificate(unusable) = problem else {
            panic!("{problem:?}")
        };
        assert_eq!(unusable.defect, Defect::CertificateUntrusted);
        assert_eq!(
            &*unusable.text,
            "the upstream's certificate is not accepted: its issuer is not trusted"
        );
    }
}
