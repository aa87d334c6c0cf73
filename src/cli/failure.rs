//! Why a command did not succeed: exit code, message, hint.

use std::error::Error;
use std::io;
use std::path::Path;

use crate::config::{Report, Severity};
use crate::control::client::ClientError;
use crate::control::protocol::{Reason, Refusal};
use crate::telemetry;

/// Why a command did not succeed, as it is told to whoever typed it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Failure {
    pub(super) code: Code,
    /// Printed before the message as it is: the diagnostics of a configuration.
    pub(super) details: Option<String>,
    /// One line behind `error: `.
    pub(super) message: String,
    /// One line behind `hint: `.
    pub(super) hint: Option<String>,
}

/// The exit codes, in the words of sysexits(3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Code {
    /// 64: the command line is wrong.
    Usage,
    /// 66: what is asked for is not there.
    NoInput,
    /// 69: a server, the spool or an upstream is not available.
    Unavailable,
    /// 73: a file cannot be made.
    CannotCreate,
    /// 74: reading or writing failed.
    Io,
    /// 77: somebody else may.
    NoPermission,
    /// 78: the configuration has errors.
    Configuration,
    /// As the part that failed gives it.
    Other(u8),
    /// 0, and nothing is printed: whoever read the output has read enough (`posthouse queue list | head`).
    NobodyReads,
}

impl Code {
    /// Returns the number the process exits with.
    pub(super) fn number(self) -> u8 {
        match self {
            Self::NobodyReads => 0,
            Self::Usage => 64,
            Self::NoInput => 66,
            Self::Unavailable => 69,
            Self::CannotCreate => 73,
            Self::Io => 74,
            Self::NoPermission => 77,
            Self::Configuration => 78,
            Self::Other(number) => number,
        }
    }
}

impl Failure {
    pub(super) fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            details: None,
            message: message.into(),
            hint: None,
        }
    }

    /// Tells an error and its causes in one line.
    pub(super) fn of(code: Code, error: &dyn Error) -> Self {
        Self::new(code, telemetry::chain(error))
    }

    /// Tells what could not be done to a file. Missing permission has a code of its own.
    pub(super) fn file(code: Code, action: &str, path: &Path, error: &io::Error) -> Self {
        let code = if error.kind() == io::ErrorKind::PermissionDenied {
            Code::NoPermission
        } else {
            code
        };
        Self::new(code, format!("cannot {action} {}: {error}", path.display()))
    }

    /// Tells that the output could not be written.
    pub(super) fn output(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::new(Code::NobodyReads, "");
        }
        Self::new(Code::Io, format!("cannot write the output: {error}"))
    }

    /// Tells the diagnostics of a configuration.
    pub(super) fn configuration(file: &Path, report: &Report) -> Self {
        let is_error = |severity| severity == Severity::Error;
        let errors = report.diagnostics().iter();
        let errors = errors.filter(|found| is_error(found.severity())).count();
        let plural = if errors == 1 { "" } else { "s" };
        let message = format!("{} has {errors} error{plural}", file.display());
        Self {
            details: Some(report.to_string()),
            ..Self::new(Code::Configuration, message)
        }
    }

    /// Tells that a server answered another question than the one it was asked.
    pub(super) fn unexpected_answer() -> Self {
        Self::new(Code::Unavailable, "the server answered something else")
            .with_hint("is it of another version? restart it after an upgrade")
    }

    #[must_use]
    pub(super) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    #[must_use]
    pub(super) fn with_details(mut self, details: impl Into<String>) -> Self {
        self.details = Some(details.into());
        self
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let (code, hint) = match &error {
            ClientError::Denied { .. } => (
                Code::NoPermission,
                "run the command as the user that runs the server, or as root",
            ),
            ClientError::Io { .. } => (Code::Unavailable, "look at the server's log"),
            ClientError::NotRunning { .. } => (
                Code::Unavailable,
                "is it running? `posthouse serve` starts it; --config names its configuration",
            ),
            ClientError::Protocol { .. } => (
                Code::Unavailable,
                "is the server of another version? restart it after an upgrade",
            ),
        };
        Self::of(code, &error).with_hint(hint)
    }
}

impl From<Refusal> for Failure {
    fn from(Refusal { reason, message }: Refusal) -> Self {
        match reason {
            Reason::Journal | Reason::Request | Reason::Spool | Reason::Temporary => {
                Self::new(Code::Unavailable, message)
            }
            Reason::Configuration => Self::new(
                Code::Configuration,
                "the new configuration was refused; the server goes on with the old one",
            )
            .with_details(message),
            Reason::Missing => Self::new(Code::NoInput, message).with_hint(
                "`posthouse queue list` shows what waits, `posthouse trace` what became of others",
            ),
            Reason::Account => {
                Self::new(Code::NoInput, message).with_hint("`posthouse account list` shows all")
            }
            Reason::Sender => {
                Self::new(Code::NoInput, message).with_hint("`posthouse sender list` shows all")
            }
            Reason::Upstream => Self::new(Code::NoInput, message),
            Reason::Version => Self::new(Code::Unavailable, message)
                .with_hint("restart the server after an upgrade"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_has_gone_is_no_error() {
        let failure = Failure::output(&io::ErrorKind::BrokenPipe.into());
        assert_eq!(failure.code.number(), 0);
    }

    #[test]
    fn missing_permission_has_its_code_whatever_was_tried() {
        let error = io::Error::from(io::ErrorKind::PermissionDenied);
        let failure = Failure::file(Code::CannotCreate, "create", Path::new("/x"), &error);
        assert_eq!(failure.code.number(), 77);
    }

    #[test]
    fn a_missing_message_exits_with_66() {
        let refusal = Refusal {
            reason: Reason::Missing,
            message: "there is no message X in the queue".to_owned(),
        };
        assert_eq!(Failure::from(refusal).code.number(), 66);
    }
}
