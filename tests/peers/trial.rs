//! One program beside posthouse and the recorder, for what is more than one message that arrives.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::stage::{Mechanism, SENDER, Security, Stage, Submission};
use crate::support::process::{Posthouse, wait_for};
use crate::support::recorder::Mail;

/// All that stands for the test.
pub(crate) struct Trial {
    pub(crate) stage: Stage,
    pub(crate) posthouse: Posthouse,
}

/// How a program has ended.
pub(crate) struct Ended {
    pub(crate) is_success: bool,
    /// What it has printed, standard error behind standard output.
    pub(crate) printed: String,
}

impl Trial {
    /// Starts posthouse with the account of every test.
    ///
    /// # Panics
    ///
    /// It does not start.
    #[track_caller]
    pub(crate) fn start() -> Self {
        Self::with("", "authorized_domains = \"sender.example\"\n")
    }

    /// Does so with more tables of the configuration, and these lines for the account.
    ///
    /// # Panics
    ///
    /// It does not start.
    #[track_caller]
    pub(crate) fn with(tables: &str, account: &str) -> Self {
        let stage = Stage::new().expect("the stage stands");
        let upstream = format!("{}{tables}", stage.recorder_as_upstream());
        let posthouse = stage.posthouse_for(&upstream, account);
        let posthouse = posthouse.expect("posthouse starts");
        Self { stage, posthouse }
    }

    /// Returns the port of a listener.
    ///
    /// # Panics
    ///
    /// There is no such listener.
    #[track_caller]
    pub(crate) fn port(&self, listener: &str) -> u16 {
        let address = self.posthouse.listener(listener);
        address.expect("the listener is bound").port()
    }

    /// Gives a program the settings for a listener with STARTTLS.
    #[track_caller]
    pub(crate) fn settings(&self, command: &mut Command, listener: &str) {
        let submission = Submission {
            port: self.port(listener),
            security: Security::StartTls,
            mechanism: Mechanism::Login,
            authority: &self.stage.certificates.authority,
            directory: self.stage.directory.path(),
        };
        submission.environment(command.env("PEER_FROM", SENDER));
    }

    /// Runs a program to its end.
    ///
    /// # Panics
    ///
    /// It cannot be started.
    #[track_caller]
    pub(crate) fn run(command: &mut Command) -> Ended {
        let ended = command.stdin(Stdio::null()).output();
        let ended = ended.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        Ended {
            is_success: ended.status.success(),
            printed: text(&ended.stdout) + &text(&ended.stderr),
        }
    }

    /// Waits for the next message at the recorder.
    ///
    /// # Panics
    ///
    /// None arrives.
    #[track_caller]
    pub(crate) fn arrival(&self) -> Mail {
        let mail = self.stage.arrival();
        mail.unwrap_or_else(|| panic!("nothing arrived: {}", self.posthouse.log_tail()))
    }

    /// Waits until the log has a line with all these words.
    ///
    /// # Panics
    ///
    /// It comes to have none.
    #[track_caller]
    pub(crate) fn must_log(&self, words: &[&str]) {
        let is_it = |line: &str| words.iter().all(|word| line.contains(word));
        let found = wait_for(PATIENCE, || {
            Ok(self.posthouse.log().lines().any(is_it).then_some(()))
        });
        let found = found.expect("the log can be read");
        assert!(found.is_some(), "{words:?}: {}", self.posthouse.log_tail());
    }

    /// Ends it in good order.
    ///
    /// # Panics
    ///
    /// It ends otherwise.
    #[track_caller]
    pub(crate) fn end(self) {
        self.posthouse
            .stop()
            .expect("posthouse stops in good order");
    }
}

const PATIENCE: Duration = Duration::from_secs(30);
