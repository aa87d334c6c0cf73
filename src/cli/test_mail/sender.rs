//! How mail of an account is judged and where it goes, without a server.

use crate::auth::Account;
use crate::config::Checked;
use crate::identity::{AccountName, Route};
use crate::mail::{Mailbox, ReversePath};
use crate::policy::{Grant, Grants, OnUnauthorized, SenderClaim, Verdict, authorize};
use crate::route::Sending;
use crate::submission::Profile;

use crate::cli::failure::{Code, Failure};
use crate::cli::output::{Output, Style};

use super::command::Addresses;

/// An account of the configuration.
pub(super) struct Found<'a> {
    config: &'a Checked,
    account: &'a Account,
    profile: &'a Profile,
}

/// What a server would make of a message of the account.
pub(super) struct Judged {
    /// The sender is another one where it would be rewritten.
    pub(super) addresses: Addresses,
    pub(super) route: Route,
    words: String,
}

/// Finds an account.
pub(super) fn find<'a>(config: &'a Checked, name: &AccountName) -> Result<Found<'a>, Failure> {
    let account = config.accounts.find(name.as_str());
    let profile = account.and_then(|account| config.profiles.get(&account.name));
    let (Some(account), Some(profile)) = (account, profile) else {
        let failure = Failure::new(Code::NoInput, format!("there is no account `{name}`"));
        return Err(failure.with_hint("`posthouse account list` shows all"));
    };
    Ok(Found {
        config,
        account,
        profile,
    })
}

impl Found<'_> {
    /// Returns a sender that the account may use: the one of its own, the first that is authorized, or postmaster of its
    /// first domain; of an account that may send as anyone that of the server's own mail.
    pub(super) fn own_sender(&self, config: &Checked) -> Result<Mailbox, Failure> {
        if let OnUnauthorized::Rewrite(sender) = &self.profile.rules.on_unauthorized {
            return Ok(sender.clone());
        }
        let Grants::Only(grants) = &self.profile.rules.grants else {
            return Ok(config.system_mail.sender.clone());
        };
        let own = grants.iter().find_map(|grant| match grant {
            Grant::Mailbox(mailbox) => Some(mailbox.clone()),
            Grant::Domain(_) | Grant::Subdomains(_) => None,
        });
        let of_domain = grants.iter().find_map(|grant| match grant {
            Grant::Domain(domain) => Mailbox::parse(&format!("{POSTMASTER}@{domain}")).ok(),
            Grant::Mailbox(_) | Grant::Subdomains(_) => None,
        });
        own.or(of_domain).ok_or_else(|| {
            let message = format!("say as whom account `{}` is to send", self.account.name);
            Failure::new(Code::Usage, message).with_hint("--from ADDRESS")
        })
    }

    /// Takes the decisions that a server would take.
    pub(super) fn judge(&self, addresses: &Addresses) -> Result<Judged, Failure> {
        let (from, words) = self.sender(&addresses.from)?;
        let routes = &self.config.routes;
        let Some(choice) = routes.route_to(&self.account.name, &addresses.to) else {
            return Err(Failure::new(
                Code::Configuration,
                "no upstream takes mail of this account to this recipient",
            )
            .with_hint("name one as `upstream` under [relay], its tenant or the account"));
        };
        Ok(Judged {
            addresses: Addresses {
                from,
                to: addresses.to.clone(),
            },
            route: choice.route.clone(),
            words,
        })
    }

    /// Returns as whom the message goes, and why.
    fn sender(&self, from: &Mailbox) -> Result<(Mailbox, String), Failure> {
        let claim = SenderClaim {
            reverse_path: &ReversePath::Mailbox(from.clone()),
            from: std::slice::from_ref(from),
            sender: None,
            resent_from: &[],
            resent_sender: &[],
            shown: &[],
        };
        let rules = &self.profile.rules;
        let denial = match authorize(rules, &claim) {
            Verdict::Allow(_) => return Ok((from.clone(), format!("{from} is allowed"))),
            Verdict::Deny(denial) => denial,
        };
        match &rules.on_unauthorized {
            OnUnauthorized::Alert => {
                let words = format!("{denial}; it would be relayed, with an alert");
                Ok((from.clone(), words))
            }
            OnUnauthorized::Hold => {
                let words = format!("{denial}; it would be held for an operator, this test is not");
                Ok((from.clone(), words))
            }
            OnUnauthorized::Reject => Err(Failure::new(Code::NoPermission, denial.to_string())
                .with_hint(
                    "add it to authorized_senders or authorized_domains of the account, or use another --from",
                )),
            OnUnauthorized::Rewrite(sender) => {
                let words = format!("{denial}; it would be rewritten to {sender}");
                Ok((sender.clone(), words))
            }
        }
    }

    /// Tells it.
    pub(super) fn tell(&self, judged: &Judged, output: &mut Output) -> Result<(), Failure> {
        if !self.account.active {
            let text = "The account is disabled: it could not log in.";
            output.styled(Style::Yellow, text)?;
        }
        output.field("authorization", &judged.words)?;
        if self.config.routes.sending() == Sending::Disabled {
            let text =
                "Sending is switched off ([relay] enabled): clients are refused, this test is not.";
            output.styled(Style::Yellow, text)?;
        }
        output.field("route", &judged.route)
    }
}

/// Every domain that takes mail has it (RFC 5321 §4.5.1).
const POSTMASTER: &str = "postmaster";
