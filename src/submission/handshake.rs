//! What the log advises where a client's TLS handshake has failed.

use std::io;

use rustls::{AlertDescription, PeerIncompatible};

/// Returns what whoever runs the client should look at.
pub(super) fn hint(error: &io::Error) -> Option<&'static str> {
    let error = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    if let rustls::Error::PeerIncompatible(reason) = error {
        return is_too_old(reason).then_some(
            "the client knows no TLS above 1.1: renew it, or give it a listener with profile = \"device\"",
        );
    }
    let rustls::Error::AlertReceived(alert) = error else {
        return None;
    };
    if *alert == AlertDescription::CertificateExpired {
        return Some(
            "the client says that the certificate is over: look at `posthouse tls list` and at the client's clock",
        );
    }
    let is_distrust = matches!(
        alert,
        AlertDescription::UnknownCA
            | AlertDescription::CertificateUnknown
            | AlertDescription::BadCertificate
    );
    is_distrust.then_some(
        "the client does not trust the certificate: is it from a public authority, with its chain, for the name that the client uses?",
    )
}

/// Says whether a client has nothing above TLS 1.1. Such a client sends no `signature_algorithms` (RFC 5246 §7.4.1.4.1), and
/// the handshake looks for them before it looks at versions.
const fn is_too_old(reason: &PeerIncompatible) -> bool {
    matches!(
        reason,
        PeerIncompatible::SignatureAlgorithmsExtensionRequired
            | PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled
            | PeerIncompatible::SupportedVersionsExtensionRequired
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_somebody_can_mend_has_a_hint() {
        let hint_for = |error: rustls::Error| hint(&io::Error::other(error));
        let old = PeerIncompatible::SignatureAlgorithmsExtensionRequired;
        assert!(hint_for(old.into()).unwrap().contains("profile"));
        for alert in [
            AlertDescription::UnknownCA,
            AlertDescription::CertificateExpired,
        ] {
            let text = hint_for(rustls::Error::AlertReceived(alert)).unwrap();
            assert!(text.contains("certificate"), "{text}");
        }
        assert_eq!(hint_for(rustls::Error::HandshakeNotComplete), None);
        assert_eq!(hint(&io::ErrorKind::UnexpectedEof.into()), None);
    }
}
