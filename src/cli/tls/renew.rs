//! `posthouse tls renew`.

use crate::control::certificates::CertificateRequest;
use crate::control::protocol::Request;

use crate::cli::configuration::ConfigurationOption;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::cli::running;

/// Renew certificates of [tls.acme] now, whenever they end
///
/// For example after the kind of key was changed. The running server does it, and goes on with the old certificate until
/// it has the new one. Not more than three orders an hour are placed for one certificate.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// One of its names; all certificates where none is named
    #[arg(value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    configuration: ConfigurationOption,
}

pub(super) fn run(arguments: &Arguments, output: &mut Output) -> Result<(), Failure> {
    let data_dir = arguments.configuration.data_dir()?;
    let request = CertificateRequest::Renew {
        name: arguments.name.clone(),
    };
    running::ask(&data_dir, Request::Certificates(request))?;
    output.line("It is being renewed; `posthouse tls list` shows what comes of it.")
}
