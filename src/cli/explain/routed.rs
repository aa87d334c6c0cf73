//! Where mail to each recipient goes, and why.

use std::fmt;

use serde::Serialize;

use crate::mail::Mailbox;
use crate::route::{Basis, Choice, Owner};
use crate::smtp::replies;

/// A recipient and its upstreams.
#[derive(Debug, Serialize)]
pub(super) struct Recipient {
    address: String,
    /// `None` where nothing leads there: RCPT is refused.
    upstreams: Option<Upstreams>,
}

/// Upstreams in failover order, and what has decided for them.
#[derive(Debug, Serialize)]
pub(super) struct Upstreams {
    names: Vec<String>,
    /// `route`, `account`, `tenant` or `relay`.
    by: &'static str,
    /// The number of the `[[route]]` in the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    number: Option<usize>,
    /// What the route is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// The pattern of it that means the recipient.
    #[serde(skip_serializing_if = "Option::is_none")]
    pattern: Option<String>,
    /// The tenant whose upstreams these are.
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
}

/// A route by recipient.
#[derive(Debug, Serialize)]
pub(super) struct Rule {
    number: usize,
    name: Option<String>,
    recipients: Vec<String>,
    upstreams: Vec<String>,
}

impl Upstreams {
    pub(super) fn new(choice: &Choice<'_>) -> Self {
        let names = choice.route.upstreams().iter().map(ToString::to_string);
        let mut upstreams = Self {
            names: names.collect(),
            by: "relay",
            number: None,
            name: None,
            pattern: None,
            tenant: None,
        };
        match choice.basis {
            Basis::Rule(rule, pattern) => {
                upstreams.by = "route";
                upstreams.number = Some(rule.number);
                upstreams.name = rule.name.as_deref().map(str::to_owned);
                upstreams.pattern = Some(pattern.to_string());
            }
            Basis::Upstream(Owner::Account) => upstreams.by = "account",
            Basis::Upstream(Owner::Global) => {}
            Basis::Upstream(Owner::Tenant(tenant)) => {
                upstreams.by = "tenant";
                upstreams.tenant = Some(tenant.to_string());
            }
        }
        upstreams
    }
}

impl Recipient {
    pub(super) fn new(choice: Option<Choice<'_>>, mailbox: &Mailbox) -> Self {
        Self {
            address: mailbox.to_string(),
            upstreams: choice.as_ref().map(Upstreams::new),
        }
    }

    /// Returns the names of its upstreams; `None` where nothing leads there.
    pub(super) fn upstreams(&self) -> Option<&[String]> {
        self.upstreams
            .as_ref()
            .map(|upstreams| upstreams.names.as_slice())
    }

    /// Returns what a client hears where nothing leads there.
    pub(super) fn reply(&self) -> String {
        let line = replies::RECIPIENT_NOT_ROUTED.line();
        let line = String::from_utf8_lossy(line.trim_ascii_end()).into_owned();
        format!("{line} (to RCPT TO:<{}>)", self.address)
    }
}

impl Rule {
    pub(super) fn new(rule: &crate::route::Rule) -> Self {
        let upstreams = rule.route.upstreams().iter();
        Self {
            number: rule.number,
            name: rule.name.as_deref().map(str::to_owned),
            recipients: rule.patterns.iter().map(ToString::to_string).collect(),
            upstreams: upstreams.map(ToString::to_string).collect(),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (recipients, upstreams) = (self.recipients.join(", "), self.upstreams.join(", then "));
        write!(
            f,
            "{}: {recipients} by {upstreams}",
            title(self.number, self.name.as_deref())
        )
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.upstreams {
            Some(upstreams) => write!(f, "{} by {upstreams}", self.address),
            None => write!(f, "{} refused: nothing leads there", self.address),
        }
    }
}

impl fmt::Display for Upstreams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.names.join(", then ");
        match (self.number, &self.pattern, &self.tenant) {
            (Some(number), Some(pattern), _) => {
                write!(
                    f,
                    "{names}: {} for {pattern}",
                    title(number, self.name.as_deref())
                )
            }
            (_, _, Some(tenant)) => write!(f, "{names}: of tenant {tenant}"),
            (_, _, None) if self.by == "account" => write!(f, "{names}: of the account"),
            (_, _, None) => write!(f, "{names}: of [relay]"),
        }
    }
}

/// Returns what a route is called: its place in the file, and its name where it has one.
fn title(number: usize, name: Option<&str>) -> String {
    match name {
        Some(name) => format!("[[route]] {number} ({name})"),
        None => format!("[[route]] {number}"),
    }
}
