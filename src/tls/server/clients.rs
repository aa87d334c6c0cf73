//! Certificates of clients.
//!
//! In the handshake a client proves that it has the private key of the certificate that it shows; more is not asked, so
//! that a certificate signed by itself can be shown as well. What it is worth is judged afterwards, by [`ClientTrust`]: in
//! each session, also in a resumed one, which skips the proof and has the certificate of the first. So nothing outlives
//! the settings by which it was judged.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ::aws_lc_rs::digest::{SHA256, digest};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, RootCertStore, SignatureScheme,
};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;
use x509_parser::revocation_list::CertificateRevocationList;
use x509_parser::time::ASN1Time;

use crate::clock::Timestamp;
use crate::tls::files::{FilesError, read, read_chain};

/// Who vouches for the names in certificates of clients.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Clients {
    /// A PEM file with certificates of authorities; without one no name counts.
    pub authorities: Option<PathBuf>,
    /// A PEM file with what these have revoked.
    pub revoked: Option<PathBuf>,
}

/// Why authorities or what they have revoked cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ClientTrustError {
    /// The file cannot be read, or has no certificate.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// A certificate in the file is not an authority's: whoever has its key could make certificates.
    #[error("certificate {number} in {path} is not that of an authority: {subject}")]
    NoAuthority {
        /// The file.
        path: PathBuf,
        /// Which certificate of the file, the first is 1.
        number: usize,
        /// Whose it is.
        subject: String,
    },
    /// The file has no list of revoked certificates, or it cannot be decoded.
    #[error("there is no list of revoked certificates (X509 CRL) in {path}")]
    NoList {
        /// The file.
        path: PathBuf,
    },
    /// What stands between BEGIN and END is no list of revoked certificates.
    #[error("a list of revoked certificates in {path} is not usable: {reason}")]
    List {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

impl ClientTrustError {
    /// Returns the file that is at fault.
    pub fn path(&self) -> &Path {
        match self {
            Self::Files(error) => error.path(),
            Self::NoAuthority { path, .. } | Self::NoList { path } | Self::List { path, .. } => {
                path
            }
        }
    }
}

/// How long something in one of the files counts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct End {
    /// What it is: the subject of an authority, or the issuer of a list.
    pub name: String,
    /// From when on it counts.
    pub from: Timestamp,
    /// When it ends: from then on it counts no more.
    pub at: Timestamp,
}

/// Returns when each authority in a file ends. Blocks on the disk.
///
/// # Errors
/// [`ClientTrustError`] names the file and what is wrong with it.
pub fn authority_ends(path: &Path) -> Result<Vec<End>, ClientTrustError> {
    let authorities = authorities(path)?;
    let end = |(authority, _): (Authority, _)| End {
        name: authority.subject,
        from: authority.not_before,
        at: authority.not_after,
    };
    Ok(authorities.into_iter().map(end).collect())
}

/// Returns when each list of revoked certificates in a file must have been replaced. Blocks on the disk.
///
/// # Errors
/// As for [`authority_ends`].
pub fn revocation_ends(path: &Path) -> Result<Vec<End>, ClientTrustError> {
    let lists = lists(path)?;
    let unreadable = |reason: String| ClientTrustError::List {
        path: path.to_owned(),
        reason,
    };
    let mut ends = Vec::new();
    for list in &lists {
        let parsed = CertificateRevocationList::from_der(list);
        let (_, parsed) = parsed.map_err(|error| unreadable(error.to_string()))?;
        let next = parsed.next_update();
        let next = next.ok_or_else(|| unreadable("it has no next update".to_owned()))?;
        ends.push(End {
            name: parsed.issuer().to_string(),
            from: timestamp(parsed.last_update()),
            at: timestamp(next),
        });
    }
    Ok(ends)
}

/// Checks that both files can be used together, for the check of a configuration. Blocks on the disk.
///
/// # Errors
/// As for [`authority_ends`].
pub fn check_clients(clients: &Clients) -> Result<(), ClientTrustError> {
    ClientTrust::load(clients, &provider()).map(drop)
}

/// What a certificate is worth that a client has shown.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClientCertificate {
    /// The SHA-256 of the certificate.
    pub fingerprint: [u8; 32],
    /// Who vouches for it.
    pub standing: Standing,
}

/// Who vouches for a certificate.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Standing {
    /// One of our authorities: it is valid now and not revoked.
    Issued(ClientNames),
    /// Nobody; it may still be pinned. Why, in words.
    Unknown(String),
    /// It has been revoked by who has issued it.
    Revoked,
}

/// What a certificate calls its owner.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ClientNames {
    /// The common name of its subject, where there is exactly one.
    pub common: Option<String>,
    /// Host names among the subject alternative names.
    pub dns: Vec<String>,
    /// Addresses among the subject alternative names.
    pub emails: Vec<String>,
}

/// Judges certificates of clients. Immutable: a reload makes another.
#[derive(Debug)]
pub struct ClientTrust {
    authorities: Vec<(Authority, Arc<dyn ClientCertVerifier>)>,
}

/// A certificate of an authority.
#[derive(Debug)]
struct Authority {
    subject: String,
    not_before: Timestamp,
    not_after: Timestamp,
}

impl ClientTrust {
    /// Loads the files. Blocks on the disk.
    ///
    /// # Errors
    /// [`ClientTrustError`] names the file and what is wrong with it.
    pub(super) fn load(
        clients: &Clients,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, ClientTrustError> {
        let lists = clients.revoked.as_deref().map(lists).transpose()?;
        let lists = lists.unwrap_or_default();
        let list_error = |reason: String| ClientTrustError::List {
            path: clients.revoked.clone().unwrap_or_default(),
            reason,
        };
        let found = clients
            .authorities
            .as_deref()
            .map(authorities)
            .transpose()?;
        let mut authorities = Vec::new();
        for (authority, root) in found.unwrap_or_default() {
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(root), Arc::clone(provider))
                    .with_crls(lists.iter().cloned())
                    .enforce_revocation_expiration()
                    .build();
            let verifier = verifier.map_err(|error| list_error(error.to_string()))?;
            authorities.push((authority, verifier));
        }
        Ok(Self { authorities })
    }

    /// Judges a certificate at `now`: the client's own, followed by those that lead to an authority.
    pub fn judge(
        &self,
        (own, intermediates): (&CertificateDer<'_>, &[CertificateDer<'_>]),
        now: Timestamp,
    ) -> ClientCertificate {
        let standing = match self.verify((own, intermediates), now) {
            Ok(()) => Standing::Issued(names(own)),
            Err(CertificateError::Revoked) => Standing::Revoked,
            Err(error) => Standing::Unknown(error.to_string()),
        };
        ClientCertificate {
            fingerprint: fingerprint(own),
            standing,
        }
    }

    /// Returns the most telling reason where no authority vouches.
    fn verify(
        &self,
        (own, intermediates): (&CertificateDer<'_>, &[CertificateDer<'_>]),
        now: Timestamp,
    ) -> Result<(), CertificateError> {
        let unix = UnixTime::since_unix_epoch(Duration::from_secs(now.unix_seconds()));
        let mut reason = CertificateError::UnknownIssuer;
        let valid =
            |authority: &Authority| (authority.not_before..=authority.not_after).contains(&now);
        for (_, verifier) in self
            .authorities
            .iter()
            .filter(|(authority, _)| valid(authority))
        {
            let error = match verifier.verify_client_cert(own, intermediates, unix) {
                Ok(_) => return Ok(()),
                Err(rustls::Error::InvalidCertificate(error)) => error,
                Err(error) => CertificateError::Other(rustls::OtherError(Arc::new(error))),
            };
            let is_revoked = error == CertificateError::Revoked;
            if is_revoked || reason == CertificateError::UnknownIssuer {
                reason = error;
            }
            if is_revoked {
                break;
            }
        }
        Err(reason)
    }
}

/// Asks for a certificate and takes any that its owner can prove to have.
#[derive(Debug)]
pub(super) struct AnyCertificate {
    provider: Arc<CryptoProvider>,
}

impl AnyCertificate {
    pub(super) fn new(provider: &Arc<CryptoProvider>) -> Self {
        Self {
            provider: Arc::clone(provider),
        }
    }
}

impl ClientCertVerifier for AnyCertificate {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    /// None: a client that is told names of authorities keeps back a certificate that is signed by itself.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let octets = intermediates.iter().map(|one| one.len());
        let octets = octets.fold(end_entity.len(), usize::saturating_add);
        // A stranger's octets: kept for the session, and in each of its tickets.
        if intermediates.len() > MAX_INTERMEDIATES || octets > MAX_CHAIN {
            return Err(CertificateError::BadEncoding.into());
        }
        ParsedCertificate::try_from(end_entity)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// The most certificates that a client may show behind its own.
const MAX_INTERMEDIATES: usize = 5;

/// The most octets of a client's certificates together.
const MAX_CHAIN: usize = 16 << 10;

/// The most names of one kind that are looked at.
const MAX_NAMES: usize = 100;

pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn fingerprint(certificate: &CertificateDer<'_>) -> [u8; 32] {
    let digest = digest(&SHA256, certificate);
    let mut octets = [0; 32];
    octets
        .iter_mut()
        .zip(digest.as_ref())
        .for_each(|(place, octet)| *place = *octet);
    octets
}

fn authorities(path: &Path) -> Result<Vec<(Authority, RootCertStore)>, ClientTrustError> {
    let mut found = Vec::new();
    for (index, certificate) in read_chain(path)?.into_iter().enumerate() {
        let refused = |subject: String| ClientTrustError::NoAuthority {
            path: path.to_owned(),
            number: index + 1,
            subject,
        };
        let authority = {
            let parsed = X509Certificate::from_der(&certificate);
            let (_, parsed) = parsed.map_err(|error| refused(error.to_string()))?;
            let subject = parsed.subject().to_string();
            if !parsed.is_ca() {
                return Err(refused(subject));
            }
            Authority {
                not_before: timestamp(parsed.validity().not_before),
                not_after: timestamp(parsed.validity().not_after),
                subject,
            }
        };
        let mut root = RootCertStore::empty();
        root.add(certificate)
            .map_err(|error| refused(error.to_string()))?;
        found.push((authority, root));
    }
    Ok(found)
}

fn lists(path: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, ClientTrustError> {
    let octets = read(path)?;
    let lists = CertificateRevocationListDer::pem_slice_iter(&octets);
    let lists = lists.collect::<Result<Vec<_>, pem::Error>>();
    let lists = lists.map_err(|source| FilesError::Damaged {
        path: path.to_owned(),
        source,
    })?;
    if lists.is_empty() {
        return Err(ClientTrustError::NoList {
            path: path.to_owned(),
        });
    }
    Ok(lists)
}

fn names(certificate: &CertificateDer<'_>) -> ClientNames {
    let Ok((_, parsed)) = X509Certificate::from_der(certificate) else {
        return ClientNames::default();
    };
    let mut common = parsed.subject().iter_common_name();
    let common = match (common.next(), common.next()) {
        (Some(only), None) => only.as_str().ok().map(str::to_owned),
        (None | Some(_), _) => None,
    };
    let mut names = ClientNames {
        common,
        ..ClientNames::default()
    };
    if let Ok(Some(extension)) = parsed.subject_alternative_name() {
        for name in &extension.value.general_names {
            put(&mut names, name);
        }
    }
    names
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a library's list of kinds of names; accounts are known by these only"
)]
fn put(names: &mut ClientNames, name: &GeneralName<'_>) {
    let (list, name) = match name {
        GeneralName::DNSName(name) => (&mut names.dns, name),
        GeneralName::RFC822Name(name) => (&mut names.emails, name),
        _ => return,
    };
    if list.len() < MAX_NAMES {
        list.push((*name).to_owned());
    }
}

/// Times before 1970 become 1970: what ends there has ended in any case.
fn timestamp(time: ASN1Time) -> Timestamp {
    let seconds = u64::try_from(time.timestamp()).unwrap_or_default();
    Timestamp::from_unix_millis(seconds.saturating_mul(1000))
}

#[cfg(test)]
mod tests;
