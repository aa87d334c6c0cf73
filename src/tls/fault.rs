//! What is wrong with a certificate, in words.

use std::io;

use rustls::{AlertDescription, CertificateError, Error};

/// Says what is wrong with a certificate. The library's own words name its types.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a library's list of errors; what is not named here is printed"
)]
pub fn fault(error: &CertificateError) -> String {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "it has expired".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "it is not valid yet".to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "it is for another name than the configured host".to_owned()
        }
        CertificateError::UnknownIssuer => "its issuer is not trusted".to_owned(),
        CertificateError::Revoked => "it has been revoked".to_owned(),
        CertificateError::Other(other) => other.to_string(),
        other => other.to_string(),
    }
}

/// Returns what the other side says against the certificate that it was shown, or against there being none; `None`
/// where an error is about something else.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a library's list of alerts; these are the ones about certificates (RFC 8446 §6.2)"
)]
pub fn refusal(error: &Error) -> Option<&'static str> {
    let Error::AlertReceived(alert) = error else {
        return None;
    };
    Some(match alert {
        AlertDescription::CertificateRequired | AlertDescription::NoCertificate => {
            "it demands a client certificate"
        }
        AlertDescription::CertificateExpired => "it takes the client certificate for expired",
        AlertDescription::CertificateRevoked => "it takes the client certificate for revoked",
        AlertDescription::UnknownCA => "it does not know who has issued the client certificate",
        AlertDescription::AccessDenied
        | AlertDescription::BadCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnsupportedCertificate => "it does not accept the client certificate",
        _ => return None,
    })
}

/// Does what [`refusal`] does with an error of a stream: with TLS 1.3 the other side judges after the handshake.
pub fn late_refusal(error: &io::Error) -> Option<&'static str> {
    let inner = error.get_ref()?.downcast_ref()?;
    refusal(inner)
}
