//! An account as it is printed.

use serde::Serialize;

use crate::auth::Account;
use crate::cli::explain::Decided;
use crate::config::{Checked, Sources};
use crate::mail::Priority;
use crate::message::{AddressRule, PriorityHeader};
use crate::policy::{Detail, Grants, OnUnauthorized, Rules, Scope};
use crate::quota::OverQuota;
use crate::submission::Profile;

/// An account with what is done for its mail.
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are what `--json` prints; nobody passes them on"
)]
#[derive(Debug, Serialize)]
pub(super) struct AccountView {
    pub(super) name: String,
    pub(super) active: bool,
    pub(super) has_password: bool,
    /// The names of its application passwords.
    pub(super) app_passwords: Vec<String>,
    /// What it knows certificates of its clients by.
    pub(super) certificates: Vec<String>,
    pub(super) tenant: Option<String>,
    /// What it may send as; `None` for anyone.
    pub(super) authorized: Option<Vec<String>>,
    pub(super) check_header_from: bool,
    pub(super) on_unauthorized: &'static str,
    /// What counts of verified senders: `additional`, `off` or `required`.
    pub(super) verified_senders: &'static str,
    /// Which tables say how its senders are judged.
    pub(super) decided_by: Decided,
    /// Whether `+detail` of an address counts for nothing.
    pub(super) plus_addressing: bool,
    /// Whether address fields must be RFC 5322.
    pub(super) strict_addresses: bool,
    /// The names of the fields that are added to its mail.
    pub(super) added_fields: Vec<String>,
    /// Who is told of alerts about it, besides its tenants' and the server's people.
    pub(super) alert_mail: Vec<String>,
    /// What takes the place of senders that are not authorized, where that is wanted.
    pub(super) default_sender: Option<String>,
    pub(super) priority: u8,
    pub(super) max_priority: u8,
    /// What recipients see of it: `keep`, `set` or `strip`.
    pub(super) priority_header: &'static str,
    /// Its limits and those of its tenants, in words; empty where there is none.
    pub(super) limits: Vec<String>,
    pub(super) over_quota: &'static str,
    pub(super) networks: Vec<String>,
    /// Other names it logs in with.
    pub(super) aliases: Vec<String>,
    /// The upstreams in failover order; `None` where nothing can be sent.
    pub(super) route: Option<Vec<String>>,
    /// How many routes by recipient are for its mail.
    pub(super) recipient_routes: usize,
    pub(super) note: Option<String>,
}

impl AccountView {
    pub(super) fn new(config: &Checked, account: &Account) -> Self {
        let profile = config.profiles.get(&account.name);
        let rules = profile.map(|profile| &profile.rules);
        let route = config.routes.configured_route(&account.name);
        Self {
            name: account.name.to_string(),
            active: account.active,
            has_password: account.password.is_some(),
            app_passwords: account
                .app_passwords
                .iter()
                .map(|password| password.label.to_string())
                .collect(),
            certificates: account
                .certificates
                .iter()
                .map(ToString::to_string)
                .collect(),
            tenant: account.tenant.as_ref().map(ToString::to_string),
            authorized: rules.and_then(|rules| match &rules.grants {
                Grants::Anyone => None,
                Grants::Only(grants) => Some(grants.iter().map(ToString::to_string).collect()),
            }),
            check_header_from: rules.is_none_or(|rules| rules.scope == Scope::EnvelopeAndHeader),
            on_unauthorized: outcome(rules),
            verified_senders: verified_senders(config, account),
            decided_by: decided_by(config, account),
            plus_addressing: rules.is_some_and(|rules| rules.detail == Detail::Ignored),
            strict_addresses: profile
                .is_none_or(|profile| profile.address_rule == AddressRule::All),
            added_fields: added_fields(profile),
            alert_mail: alert_mail(config, account),
            default_sender: default_sender(rules),
            priority: profile
                .map_or_else(Priority::default, |profile| profile.priority)
                .number(),
            max_priority: profile
                .and_then(|profile| profile.max_priority)
                .unwrap_or(Priority::VeryHigh)
                .number(),
            priority_header: priority_header(profile),
            limits: config.quotas.describe(&account.name),
            over_quota: match config.quotas.over_quota(&account.name) {
                OverQuota::Queue => "queue",
                OverQuota::Refuse => "refuse",
            },
            networks: account.networks.iter().map(ToString::to_string).collect(),
            aliases: account.aliases.iter().map(ToString::to_string).collect(),
            route: route.map(|route| route.upstreams().iter().map(ToString::to_string).collect()),
            recipient_routes: config.routes.rules_of(&account.name).len(),
            note: config.notes.get(&account.name).cloned(),
        }
    }

    /// Returns what it may send as, in words.
    pub(super) fn senders(&self) -> String {
        match &self.authorized {
            None => "anyone".to_owned(),
            Some(grants) => grants.join(", "),
        }
    }
}

/// Returns the word for what becomes of mail whose sender is not authorized.
fn outcome(rules: Option<&Rules>) -> &'static str {
    match rules.map(|rules| &rules.on_unauthorized) {
        Some(OnUnauthorized::Alert) => "alert",
        Some(OnUnauthorized::Hold) => "hold",
        Some(OnUnauthorized::Reject) | None => "reject",
        Some(OnUnauthorized::Rewrite(_)) => "rewrite",
    }
}

fn default_sender(rules: Option<&Rules>) -> Option<String> {
    match rules.map(|rules| &rules.on_unauthorized) {
        Some(OnUnauthorized::Rewrite(sender)) => Some(sender.to_string()),
        Some(OnUnauthorized::Alert | OnUnauthorized::Hold | OnUnauthorized::Reject) | None => None,
    }
}

fn verified_senders(config: &Checked, account: &Account) -> &'static str {
    let how = config.verified_senders.get(&account.name);
    how.copied().unwrap_or_default().as_str()
}

fn decided_by(config: &Checked, account: &Account) -> Decided {
    let sources = config.sources.get(&account.name);
    sources.map_or_else(|| Decided::from(&Sources::default()), Decided::from)
}

fn added_fields(profile: Option<&Profile>) -> Vec<String> {
    let fields = profile
        .iter()
        .flat_map(|profile| profile.added_fields.iter());
    fields.map(|field| field.name().to_owned()).collect()
}

fn alert_mail(config: &Checked, account: &Account) -> Vec<String> {
    let own = config.alerts.accounts.get(&account.name);
    let mail = own.iter().flat_map(|own| own.mail.iter());
    mail.map(ToString::to_string).collect()
}

fn priority_header(profile: Option<&Profile>) -> &'static str {
    match profile.map(|profile| profile.priority_header) {
        Some(PriorityHeader::Keep) | None => "keep",
        Some(PriorityHeader::Set) => "set",
        Some(PriorityHeader::Strip) => "strip",
    }
}
