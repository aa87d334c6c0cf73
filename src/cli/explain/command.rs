//! What is asked, and how the answer is printed.

use std::path::PathBuf;

use serde::Serialize;

use crate::auth::Account;
use crate::cli::configuration::ConfigurationOption;
use crate::cli::failure::{Code, Failure};
use crate::cli::output::{Output, Style};
use crate::config::{Checked, Sources};
use crate::identity::AccountName;
use crate::mail::{Mailbox, ReversePath};
use crate::policy::VerifiedSenders;
use crate::quota::OverQuota;
use crate::submission::Profile;

use super::judged::{Judged, Outcome};
use super::routed::{Recipient, Rule, Upstreams};

/// Explain how a message of an account would be judged, and where it would go
///
/// Takes the same decisions as a server with this configuration: may the account send as these senders, with which
/// priority, under which limits, by which upstreams. Sends nothing, and no server needs to run.
///
/// Exit code 0: it would be accepted. 77: it would be refused.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  posthouse explain --account shop --from orders@shop.example
  posthouse explain --account shop --from orders@shop.example --to 49123@fax.example.com --to bob@example.net
  posthouse explain --account shop --from '<>' --message bounce.eml --json")]
pub(in crate::cli) struct Arguments {
    /// The account
    #[arg(long, value_name = "NAME", value_parser = AccountName::parse)]
    account: AccountName,
    /// The sender of the envelope, and without --message of From: too; <> is the null reverse-path
    #[arg(long, value_name = "ADDRESS", value_parser = reverse_path)]
    from: ReversePath,
    /// A recipient; may be given several times
    #[arg(long, value_name = "ADDRESS", value_parser = mailbox)]
    to: Vec<Mailbox>,
    /// A file with the message, whose header is judged; - is standard input
    #[arg(long, value_name = "FILE")]
    message: Option<PathBuf>,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    configuration: ConfigurationOption,
}

fn mailbox(text: &str) -> Result<Mailbox, String> {
    Mailbox::parse(text).map_err(|error| error.to_string())
}

fn reverse_path(text: &str) -> Result<ReversePath, String> {
    if text == "<>" {
        return Ok(ReversePath::Null);
    }
    mailbox(text).map(ReversePath::Mailbox)
}

/// All that is told.
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are what `--json` prints; nobody passes them on"
)]
#[derive(Debug, Serialize)]
struct Explanation {
    account: String,
    active: bool,
    tenant: Option<String>,
    /// Whether the message would be accepted for all recipients.
    accepted: bool,
    sender: Judged,
    /// What counts of verified senders: `additional`, `off` or `required`.
    verified_senders: &'static str,
    /// Which tables of the configuration decide how it is judged.
    decided_by: Decided,
    /// The limits that hold, in words.
    limits: Vec<String>,
    over_quota: &'static str,
    recipients: Vec<Recipient>,
    /// How many messages the transaction would become, one for each route.
    messages: usize,
    /// Where mail goes that no route by recipient takes.
    upstreams: Option<Upstreams>,
    /// The routes by recipient that are for mail of this account.
    routes: Vec<Rule>,
    /// Whether the master switch is on.
    sending: bool,
}

/// A table for each key: `account`, `tenant.NAME` or `accounts.defaults`.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct Decided {
    pub(in crate::cli) check_header_from: String,
    pub(in crate::cli) plus_addressing: String,
    pub(in crate::cli) on_unauthorized: String,
    pub(in crate::cli) verified_senders: String,
    pub(in crate::cli) default_sender: String,
}

impl From<&Sources> for Decided {
    fn from(sources: &Sources) -> Self {
        Self {
            check_header_from: sources.check_header_from.to_string(),
            plus_addressing: sources.plus_addressing.to_string(),
            on_unauthorized: sources.on_unauthorized.to_string(),
            verified_senders: sources.verified_senders.to_string(),
            default_sender: sources.default_sender.to_string(),
        }
    }
}

pub(in crate::cli) fn run(arguments: &Arguments, output: &mut Output) -> Result<(), Failure> {
    let config = arguments.configuration.load_verified()?;
    let (account, profile) = find(&config, &arguments.account)?;
    let message = arguments.message.as_deref();
    let sender = Judged::new(profile, &arguments.from, message)?;
    let explanation = explain(&config, account, sender, &arguments.to);
    if arguments.json {
        output.json(&explanation)?;
    } else {
        print(&explanation, output)?;
    }
    if explanation.accepted {
        return Ok(());
    }
    let message = "this message would be refused";
    Err(Failure::new(Code::NoPermission, message))
}

fn find<'a>(
    config: &'a Checked,
    name: &AccountName,
) -> Result<(&'a Account, &'a Profile), Failure> {
    let account = config.accounts.find(name.as_str());
    let found = account.and_then(|account| Some((account, config.profiles.get(&account.name)?)));
    found.ok_or_else(|| {
        let failure = Failure::new(Code::NoInput, format!("there is no account `{name}`"));
        failure.with_hint("`posthouse account list` shows all")
    })
}

fn explain(
    config: &Checked,
    account: &Account,
    sender: Judged,
    recipients: &[Mailbox],
) -> Explanation {
    let (name, routes) = (&account.name, &config.routes);
    let may_send = routes.may_send(name);
    let of_recipient = |mailbox: &Mailbox| Recipient::new(routes.route_to(name, mailbox), mailbox);
    let recipients: Vec<_> = recipients.iter().map(of_recipient).collect();
    let mut ways: Vec<_> = recipients.iter().filter_map(Recipient::upstreams).collect();
    ways.sort();
    ways.dedup();
    let are_routed = recipients
        .iter()
        .all(|recipient| recipient.upstreams().is_some());
    let is_sent = sender.outcome != Outcome::Refused;
    Explanation {
        account: name.to_string(),
        active: account.active,
        tenant: account.tenant.as_ref().map(ToString::to_string),
        accepted: account.active && may_send && is_sent && are_routed,
        sender,
        verified_senders: config
            .verified_senders
            .get(name)
            .copied()
            .unwrap_or_default()
            .as_str(),
        decided_by: Decided::from(config.sources.get(name).unwrap_or(&Sources::default())),
        limits: config.quotas.describe(name),
        over_quota: match config.quotas.over_quota(name) {
            OverQuota::Queue => "queue",
            OverQuota::Refuse => "refuse",
        },
        messages: ways.len(),
        upstreams: routes
            .upstream_of(name)
            .map(|choice| Upstreams::new(&choice)),
        routes: routes.rules_of(name).into_iter().map(Rule::new).collect(),
        sending: routes.sending() == crate::route::Sending::Enabled,
        recipients,
    }
}

fn print(explanation: &Explanation, output: &mut Output) -> Result<(), Failure> {
    output.field("account", &explanation.account)?;
    if let Some(tenant) = &explanation.tenant {
        output.field("tenant", tenant)?;
    }
    if !explanation.active {
        output.styled(Style::Yellow, "The account is disabled: it cannot log in.")?;
    }
    if !explanation.sending {
        let text = "Sending is switched off ([relay] enabled): 451 4.3.2 at MAIL.";
        output.styled(Style::Yellow, text)?;
    }
    explanation.sender.print(output)?;
    if explanation.sender.outcome != Outcome::Allowed {
        let decided = &explanation.decided_by;
        let text = format!("on_unauthorized of {}", decided.on_unauthorized);
        output.field("decided by", text)?;
    }
    if explanation.verified_senders != VerifiedSenders::default().as_str() {
        let table = &explanation.decided_by.verified_senders;
        let text = format!("{} (of {table})", explanation.verified_senders);
        output.field("verified senders", text)?;
    }
    if !explanation.limits.is_empty() {
        output.field("limits", explanation.limits.join(", "))?;
        output.field("over them", explanation.over_quota)?;
    }
    if explanation.recipients.is_empty() {
        for rule in &explanation.routes {
            output.field("route", rule)?;
        }
        return match &explanation.upstreams {
            Some(upstreams) => output.field("upstreams", upstreams),
            None => output.field("upstreams", "none"),
        };
    }
    for recipient in &explanation.recipients {
        output.field("to", recipient)?;
    }
    if explanation.messages > 1 {
        let text = format!("{}, one for each route", explanation.messages);
        output.field("messages", text)?;
    }
    let refused = explanation
        .recipients
        .iter()
        .filter(|to| to.upstreams().is_none());
    for recipient in refused {
        output.field("client hears", recipient.reply())?;
    }
    Ok(())
}
