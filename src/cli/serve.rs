//! `posthouse serve`.

use std::io;

use crate::app::{self, AppError};
use crate::spool::embedded::OpenError;

use super::configuration::{self, ConfigurationOption};
use super::failure::{Code, Failure};

/// Run the relay until it is stopped
///
/// Takes mail from clients and relays it. Stays in the foreground and logs to standard error, as systemd and
/// containers expect. SIGHUP (or `posthouse reload`) reads the configuration again; SIGTERM or Ctrl-C lets running
/// transactions end and stops. Nothing accepted is lost by a stop.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  posthouse serve
  posthouse serve --config ./posthouse.toml")]
pub(super) struct Arguments {
    #[command(flatten)]
    configuration: ConfigurationOption,
}

pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    let config = arguments.configuration.file;
    configuration::require(&config)?;
    let options = app::Options { config };
    app::serve(&options).map_err(|error| failure(&options, &error))
}

/// Tells why the server did not start.
pub(super) fn failure(options: &app::Options, error: &AppError) -> Failure {
    if let AppError::Config(report) = error {
        return Failure::configuration(&options.config, report);
    }
    let failure = Failure::of(Code::Other(error.exit_code()), error);
    match hint(error) {
        Some(hint) => failure.with_hint(hint),
        None => failure,
    }
}

fn hint(error: &AppError) -> Option<&'static str> {
    match error {
        AppError::Bind(error) if error.source.kind() == io::ErrorKind::PermissionDenied => Some(
            "ports below 1024 are for root: start as root with run_as under [server], or give the \
             program the capability CAP_NET_BIND_SERVICE, or use higher ports",
        ),
        AppError::Bind(error) if error.source.kind() == io::ErrorKind::AddrInUse => Some(
            "another program has the port (`ss -ltnp` tells which): stop it, choose another port, or \
             write on_port_in_use = \"skip\" in the listener",
        ),
        AppError::Spool(OpenError::Locked { .. }) => {
            Some("a posthouse runs already with this data directory; `posthouse status` asks it")
        }
        AppError::AccountsMissing { .. }
        | AppError::Authenticator(_)
        | AppError::Bind(_)
        | AppError::Config(_)
        | AppError::Control(_)
        | AppError::Create { .. }
        | AppError::Ended { .. }
        | AppError::FileDescriptors { .. }
        | AppError::OpenDataDir { .. }
        | AppError::OutsideSandbox { .. }
        | AppError::Privileges { .. }
        | AppError::Resolver(_)
        | AppError::Runtime { .. }
        | AppError::Sandbox { .. }
        | AppError::Spool(_)
        | AppError::Tokens(_)
        | AppError::Tls(_)
        | AppError::Upstream(_) => None,
    }
}
