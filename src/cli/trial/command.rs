//! The order of a trial.

use std::path::PathBuf;

use crate::app;

use crate::cli::failure::{Code, Failure};
use crate::cli::output::Output;
use crate::cli::serve;

use super::files::{Files, Log, Plan, Verify};
use super::paste::Access;
use super::ports;
use super::url::UpstreamUrl;
use super::watch::Watcher;

/// Run a relay at once, with nothing configured
///
/// Listens on this machine only, with a self-signed certificate and one account, whose password is printed together
/// with commands to paste. Mail is kept in a folder and shown as it arrives, or goes to a real server with --upstream.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  posthouse try
  posthouse try --upstream 'smtps://user:password@smtp.example.net'
  posthouse try --upstream smtp+starttls://ann%40example.com:secret@smtp.example.net:587")]
pub(in crate::cli) struct Arguments {
    /// A folder for configuration, queue and mail; used again by the next trial
    #[arg(long, value_name = "DIRECTORY", default_value = "posthouse-try")]
    directory: PathBuf,
    /// Relay to this server: smtp://, smtp+starttls:// or smtps://, with user:password@ where it needs a login
    ///
    /// The environment variable keeps the password out of the list of processes.
    #[arg(
        long,
        value_name = "URL",
        env = "POSTHOUSE_TRY_UPSTREAM",
        hide_env_values = true
    )]
    upstream: Option<String>,
    /// Do not check the certificate of --upstream (dangerous: anybody on the way can read along)
    #[arg(long, requires = "upstream")]
    insecure_upstream: bool,
    /// The port with STARTTLS; the next free one if it is taken
    #[arg(long, value_name = "PORT", default_value_t = 2525)]
    port: u16,
    /// The port with TLS from the beginning; the next free one if it is taken
    #[arg(long, value_name = "PORT", default_value_t = 4650)]
    tls_port: u16,
    /// Log each session, each login and what becomes of each message
    #[arg(long, short)]
    verbose: bool,
}

/// Parses the URL here and not among the arguments, whose errors quote it with its password.
fn parse_url(text: &str) -> Result<UpstreamUrl, Failure> {
    UpstreamUrl::parse(text).map_err(|error| {
        let message = format!("the URL of --upstream is not understood: {error}");
        Failure::new(Code::Usage, message)
            .with_hint("for example smtps://user:password@smtp.example.net:465")
    })
}

pub(in crate::cli) fn run(arguments: &Arguments, output: &mut Output) -> Result<(), Failure> {
    let upstream = arguments.upstream.as_deref().map(parse_url).transpose()?;
    let files = Files::prepare(&arguments.directory)?;
    let addresses = ports::addresses();
    let starttls_port = ports::free(&addresses, arguments.port, None)?;
    let implicit_port = ports::free(&addresses, arguments.tls_port, Some(starttls_port))?;
    files.configure(&Plan {
        addresses: &addresses,
        starttls_port,
        implicit_port,
        upstream: upstream.as_ref(),
        log: if arguments.verbose || upstream.is_some() {
            Log::Everything
        } else {
            Log::Warnings
        },
        verify: if arguments.insecure_upstream {
            Verify::No
        } else {
            Verify::Yes
        },
    })?;
    let destination = match &upstream {
        Some(url) => format!(
            "{}, port {}; the log below tells what becomes of it",
            url.host, url.port
        ),
        None => format!("{} (a Maildir), and is shown below", files.mail.display()),
    };
    let access = Access {
        starttls_port,
        implicit_port,
        password: files.password.expose(),
        folder: &files.folder,
        destination,
    };
    access.print(output)?;
    let watcher = match upstream {
        Some(_) => None,
        None => Some(Watcher::start(files.mail.clone()).map_err(|error| {
            Failure::new(Code::Unavailable, format!("cannot start a thread: {error}"))
        })?),
    };
    let options = app::Options {
        config: files.config.clone(),
    };
    let served = app::serve(&options);
    drop(watcher);
    served.map_err(|error| serve::failure(&options, &error))?;
    output.line(format_args!(
        "The trial is over. All is kept in {}.",
        files.folder.display()
    ))
}
