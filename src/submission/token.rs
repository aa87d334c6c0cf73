//! Answers to logins with an access token.

use crate::auth::Accounts;
use crate::clock::Timestamp;
use crate::identity::Identity;
use crate::secret::Secret;
use crate::smtp::replies;
use crate::smtp::server::{AskCredentials, Session};
use crate::token::{Grant, Verdict};

use super::counts::Event;
use super::decide::Decider;
use super::login::{hold_back, pause, printable};
use super::stream::Stream;

impl Decider {
    /// Answers a login by `token`; `name` is whom the client wants to act for, where it says so.
    pub(super) async fn token(
        &mut self,
        ask: AskCredentials,
        (name, token): (Option<String>, Secret),
        session: &mut Session,
        client: Option<&Stream>,
    ) {
        let said = printable(name.as_deref().unwrap_or_default());
        let parts = std::sync::Arc::clone(&self.parts);
        // Without a name only the client's own network may pay for its failures.
        let counted = name.clone().unwrap_or_else(|| format!("[{}]", self.peer));
        let admission = match parts.authenticator.admit(&counted, self.peer) {
            Ok(admission) => admission,
            Err(retry_after) => {
                hold_back(&said, retry_after, client).await;
                return ask.refuse(session, &replies::AUTH_THROTTLED);
            }
        };
        let reason = match parts.tokens().verify(&token).await {
            Verdict::Accepted(grant) => {
                let accounts = parts.authenticator.accounts();
                match identity(&accounts, &grant, name.as_deref()) {
                    Ok(identity) => {
                        admission.succeeded();
                        return self.let_in(ask, (identity, grant), session);
                    }
                    Err(reason) => format!("{reason}, `{}`", grant.account),
                }
            }
            Verdict::Refused(refusal) => refusal.to_string(),
            Verdict::Unavailable(reason) => {
                tracing::warn!(account = said, reason, "authentication unavailable");
                return ask.refuse(session, &replies::AUTH_UNAVAILABLE);
            }
        };
        let (delay, blocks) = admission.failed();
        parts.counts.count(Event::FailedLogin);
        // The line that fail2ban counts is the same for all logins.
        tracing::info!(account = said, reason, "access token refused");
        tracing::warn!(account = said, "authentication failed");
        self.note_blocks(&blocks);
        pause(delay, client).await;
        ask.refuse(session, &replies::TOKEN_REFUSED);
    }

    fn let_in(
        &mut self,
        ask: AskCredentials,
        (identity, grant): (Identity, Grant),
        session: &mut Session,
    ) {
        if !self.enter(&identity) {
            return ask.refuse(session, &replies::AUTH_TOO_MANY_SESSIONS);
        }
        let (account, issuer) = (&identity.account, &grant.issuer.name);
        tracing::info!(%account, issuer, until = %grant.until, "authenticated");
        self.grant = Some(grant);
        ask.accept(session, identity);
    }

    /// Returns whether the token that the client has logged in with still entitles it: the token has not ended at `when`,
    /// its issuer is still one and demands the same, and the account is still there.
    pub(super) fn still_grants(
        &self,
        identity: &Identity,
        accounts: &Accounts,
        when: Timestamp,
    ) -> bool {
        let entitled = |grant: &Grant| {
            when < grant.until
                && self.parts.tokens().knows(grant)
                && accounts.of_token(identity.account.as_str()).as_ref() == Some(identity)
        };
        self.grant.as_ref().is_some_and(entitled)
    }
}

/// Returns who a client is by its token, or why it is nobody. What it calls itself must be the account, or the person as
/// the issuer names it: a token of one mailbox does not open another.
fn identity(
    accounts: &Accounts,
    grant: &Grant,
    name: Option<&str>,
) -> Result<Identity, &'static str> {
    let identity = accounts.of_token(grant.account.as_str());
    let identity = identity.ok_or("the token's account does not exist or is not active")?;
    let tenant = &grant.issuer.tenant;
    if tenant.is_some() && *tenant != identity.tenant {
        return Err("the token's issuer does not vouch for the tenant of the account");
    }
    let is_meant = |name: &str| {
        let named = accounts.find(name).map(|account| &account.name);
        named == Some(&identity.account) || grant.subject.eq_ignore_ascii_case(name)
    };
    if !name.is_none_or(is_meant) {
        return Err("the token is for another account than the client says");
    }
    Ok(identity)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::auth::Account;
    use crate::http::Trust;
    use crate::identity::{AccountName, Proof, TenantName};
    use crate::token::{AccountRule, Check, Demands, KeySource, Settings};

    fn account(name: &str, tenant: Option<&str>) -> Account {
        Account {
            tenant: tenant.map(|tenant| TenantName::parse(tenant).unwrap()),
            ..Account::new(AccountName::parse(name).unwrap())
        }
    }

    fn grant(account: &str, tenant: Option<&str>) -> Grant {
        let url = url::Url::parse("https://login.example/keys").unwrap();
        let issuer = Settings {
            name: "corp".to_owned(),
            check: Check::Jwt {
                issuer: "https://login.example".to_owned(),
                keys: KeySource::Fixed(url),
            },
            demands: Demands::default(),
            accounts: AccountRule::Whole(Vec::new()),
            tenant: tenant.map(|tenant| TenantName::parse(tenant).unwrap()),
            trust: Trust::SystemRoots,
        };
        Grant {
            issuer: Arc::new(issuer),
            subject: "Alice@corp.example".into(),
            account: AccountName::parse(account).unwrap(),
            until: Timestamp::MAX,
        }
    }

    fn accounts() -> Accounts {
        let gone = Account {
            active: false,
            ..account("gone", None)
        };
        let all = vec![account("alice", Some("acme")), account("bob", None), gone];
        Accounts::new(all).unwrap()
    }

    #[test]
    fn a_client_may_name_the_account_or_the_person_and_nobody_else() {
        let accounts = accounts();
        for name in [
            None,
            Some("alice"),
            Some("ALICE"),
            Some("alice@CORP.example"),
        ] {
            let identity = identity(&accounts, &grant("Alice", None), name).unwrap();
            assert_eq!(identity.account.as_str(), "alice");
            assert_eq!(identity.proof, Proof::Token);
        }
        for name in [
            Some("bob"),
            Some("nobody"),
            Some("alice@evil.example"),
            Some("gone"),
        ] {
            assert!(
                identity(&accounts, &grant("alice", None), name).is_err(),
                "{name:?}"
            );
        }
    }

    #[test]
    fn an_issuer_vouches_for_the_accounts_of_its_tenant_alone() {
        let accounts = accounts();
        assert!(identity(&accounts, &grant("alice", Some("acme")), None).is_ok());
        assert!(identity(&accounts, &grant("alice", Some("other")), None).is_err());
        assert!(identity(&accounts, &grant("bob", Some("acme")), None).is_err());
        assert!(identity(&accounts, &grant("bob", None), None).is_ok());
    }

    #[test]
    fn an_account_that_is_missing_or_inactive_is_nobody() {
        for name in ["gone", "nobody"] {
            assert!(identity(&accounts(), &grant(name, None), None).is_err());
        }
    }
}
