//! What is wrong with a certificate, in words.

use rustls::CertificateError;

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
