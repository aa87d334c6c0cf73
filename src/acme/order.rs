//! One order, from its placing to the certificate (RFC 8555 §7.4).

use std::path::Path;
use std::time::Duration;

use instant_acme::{
    Account, AuthorizationHandle, AuthorizationStatus, ChallengeHandle, ChallengeStatus,
    ChallengeType, Error as ProtocolError, Identifier, NewOrder, Order, OrderStatus, RetryPolicy,
};
use rcgen::{CertificateParams, DistinguishedName, KeyPair, RsaKeySize};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::answers::Answers;
use super::error::{AcmeError, is_final};
use super::hook::{TxtRecord, Verb};
use super::settings::{Challenge, Hook, KeyKind, Settings};
use super::store::{OpenOrder, Record, keep_certificate};
use crate::clock::Timestamp;
use crate::secret::Secret;
use crate::telemetry::{chain, printable};
use crate::tls::client::PeerCertificate;
use crate::tls::server::covers;

/// How long an authority may take to look, and to issue. It says itself how long is to be waited between questions.
const PATIENCE: RetryPolicy = RetryPolicy::new()
    .initial_delay(Duration::from_millis(250))
    .timeout(Duration::from_mins(3));

/// What is got, and where it is put.
pub(super) struct Job<'a> {
    pub(super) settings: &'a Settings,
    pub(super) names: &'a [String],
    pub(super) answers: &'a Answers,
    /// The file of the certificate.
    pub(super) file: &'a Path,
    /// The file of what is under way.
    pub(super) record_file: &'a Path,
}

impl Job<'_> {
    /// Goes on with the order that is under way, or places one; puts the certificate into its file. What is under way is
    /// stored before each step that cannot be done twice. `now` is when an order counts as placed.
    pub(super) async fn obtain(
        &self,
        account: &Account,
        record: &mut Record,
        now: Timestamp,
    ) -> Result<(), AcmeError> {
        let mut order = self.open(account, record, now).await?;
        let key = record.order.as_ref().map(|order| order.key.clone());
        let key = key.ok_or(AcmeError::Certificate {
            reason: "its key is lost",
        })?;
        if order.state().status == OrderStatus::Pending {
            let mut shown = Shown::new(self.answers, &self.settings.challenge);
            let proven = self.prove(&mut order, &mut shown).await;
            shown.withdraw().await;
            if let Err(error) = proven {
                if matches!(error, AcmeError::Unproven { .. }) {
                    self.drop_order(record)?;
                }
                return Err(error);
            }
        }
        if order.state().status == OrderStatus::Ready {
            let request = request(self.names, &key).map_err(AcmeError::Make)?;
            let sent = order.finalize_csr(&request).await;
            sent.map_err(step("asking for the certificate"))?;
        }
        let chain = order.poll_certificate(&PATIENCE).await;
        if chain.as_ref().is_err_and(is_final) {
            self.drop_order(record)?;
        }
        let chain = chain.map_err(step("waiting for the certificate"))?;
        check_chain(&chain, self.names)?;
        keep_certificate(self.file, &self.settings.directory, &key, &chain)?;
        self.drop_order(record)
    }

    /// Returns the order that is under way, or places another.
    async fn open(
        &self,
        account: &Account,
        record: &mut Record,
        now: Timestamp,
    ) -> Result<Order, AcmeError> {
        if let Some(open) = &record.order {
            match account.order(open.url.clone()).await {
                Ok(mut order) => {
                    if order.state().status != OrderStatus::Invalid {
                        return Ok(order);
                    }
                    self.drop_order(record)?;
                }
                // The authority knows nothing of it any more.
                Err(error) if is_final(&error) => self.drop_order(record)?,
                Err(error) => return Err(step("looking at the order")(error)),
            }
        }
        let key = make_key(self.settings.key).map_err(AcmeError::Make)?;
        // Counted before: an order whose answer is lost counts at the authority too.
        record.orders.push(now);
        record.write(self.record_file, &self.settings.directory)?;
        let names = self.names.iter().cloned();
        let identifiers: Vec<_> = names.map(Identifier::Dns).collect();
        let order = account.new_order(&NewOrder::new(&identifiers)).await;
        let order = order.map_err(step("placing an order"))?;
        record.order = Some(OpenOrder {
            url: order.url().to_owned(),
            key,
        });
        record.write(self.record_file, &self.settings.directory)?;
        Ok(order)
    }

    fn drop_order(&self, record: &mut Record) -> Result<(), AcmeError> {
        record.order = None;
        Ok(record.write(self.record_file, &self.settings.directory)?)
    }

    /// Proves that all names are ours: first everything is shown, then the authority is told to look.
    async fn prove(&self, order: &mut Order, shown: &mut Shown<'_>) -> Result<(), AcmeError> {
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization.map_err(step("reading an authorization"))?;
            if is_open(&authorization)? {
                let name = self.asked_name(&authorization)?;
                let challenge = self.challenge(&mut authorization, &name)?;
                shown.show(&challenge, &name).await?;
            }
        }
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization.map_err(step("reading an authorization"))?;
            if is_open(&authorization)? {
                let name = name_of(&authorization);
                let mut challenge = self.challenge(&mut authorization, &name)?;
                // After a restart the authority may be looking already.
                if challenge.status == ChallengeStatus::Pending {
                    let told = challenge.set_ready().await;
                    told.map_err(step("asking the authority to look"))?;
                }
            }
        }
        let polled = order.poll_ready(&PATIENCE).await;
        match polled {
            Ok(OrderStatus::Invalid) => Err(self.reason(order).await),
            Ok(
                OrderStatus::Pending
                | OrderStatus::Processing
                | OrderStatus::Ready
                | OrderStatus::Valid,
            ) => Ok(()),
            Err(error) if is_final(&error) => Err(self.reason(order).await),
            Err(error) => Err(step("waiting for the authority to look")(error)),
        }
    }

    /// Returns the name that is to be proven. For others nothing is shown, whatever an authority says: its answer names what
    /// the operator's program changes in DNS.
    fn asked_name(&self, authorization: &AuthorizationHandle<'_>) -> Result<String, AcmeError> {
        let name = name_of(authorization);
        if is_asked(self.names, &name) {
            return Ok(name);
        }
        Err(AcmeError::Unproven {
            name: printable(&name),
            reason: "nobody has asked for it".into(),
        })
    }

    fn challenge<'a>(
        &self,
        authorization: &'a mut AuthorizationHandle<'a>,
        name: &str,
    ) -> Result<ChallengeHandle<'a>, AcmeError> {
        let challenge = &self.settings.challenge;
        let kind = match challenge {
            Challenge::Dns01(_) => ChallengeType::Dns01,
            Challenge::Http01 { .. } => ChallengeType::Http01,
            Challenge::TlsAlpn01 { .. } => ChallengeType::TlsAlpn01,
        };
        let not_offered = || AcmeError::ChallengeNotOffered {
            name: printable(name),
            challenge: challenge.as_str(),
        };
        authorization.challenge(kind).ok_or_else(not_offered)
    }

    /// Asks why an order has failed.
    async fn reason(&self, order: &mut Order) -> AcmeError {
        let mut authorizations = order.authorizations();
        while let Some(Ok(mut authorization)) = authorizations.next().await {
            if authorization.refresh().await.is_err() {
                continue;
            }
            let mut problems = authorization
                .challenges
                .iter()
                .map(|challenge| &challenge.error);
            if let Some(problem) = problems.find_map(Option::as_ref) {
                return AcmeError::Unproven {
                    name: printable(&name_of(&authorization)),
                    reason: printable(&chain(problem)),
                };
            }
        }
        AcmeError::Unproven {
            name: printable(&self.names.join(", ")),
            reason: "it does not say why".into(),
        }
    }
}

/// Returns whether a name is still to be proven.
fn is_open(authorization: &AuthorizationHandle<'_>) -> Result<bool, AcmeError> {
    match authorization.status {
        AuthorizationStatus::Pending => Ok(true),
        AuthorizationStatus::Valid => Ok(false),
        AuthorizationStatus::Deactivated
        | AuthorizationStatus::Expired
        | AuthorizationStatus::Invalid
        | AuthorizationStatus::Revoked => Err(AcmeError::Unproven {
            name: printable(&name_of(authorization)),
            reason: "it has been refused before".into(),
        }),
    }
}

/// Returns the name that is to be proven, without `*.`.
fn name_of(authorization: &AuthorizationHandle<'_>) -> String {
    authorization
        .identifier()
        .identifier
        .authorized(false)
        .to_string()
}

/// Returns whether a certificate for these names needs the proof of a name.
fn is_asked(names: &[String], name: &str) -> bool {
    let mut bases = names
        .iter()
        .map(|own| own.strip_prefix("*.").unwrap_or(own));
    bases.any(|own| own.eq_ignore_ascii_case(name))
}

/// What is shown to the authority while it looks.
struct Shown<'a> {
    answers: &'a Answers,
    challenge: &'a Challenge,
    pages: Vec<String>,
    certificates: Vec<String>,
    records: Vec<TxtRecord>,
}

impl<'a> Shown<'a> {
    fn new(answers: &'a Answers, challenge: &'a Challenge) -> Self {
        Self {
            answers,
            challenge,
            pages: Vec::new(),
            certificates: Vec::new(),
            records: Vec::new(),
        }
    }

    async fn show(&mut self, challenge: &ChallengeHandle<'_>, name: &str) -> Result<(), AcmeError> {
        let authorization = challenge.key_authorization();
        match self.challenge {
            Challenge::Dns01(hook) => {
                let record = TxtRecord {
                    domain: name.to_owned(),
                    value: authorization.dns_value(),
                };
                // Removed even where setting it fails: it may be half done.
                self.records.push(record.clone());
                hook.run(Verb::Present, &record).await?;
            }
            Challenge::Http01 { .. } => {
                self.answers
                    .put_page(&challenge.token, authorization.as_str());
                self.pages.push(challenge.token.clone());
            }
            Challenge::TlsAlpn01 { .. } => {
                let digest = authorization.digest();
                self.answers.put_certificate(name, digest.as_ref())?;
                self.certificates.push(name.to_owned());
            }
        }
        Ok(())
    }

    async fn withdraw(self) {
        for token in &self.pages {
            self.answers.remove_page(token);
        }
        for name in &self.certificates {
            self.answers.remove_certificate(name);
        }
        if let Challenge::Dns01(hook) = self.challenge {
            clean_up(hook, &self.records).await;
        }
    }
}

/// A record that stays behind harms nobody: it is good for one order.
async fn clean_up(hook: &Hook, records: &[TxtRecord]) {
    for record in records {
        if let Err(error) = hook.run(Verb::Cleanup, record).await {
            let error = chain(&error);
            tracing::warn!(
                domain = record.domain,
                error,
                "record of a challenge not removed"
            );
        }
    }
}

fn step(step: &'static str) -> impl FnOnce(ProtocolError) -> AcmeError {
    move |source| AcmeError::Step { step, source }
}

fn make_key(kind: KeyKind) -> Result<Secret, rcgen::Error> {
    let key = match kind {
        KeyKind::EcdsaP256 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?,
        KeyKind::Rsa2048 => KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048)?,
    };
    Ok(Secret::new(key.serialize_pem()))
}

/// Makes the request for a certificate (RFC 8555 §7.4): the names, and nothing else.
fn request(names: &[String], key: &Secret) -> Result<Vec<u8>, rcgen::Error> {
    let key = KeyPair::from_pem(key.expose())?;
    let mut params = CertificateParams::new(names.to_vec())?;
    params.distinguished_name = DistinguishedName::new();
    let request = params.serialize_request(&key)?;
    Ok(request.der().to_vec())
}

/// Sees that a chain is one, and for our names, before it takes the place of another.
fn check_chain(chain: &str, names: &[String]) -> Result<(), AcmeError> {
    let refused = |reason| Err(AcmeError::Certificate { reason });
    let certificates: Result<Vec<_>, _> =
        CertificateDer::pem_slice_iter(chain.as_bytes()).collect();
    let Ok(certificates) = certificates else {
        return refused("it is not PEM");
    };
    let Some(own) = certificates.first().and_then(PeerCertificate::parse) else {
        return refused("there is no certificate in it");
    };
    let is_covered = |name: &String| own.names.iter().any(|covered| covers(covered, name));
    if names.iter().all(is_covered) {
        Ok(())
    } else {
        refused("it is not for the names that were asked for")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Vec<String> {
        vec!["mail.example.com".to_owned(), "*.example.org".to_owned()]
    }

    #[test]
    fn keys_of_both_kinds_sign_a_request() {
        for kind in [KeyKind::EcdsaP256, KeyKind::Rsa2048] {
            let key = make_key(kind).unwrap();
            assert!(!request(&names(), &key).unwrap().is_empty());
        }
    }

    #[test]
    fn nothing_is_shown_for_a_name_that_nobody_has_asked_for() {
        assert!(is_asked(&names(), "Mail.example.com") && is_asked(&names(), "example.org"));
        for other in [
            "example.com",
            "a.example.org",
            "*.example.org",
            "--help",
            "",
        ] {
            assert!(!is_asked(&names(), other), "{other}");
        }
    }

    #[test]
    fn a_chain_that_is_not_for_the_names_is_refused() {
        let key = KeyPair::from_pem(make_key(KeyKind::EcdsaP256).unwrap().expose()).unwrap();
        let issued = |names: Vec<String>| {
            let params = CertificateParams::new(names).unwrap();
            params.self_signed(&key).unwrap().pem()
        };
        check_chain(&issued(names()), &names()).unwrap();
        for chain in [
            issued(vec!["mail.example.com".to_owned()]),
            String::new(),
            "x".to_owned(),
        ] {
            assert!(check_chain(&chain, &names()).is_err());
        }
    }
}
