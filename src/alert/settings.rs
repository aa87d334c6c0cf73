//! Who is told of what.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::raised::{Alert, Kind};
use super::stored::{Stored, Target};
use crate::clock::Timestamp;
use crate::identity::{AccountName, Route, TenantName};
use crate::mail::Mailbox;
use crate::secret::Secret;

/// What is told, when, and to whom.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Settings {
    /// The kinds that anybody is told of; the others are only stored.
    pub kinds: BTreeSet<Kind>,
    /// When.
    pub delivery: Delivery,
    /// How long alerts are kept.
    pub keep: Duration,
    /// After how long a message that is not delivered is late; `None` for never.
    pub late_after: Option<Duration>,
    /// The upstreams of alert mails; those of all mail by default.
    pub route: Option<Route>,
    /// Whom the server tells everything.
    pub server: Contacts,
    /// Whom the tenants want to be told of what is theirs.
    pub tenants: HashMap<TenantName, OfTenant>,
    /// Whom the accounts want to be told of what is theirs.
    pub accounts: HashMap<AccountName, OfAccount>,
}

/// When people are told.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Delivery {
    /// In some seconds.
    #[default]
    AtOnce,
    /// Together with all else of such a time, which begins with the first.
    Digest {
        /// How long.
        every: Duration,
    },
}

/// Where alerts go.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Contacts {
    /// Mailboxes.
    pub mail: Vec<Mailbox>,
    /// A program.
    pub webhook: Option<Webhook>,
}

/// What a tenant says of alerts.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct OfTenant {
    /// The tenant above it, which is told too.
    pub parent: Option<TenantName>,
    /// Its own.
    pub contacts: Contacts,
}

/// What an account says of alerts.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct OfAccount {
    /// Its tenant, which is told too.
    pub tenant: Option<TenantName>,
    /// Its owner's mailboxes.
    pub mail: Vec<Mailbox>,
}

/// A program that is told over HTTP. `Debug` shows the host alone: many an address is a secret.
#[derive(Clone, Eq, PartialEq)]
pub struct Webhook {
    /// Where; `https:`, or `http:` on this machine.
    pub url: Url,
    /// What requests are signed with.
    pub secret: Secret,
    /// A PEM file of authorities, in the place of those of the system.
    pub ca_file: Option<PathBuf>,
}

impl Webhook {
    /// Returns the host, for texts.
    pub fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "webhook at {}", self.host())
    }
}

/// The longest line of tenants that is followed; a circle has no end.
const MAX_TENANTS: usize = 32;

impl Settings {
    /// Returns whom an alert goes to: nobody where its kind is switched off.
    ///
    /// The server's own contacts hear everything, a tenant's what is of the tenant or of those below it, an account's what
    /// is of the account and of a kind that concerns its owner.
    pub fn targets(&self, alert: &Stored) -> BTreeSet<Target> {
        let mut targets = BTreeSet::new();
        if alert.kind != Kind::Test && !self.kinds.contains(&alert.kind) {
            return targets;
        }
        let mail = |mailbox: &Mailbox| Target::Mail(mailbox.to_string());
        targets.extend(self.server.mail.iter().map(mail));
        targets.extend(self.server.webhook.as_ref().map(|_| Target::Webhook));
        let account = alert.account.as_deref();
        let account = account.and_then(|account| self.accounts.get(account));
        if alert.kind.is_of_account() {
            targets.extend(account.iter().flat_map(|account| &account.mail).map(mail));
        }
        let of_account = account.and_then(|account| account.tenant.as_ref());
        let mut next = of_account
            .map(TenantName::as_str)
            .or(alert.tenant.as_deref());
        for _ in 0..MAX_TENANTS {
            let Some((name, tenant)) = next.and_then(|name| self.tenants.get_key_value(name))
            else {
                break;
            };
            targets.extend(tenant.contacts.mail.iter().map(mail));
            let webhook = tenant.contacts.webhook.as_ref();
            targets.extend(webhook.map(|_| Target::WebhookOfTenant(name.to_string())));
            next = tenant.parent.as_ref().map(TenantName::as_str);
        }
        targets
    }

    /// Returns whom an alert would go to that is raised now.
    pub fn targets_of(&self, alert: &Alert) -> BTreeSet<Target> {
        self.targets(&Stored::new(0, alert.clone(), Timestamp::default()))
    }

    /// Returns the webhook of a target, if that is one and still there.
    pub fn webhook(&self, target: &Target) -> Option<&Webhook> {
        match target {
            Target::Mail(_) => None,
            Target::Webhook => self.server.webhook.as_ref(),
            Target::WebhookOfTenant(name) => {
                let tenant = self.tenants.get(name.as_str())?;
                tenant.contacts.webhook.as_ref()
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::alert) fn mailbox(text: &str) -> Mailbox {
        Mailbox::parse(text).unwrap()
    }

    fn webhook() -> Webhook {
        Webhook {
            url: Url::parse("https://hooks.example/s3cret-path").unwrap(),
            secret: Secret::new("key".to_owned()),
            ca_file: None,
        }
    }

    /// A server, a reseller with a webhook, its customer, and the customer's account.
    pub(in crate::alert) fn settings() -> Settings {
        let tenant = |name| TenantName::parse(name).unwrap();
        let contacts = |mail, webhook| Contacts {
            mail: vec![mailbox(mail)],
            webhook,
        };
        let reseller = OfTenant {
            parent: None,
            contacts: contacts("reseller@example.com", Some(webhook())),
        };
        let customer = OfTenant {
            parent: Some(tenant("reseller")),
            contacts: contacts("customer@example.com", None),
        };
        let account = OfAccount {
            tenant: Some(tenant("customer")),
            mail: vec![mailbox("owner@example.com")],
        };
        Settings {
            kinds: Kind::ALL.into(),
            keep: Duration::from_hours(24),
            server: contacts("ops@example.com", Some(webhook())),
            tenants: [
                (tenant("reseller"), reseller),
                (tenant("customer"), customer),
            ]
            .into(),
            accounts: [(AccountName::parse("shop").unwrap(), account)].into(),
            ..Settings::default()
        }
    }

    fn told(settings: &Settings, alert: &Alert) -> Vec<String> {
        let targets = settings.targets_of(alert).into_iter();
        targets
            .map(|target| match target {
                Target::Mail(address) => address,
                Target::Webhook => "webhook".to_owned(),
                Target::WebhookOfTenant(name) => format!("webhook of {name}"),
            })
            .collect()
    }

    fn of_shop(kind: Kind) -> Alert {
        Alert {
            account: Some(AccountName::parse("shop").unwrap()),
            ..Alert::new(kind, "x")
        }
    }

    #[test]
    fn server_tenants_and_the_owner_of_an_account_are_told_of_it() {
        assert_eq!(
            told(&settings(), &of_shop(Kind::AccountBlocked)),
            [
                "customer@example.com",
                "ops@example.com",
                "owner@example.com",
                "reseller@example.com",
                "webhook",
                "webhook of reseller",
            ]
        );
    }

    #[test]
    fn the_owner_of_an_account_is_not_told_of_the_server() {
        let told_to = told(&settings(), &of_shop(Kind::SystemError));
        assert!(!told_to.contains(&"owner@example.com".to_owned()));
        assert_eq!(
            told(&settings(), &Alert::new(Kind::UpstreamParked, "x")),
            ["ops@example.com", "webhook"]
        );
    }

    #[test]
    fn what_is_of_a_tenant_goes_to_it_and_those_above() {
        let alert = Alert {
            tenant: Some(TenantName::parse("reseller").unwrap()),
            ..Alert::new(Kind::QueueOverLimit, "x")
        };
        assert_eq!(
            told(&settings(), &alert),
            [
                "ops@example.com",
                "reseller@example.com",
                "webhook",
                "webhook of reseller"
            ]
        );
    }

    #[test]
    fn nobody_is_told_of_a_kind_that_is_off_but_of_a_test() {
        let mut settings = settings();
        settings.kinds.remove(&Kind::AccountBlocked);
        assert_eq!(
            told(&settings, &of_shop(Kind::AccountBlocked)),
            Vec::<String>::new()
        );
        assert_eq!(told(&settings, &of_shop(Kind::Test)).len(), 6);
    }

    #[test]
    fn tenants_in_a_circle_are_told_once() {
        let mut settings = settings();
        let reseller = settings.tenants.get_mut("reseller").unwrap();
        reseller.parent = Some(TenantName::parse("customer").unwrap());
        assert_eq!(told(&settings, &of_shop(Kind::AccountBlocked)).len(), 6);
    }

    #[test]
    fn the_address_of_a_webhook_is_not_shown() {
        let shown = format!("{:?}", settings());
        assert!(shown.contains("hooks.example") && !shown.contains("s3cret"));
    }
}
