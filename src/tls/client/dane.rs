//! Certificates judged by what a server's own zone says of them (DANE, RFC 7672 §3), instead of by authorities.

use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, SHA512, digest};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, OtherError, RootCertStore};
use x509_parser::parse_x509_certificate;

use super::{ClientTlsError, Judge, custom};

/// What one TLSA record says of a server's certificate, where SMTP can use it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Association {
    subject: Subject,
    selector: Selector,
    expected: Expected,
}

/// Which certificate is meant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Subject {
    /// DANE-TA(2): one that the server's is issued by, at any remove.
    Authority,
    /// DANE-EE(3): the server's own.
    Server,
}

/// What of it is compared.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Selector {
    Certificate,
    Key,
}

/// What it is compared with.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Expected {
    Octets(Box<[u8]>),
    Sha256([u8; 32]),
    Sha512([u8; 64]),
}

impl Association {
    /// Makes one of the numbers and octets of a TLSA record (RFC 6698 §2.1).
    ///
    /// `None` for a record that is *unusable*: with a usage that asks for the authorities of the web too, which say
    /// nothing between mail servers (RFC 7672 §3.1.3), with an unknown number, or with a digest of the wrong length.
    pub fn new(usage: u8, selector: u8, matching: u8, data: &[u8]) -> Option<Self> {
        let subject = match usage {
            2 => Subject::Authority,
            3 => Subject::Server,
            _ => return None,
        };
        let selector = match selector {
            0 => Selector::Certificate,
            1 => Selector::Key,
            _ => return None,
        };
        let expected = match matching {
            0 if !data.is_empty() => Expected::Octets(data.into()),
            1 => Expected::Sha256(data.try_into().ok()?),
            2 => Expected::Sha512(data.try_into().ok()?),
            _ => return None,
        };
        Some(Self {
            subject,
            selector,
            expected,
        })
    }

    fn matches(&self, certificate: &CertificateDer<'_>) -> bool {
        match self.selector {
            Selector::Certificate => self.expected.is(certificate),
            Selector::Key => parse_x509_certificate(certificate)
                .is_ok_and(|(_, parsed)| self.expected.is(parsed.public_key().raw)),
        }
    }

    /// Returns the authority's certificate, where the record holds it whole: the server need not send it then.
    fn certificate(&self) -> Option<CertificateDer<'_>> {
        match (self.subject, self.selector, &self.expected) {
            (Subject::Authority, Selector::Certificate, Expected::Octets(octets)) => {
                Some(CertificateDer::from(octets.as_ref()))
            }
            (
                Subject::Authority | Subject::Server,
                Selector::Certificate | Selector::Key,
                Expected::Octets(_) | Expected::Sha256(_) | Expected::Sha512(_),
            ) => None,
        }
    }
}

impl Expected {
    fn is(&self, octets: &[u8]) -> bool {
        let compared = match self {
            Self::Octets(expected) => verify_slices_are_equal(expected, octets),
            Self::Sha256(expected) => {
                verify_slices_are_equal(expected, digest(&SHA256, octets).as_ref())
            }
            Self::Sha512(expected) => {
                verify_slices_are_equal(expected, digest(&SHA512, octets).as_ref())
            }
        };
        compared.is_ok()
    }
}

/// Trusts what one of the associations is about.
///
/// A certificate named as the server's own is trusted whatever its name, issuer and dates (RFC 7672 §3.1.1). One issued
/// by a named authority must be valid now, and for one of `names` (RFC 7672 §3.2.2).
///
/// # Errors
/// [`ClientTlsError::Setup`].
pub fn dane(
    associations: Vec<Association>,
    names: &[&str],
) -> Result<Arc<ClientConfig>, ClientTlsError> {
    let server_name = |name: &&str| ServerName::try_from((*name).to_owned()).ok();
    custom(Judge::Dane(Dane {
        associations,
        names: names.iter().filter_map(server_name).collect(),
    }))
}

#[derive(Debug)]
pub(super) struct Dane {
    associations: Vec<Association>,
    /// The names that a certificate issued by an authority may carry.
    names: Vec<ServerName<'static>>,
}

/// No TLSA record is about the certificate.
#[derive(Debug, thiserror::Error)]
#[error("it is not the one that the server's TLSA records name (DANE)")]
struct NotNamed;

impl Dane {
    /// Judges a certificate and the chain that came with it.
    pub(super) fn judge(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        provider: &CryptoProvider,
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        let is_named = |subject, certificate: &CertificateDer<'_>| {
            let mut associations = self.associations.iter();
            associations.any(|known| known.subject == subject && known.matches(certificate))
        };
        if is_named(Subject::Server, end_entity) {
            return Ok(());
        }
        let mut roots = RootCertStore::empty();
        let sent = intermediates.iter().cloned();
        let sent = sent.filter(|certificate| is_named(Subject::Authority, certificate));
        let known = self
            .associations
            .iter()
            .filter_map(Association::certificate);
        // What is no authority's certificate is passed over; without any the chain ends nowhere.
        roots.add_parsable_certificates(sent.chain(known));
        if roots.is_empty() {
            let cause = OtherError(Arc::new(NotNamed));
            return Err(CertificateError::Other(cause).into());
        }
        let parsed = ParsedCertificate::try_from(end_entity)?;
        let algorithms = provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&parsed, &roots, intermediates, now, algorithms)?;
        let mut names = self.names.iter();
        if names.any(|name| verify_server_name(&parsed, name).is_ok()) {
            return Ok(());
        }
        Err(CertificateError::NotValidForName.into())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use rcgen::{
        BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
    };

    use super::*;
    use crate::tls::client::provider;

    const NAME: &str = "mx.example";

    /// 2026-06-01, when the certificates of these tests are valid unless they say otherwise.
    const NOW: u64 = 1_780_272_000;

    struct Chain {
        leaf: CertificateDer<'static>,
        authority: CertificateDer<'static>,
    }

    fn params(name: &str) -> CertificateParams {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(2026, 1, 1);
        params.not_after = date_time_ymd(2027, 1, 1);
        params
    }

    fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
        let mut params = params("ca.example");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    }

    fn issued(params: &CertificateParams) -> Chain {
        let issuer = authority("own");
        let leaf = params
            .signed_by(&KeyPair::generate().unwrap(), &issuer)
            .unwrap();
        Chain {
            leaf: leaf.der().clone(),
            authority: issuer.der().clone(),
        }
    }

    fn key_of(certificate: &CertificateDer<'_>) -> Vec<u8> {
        let (_, parsed) = parse_x509_certificate(certificate).unwrap();
        parsed.public_key().raw.to_vec()
    }

    fn record(
        usage: u8,
        selector: u8,
        matching: u8,
        certificate: &CertificateDer<'_>,
    ) -> Association {
        let octets = match selector {
            0 => certificate.to_vec(),
            _ => key_of(certificate),
        };
        let data = match matching {
            0 => octets,
            1 => digest(&SHA256, &octets).as_ref().to_vec(),
            _ => digest(&SHA512, &octets).as_ref().to_vec(),
        };
        Association::new(usage, selector, matching, &data).unwrap()
    }

    fn judge(chain: &Chain, associations: Vec<Association>) -> Result<(), rustls::Error> {
        let dane = Dane {
            associations,
            names: vec![ServerName::try_from(NAME).unwrap()],
        };
        let now = UnixTime::since_unix_epoch(Duration::from_secs(NOW));
        let sent = [chain.authority.clone()];
        dane.judge(&chain.leaf, &sent, &provider(), now)
    }

    #[test]
    fn every_form_of_a_record_finds_its_certificate_and_no_other() {
        let (chain, other) = (issued(&params(NAME)), issued(&params(NAME)));
        for selector in [0, 1] {
            for matching in [0, 1, 2] {
                for (usage, own, foreign) in [
                    (3, &chain.leaf, &other.leaf),
                    (2, &chain.authority, &other.authority),
                ] {
                    let form = (usage, selector, matching);
                    let right = record(usage, selector, matching, own);
                    assert_eq!(judge(&chain, vec![right.clone()]), Ok(()), "{form:?}");
                    let wrong = record(usage, selector, matching, foreign);
                    assert!(judge(&chain, vec![wrong.clone()]).is_err(), "{form:?}");
                    assert_eq!(judge(&chain, vec![wrong, right]), Ok(()), "{form:?}");
                }
            }
        }
    }

    #[test]
    fn a_named_certificate_needs_neither_name_nor_dates() {
        let mut params = params("somebody.else.example");
        params.not_after = date_time_ymd(2026, 2, 1);
        let chain = issued(&params);
        assert_eq!(judge(&chain, vec![record(3, 1, 1, &chain.leaf)]), Ok(()));
    }

    #[test]
    fn a_certificate_of_a_named_authority_needs_both() {
        let elsewhere = issued(&params("somebody.else.example"));
        let records = vec![record(2, 0, 1, &elsewhere.authority)];
        let refused = judge(&elsewhere, records).unwrap_err();
        assert_eq!(refused, CertificateError::NotValidForName.into());
        let mut expired = params(NAME);
        expired.not_after = date_time_ymd(2026, 2, 1);
        let expired = issued(&expired);
        assert!(judge(&expired, vec![record(2, 0, 1, &expired.authority)]).is_err());
    }

    #[test]
    fn an_authority_that_is_not_sent_is_taken_from_its_record() {
        let chain = issued(&params(NAME));
        let dane = |record| Dane {
            associations: vec![record],
            names: vec![ServerName::try_from(NAME).unwrap()],
        };
        let now = UnixTime::since_unix_epoch(Duration::from_secs(NOW));
        let judge = |dane: Dane| dane.judge(&chain.leaf, &[], &provider(), now);
        assert_eq!(judge(dane(record(2, 0, 0, &chain.authority))), Ok(()));
        assert!(judge(dane(record(2, 0, 1, &chain.authority))).is_err());
    }

    #[test]
    fn records_that_smtp_cannot_use_are_none() {
        let digest = [0; 32];
        assert!(Association::new(3, 1, 1, &digest).is_some());
        for (usage, selector, matching, data) in [
            (0, 1, 1, &digest[..]),
            (1, 1, 1, &digest),
            (4, 1, 1, &digest),
            (255, 1, 1, &digest),
            (3, 2, 1, &digest),
            (3, 1, 3, &digest),
            (3, 1, 1, &digest[1..]),
            (3, 1, 2, &digest),
            (3, 0, 0, &[]),
        ] {
            let numbers = (usage, selector, matching);
            assert!(
                Association::new(usage, selector, matching, data).is_none(),
                "{numbers:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_record_makes_it_panic(
            numbers in any::<(u8, u8, u8)>(), data in proptest::collection::vec(any::<u8>(), 0..80),
        ) {
            let (usage, selector, matching) = numbers;
            if let Some(association) = Association::new(usage % 5, selector % 3, matching % 4, &data) {
                let certificate = CertificateDer::from(data);
                let chain = Chain { leaf: certificate.clone(), authority: certificate };
                let _ = judge(&chain, vec![association]);
            }
        }
    }
}
