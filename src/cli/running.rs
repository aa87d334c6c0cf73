//! A running server, as far as a command needs one.

use std::path::Path;

use crate::control::client::{Client, ClientError};
use crate::control::protocol::{Request, Response};

use super::failure::Failure;
use super::output::Output;

/// Asks the server with this data directory.
pub(super) fn ask(data_dir: &Path, request: Request) -> Result<Response, Failure> {
    Ok(Client::connect(data_dir)?.call(request)?.accepted()?)
}

/// When an edit counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Counts {
    /// From the next start: no server runs.
    AtStart,
    /// From now on.
    Now,
}

/// Lets a running server read its configuration again; says nothing.
pub(super) fn reload(data_dir: &Path) -> Result<Counts, Failure> {
    match Client::connect(data_dir) {
        Ok(mut client) => {
            client.call(Request::Reload)?.accepted()?;
            Ok(Counts::Now)
        }
        Err(ClientError::NotRunning { .. }) => Ok(Counts::AtStart),
        Err(
            error @ (ClientError::Denied { .. }
            | ClientError::Io { .. }
            | ClientError::Protocol { .. }),
        ) => {
            let failure = Failure::from(error);
            let message = format!(
                "the edit is made, but the running server could not be told: {}",
                failure.message
            );
            Err(Failure { message, ..failure })
        }
    }
}

/// Lets a running server read its configuration again after an edit, or says that none runs.
pub(super) fn reload_after_edit(data_dir: &Path, output: &mut Output) -> Result<(), Failure> {
    match reload(data_dir)? {
        Counts::AtStart => output.line("No server runs; it counts from the next start."),
        Counts::Now => output.line("The running server uses it from now on."),
    }
}
