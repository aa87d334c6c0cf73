//! A running server, as far as a command needs one.

use std::path::Path;

use crate::control::client::{Client, ClientError};
use crate::control::protocol::{Request, Response};

use super::failure::Failure;
use super::output::{Output, Style};

/// Asks the server with this data directory.
pub(super) fn ask(data_dir: &Path, request: Request) -> Result<Response, Failure> {
    Ok(Client::connect(data_dir)?.call(request)?.accepted()?)
}

/// Lets a running server read its configuration again after an edit, or says that none runs.
pub(super) fn reload_after_edit(data_dir: &Path, output: &mut Output) -> Result<(), Failure> {
    match Client::connect(data_dir) {
        Ok(mut client) => {
            client.call(Request::Reload)?.accepted()?;
            output.line("The running server uses it from now on.")
        }
        Err(ClientError::NotRunning { .. }) => {
            output.line("No server runs; it counts from the next start.")
        }
        Err(
            error @ (ClientError::Denied { .. }
            | ClientError::Io { .. }
            | ClientError::Protocol { .. }),
        ) => {
            let warning = "The edit is made, but the running server could not be told:";
            output.styled(Style::Yellow, warning)?;
            Err(error.into())
        }
    }
}
