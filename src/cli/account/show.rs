//! `posthouse account show`.

use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::config::Checked;
use crate::identity::AccountName;

use super::command::{AccountOption, find};
use super::view::AccountView;

/// Show one account: what it may send as, and where its mail goes
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    account: AccountOption,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, output: &mut Output) -> Result<(), Failure> {
    let config = arguments.account.configuration.load_verified()?;
    let account = AccountView::new(&config, find(&config, &arguments.account.name)?);
    if arguments.json {
        return output.json(&account);
    }
    let state = match (
        account.active,
        account.has_password
            || !account.app_passwords.is_empty()
            || !account.certificates.is_empty(),
        account.networks.is_empty(),
    ) {
        (false, _, _) => "disabled",
        (true, true, _) => "active",
        (true, false, false) => "active, known by its networks only",
        (true, false, true) => "active, but without password and networks nobody can use it",
    };
    output.field("name", &account.name)?;
    output.field("state", state)?;
    output.field("tenant", account.tenant.as_deref().unwrap_or("-"))?;
    if !account.app_passwords.is_empty() {
        output.field("app passwords", account.app_passwords.join(", "))?;
    }
    if !account.certificates.is_empty() {
        output.field("certificates", account.certificates.join(", "))?;
    }
    judging(&account, output)?;
    let range = format!("{}, at best {}", account.priority, account.max_priority);
    output.field("priority", range)?;
    handling(&account, output)?;
    if !account.limits.is_empty() {
        output.field("limits", account.limits.join(", "))?;
        output.field("over them", account.over_quota)?;
    }
    if !account.aliases.is_empty() {
        output.field("aliases", account.aliases.join(", "))?;
    }
    if !account.networks.is_empty() {
        output.field("networks", account.networks.join(", "))?;
    }
    upstreams(&account, output)?;
    match &account.note {
        Some(note) => output.field("note", note),
        None => Ok(()),
    }
}

/// How its senders are judged, and which tables say so.
fn judging(account: &AccountView, output: &mut Output) -> Result<(), Failure> {
    output.field("may send as", account.senders())?;
    let judged = if account.check_header_from {
        "envelope and header"
    } else {
        "envelope only"
    };
    let decided = &account.decided_by;
    output.field(
        "judged",
        format!("{judged} (of {})", decided.check_header_from),
    )?;
    let otherwise = match &account.default_sender {
        Some(sender) => format!("rewrite to {sender}"),
        None => account.on_unauthorized.to_owned(),
    };
    output.field(
        "otherwise",
        format!("{otherwise} (of {})", decided.on_unauthorized),
    )?;
    let verified = format!(
        "{} (of {})",
        account.verified_senders, decided.verified_senders
    );
    output.field("verified senders", verified)?;
    if account.plus_addressing {
        let text = format!("ignored (of {})", decided.plus_addressing);
        output.field("+detail", text)?;
    }
    Ok(())
}

/// What is done to its messages, and who is told.
fn handling(account: &AccountView, output: &mut Output) -> Result<(), Failure> {
    if account.priority_header != "keep" {
        output.field("priority seen", account.priority_header)?;
    }
    if !account.strict_addresses {
        output.field("addresses", "those of senders must be RFC 5322, no others")?;
    }
    if !account.added_fields.is_empty() {
        output.field("added fields", account.added_fields.join(", "))?;
    }
    if !account.alert_mail.is_empty() {
        output.field("alerts to", account.alert_mail.join(", "))?;
    }
    Ok(())
}

/// Returns whether some upstream takes mail of an account.
pub(super) fn reachable(config: &Checked, name: &AccountName) -> bool {
    config.routes.may_send(name)
}

fn upstreams(account: &AccountView, output: &mut Output) -> Result<(), Failure> {
    let route = account.route.as_ref().map(|route| route.join(", "));
    output.field(
        "upstreams",
        match (route.as_deref(), account.recipient_routes) {
            (Some(route), _) => route,
            (None, 0) => "none: it cannot send",
            (None, _) => "none: it can send where routes by recipient lead",
        },
    )?;
    if account.recipient_routes > 0 {
        let count = account.recipient_routes;
        output.field(
            "routes",
            format!("{count} by recipient, see `posthouse explain`"),
        )?;
    }
    Ok(())
}
