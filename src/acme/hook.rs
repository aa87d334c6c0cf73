//! The operator's program that sets records in DNS.

use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::settings::Hook;
use crate::telemetry::printable;

/// The program's whole environment, besides nothing.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How much of what the program prints is kept, in octets of each stream.
const MAX_OUTPUT: u64 = 4 << 10;

/// Why a record was not set or removed.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    /// The program cannot be run.
    #[error("cannot run {program}")]
    Run {
        /// The program.
        program: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The program says that it has failed.
    #[error("{program} failed ({status}): {output}")]
    Failed {
        /// The program.
        program: PathBuf,
        /// How it ended.
        status: ExitStatus,
        /// What it printed.
        output: Box<str>,
    },
    /// The program took too long and was ended.
    #[error("{program} was ended after {} s", limit.as_secs())]
    Timeout {
        /// The program.
        program: PathBuf,
        /// How long it may take.
        limit: Duration,
    },
}

/// What the program is to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verb {
    /// Set the record, and wait until it can be seen.
    Present,
    /// Remove it.
    Cleanup,
}

/// A TXT record.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct TxtRecord {
    /// The domain it is about.
    pub(super) domain: String,
    /// Its value.
    pub(super) value: String,
}

impl Hook {
    /// Runs the program. When it is cancelled, the program is killed with all that it has started.
    pub(super) async fn run(&self, verb: Verb, record: &TxtRecord) -> Result<(), HookError> {
        let verb = match verb {
            Verb::Present => "present",
            Verb::Cleanup => "cleanup",
        };
        let failed = |source| HookError::Run {
            program: self.program.clone(),
            source,
        };
        let mut child = Command::new(&self.program)
            .args([
                verb,
                &record.domain,
                &format!("_acme-challenge.{}", record.domain),
            ])
            .arg(&record.value)
            .env_clear()
            .env("PATH", PATH)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let group = Group::of(&child);
        let ended = timeout(self.limit, finish(&mut child)).await;
        let ended = ended.map_err(|_| HookError::Timeout {
            program: self.program.clone(),
            limit: self.limit,
        })?;
        group.let_go();
        let (status, output) = ended.map_err(failed)?;
        if status.success() {
            return Ok(());
        }
        Err(HookError::Failed {
            program: self.program.clone(),
            status,
            output: printable(output.trim()),
        })
    }
}

async fn finish(child: &mut Child) -> io::Result<(ExitStatus, String)> {
    let (out, error) = (child.stdout.take(), child.stderr.take());
    let (status, out, error) = tokio::join!(child.wait(), gather(out), gather(error));
    Ok((status?, format!("{out} {error}")))
}

/// Reads all that is printed, and keeps the beginning.
async fn gather(stream: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut stream) = stream else {
        return String::new();
    };
    let mut kept = Vec::new();
    // A stream that breaks gives what it gave before.
    let _read = (&mut stream).take(MAX_OUTPUT).read_to_end(&mut kept).await;
    let _read = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    String::from_utf8_lossy(&kept).into_owned()
}

/// The program with all that it has started. Ended when this is dropped.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Self(id.and_then(Pid::from_raw))
    }

    /// Leaves it alone: it has ended by itself.
    fn let_go(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // Where it has ended by itself meanwhile there is nothing to end.
            let _ended = kill_process_group(group, Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use super::*;

    fn hook(folder: &Path, script: &str, limit: Duration) -> Hook {
        let program = folder.join("hook");
        // Written under another name: a file that is open for writing cannot be run.
        let mut file = fs::File::create(folder.join("hook.new")).unwrap();
        write!(file, "#!/bin/sh\n{script}\n").unwrap();
        drop(file);
        fs::set_permissions(folder.join("hook.new"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::rename(folder.join("hook.new"), &program).unwrap();
        Hook { program, limit }
    }

    fn record() -> TxtRecord {
        TxtRecord {
            domain: "example.com".to_owned(),
            value: "value".to_owned(),
        }
    }

    const LONG: Duration = Duration::from_mins(1);

    #[tokio::test]
    async fn the_program_hears_what_to_do_and_nothing_of_our_environment() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let script = format!("echo \"$@\" > {0}; env | cut -d= -f1 >> {0}", out.display());
        let hook = hook(folder.path(), &script, LONG);
        hook.run(Verb::Present, &record()).await.unwrap();
        let said = fs::read_to_string(out).unwrap();
        let mut lines = said.lines();
        assert_eq!(
            lines.next(),
            Some("present example.com _acme-challenge.example.com value")
        );
        let ours = |name: &&str| !matches!(*name, "PATH" | "PWD" | "OLDPWD" | "SHLVL" | "_");
        assert_eq!(lines.find(ours), None);
    }

    #[tokio::test]
    async fn a_program_that_fails_is_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let hook = hook(
            folder.path(),
            "echo out; echo no such zone >&2; exit 3",
            LONG,
        );
        let error = hook.run(Verb::Cleanup, &record()).await.unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("no such zone") && text.contains("exit status: 3"),
            "{text}"
        );
    }

    #[tokio::test]
    async fn a_program_that_prints_without_end_is_ended_with_its_children() {
        let folder = tempfile::tempdir().unwrap();
        let hook = hook(folder.path(), "yes & yes", Duration::from_millis(300));
        let error = hook.run(Verb::Present, &record()).await.unwrap_err();
        assert!(matches!(error, HookError::Timeout { .. }), "{error}");
    }

    #[tokio::test]
    async fn a_program_is_ended_with_its_children_when_nobody_waits_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let pid = folder.path().join("pid");
        let script = format!(
            "sleep 60 & echo $! > {0}.new; mv {0}.new {0}; wait",
            pid.display()
        );
        let hook = hook(folder.path(), &script, LONG);
        let written = async {
            while !pid.exists() {
                tokio::task::yield_now().await;
            }
        };
        let record = record();
        tokio::select! {
            ended = hook.run(Verb::Present, &record) => panic!("{ended:?}"),
            () = written => {}
        }
        let sleeper = fs::read_to_string(&pid).unwrap();
        let status = format!("/proc/{}/stat", sleeper.trim());
        let is_over = || match fs::read_to_string(&status) {
            Err(_) => true,
            // Nobody may have asked yet how it ended.
            Ok(stat) => stat.contains(") Z "),
        };
        let ended = async {
            while !is_over() {
                tokio::task::yield_now().await;
            }
        };
        timeout(LONG / 2, ended).await.unwrap();
    }

    #[tokio::test]
    async fn a_program_that_is_gone_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let mut hook = hook(folder.path(), "true", LONG);
        hook.program = folder.path().join("gone");
        let error = hook.run(Verb::Present, &record()).await.unwrap_err();
        assert!(matches!(error, HookError::Run { .. }), "{error}");
    }
}
