//! `posthouse try`, and the commands that talk to a running server.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;
use std::process::{Child, ChildStdout, Stdio};
use std::time::Duration;

use posthouse::clock::{Clock as _, SystemClock};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::program::{Run, command, run};

/// How long a trial may take to start.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running trial. Killed when it is dropped.
struct Trial {
    folder: TempDir,
    child: Child,
    stdout: BufReader<ChildStdout>,
    /// What it printed before it began.
    introduction: String,
}

impl Trial {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (starttls, implicit) = (free_port(), free_port());
        let directory = folder.path().join("trial");
        let mut child = command(&["try", "--port", &starttls, "--tls-port", &implicit])
            .arg("--directory")
            .arg(directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut introduction = String::new();
        while !introduction.contains("Ctrl-C ends the trial.") {
            assert_ne!(
                stdout.read_line(&mut introduction).unwrap(),
                0,
                "{introduction}"
            );
        }
        let trial = Self {
            folder,
            child,
            stdout,
            introduction,
        };
        trial.wait_until_ready();
        trial
    }

    /// Asks until there is an answer; each question is a process, so that this does not spin.
    fn wait_until_ready(&self) {
        let begin = SystemClock.instant();
        while self.run(&["status"]).code != 0 {
            assert!(
                SystemClock.instant() - begin < PATIENCE,
                "it does not answer"
            );
        }
    }

    fn run(&self, arguments: &[&str]) -> Run {
        let config = self.folder.path().join("trial/posthouse.toml");
        run(&[arguments, &["--config", config.to_str().unwrap()]].concat())
    }

    fn field(&self, name: &str) -> &str {
        let mut fields = self
            .introduction
            .lines()
            .filter_map(|line| line.split_once('\t'));
        fields.find(|(field, _)| *field == name).unwrap().1
    }

    /// Presses Ctrl-C; returns the exit code and what was printed since the beginning.
    fn stop(mut self) -> (Option<i32>, String) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::INT).unwrap();
        let mut printed = String::new();
        self.stdout.read_to_string(&mut printed).unwrap();
        (self.child.wait().unwrap().code(), printed)
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that was free a moment ago; a trial takes the next one if it is not.
fn free_port() -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap().port().to_string()
}

#[test]
fn a_trial_prints_commands_with_its_port_and_password() {
    let trial = Trial::start();
    let password = trial.field("password").to_owned();
    let port = trial.field("port").split(' ').next().unwrap().to_owned();
    for command in [
        format!("curl --ssl-reqd --insecure smtp://127.0.0.1:{port} --user 'demo:{password}'"),
        format!("swaks --server 127.0.0.1:{port} --tls"),
        format!("smtplib.SMTP(\"127.0.0.1\", {port})"),
    ] {
        assert!(trial.introduction.contains(&command), "{command}");
    }
}

#[test]
fn a_trial_ends_with_ctrl_c_and_leaves_its_folder() {
    let trial = Trial::start();
    let (code, printed) = trial.stop();
    assert_eq!(code, Some(0));
    assert!(printed.contains("The trial is over."), "{printed}");
}

#[test]
fn a_second_trial_in_the_same_folder_leaves_the_first_as_it_is() {
    let trial = Trial::start();
    let folder = trial.folder.path().join("trial");
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let before = (read("posthouse.toml"), read("accounts.toml"));
    run(&["try", "--directory", folder.to_str().unwrap()])
        .exits(69)
        .says("a trial runs already in");
    assert_eq!((read("posthouse.toml"), read("accounts.toml")), before);
    trial.run(&["status"]).exits(0);
}

#[test]
fn a_running_server_tells_its_status() {
    let trial = Trial::start();
    let status = trial.run(&["status", "--json"]).exits(0).json();
    assert_eq!(status["server"]["hostname"], "localhost");
    assert_eq!(status["server"]["process"], trial.child.id());
    assert_eq!(status["server"]["listeners"][0]["name"], "submission");
    assert_eq!(status["queue"]["messages"], 0);
}

#[test]
fn a_running_server_uses_an_edited_account_at_once() {
    let trial = Trial::start();
    let edited = trial.run(&["account", "disable", "demo"]).exits(0);
    assert!(
        edited.stdout.contains("The running server uses it"),
        "{edited:?}"
    );
}

#[test]
fn a_running_server_refuses_a_wrong_configuration_and_says_why() {
    let trial = Trial::start();
    let accounts = trial.folder.path().join("trial/accounts.toml");
    let mut file = std::fs::OpenOptions::new()
        .append(true)
        .open(accounts)
        .unwrap();
    std::io::Write::write_all(&mut file, b"[account.eve]\nactiv = true\n").unwrap();
    let refused = trial
        .run(&["reload"])
        .exits(78)
        .says("goes on with the old one");
    assert!(
        refused.stderr.contains("unknown key `activ`"),
        "{refused:?}"
    );
    trial.run(&["status"]).exits(0);
}

#[test]
fn the_queue_of_a_running_server_is_asked_through_it() {
    let trial = Trial::start();
    let listed = trial.run(&["queue", "list", "--json"]).exits(0).json();
    assert_eq!(listed, serde_json::json!([]));
}

#[test]
fn a_test_message_goes_the_way_of_the_account() {
    let trial = Trial::start();
    let arguments = [
        "test-mail",
        "--account",
        "demo",
        "--from",
        "a@example.com",
        "--to",
        "b@example.net",
    ];
    let tested = trial.run(&arguments).exits(0);
    for part in ["sent by an operator", "by upstream local", "Relayed in"] {
        assert!(tested.stdout.contains(part), "{part}: {tested:?}");
    }
    let (_, printed) = trial.stop();
    let arrival = "mail arrived: Test of posthouse\n  from <a@example.com> to b@example.net";
    assert!(printed.contains(arrival), "{printed}");
}

#[test]
fn a_second_server_on_the_same_data_is_refused() {
    let trial = Trial::start();
    let config = trial.folder.path().join("trial/posthouse.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let moved = [trial.field("port"), trial.field("or port")]
        .iter()
        .fold(text, |text, port| {
            let port = port.split(' ').next().unwrap();
            text.replace(&format!("\"{port}\""), &format!("\"{}\"", free_port()))
        });
    let second = trial.folder.path().join("trial/second.toml");
    std::fs::File::create(&second)
        .and_then(|mut file| std::io::Write::write_all(&mut file, moved.as_bytes()))
        .unwrap();
    let refused = run(&["serve", "--config", second.to_str().unwrap()]).exits(69);
    let owner = format!("is in use by process {}", trial.child.id());
    refused.says(&owner).says("posthouse status");
}
