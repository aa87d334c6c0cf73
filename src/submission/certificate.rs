//! The certificate that a client has shown, and logins with it (EXTERNAL, RFC 4422 Appendix A).

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;

use crate::auth::{Accounts, CertificateId};
use crate::clock::Timestamp;
use crate::identity::Identity;
use crate::smtp::replies;
use crate::smtp::server::{AskCredentials, CertificateRule, Session, ShownCertificate};
use crate::tls::server::{ClientCertificate, ClientNames, ClientTrust, Standing};

use super::counts::Event;
use super::decide::Decider;
use super::login::{hold_back, pause, printable};
use super::parts::ServerParts;
use super::stream::Stream;

/// A certificate whose private key the client has.
pub(super) struct Certificate {
    /// Its own, followed by those that lead to an authority.
    chain: Vec<CertificateDer<'static>>,
    judged: ClientCertificate,
    /// By whom, and as at which time.
    trust: Arc<ClientTrust>,
    at: Timestamp,
}

/// How long a judgement counts: a certificate ends while a session lasts.
const JUDGED_FOR: Duration = Duration::from_mins(1);

impl Certificate {
    /// Judges what a client has shown; `None` where that is nothing, or there is no TLS.
    fn new(chain: Vec<CertificateDer<'static>>, parts: &ServerParts) -> Option<Self> {
        let trust = parts.tls.as_ref()?.trust();
        let at = parts.clock.now();
        let judged = judge(&trust, &chain, at)?;
        Some(Self {
            chain,
            judged,
            trust,
            at,
        })
    }

    /// Judges it as at `when`, where that is due: authorities or what they have revoked are others, or time has passed.
    fn refresh(&mut self, parts: &ServerParts, when: Timestamp) {
        let Some(trust) = parts.tls.as_ref().map(|tls| tls.trust()) else {
            return;
        };
        if when.since(self.at) < JUDGED_FOR && Arc::ptr_eq(&trust, &self.trust) {
            return;
        }
        if let Some(judged) = judge(&trust, &self.chain, when) {
            self.judged = judged;
            self.trust = trust;
            self.at = when;
        }
    }

    /// Returns what accounts may know it by.
    fn ids(&self) -> Vec<CertificateId> {
        ids(&self.judged)
    }

    /// Returns the SHA-256 in hexadecimal, as accounts have it.
    fn fingerprint(&self) -> CertificateId {
        CertificateId::Fingerprint(self.judged.fingerprint)
    }

    fn worth(&self, accounts: &Accounts) -> ShownCertificate {
        if !accounts.of_certificate(&self.ids()).is_empty() {
            return ShownCertificate::Known;
        }
        match &self.judged.standing {
            Standing::Issued(_) => ShownCertificate::Trusted,
            Standing::Revoked | Standing::Unknown(_) => ShownCertificate::Worthless,
        }
    }

    /// Returns why it opens nothing, in words.
    fn reason(&self) -> &str {
        match &self.judged.standing {
            Standing::Issued(_) => "no account has it, nor a name in it",
            Standing::Revoked => "it has been revoked",
            Standing::Unknown(reason) => reason,
        }
    }
}

fn judge(
    trust: &ClientTrust,
    chain: &[CertificateDer<'_>],
    when: Timestamp,
) -> Option<ClientCertificate> {
    let (own, intermediates) = chain.split_first()?;
    Some(trust.judge((own, intermediates), when))
}

/// Returns what accounts may know a certificate by: its fingerprint, which needs nobody to vouch for it, and its names where
/// an authority does. One that has been revoked is nobody's, whoever pins it.
fn ids(certificate: &ClientCertificate) -> Vec<CertificateId> {
    let pinned = CertificateId::Fingerprint(certificate.fingerprint);
    match &certificate.standing {
        Standing::Issued(names) => std::iter::once(pinned).chain(named(names)).collect(),
        Standing::Revoked => Vec::new(),
        Standing::Unknown(_) => vec![pinned],
    }
}

fn named(names: &ClientNames) -> impl Iterator<Item = CertificateId> + '_ {
    let common = names.common.iter();
    let common = common.map(|name| CertificateId::CommonName(name.as_str().into()));
    let dns = names.dns.iter().map(|name| CertificateId::dns(name));
    let emails = names.emails.iter().map(|name| CertificateId::email(name));
    common.chain(dns).chain(emails)
}

impl Decider {
    /// Takes the certificate of the handshake; returns what it is worth.
    pub(super) fn shown(
        &mut self,
        chain: Vec<CertificateDer<'static>>,
        rule: CertificateRule,
    ) -> ShownCertificate {
        self.certificate = Certificate::new(chain, &self.parts);
        let Some(certificate) = &self.certificate else {
            if rule == CertificateRule::Required {
                tracing::info!("client shows no certificate where one is required");
            }
            return ShownCertificate::Absent;
        };
        let accounts = self.parts.authenticator.accounts();
        let worth = certificate.worth(&accounts);
        if worth != ShownCertificate::Known {
            // Whoever sets up a client finds here what to write into the account.
            let (fingerprint, reason) = (certificate.fingerprint(), certificate.reason());
            tracing::info!(certificate = %fingerprint, reason = printable(reason), "client certificate is nobody's");
            // A stranger's octets are not kept: nothing is done with them.
            self.certificate = None;
        }
        worth
    }

    /// Answers a login by certificate; `authzid` is whom the client wants to act for, where it says so.
    pub(super) async fn external(
        &mut self,
        ask: AskCredentials,
        authzid: Option<String>,
        session: &mut Session,
        client: Option<&Stream>,
    ) {
        let parts = Arc::clone(&self.parts);
        let accounts = parts.authenticator.accounts();
        let chosen = match &mut self.certificate {
            Some(certificate) => {
                certificate.refresh(&parts, parts.clock.now());
                choose(
                    &accounts,
                    accounts.of_certificate(&certificate.ids()),
                    authzid.as_deref(),
                )
            }
            None => Err("the client has shown no certificate"),
        };
        let own = chosen.as_ref().ok().map(|own| own.account.to_string());
        let said = authzid.or(own).unwrap_or_default();
        // Where nobody is named only the client's own network may pay for its failures.
        let counted = match said.as_str() {
            "" => format!("[{}]", self.peer),
            name => name.to_owned(),
        };
        let said = printable(&said);
        let admission = match parts.authenticator.admit(&counted, self.peer) {
            Ok(admission) => admission,
            Err(retry_after) => {
                hold_back(&said, retry_after, client).await;
                return ask.refuse(session, &replies::AUTH_THROTTLED);
            }
        };
        let certificate = self.certificate.as_ref().map(Certificate::fingerprint);
        let certificate = certificate.map(tracing::field::display);
        match chosen {
            Ok(identity) => {
                admission.succeeded();
                if !self.enter(&identity) {
                    return ask.refuse(session, &replies::AUTH_TOO_MANY_SESSIONS);
                }
                tracing::info!(account = %identity.account, certificate, "authenticated");
                ask.accept(session, identity);
            }
            Err(reason) => {
                let (delay, blocks) = admission.failed();
                parts.counts.count(Event::FailedLogin);
                tracing::info!(
                    account = said,
                    certificate,
                    reason,
                    "client certificate refused"
                );
                // The line that fail2ban counts is the same for all logins.
                tracing::warn!(account = said, "authentication failed");
                self.note_blocks(&blocks);
                pause(delay, client).await;
                ask.refuse(session, &replies::CERTIFICATE_REFUSED);
            }
        }
    }

    /// Returns whether the certificate that the client has logged in with still opens the account, by what is in force now;
    /// the certificate has not ended at `when`.
    pub(super) fn still_shows(
        &mut self,
        identity: &Identity,
        accounts: &Accounts,
        when: Timestamp,
    ) -> bool {
        let Some(certificate) = &mut self.certificate else {
            return false;
        };
        certificate.refresh(&self.parts, when);
        accounts
            .of_certificate(&certificate.ids())
            .contains(identity)
    }
}

/// Returns who a client is among those it may be. It is asked to say whom it means where there are several, and may not mean
/// anybody else.
fn choose(
    accounts: &Accounts,
    candidates: Vec<Identity>,
    authzid: Option<&str>,
) -> Result<Identity, &'static str> {
    let mut candidates = candidates.into_iter();
    let Some(name) = authzid else {
        let first = candidates.next();
        let first = first.ok_or("the certificate is no account's")?;
        return match candidates.next() {
            None => Ok(first),
            Some(_) => Err(
                "the certificate is that of several accounts, and the client does not say which",
            ),
        };
    };
    let meant = accounts.find(name).map(|account| &account.name);
    let found = candidates.find(|candidate| Some(&candidate.account) == meant);
    found.ok_or("the certificate is not that of the account that the client names")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Account;
    use crate::identity::{AccountName, Proof};

    fn account(name: &str, certificates: &[&str]) -> Account {
        let ids = certificates
            .iter()
            .map(|id| CertificateId::parse(id).unwrap());
        Account {
            certificates: ids.collect(),
            aliases: vec![AccountName::parse(&format!("{name}-alias")).unwrap()],
            ..Account::new(AccountName::parse(name).unwrap())
        }
    }

    fn accounts() -> Accounts {
        let gone = Account {
            active: false,
            ..account("gone", &["gone.example"])
        };
        let all = vec![
            account("ann", &["ann@example.com"]),
            account("printer", &["printer.example", "CN=printer"]),
            gone,
        ];
        Accounts::new(all).unwrap()
    }

    fn shown(standing: Standing) -> ClientCertificate {
        ClientCertificate {
            fingerprint: [1; 32],
            standing,
        }
    }

    fn both() -> ClientNames {
        ClientNames {
            common: Some("printer".to_owned()),
            dns: vec!["Printer.example".to_owned()],
            emails: vec!["ann@EXAMPLE.com".to_owned()],
        }
    }

    #[test]
    fn names_count_only_where_an_authority_vouches_for_them() {
        let pinned = CertificateId::Fingerprint([1; 32]);
        assert_eq!(ids(&shown(Standing::Issued(both()))).len(), 4);
        assert_eq!(ids(&shown(Standing::Unknown("x".to_owned()))), [pinned]);
        assert_eq!(ids(&shown(Standing::Revoked)), []);
    }

    #[test]
    fn a_client_is_the_account_of_its_certificate_and_nobody_else() {
        let accounts = accounts();
        let by = |id: &str, authzid: Option<&str>| {
            let candidates = accounts.of_certificate(&[CertificateId::parse(id).unwrap()]);
            let chosen = choose(&accounts, candidates, authzid);
            chosen.map(|identity| {
                assert_eq!(identity.proof, Proof::Certificate);
                identity.account.to_string()
            })
        };
        for authzid in [None, Some("ann"), Some("ANN"), Some("ann-alias")] {
            assert_eq!(by("ann@example.com", authzid).as_deref(), Ok("ann"));
        }
        for authzid in ["printer", "gone", "nobody", "", "ann@example.com"] {
            assert!(by("ann@example.com", Some(authzid)).is_err(), "{authzid}");
        }
        assert!(by("gone.example", None).is_err());
        assert!(by("gone.example", Some("gone")).is_err());
    }

    #[test]
    fn a_certificate_of_several_accounts_opens_the_one_that_is_named() {
        let accounts = accounts();
        let candidates = accounts.of_certificate(&ids(&shown(Standing::Issued(both()))));
        assert_eq!(candidates.len(), 2);
        assert!(choose(&accounts, candidates.clone(), None).is_err());
        let chosen = choose(&accounts, candidates, Some("ann")).unwrap();
        assert_eq!(chosen.account.as_str(), "ann");
    }
}
