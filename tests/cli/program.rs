//! Runs the program and keeps what it says.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// What a run of the program came to.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    fn of(output: &Output) -> Self {
        let text = |octets: &[u8]| String::from_utf8(octets.to_vec()).unwrap();
        Self {
            code: output.status.code().unwrap(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }

    /// Demands an exit code; shows all that was said where it is another.
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }

    /// Demands an error with these words, told as `error: …`.
    pub(crate) fn says(self, words: &str) -> Self {
        let has_words = self.stderr.contains(words);
        assert!(has_words && self.stderr.contains("error: "), "{self:#?}");
        self
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }

    /// Returns the value that is printed behind a name.
    pub(crate) fn field(&self, name: &str) -> String {
        let mut fields = self.stdout.lines().filter_map(|line| line.split_once('\t'));
        let field = fields.find(|(field, _)| *field == name);
        field
            .unwrap_or_else(|| panic!("no {name}: {self:#?}"))
            .1
            .to_owned()
    }
}

/// The program, told nothing by this process's environment.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_posthouse"));
    command.args(arguments).env_remove("POSTHOUSE_CONFIG");
    command
}

pub(crate) fn run(arguments: &[&str]) -> Run {
    Run::of(&command(arguments).stdin(Stdio::null()).output().unwrap())
}

pub(crate) fn run_with_input(arguments: &[&str], input: &str) -> Run {
    let mut command = command(arguments);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    Run::of(&child.wait_with_output().unwrap())
}

/// A folder with a configuration that can be used.
pub(crate) struct Configured {
    folder: TempDir,
}

pub(crate) const CONFIGURATION: &str = "\
[server]
hostname = \"relay.example.com\"
data_dir = \"data\"

[relay]
upstream = [\"main\"]

[upstream.main.smtp]
host = \"smtp.example.net\"

[tenant.acme]

[accounts]
file = \"accounts.toml\"
";

pub(crate) const ACCOUNTS: &str = "\
# Ask Bob first.

[account.bob] # the boss
password = \"$argon2id$v=19$m=19456,t=2,p=1$AQEBAQEBAQEBAQEBAQEBAQ$AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE\"
active = true # since 2025
authorized_domains = \"example.com;*.example.com\"
";

impl Configured {
    pub(crate) fn new() -> Self {
        Self::with(CONFIGURATION, ACCOUNTS)
    }

    pub(crate) fn with(configuration: &str, accounts: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        write(&folder.path().join("posthouse.toml"), configuration);
        write(&folder.path().join("accounts.toml"), accounts);
        Self { folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn accounts(&self) -> String {
        fs::read_to_string(self.path("accounts.toml")).unwrap()
    }

    /// Runs the program with this configuration.
    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        run(&self
            .arguments(arguments)
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>())
    }

    pub(crate) fn run_with_input(&self, arguments: &[&str], input: &str) -> Run {
        let arguments = self.arguments(arguments);
        run_with_input(
            &arguments.iter().map(String::as_str).collect::<Vec<_>>(),
            input,
        )
    }

    fn arguments(&self, arguments: &[&str]) -> Vec<String> {
        let mut arguments: Vec<_> = arguments
            .iter()
            .map(|&argument| argument.to_owned())
            .collect();
        arguments.push("--config".to_owned());
        arguments.push(self.path("posthouse.toml").display().to_string());
        arguments
    }
}

fn write(path: &Path, text: &str) {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .unwrap();
    file.write_all(text.as_bytes()).unwrap();
}
