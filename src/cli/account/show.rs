//! `posthouse account show`.

use crate::cli::failure::Failure;
use crate::cli::output::Output;

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
    output.field("may send as", account.senders())?;
    let judged = if account.check_header_from {
        "envelope and header"
    } else {
        "envelope only"
    };
    output.field("judged", judged)?;
    match &account.default_sender {
        Some(sender) => output.field("otherwise", format!("rewrite to {sender}"))?,
        None => output.field("otherwise", account.on_unauthorized)?,
    }
    let range = format!("{}, at best {}", account.priority, account.max_priority);
    output.field("priority", range)?;
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
