//! `posthouse account app-password`.

use clap::Subcommand;
use serde::Serialize;

use crate::auth::{AppPassword, Prefix, USES_FILE, Use, Uses, generate_password};
use crate::clock::{Clock as _, SystemClock, Timestamp};
use crate::config::{AccountsFile, Checked, NewAppPassword};
use crate::control::view::Time;
use crate::identity::{AccountName, Label};
use crate::secret::Secret;

use crate::cli::failure::{Code, Failure};
use crate::cli::hash_password::{chance, hash};
use crate::cli::output::Output;
use crate::cli::running;
use crate::cli::table::Table;

use super::command::{AccountOption, failed, find};

/// Further passwords of an account, one for each program or device
///
/// Each can be revoked without the others: sessions that logged in with it end. The log tells which one was used.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Add(Add),
    List(List),
    Revoke(Revoke),
}

/// Make an application password and print it; it cannot be shown again
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  posthouse account app-password add ann phone
  posthouse account app-password add ann backup-script --expires 2027-05-01")]
struct Add {
    #[command(flatten)]
    account: AccountOption,
    /// What it is called: the program or device it is for
    #[arg(value_name = "LABEL", value_parser = Label::parse)]
    label: Label,
    /// The day from which on it is refused
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
    expires: Option<String>,
}

/// List the application passwords of an account: since when, until when, last use
///
/// A running server writes last uses down every half minute.
#[derive(Debug, clap::Args)]
struct List {
    #[command(flatten)]
    account: AccountOption,
    /// Print them as JSON
    #[arg(long)]
    json: bool,
}

/// Remove an application password; sessions that logged in with it end
#[derive(Debug, clap::Args)]
struct Revoke {
    #[command(flatten)]
    account: AccountOption,
    /// Which
    #[arg(value_name = "LABEL", value_parser = Label::parse)]
    label: Label,
}

pub(super) fn run(arguments: Arguments, output: &mut Output) -> Result<(), Failure> {
    match arguments.command {
        Command::Add(arguments) => add(arguments, output),
        Command::List(arguments) => list(&arguments, output),
        Command::Revoke(arguments) => revoke(&arguments, output),
    }
}

fn day(text: &str) -> Result<String, &'static str> {
    let time = Timestamp::parse(&format!("{text}T00:00:00Z"));
    let is_day = text.len() == 10 && time.is_some();
    is_day
        .then(|| text.to_owned())
        .ok_or("a day is written as 2027-05-01")
}

fn day_of(time: Timestamp) -> String {
    time.to_string().chars().take(10).collect()
}

/// A password that was made, and what is kept of it.
fn new(label: Label, expires: Option<String>) -> Result<(Secret, NewAppPassword), Failure> {
    let password = generate_password::<25>(chance()?);
    let prefix = Prefix::of(password.expose()).ok_or_else(|| {
        Failure::new(
            Code::Unavailable,
            "the password that was made has no prefix".to_owned(),
        )
    })?;
    let new = NewAppPassword {
        label,
        prefix,
        hash: hash(&password)?,
        created: day_of(SystemClock.now()),
        expires,
    };
    Ok((password, new))
}

/// Gives an account a further password and returns it. A running server is not told.
pub(super) fn make(config: &Checked, name: &AccountName, label: &Label) -> Result<Secret, Failure> {
    let (password, new) = new(label.clone(), None)?;
    AccountsFile::new(config.accounts_file.clone())
        .add_app_password(name, &new)
        .map_err(|error| failed(&error))?;
    Ok(password)
}

fn add(arguments: Add, output: &mut Output) -> Result<(), Failure> {
    let account = &arguments.account;
    let (password, new) = new(arguments.label, arguments.expires)?;
    let done = format!("has an application password {}", new.label);
    let data_dir = account.change(output, &done, |file| {
        file.add_app_password(&account.name, &new)
    })?;
    output.field("user name", &account.name)?;
    output.field("password", password.expose())?;
    output.line("Note it now: it is stored as a hash and cannot be shown again.")?;
    running::reload_after_edit(&data_dir, output)
}

fn revoke(arguments: &Revoke, output: &mut Output) -> Result<(), Failure> {
    let account = &arguments.account;
    let done = format!("has no application password {} any more", arguments.label);
    account.edit(output, &done, |file| {
        file.revoke_app_password(&account.name, &arguments.label)
    })
}

/// An application password as `--json` prints it.
#[derive(Debug, Serialize)]
struct Listed {
    label: String,
    state: &'static str,
    created: Option<String>,
    expires: Option<String>,
    last_used: Option<Time>,
    last_used_from: Option<String>,
}

impl Listed {
    fn new(password: &AppPassword, used: Option<Use>, now: Timestamp) -> Self {
        let state = match (password.active, password.is_valid(now)) {
            (false, _) => "disabled",
            (true, false) => "expired",
            (true, true) => "active",
        };
        Self {
            label: password.label.to_string(),
            state,
            created: password.created.map(day_of),
            expires: password.expires.map(day_of),
            last_used: used.map(|used| Time(used.at)),
            last_used_from: used.map(|used| used.from.to_string()),
        }
    }
}

fn list(arguments: &List, output: &mut Output) -> Result<(), Failure> {
    let config = arguments.account.configuration.load()?;
    let account = find(&config, &arguments.account.name)?;
    let path = config.server.data_dir.join(USES_FILE);
    let uses = Uses::load(&path);
    let uses = uses.map_err(|error| Failure::file(Code::NoInput, "read", &path, &error))?;
    let now = SystemClock.now();
    let listed = account.app_passwords.iter().map(|password| {
        let last = uses.last(&account.name, &password.label);
        Listed::new(password, last, now)
    });
    let listed: Vec<_> = listed.collect();
    if arguments.json {
        return output.json(&listed);
    }
    if listed.is_empty() && output.is_terminal {
        let name = &account.name;
        return output.line(format_args!(
            "There is none. `posthouse account app-password add {name} LABEL` makes one."
        ));
    }
    let mut table = Table::new(["LABEL", "STATE", "CREATED", "EXPIRES", "LAST USED", "FROM"]);
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    for one in listed {
        table.add([
            one.label,
            one.state.to_owned(),
            or_none(one.created),
            or_none(one.expires),
            or_none(one.last_used.map(|used| used.0.to_string())),
            or_none(one.last_used_from),
        ]);
    }
    table.print(output)
}
