//! What a certificate says about itself, for people and for those who watch its end.

use std::fmt;

use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;
use x509_parser::time::ASN1Time;

use crate::clock::Timestamp;

/// The certificate of a server, as far as people ask for it. It says nothing about whether it was believed.
///
/// All texts are a stranger's; they are made printable ASCII and bounded, so that they may go into a log or a terminal.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PeerCertificate {
    /// Whom it is for, such as `CN=mail.example.com`.
    pub subject: Box<str>,
    /// Who has issued it.
    pub issuer: Box<str>,
    /// The host names and addresses it is for, in its order; at most 100.
    pub names: Vec<Box<str>>,
    /// From when on it is valid.
    pub not_before: Timestamp,
    /// Until when it is valid, that second included.
    pub not_after: Timestamp,
    /// Its SHA-256, 64 hexadecimal digits, as it can be pinned.
    pub fingerprint: Box<str>,
}

/// The most names of one certificate that are kept.
const MAX_NAMES: usize = 100;

/// The longest text that is kept, in characters.
const MAX_TEXT: usize = 200;

impl PeerCertificate {
    /// Reads a certificate; `None` where it is not one.
    pub fn parse(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, parsed) = parse_x509_certificate(certificate).ok()?;
        let validity = parsed.validity();
        Some(Self {
            subject: printable(&parsed.subject().to_string()),
            issuer: printable(&parsed.issuer().to_string()),
            names: names(&parsed),
            not_before: timestamp(validity.not_before),
            not_after: timestamp(validity.not_after),
            fingerprint: super::fingerprint_of(certificate).into(),
        })
    }

    /// Reads a chain as a server sends it, its own certificate first. What cannot be read is left out.
    pub fn parse_chain(chain: &[CertificateDer<'_>]) -> Vec<Self> {
        chain.iter().filter_map(Self::parse).collect()
    }
}

impl fmt::Display for PeerCertificate {
    /// Writes one line without the fingerprint: subject, names, issuer, and its dates to the second.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", or_nothing(&self.subject))?;
        if !self.names.is_empty() {
            write!(f, " for {}", self.names.join(", "))?;
        }
        let (from, until) = (self.not_before.to_second(), self.not_after.to_second());
        write!(
            f,
            ", issued by {}, valid from {from} until {until}",
            or_nothing(&self.issuer)
        )
    }
}

/// A name may be empty: many certificates say only what hosts they are for.
fn or_nothing(name: &str) -> &str {
    if name.is_empty() { "(no name)" } else { name }
}

fn names(certificate: &X509Certificate<'_>) -> Vec<Box<str>> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    let names = extension.value.general_names.iter();
    names.filter_map(name).take(MAX_NAMES).collect()
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a library's list of kinds of names; only these are names of servers"
)]
fn name(name: &GeneralName<'_>) -> Option<Box<str>> {
    match name {
        GeneralName::DNSName(name) => Some(printable(name)),
        GeneralName::IPAddress(octets) => address(octets),
        _ => None,
    }
}

fn address(octets: &[u8]) -> Option<Box<str>> {
    if let Ok(octets) = <[u8; 4]>::try_from(octets) {
        return Some(std::net::Ipv4Addr::from(octets).to_string().into());
    }
    let octets = <[u8; 16]>::try_from(octets).ok()?;
    Some(std::net::Ipv6Addr::from(octets).to_string().into())
}

/// Times before 1970 become 1970: such a certificate has expired in any case.
fn timestamp(time: ASN1Time) -> Timestamp {
    let seconds = u64::try_from(time.timestamp()).unwrap_or_default();
    Timestamp::from_unix_millis(seconds.saturating_mul(1000))
}

fn printable(text: &str) -> Box<str> {
    let keep = |c: char| if matches!(c, ' '..='~') { c } else { '?' };
    let kept: String = text.chars().take(MAX_TEXT).map(keep).collect();
    kept.into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};

    use super::*;

    fn made(names: &[&str], common_name: &str) -> CertificateDer<'static> {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        if !common_name.is_empty() {
            params
                .distinguished_name
                .push(DnType::CommonName, common_name);
        }
        params.not_before = date_time_ymd(2026, 1, 2);
        params.not_after = date_time_ymd(2027, 3, 4);
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().clone()
    }

    #[test]
    fn a_certificate_tells_names_dates_and_fingerprint() {
        let der = made(&["mail.example.com", "192.0.2.1", "2001:db8::1"], "mail");
        let certificate = PeerCertificate::parse(&der).unwrap();
        assert_eq!(
            certificate.to_string(),
            "CN=mail for mail.example.com, 192.0.2.1, 2001:db8::1, issued by CN=mail, \
             valid from 2026-01-02T00:00:00Z until 2027-03-04T00:00:00Z"
        );
        assert_eq!(
            &*certificate.fingerprint,
            super::super::fingerprint_of(&der)
        );
    }

    #[test]
    fn a_certificate_without_a_name_says_so() {
        let certificate = PeerCertificate::parse(&made(&["a.example"], "")).unwrap();
        assert!(
            certificate
                .to_string()
                .starts_with("(no name) for a.example, issued by (no name)")
        );
    }

    #[test]
    fn names_cannot_write_on_a_terminal() {
        let certificate = PeerCertificate::parse(&made(&["a.example"], "a\x1b[2J\r\nż")).unwrap();
        assert!(
            certificate
                .subject
                .bytes()
                .all(|octet| (b' '..=b'~').contains(&octet))
        );
    }

    proptest! {
        #[test]
        fn no_octets_make_it_panic(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = PeerCertificate::parse(&CertificateDer::from(octets));
        }

        #[test]
        fn no_changed_octet_makes_it_panic(place in 0_usize..400, octet in any::<u8>()) {
            let mut octets = made(&["a.example"], "a").to_vec();
            let place = place % octets.len();
            octets[place] = octet;
            let _ = PeerCertificate::parse(&CertificateDer::from(octets));
        }
    }
}
