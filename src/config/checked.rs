//! A configuration that can be used.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::time::Duration;

use super::diagnostic::Diagnostic;
use super::effective::Setting;
use super::expiry::Expiry;
use super::sources::Sources;
use crate::acme;
use crate::alert;
use crate::auth::{Accounts, ThrottleSettings};
use crate::dkim::Signers;
use crate::identity::{AccountName, UpstreamName};
use crate::journal;
use crate::mail::{Domain, Mailbox};
use crate::policy::VerifiedSenders;
use crate::quota;
use crate::route::Table;
use crate::schedule::{Bounds, RetryPlan};
use crate::submission::{ConnectionLimits, ListenerSettings, Profile};
use crate::tls;
use crate::token;
use crate::upstream::{graph, maildir, smtp};
use crate::verification::Ledger;
use crate::web::public;

/// All settings, each in the form its module takes.
#[derive(Debug)]
pub struct Checked {
    /// The server as a whole.
    pub server: Server,
    /// Logging.
    pub log: Log,
    /// Where clients connect; at least one.
    pub listeners: Vec<ListenerSettings>,
    /// What is in force for each listener, as it can be shown.
    pub shown_listeners: Vec<ShownListener>,
    /// Where the certificate of the listeners comes from.
    pub tls: tls::server::Settings,
    /// How certificates are got from an authority; `None` where none is.
    pub acme: Option<acme::Settings>,
    /// How much guessing of passwords is put up with.
    pub throttle: ThrottleSettings,
    /// Whose access tokens count at logins.
    pub tokens: Vec<token::Settings>,
    /// Who may log in.
    pub accounts: Accounts,
    /// What is done for the mail of each account; has every account.
    pub profiles: HashMap<AccountName, Profile>,
    /// What verified senders change in the rules of each account; has every account.
    pub verified_senders: HashMap<AccountName, VerifiedSenders>,
    /// The notes of the accounts that have one.
    pub notes: HashMap<AccountName, String>,
    /// Which tables say how the senders of each account are judged; has every account.
    pub sources: HashMap<AccountName, Sources>,
    /// The file of the accounts, for edits; it need not exist.
    pub accounts_file: PathBuf,
    /// How much accounts and tenants may send.
    pub quotas: quota::Table,
    /// Which upstream takes whose mail.
    pub routes: Table,
    /// The upstreams.
    pub upstreams: BTreeMap<UpstreamName, Upstream>,
    /// The keys that sign, those of upstreams that do not sign among them.
    pub dkim: Signers,
    /// The retry plan of `[relay]`, for what has no upstream.
    pub retry: RetryPlan,
    /// How long mail of low priority waits before it rises; `None` for ever.
    pub ageing: Option<Duration>,
    /// Bounds of the spool.
    pub spool: SpoolLimits,
    /// What is kept of the life of messages.
    pub journal: journal::Settings,
    /// The sender of posthouse's own mail.
    pub system_mail: SystemMail,
    /// What people are told by themselves, and who.
    pub alerts: alert::Settings,
    /// The public web listener, where there is one.
    pub public: Option<public::Settings>,
    /// The files that were named and read, and the folders that were named.
    pub files: BTreeSet<PathBuf>,
    /// Secrets, keys and certificates whose end is known.
    pub expiries: Vec<Expiry>,
    /// What somebody should look at.
    pub warnings: Vec<Diagnostic>,
}

impl Checked {
    /// Returns the profiles with what has been verified. [`Checked::profiles`] are those without.
    pub fn profiles_with(&self, ledger: &Ledger) -> HashMap<AccountName, Profile> {
        with_verified(&self.profiles, &self.verified_senders, ledger)
    }
}

/// Adds what has been verified to the profiles that are configured.
#[expect(
    clippy::implicit_hasher,
    reason = "they are the maps of the configuration, and no others"
)]
pub fn with_verified(
    profiles: &HashMap<AccountName, Profile>,
    how: &HashMap<AccountName, VerifiedSenders>,
    ledger: &Ledger,
) -> HashMap<AccountName, Profile> {
    let profiles = profiles.iter();
    let with = |(name, profile): (&AccountName, &Profile)| {
        let how = how.get(name).copied().unwrap_or_default();
        let rules = profile.rules.with_verified(how, &ledger.verified_of(name));
        let profile = Profile {
            rules,
            ..profile.clone()
        };
        (name.clone(), profile)
    };
    profiles.map(with).collect()
}

/// The section `[server]`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Server {
    /// The name in greeting, EHLO and `Received:`.
    pub hostname: Domain,
    /// Where the spool, the control socket and the self-signed certificate are.
    pub data_dir: PathBuf,
    /// The user to become after the ports are bound. Not looked up yet.
    pub run_as: Option<String>,
    /// How long transactions that run may go on after SIGTERM.
    pub shutdown_grace: Duration,
    /// How many clients may be connected.
    pub connections: ConnectionLimits,
    /// Whether the kernel keeps the server inside its folders.
    pub sandbox: SandboxMode,
}

/// Whether the kernel keeps the server inside its folders.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SandboxMode {
    /// Where it can.
    Auto,
    /// No.
    Off,
    /// Or there is no start.
    Required,
}

/// A listener for people to look at.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ShownListener {
    /// Its name.
    pub name: String,
    /// The profile below what is written.
    pub profile: Option<&'static str>,
    /// All of it, with the origin of each value.
    pub settings: Vec<Setting>,
}

/// The section `[log]`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Log {
    /// What is logged: this and what is worse.
    pub level: tracing::Level,
    /// How.
    pub format: LogFormat,
}

/// The form of the log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LogFormat {
    /// One JSON object each line.
    Json,
    /// One line of text each.
    Text,
}

/// An upstream: how it is reached, and when it is tried again.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Upstream {
    /// How it is reached.
    pub engine: Engine,
    /// When a deferred message is attempted again.
    pub retry: RetryPlan,
    /// How much it is given.
    pub bounds: Bounds,
    /// All of it as it can be shown, with the origin of each value.
    pub settings: Vec<Setting>,
}

/// How an upstream is reached.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Engine {
    /// By Microsoft Graph.
    Graph(Box<graph::Setup>),
    /// Mail is kept in a local folder.
    Maildir(maildir::Settings),
    /// By SMTP or SMTPS.
    Smtp(Box<smtp::Settings>),
}

impl Engine {
    /// Returns the word for its kind: the name of its table.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Graph(_) => "graph",
            Self::Maildir(_) => "maildir",
            Self::Smtp(_) => "smtp",
        }
    }

    /// Returns whether nothing is sent once the certificate of its server has ended.
    pub fn is_certificate_judged(&self) -> bool {
        match self {
            Self::Graph(_) | Self::Maildir(_) => false,
            Self::Smtp(settings) => {
                let is_encrypted = match settings.tls {
                    smtp::TlsPolicy::Disabled | smtp::TlsPolicy::Opportunistic => false,
                    smtp::TlsPolicy::Implicit | smtp::TlsPolicy::Required => true,
                };
                let has_dates = match settings.verification {
                    smtp::Verification::Authority(_) | smtp::Verification::SystemRoots => true,
                    smtp::Verification::Fingerprint(_) | smtp::Verification::Off => false,
                };
                is_encrypted && has_dates
            }
        }
    }

    /// Returns where mail goes, in words: a host with its port, or a folder.
    pub fn place(&self) -> String {
        match self {
            Self::Graph(setup) => setup.settings.endpoint.to_string(),
            Self::Maildir(settings) => settings.directory.display().to_string(),
            Self::Smtp(settings) => {
                let mx = if settings.mx { " (MX)" } else { "" };
                format!("{}:{}{mx}", settings.host, settings.port)
            }
        }
    }
}

/// The section `[spool]`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SpoolLimits {
    /// Where the segments are.
    pub directory: PathBuf,
    /// The size of a segment, in octets.
    pub segment_size: u64,
    /// Octets of recent messages that are kept in memory.
    pub memory_budget: u64,
    /// Messages that may wait.
    pub max_messages: u64,
    /// Octets of messages that may wait.
    pub max_octets: u64,
    /// Octets of memory that the messages that wait may take.
    pub max_memory: u64,
    /// Octets of the file system that are left free.
    pub min_free: u64,
}

/// The section `[system_mail]`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SystemMail {
    /// The address in `From:` of posthouse's own mail.
    pub sender: Mailbox,
    /// The name beside it.
    pub name: String,
}
