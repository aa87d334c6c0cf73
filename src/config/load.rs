//! From files to settings.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use super::check::{self, CheckedAccounts, Context, Names};
use super::checked::{Checked, Log, LogFormat, Server, Upstream};
use super::diagnostic::{Diagnostic, Report, Severity, Source};
use super::expiry::Expiry;
use super::{raw, read};
use crate::alert;
use crate::auth::Accounts;
use crate::dkim::Signers;
use crate::identity::UpstreamName;
use crate::mail::Domain;
use crate::quota;
use crate::route::Table;
use crate::smtp::server;

/// The largest file, in octets: some 100,000 accounts.
const MAX_FILE: u64 = 64 << 20;

/// Reads and checks a configuration, with the accounts file and the secrets and certificates it names.
///
/// Relative paths start at the folder of the file that holds them. Reads files, looks up nothing in the network,
/// creates nothing. Blocks on the disk.
///
/// # Errors
/// The [`Report`] has every fault of both files, and the warnings.
pub fn load(path: &Path) -> Result<Checked, Report> {
    let mut found = Vec::new();
    let Some((root, mut context)) = open::<raw::Root>(path, Missing::IsError, &mut found) else {
        return Err(Report::new(found));
    };
    context.data_dir = context.path(root.server.data_dir.get_ref());
    let checked = check_root(&root, &mut context, &mut found);
    found.extend(context.into_diagnostics());
    found.sort_by_key(Diagnostic::order);
    let has_errors = found.iter().any(|d| d.severity() == Severity::Error);
    match checked {
        Some(mut checked) if !has_errors => {
            checked.warnings = found;
            Ok(checked)
        }
        _ => Err(Report::new(found)),
    }
}

/// Returns the data directory that a configuration names, whatever else is wrong with it: enough to find the control
/// socket of a running server while somebody edits its configuration.
///
/// # Errors
/// The [`Report`] says why the file cannot be read at all.
pub fn data_dir(path: &Path) -> Result<PathBuf, Report> {
    let mut found = Vec::new();
    let opened = open::<raw::Root>(path, Missing::IsError, &mut found);
    let Some((root, context)) = opened else {
        return Err(Report::new(found));
    };
    Ok(context.path(root.server.data_dir.get_ref()))
}

/// What it means that a file is not there.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Missing {
    IsEmpty,
    IsError,
}

fn check_root(
    root: &raw::Root,
    context: &mut Context,
    found: &mut Vec<Diagnostic>,
) -> Option<Checked> {
    let server = check::server(context, &root.server);
    // With a wrong name the rest is checked all the same; the result is not used then.
    let hostname = hostname(server.as_ref());
    let session = session(root, &hostname);
    let (listeners, shown_listeners) =
        check::listeners(context, &root.listener, (&root.session, &session));
    let public = check::public(context, &root.http, &listeners);
    let retry = check::plan(context, &raw::OwnRetry::default(), &root.relay.retry);
    let (upstreams, dkim) = upstreams(context, root, &hostname);
    let names = upstreams.iter().map(|(name, _)| name.clone()).collect();
    let (routes, names) = check::relay(context, root, names);
    let users = users(context, root, (&names, routes), found);
    check::check_tokens(context, root);
    let tokens = check::login(context, &root.login, &names.tenants);
    let system_mail = check::system_mail(context, &root.system_mail, &hostname);
    let server = server?;
    let throttle = check::throttle(context, &root.auth.throttle);
    let certificates = check::certificates(context, &root.tls, &server)?;
    let files = users.files.into_iter().chain(context.take_named());
    let files = files.collect();
    let all = users.accounts?;
    Some(Checked {
        log: log(&root.log),
        listeners,
        shown_listeners,
        tls: certificates.tls,
        acme: certificates.acme,
        throttle,
        tokens,
        accounts: Accounts::new(all.accounts).ok()?,
        profiles: all.profiles,
        notes: all.notes,
        verified_senders: all.verified,
        sources: all.sources,
        accounts_file: users.file,
        quotas: users.quotas,
        routes: users.routes,
        upstreams: usable(upstreams)?,
        dkim: dkim?,
        retry: retry?,
        ageing: Some(root.relay.ageing.get()).filter(|ageing| !ageing.is_zero()),
        spool: check::spool(&root.spool, &server),
        journal: check::journal(&root.journal, &server),
        system_mail: system_mail?,
        alerts: users.alerts,
        public,
        expiries: [context.take_expiries(), users.expiries].concat(),
        files,
        warnings: Vec::new(),
        server,
    })
}

/// The accounts, and what has to do with each of them.
struct Users {
    file: PathBuf,
    /// `None` where the file cannot be read.
    accounts: Option<CheckedAccounts>,
    routes: Table,
    quotas: quota::Table,
    alerts: alert::Settings,
    /// What of theirs comes to an end.
    expiries: Vec<Expiry>,
    /// The files that they name.
    files: BTreeSet<PathBuf>,
}

/// Reads and checks the accounts, and adds them to routes, quotas and alerts.
fn users(
    context: &mut Context,
    root: &raw::Root,
    (names, mut routes): (&Names, Table),
    found: &mut Vec<Diagnostic>,
) -> Users {
    let file = context.path(root.accounts.file.get_ref());
    let defaults = &root.accounts.defaults;
    let (mut quotas, limits) = check::quotas(context, &root.tenant, defaults);
    let senders = check::senders(context, defaults, &root.tenant);
    let mut alerts = check::alerts(context, root, &names.upstreams);
    let tables = check::Tables {
        names,
        routes: &mut routes,
        quotas: &mut quotas,
        limits,
        senders,
        alerts: &mut alerts,
    };
    let (accounts, expiries, files) = accounts(&file, defaults, tables, found);
    if let Some(all) = &accounts {
        check_names(context, root, all, (found, &file));
        check::check_scram(context, &root.listener, &all.accounts);
        check::check_client_certificates(context, root, &all.accounts);
    }
    Users {
        file,
        accounts,
        routes,
        quotas,
        alerts,
        expiries,
        files,
    }
}

/// Returns what all sessions have in common. Tokens are offered where anybody's count.
fn session(root: &raw::Root, hostname: &Domain) -> server::Settings {
    let session = check::session(&root.session, hostname.clone());
    if root.login.oauth.is_empty() {
        return session;
    }
    server::Settings {
        mechanisms: server::Settings::mechanisms_with_tokens(),
        ..session
    }
}

/// Reads and checks the accounts; returns also what of theirs comes to an end, and the files that they name.
fn accounts(
    path: &Path,
    defaults: &raw::AccountDefaults,
    tables: check::Tables<'_>,
    found: &mut Vec<Diagnostic>,
) -> (Option<CheckedAccounts>, Vec<Expiry>, BTreeSet<PathBuf>) {
    let Some((raw, mut context)) = open::<raw::AccountsRoot>(path, Missing::IsEmpty, found) else {
        return (None, Vec::new(), BTreeSet::new());
    };
    let checked = check::accounts(&mut context, &raw, defaults, tables);
    let (expiries, files) = (context.take_expiries(), context.take_named());
    found.extend(context.into_diagnostics());
    (Some(checked), expiries, files)
}

/// Returns the upstreams, with who signs for them, and all keys.
fn upstreams(
    context: &mut Context,
    root: &raw::Root,
    hostname: &Domain,
) -> (Vec<(UpstreamName, Option<Upstream>)>, Option<Signers>) {
    let dkim = check::dkim(context, &root.dkim);
    let mut upstreams = check::upstreams(context, &root.upstream, &root.relay.retry, hostname);
    if let Some(signers) = &dkim {
        check::equip(&mut upstreams, &root.upstream, signers);
    }
    (upstreams, dkim)
}

/// Checks that there are accounts, and those that routes are for.
fn check_names(
    context: &mut Context,
    root: &raw::Root,
    all: &CheckedAccounts,
    (found, accounts_file): (&[Diagnostic], &Path),
) {
    let names = all.accounts.iter().map(|account| account.name.as_str());
    let names: BTreeSet<&str> = names.collect();
    if names.is_empty() && !has_error_in(found, accounts_file) {
        warn_of_no_account(context, root, accounts_file);
    }
    check::route_accounts(context, &root.route, &names);
}

fn warn_of_no_account(context: &mut Context, root: &raw::Root, accounts_file: &Path) {
    let message = format!("there is no account in {}", accounts_file.display());
    let hint = "posthouse account add NAME makes one";
    context.warning(root.accounts.file.span(), message, hint);
}

fn has_error_in(found: &[Diagnostic], path: &Path) -> bool {
    let is_error = |d: &Diagnostic| d.severity() == Severity::Error && d.path() == path;
    found.iter().any(is_error)
}

fn usable(
    upstreams: Vec<(UpstreamName, Option<Upstream>)>,
) -> Option<BTreeMap<UpstreamName, Upstream>> {
    upstreams
        .into_iter()
        .map(|(name, upstream)| Some((name, upstream?)))
        .collect()
}

/// Returns the name of the server, or another in its place after an error.
fn hostname(server: Option<&Server>) -> Domain {
    let placeholder = || Domain::from(std::net::IpAddr::from([127, 0, 0, 1]));
    server.map_or_else(placeholder, |server| server.hostname.clone())
}

fn log(raw: &raw::Log) -> Log {
    Log {
        level: match raw.level {
            raw::LogLevel::Error => tracing::Level::ERROR,
            raw::LogLevel::Warn => tracing::Level::WARN,
            raw::LogLevel::Info => tracing::Level::INFO,
            raw::LogLevel::Debug => tracing::Level::DEBUG,
            raw::LogLevel::Trace => tracing::Level::TRACE,
        },
        format: match raw.format {
            raw::LogFormat::Json => LogFormat::Json,
            raw::LogFormat::Text => LogFormat::Text,
        },
    }
}

/// Reads a file into its shape; `None` after an error that leaves nothing to check.
fn open<T: DeserializeOwned + Default>(
    path: &Path,
    missing: Missing,
    found: &mut Vec<Diagnostic>,
) -> Option<(T, Context)> {
    let (text, mode) = match text_of(path) {
        Ok(read) => read,
        Err(error) if error.kind() == io::ErrorKind::NotFound && missing == Missing::IsEmpty => {
            (String::new(), 0)
        }
        Err(error) => {
            let source = Source::new(path, String::new());
            let message = format!("cannot read the file: {error}");
            found.push(Diagnostic::new(Severity::Error, &source, None, message));
            return None;
        }
    };
    let source = Source::new(path, text);
    let reading = read::read::<T>(&source);
    found.extend(reading.diagnostics);
    if !reading.is_toml {
        return None;
    }
    let mut context = Context::new(&source, reading.removed, mode & 0o004 != 0);
    warn_of_writers(&mut context, path, mode);
    Some((reading.raw, context))
}

/// Whoever can write these files decides who may send as whom, and which programs are run.
fn warn_of_writers(context: &mut Context, path: &Path, mode: u32) {
    let who = match mode & 0o022 {
        0 => return,
        0o020 => "its group",
        _ => "everybody",
    };
    let message = format!("{who} can write this file (mode {:03o})", mode & 0o777);
    let hint = format!(
        "who writes it decides who may send as whom: chmod go-w {}",
        path.display()
    );
    context.warning(0..0, message, hint);
}

/// Returns the text of a file, and its mode.
fn text_of(path: &Path) -> io::Result<(String, u32)> {
    let file = File::open(path)?;
    let mode = file.metadata()?.permissions().mode();
    let mut text = String::new();
    let read = file.take(MAX_FILE + 1).read_to_string(&mut text)?;
    if read as u64 > MAX_FILE {
        return Err(io::Error::other("it is larger than 64 MiB"));
    }
    Ok((text, mode))
}

#[cfg(test)]
mod tests;
