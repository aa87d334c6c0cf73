//! What is asked, and how the answer is printed.

use std::path::PathBuf;

use clap::ValueEnum as _;
use serde::Serialize;

use super::access::{Access, Security, VARIABLE};
use super::choice::{Asked, Candidate, Login, candidates, choose};
use super::client::{Client, Wish};
use super::text::{Section, sections};
use crate::app;
use crate::auth::Account;
use crate::cli::account::app_password;
use crate::cli::account::command::{AccountOption, find};
use crate::cli::account::show::reachable;
use crate::cli::failure::{Code, Failure};
use crate::cli::output::{Output, Style};
use crate::cli::running;
use crate::cli::table::Table;
use crate::clock::{Clock as _, SystemClock};
use crate::config::Checked;
use crate::control::certificates::CertificateView;
use crate::identity::{AccountName, Label};
use crate::mail::Mailbox;
use crate::policy::{Grant, Grants, OnUnauthorized, Rules};
use crate::secret::Secret;
use crate::tls::server::covers;

/// Tell what to type into a client: server, port, TLS, user name, and code to paste
///
/// Chooses the port that suits the client best and a name that the certificate is for. Never tells a password, but makes an
/// application password with --app-password and prints that once.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  posthouse account setup ann --for thunderbird
  posthouse account setup shop --for wordpress --app-password wordpress
  posthouse account setup scanner --for printer
  posthouse account setup shop --for curl --host relay.customer.example --port 2587")]
pub(in crate::cli::account) struct Arguments {
    #[command(flatten)]
    account: AccountOption,
    /// The client; without it all that are known are listed
    #[arg(long = "for", value_name = "CLIENT")]
    client: Option<Client>,
    /// The name that the client connects to, in the place of the server's
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// The listener, in the place of the one that suits the client best
    #[arg(long, value_name = "NAME")]
    listener: Option<String>,
    /// The port, where another is reached from outside than the server has
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// The sender to write, which the account must be allowed to use
    #[arg(long, value_name = "ADDRESS", value_parser = mailbox)]
    from: Option<Mailbox>,
    /// The authority that has issued the certificate (PEM), where clients do not know it by themselves
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Make an application password of this name for the client, and print it
    #[arg(long, value_name = "LABEL", value_parser = Label::parse)]
    app_password: Option<Label>,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

fn mailbox(text: &str) -> Result<Mailbox, String> {
    Mailbox::parse(text).map_err(|error| error.to_string())
}

/// All that is told.
#[derive(Debug, Serialize)]
struct Setup {
    account: String,
    client: Option<String>,
    #[serde(flatten)]
    access: Access,
    /// The listener that has the port.
    listener: String,
    /// What it may send as; `None` for anyone.
    may_send_as: Option<Vec<String>>,
    /// The application password that was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<String>,
    sections: Vec<Section>,
    /// What somebody should know or change.
    notes: Vec<String>,
}

pub(in crate::cli::account) fn run(
    arguments: &Arguments,
    output: &mut Output,
) -> Result<(), Failure> {
    let option = &arguments.account;
    let config = option.configuration.load_verified()?;
    let account = find(&config, &option.name)?;
    let mut setup = setup(&config, account, arguments)?;
    let made = arguments.app_password.as_ref();
    let made = made
        .map(|label| app_password::make(&config, &account.name, label))
        .transpose()?;
    setup.password = made.as_ref().map(|made: &Secret| made.expose().to_owned());
    if arguments.json {
        output.json(&setup)?;
    } else {
        print(&setup, output)?;
    }
    match made {
        Some(_) if arguments.json => running::reload(&config.server.data_dir).map(drop),
        Some(_) => running::reload_after_edit(&config.server.data_dir, output),
        None => Ok(()),
    }
}

fn setup(config: &Checked, account: &Account, arguments: &Arguments) -> Result<Setup, Failure> {
    let profile = config.profiles.get(&account.name);
    let rules = profile.map(|profile| &profile.rules);
    let has_password = account.password.is_some()
        || !account.app_passwords.is_empty()
        || arguments.app_password.is_some();
    let login = if has_password || account.networks.is_empty() {
        Login::Password
    } else {
        Login::Network
    };
    let chosen = chosen(config, arguments, login)?;
    let mut notes = notes(config, account, (&chosen, has_password));
    let host = host(config, arguments, (&chosen, &mut notes));
    let sender = sender(account, rules, (arguments, &mut notes))?;
    let access = Access {
        host,
        port: chosen.port,
        security: chosen.security,
        user: match login {
            Login::Network => None,
            Login::Password => Some(user(account, arguments.client)),
        },
        sender,
        authority: arguments
            .ca_file
            .as_ref()
            .map(|file| file.display().to_string()),
    };
    let sections = arguments.client.map(|client| sections(client, &access));
    Ok(Setup {
        account: account.name.to_string(),
        client: arguments.client.map(Client::name),
        listener: chosen.listener,
        may_send_as: rules.and_then(|rules| match &rules.grants {
            Grants::Anyone => None,
            Grants::Only(grants) => Some(grants.iter().map(ToString::to_string).collect()),
        }),
        password: None,
        sections: sections.unwrap_or_default(),
        notes,
        access,
    })
}

fn chosen(config: &Checked, arguments: &Arguments, login: Login) -> Result<Candidate, Failure> {
    if let Some(name) = &arguments.listener
        && !config
            .listeners
            .iter()
            .any(|listener| listener.name == *name)
    {
        let message = format!("there is no listener `{name}`");
        let hint = "`posthouse listener list` shows all";
        return Err(Failure::new(Code::NoInput, message).with_hint(hint));
    }
    let wish = arguments.client.map_or(Wish::TlsFirst, Client::wish);
    let asked = Asked {
        listener: arguments.listener.clone(),
        port: arguments.port,
    };
    let found = choose(&candidates(config, login), wish, &asked);
    let hint = "`posthouse listener show` tells what each takes; --listener and --port name one that is reached another way";
    let Some(chosen) = found else {
        let message = match wish {
            Wish::StartTlsOnly(ports) => {
                let ports: Vec<_> = ports.iter().map(ToString::to_string).collect();
                let ports = ports.join(", ");
                format!(
                    "there is no port that takes logins with STARTTLS among {ports}; this client uses no other"
                )
            }
            Wish::PlainFirst | Wish::StartTlsFirst | Wish::TlsFirst => {
                "there is no port at which this account can log in with a password".to_owned()
            }
        };
        return Err(Failure::new(Code::NoInput, message).with_hint(hint));
    };
    if chosen.port == 0 {
        let message = format!("listener `{}` takes any port that is free", chosen.listener);
        let hint = "name the port with --port, or another listener with --listener";
        return Err(Failure::new(Code::NoInput, message).with_hint(hint));
    }
    Ok(chosen)
}

/// Returns what an account logs in as; for devices, which often take few letters, the shortest of its names.
fn user(account: &Account, client: Option<Client>) -> String {
    let name = account.name.as_str();
    let aliases = account.aliases.iter().map(AccountName::as_str);
    let names = std::iter::once(name).chain(aliases);
    let shortest = names.min_by_key(|name| name.chars().count());
    let is_device = client == Some(Client::Printer);
    shortest.filter(|_| is_device).unwrap_or(name).to_owned()
}

/// Returns the name to connect to: the server's, where a certificate is for it.
fn host(
    config: &Checked,
    arguments: &Arguments,
    (chosen, notes): (&Candidate, &mut Vec<String>),
) -> String {
    let own = config.server.hostname.as_ascii();
    let own = own.trim_start_matches('[').trim_end_matches(']');
    let own = own.strip_prefix("IPv6:").unwrap_or(own);
    let asked = arguments.host.as_deref();
    if chosen.security == Security::None {
        return asked.unwrap_or(own).to_owned();
    }
    let certificates = app::certificates(config, SystemClock.now());
    let find = |name: &str| {
        let is_for = |certificate: &&CertificateView| {
            certificate
                .names
                .iter()
                .any(|covered| covers(covered, name))
        };
        certificates.iter().find(is_for)
    };
    let default = certificates
        .iter()
        .find(|certificate| certificate.is_default);
    let (host, certificate) = match asked {
        Some(name) => (name, find(name)),
        None => match (find(own), default) {
            (Some(certificate), _) => (own, Some(certificate)),
            (None, Some(default)) => {
                let mut names = default.names.iter().filter(|name| !name.starts_with("*."));
                names
                    .next()
                    .map_or((own, None), |name| (name.as_str(), Some(default)))
            }
            (None, None) => (own, None),
        },
    };
    let is_made_later = default.is_some_and(|default| default.names.is_empty());
    match certificate {
        None if is_made_later => {}
        None => notes.push(format!(
            "No certificate is for {host}: clients will refuse it (`posthouse tls list`)."
        )),
        Some(certificate) if certificate.issuer.is_none() && certificate.source == "acme" => {
            notes.push(format!(
                "The certificate for {host} has not been issued yet (`posthouse tls list`)."
            ));
        }
        Some(_) => {}
    }
    if certificate
        .or(default)
        .is_some_and(|shown| shown.source == "self-signed")
    {
        notes.push(
            "The certificate is self-signed: programs refuse it, people are asked. [tls.acme] gets a real one.".to_owned(),
        );
    }
    host.to_owned()
}

/// Returns an address that the account may send as.
fn sender(
    account: &Account,
    rules: Option<&Rules>,
    (arguments, notes): (&Arguments, &mut Vec<String>),
) -> Result<String, Failure> {
    let may_use = |sender: &Mailbox| rules.is_some_and(|rules| rules.may_use(sender));
    if let Some(sender) = &arguments.from {
        if may_use(sender) {
            return Ok(sender.to_string());
        }
        let message = format!("account `{}` may not send as {sender}", account.name);
        let hint = format!(
            "`posthouse account show {}` tells what it may",
            account.name
        );
        return Err(Failure::new(Code::NoPermission, message).with_hint(hint));
    }
    let own = Mailbox::parse(account.name.as_str()).ok().filter(may_use);
    let certain =
        own.or_else(
            || match rules.map(|rules| (&rules.on_unauthorized, &rules.grants)) {
                Some((OnUnauthorized::Rewrite(sender), _)) => Some(sender.clone()),
                Some((_, Grants::Only(grants))) => grants.iter().find_map(|grant| match grant {
                    Grant::Mailbox(mailbox) => Some(mailbox.clone()),
                    Grant::Domain(_) | Grant::Subdomains(_) => None,
                }),
                Some((_, Grants::Anyone)) | None => None,
            },
        );
    if let Some(sender) = certain {
        return Ok(sender.to_string());
    }
    let (example, what) = match rules.map(|rules| &rules.grants) {
        Some(Grants::Only(grants)) => match grants.first() {
            Some(Grant::Domain(domain)) => {
                (format!("you@{domain}"), format!("any address at {domain}"))
            }
            Some(Grant::Subdomains(domain)) => (
                format!("you@mail.{domain}"),
                format!("any address below {domain}"),
            ),
            Some(Grant::Mailbox(mailbox)) => (mailbox.to_string(), mailbox.to_string()),
            None => {
                notes.push(format!(
                    "Account {} may send as nobody until `posthouse sender add` has added what is verified.",
                    account.name
                ));
                return Ok("you@example.com".to_owned());
            }
        },
        Some(Grants::Anyone) | None => ("you@example.com".to_owned(), "anyone".to_owned()),
    };
    notes.push(format!(
        "{example} is an example: {} may send as {what}. --from names another.",
        account.name
    ));
    Ok(example)
}

fn notes(
    config: &Checked,
    account: &Account,
    (chosen, has_password): (&Candidate, bool),
) -> Vec<String> {
    let name = &account.name;
    let mut notes = Vec::new();
    if !account.active {
        notes.push(format!(
            "The account is disabled: `posthouse account enable {name}`."
        ));
    }
    let networks = account.networks.iter().map(ToString::to_string);
    let networks = networks.collect::<Vec<_>>().join(", ");
    match (has_password, account.networks.is_empty()) {
        (false, true) => notes.push(format!(
            "The account has no password yet: `posthouse account passwd {name}`, or --app-password."
        )),
        (_, false) => notes.push(format!(
            "Clients in {networks} need no user name and password."
        )),
        (true, true) => {}
    }
    if !chosen.networks.is_empty() {
        let networks: Vec<_> = chosen.networks.iter().map(ToString::to_string).collect();
        notes.push(format!(
            "Passwords are taken without TLS from {} alone.",
            networks.join(", ")
        ));
    }
    if !chosen.is_reached_from_elsewhere {
        notes.push(format!(
            "Only this machine reaches listener `{}`.",
            chosen.listener
        ));
    }
    if !reachable(config, name) {
        notes
            .push("No upstream takes the mail of this account: it is refused with 451.".to_owned());
    }
    notes
}

fn print(setup: &Setup, output: &mut Output) -> Result<(), Failure> {
    let access = &setup.access;
    output.field("server", &access.host)?;
    output.field("port", access.port)?;
    output.field("security", access.security.words())?;
    match &access.user {
        Some(user) => output.field("user name", user)?,
        None => output.field("user name", "none: it is known by its network")?,
    }
    if let Some(password) = &setup.password {
        output.field("password", password)?;
        output.line("Note it now: it is stored as a hash and cannot be shown again.")?;
    }
    let may_send_as = setup.may_send_as.as_ref();
    let may_send_as = may_send_as.map_or_else(|| "anyone".to_owned(), |grants| grants.join(", "));
    output.field("may send as", may_send_as)?;
    for section in &setup.sections {
        output.line("")?;
        output.styled(Style::Bold, format_args!("# {}", section.title))?;
        for line in section.text.lines() {
            output.line(line)?;
        }
    }
    if setup
        .sections
        .iter()
        .any(|section| section.text.contains(VARIABLE))
    {
        output.line("")?;
        let text =
            format!("The password is taken from the variable {VARIABLE} of the environment.");
        output.line(text)?;
    }
    if !setup.notes.is_empty() {
        output.line("")?;
    }
    for note in &setup.notes {
        output.styled(Style::Yellow, note)?;
    }
    if setup.client.is_none() {
        list(output)?;
    }
    Ok(())
}

fn list(output: &mut Output) -> Result<(), Failure> {
    output.line("")?;
    output.line("--for CLIENT tells where to type it:")?;
    let mut table = Table::new(["CLIENT", "IS"]);
    for client in Client::value_variants() {
        table.add([client.name(), client.description()]);
    }
    table.print(output)
}
