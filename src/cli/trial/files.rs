//! The folder of a trial: configuration, account, password, mail.

use std::fmt::Write as _;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use toml_edit::Value;

use crate::auth::generate_password;
use crate::config::{AccountKey, AccountValue, AccountsFile, AccountsFileError, NewAccount};
use crate::control::client::Client;
use crate::identity::AccountName;
use crate::mail::Domain;
use crate::secret::Secret;

use crate::cli::failure::{Code, Failure};
use crate::cli::hash_password::{chance, hash};

use super::url::{UpstreamUrl, UrlTls};

/// The name of the one account.
pub(super) const ACCOUNT: &str = "demo";

/// The data directory, in the folder of the trial.
const DATA: &str = "data";

/// The first line of a configuration that a trial may write over.
const MARK: &str = "# Written by `posthouse try`, which writes it anew at each start.";

/// A folder ready for a trial.
pub(super) struct Files {
    pub(super) folder: PathBuf,
    pub(super) config: PathBuf,
    pub(super) mail: PathBuf,
    pub(super) password: Secret,
}

/// What the configuration says.
pub(super) struct Plan<'a> {
    pub(super) addresses: &'a [IpAddr],
    pub(super) starttls_port: u16,
    pub(super) implicit_port: u16,
    pub(super) upstream: Option<&'a UpstreamUrl>,
    pub(super) verify: Verify,
    pub(super) log: Log,
}

/// What is logged beside what is shown anyway.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Log {
    Warnings,
    Everything,
}

/// Whether the certificate of an upstream counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verify {
    No,
    Yes,
}

impl Files {
    /// Makes the folder, or uses that of an earlier trial with its password, its certificate and its queue.
    pub(super) fn prepare(directory: &Path) -> Result<Self, Failure> {
        let folder = make_folder(directory)?;
        let config = folder.join("posthouse.toml");
        let is_foreign = fs::read_to_string(&config).is_ok_and(|text| !text.starts_with(MARK));
        if is_foreign {
            let message = format!("{} is not of a trial and is left alone", config.display());
            return Err(Failure::new(Code::CannotCreate, message)
                .with_hint("name another folder with --directory, or run `posthouse serve`"));
        }
        // Before anything of the trial that runs is written over.
        if Client::connect(&folder.join(DATA)).is_ok() {
            let message = format!("a trial runs already in {}", folder.display());
            return Err(Failure::new(Code::Unavailable, message)
                .with_hint("end it with Ctrl-C, or name another folder with --directory"));
        }
        let password = password(&folder.join("password"))?;
        account(&folder.join("accounts.toml"), &password)?;
        Ok(Self {
            mail: folder.join("mail"),
            config,
            password,
            folder,
        })
    }

    /// Writes the configuration.
    pub(super) fn configure(&self, plan: &Plan<'_>) -> Result<(), Failure> {
        write(&self.config, &text(plan))
    }
}

/// Makes the folder; where that is not possible, one for temporary files. The path is absolute.
fn make_folder(directory: &Path) -> Result<PathBuf, Failure> {
    let make = |path: &Path| DirBuilder::new().recursive(true).mode(0o700).create(path);
    let failed = |error| Failure::file(Code::CannotCreate, "create", directory, &error);
    let folder = match make(directory) {
        Err(error) if is_read_only(&error) && directory.is_relative() => {
            let name = format!("posthouse-try-{}", std::process::id());
            let temporary = std::env::temp_dir().join(name);
            make(&temporary).map_err(failed)?;
            temporary
        }
        Err(error) => return Err(failed(error)),
        Ok(()) => directory.to_owned(),
    };
    folder.canonicalize().map_err(failed)
}

fn is_read_only(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
    )
}

/// Returns the password of an earlier trial, so that a mail client that was set up then goes on working, or makes one.
fn password(path: &Path) -> Result<Secret, Failure> {
    let stored = fs::read_to_string(path).unwrap_or_default();
    if !stored.trim().is_empty() {
        return Ok(Secret::new(stored.trim().to_owned()));
    }
    let password = generate_password::<20>(chance()?);
    write(path, &format!("{}\n", password.expose()))?;
    Ok(password)
}

/// Makes the account, or gives it the password again. What somebody has changed besides stays.
fn account(path: &Path, password: &Secret) -> Result<(), Failure> {
    let accounts = AccountsFile::new(path.to_owned());
    let failed = |error: &AccountsFileError| Failure::of(Code::CannotCreate, error);
    let name = AccountName::parse(ACCOUNT).map_err(|error| Failure::of(Code::Usage, &error))?;
    let hash = hash(password)?;
    match accounts.set_password(&name, &hash, None) {
        Err(AccountsFileError::Missing(_)) => {
            let account = NewAccount {
                name,
                password: Some(hash),
                scram: None,
                keys: vec![(
                    AccountKey::Note,
                    AccountValue::Text("the account of posthouse try".to_owned()),
                )],
            };
            accounts.add(&account).map_err(|error| failed(&error))
        }
        other => other.map_err(|error| failed(&error)),
    }
}

/// Writes a file for its owner alone.
fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path);
    let written = file.and_then(|mut file: File| file.write_all(text.as_bytes()));
    written.map_err(|error| Failure::file(Code::CannotCreate, "write", path, &error))
}

fn text(plan: &Plan<'_>) -> String {
    let addresses: Vec<_> = plan.addresses.iter().map(bracketed).collect();
    let addresses = addresses.join(", ");
    let level = match plan.log {
        Log::Warnings => "warn",
        Log::Everything => "info",
    };
    let (hostname, upstream) = match plan.upstream {
        // Nobody else sees the name, and it fits the certificate that a mail client on this machine is shown.
        None => ("localhost".to_owned(), maildir().to_owned()),
        Some(url) => (machine(), smtp(url, plan.verify)),
    };
    format!(
        "{MARK}\n\
         # One for use in earnest, with every key explained: posthouse check --defaults\n\n\
         [server]\nhostname = {hostname}\ndata_dir = \"{DATA}\"\n\n\
         [log]\nlevel = \"{level}\"\n\n\
         [[listener]]\nname = \"submission\"\naddress = [{addresses}]\nports = [\"{starttls}\"]\n\
         tls = \"starttls\"\nauth = \"after-tls\"\n\n\
         [[listener]]\nname = \"submissions\"\naddress = [{addresses}]\nports = [\"{implicit}\"]\n\
         tls = \"implicit\"\n\n\
         [relay]\nupstream = [\"local\"]\n\n\
         {upstream}\n\
         [accounts]\nfile = \"accounts.toml\"\n",
        hostname = quoted(&hostname),
        starttls = plan.starttls_port,
        implicit = plan.implicit_port,
    )
}

fn maildir() -> &'static str {
    "[upstream.local.maildir]\ndirectory = \"mail\"\n"
}

fn smtp(url: &UpstreamUrl, verify: Verify) -> String {
    let tls = match url.tls {
        UrlTls::Implicit => "implicit",
        UrlTls::Opportunistic => "opportunistic",
        UrlTls::Required => "required",
    };
    let mut table = format!(
        "[upstream.local.smtp]\nhost = {}\nport = {}\ntls = \"{tls}\"\n",
        quoted(&url.host),
        url.port
    );
    if verify == Verify::No {
        table.push_str("verify = false\n");
    }
    if let Some((user, password)) = &url.login {
        let (user, password) = (quoted(user), quoted(password.expose()));
        // Writing to a `String` cannot fail.
        let _ = writeln!(
            table,
            "username = {user}\npassword = {{ inline = {password} }}"
        );
    }
    table
}

/// Writes a text as TOML, whatever is in it.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn bracketed(address: &IpAddr) -> String {
    match address {
        IpAddr::V4(address) => format!("\"{address}\""),
        IpAddr::V6(address) => format!("\"[{address}]\""),
    }
}

fn machine() -> String {
    let system = rustix::system::uname();
    let name = system.nodename().to_string_lossy().into_owned();
    if Domain::parse(&name).is_ok() {
        name
    } else {
        "localhost".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;
    use crate::config::{self, Engine};
    use crate::upstream::smtp::{Credential, TlsPolicy};

    fn plan(upstream: Option<&UpstreamUrl>) -> Plan<'_> {
        const ADDRESSES: &[IpAddr] = &[
            IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(Ipv6Addr::LOCALHOST),
        ];
        Plan {
            addresses: ADDRESSES,
            starttls_port: 2525,
            implicit_port: 4650,
            upstream,
            verify: Verify::Yes,
            log: Log::Warnings,
        }
    }

    #[test]
    fn the_configuration_of_a_trial_can_be_used() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::prepare(folder.path()).unwrap();
        files.configure(&plan(None)).unwrap();
        let checked = config::load(&files.config).unwrap();
        assert_eq!(checked.listeners.len(), 2);
        assert!(checked.accounts.find(ACCOUNT).is_some());
        let engine = &checked.upstreams.values().next().unwrap().engine;
        let Engine::Maildir(settings) = engine else {
            panic!("{engine:?}")
        };
        assert_eq!(settings.directory, files.mail);
    }

    #[test]
    fn an_upstream_given_as_url_is_configured_as_it_says() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::prepare(folder.path()).unwrap();
        let url = UpstreamUrl::parse("smtps://a%22b:c%5Cd@mail.example").unwrap();
        files.configure(&plan(Some(&url))).unwrap();
        let checked = config::load(&files.config).unwrap();
        let engine = &checked.upstreams.values().next().unwrap().engine;
        let Engine::Smtp(settings) = engine else {
            panic!("{engine:?}")
        };
        assert_eq!((settings.tls, settings.port), (TlsPolicy::Implicit, 465));
        let login = settings.login.as_ref().unwrap();
        assert_eq!(
            (&*login.username, &login.credential),
            (
                "a\"b",
                &Credential::Password(Secret::new("c\\d".to_owned()))
            )
        );
    }

    #[test]
    fn a_second_trial_has_the_same_password() {
        let folder = tempfile::tempdir().unwrap();
        let first = Files::prepare(folder.path()).unwrap();
        let second = Files::prepare(folder.path()).unwrap();
        assert_eq!(first.password, second.password);
    }

    #[test]
    fn a_configuration_in_earnest_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("posthouse.toml");
        write(&path, "[server]\n").unwrap();
        let failure = Files::prepare(folder.path()).err().unwrap();
        assert_eq!(failure.code, Code::CannotCreate);
        assert_eq!(fs::read_to_string(path).unwrap(), "[server]\n");
    }
}
