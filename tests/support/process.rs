//! Starts `posthouse serve` as a process of its own and ends it, gently or not.

use std::fs::File;
use std::io;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use posthouse::clock::{Clock, SystemClock};
use rustix::process::{Pid, Signal, kill_process};

/// A running relay. Dropping it kills the process.
pub(crate) struct Posthouse {
    child: Child,
    log: PathBuf,
    listeners: Vec<(String, SocketAddr)>,
    ready_after: Duration,
}

impl Posthouse {
    /// Starts `binary serve --config FILE` for a directory made by [`write_configuration`] and waits until each
    /// listener is bound.
    ///
    /// # Errors
    ///
    /// The process cannot be started, ends, or is not ready in time; the message holds the end of its log.
    pub(crate) fn start(binary: &Path, directory: &Path) -> io::Result<Self> {
        let begun = SystemClock.instant();
        let mut posthouse = Self::launch(binary, directory)?;
        posthouse.listeners = posthouse.wait_until_ready(&directory.join(LISTENERS))?;
        posthouse.ready_after = SystemClock.instant() - begun;
        Ok(posthouse)
    }

    /// Starts the process and does not wait for it; it has no listeners yet.
    ///
    /// # Errors
    ///
    /// The process cannot be started.
    pub(crate) fn launch(binary: &Path, directory: &Path) -> io::Result<Self> {
        let log = directory.join("posthouse.log");
        let output = File::options().create(true).append(true).open(&log)?;
        Self::spawn(binary, directory, output.try_clone()?, output)
    }

    /// Starts the process with its standard error connected to `stderr`, and waits until each listener is bound.
    ///
    /// # Errors
    ///
    /// As [`Posthouse::start`].
    pub(crate) fn start_logging_to(
        binary: &Path,
        directory: &Path,
        stderr: impl Into<Stdio>,
    ) -> io::Result<Self> {
        let mut posthouse = Self::spawn(binary, directory, Stdio::null(), stderr)?;
        posthouse.listeners = posthouse.wait_until_ready(&directory.join(LISTENERS))?;
        Ok(posthouse)
    }

    fn spawn(
        binary: &Path,
        directory: &Path,
        stdout: impl Into<Stdio>,
        stderr: impl Into<Stdio>,
    ) -> io::Result<Self> {
        match std::fs::remove_file(directory.join(LISTENERS)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let child = Command::new(binary)
            .arg("serve")
            .arg("--config")
            .arg(directory.join("posthouse.toml"))
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr)
            .spawn()?;
        let log = directory.join("posthouse.log");
        Ok(Self {
            child,
            log,
            listeners: Vec::new(),
            ready_after: Duration::ZERO,
        })
    }

    /// Returns where the first listener of this name is bound.
    ///
    /// # Errors
    ///
    /// There is none.
    pub(crate) fn listener(&self, name: &str) -> io::Result<SocketAddr> {
        let found = self.listeners.iter().find(|(known, _)| known == name);
        found.map(|(_, address)| *address).ok_or_else(|| {
            io::Error::other(format!("no listener `{name}` in {:?}", self.listeners))
        })
    }

    /// Returns all bound addresses with their listeners' names.
    pub(crate) fn listeners(&self) -> &[(String, SocketAddr)] {
        &self.listeners
    }

    /// Returns the time from the start of the process until all listeners were bound.
    pub(crate) fn ready_after(&self) -> Duration {
        self.ready_after
    }

    /// Returns the process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns the end of what the process has logged.
    pub(crate) fn log_tail(&self) -> String {
        tail(&self.log)
    }

    /// Returns all that the process has logged.
    pub(crate) fn log(&self) -> String {
        let octets = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&octets).into_owned()
    }

    /// Sends a signal.
    ///
    /// # Errors
    ///
    /// The system refused.
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        let pid = Pid::from_raw(self.child.id().cast_signed());
        kill_process(pid.ok_or(io::ErrorKind::NotFound)?, signal)?;
        Ok(())
    }

    /// Waits for the end of the process; `None` where it did not come within 30 seconds.
    ///
    /// # Errors
    ///
    /// The system refused.
    pub(crate) fn wait_for_end(&mut self) -> io::Result<Option<ExitStatus>> {
        wait_for(Duration::from_secs(30), || self.child.try_wait())
    }

    /// Ends the process with SIGTERM, as an operator does.
    ///
    /// # Errors
    ///
    /// It did not end within 30 seconds (it is killed then), or with a failure.
    pub(crate) fn stop(mut self) -> io::Result<()> {
        self.signal(Signal::TERM)?;
        let status = self.wait_for_end()?;
        match status {
            Some(status) if status.success() => Ok(()),
            Some(status) => Err(io::Error::other(format!("{status}: {}", self.log_tail()))),
            None => Err(io::Error::other(format!(
                "did not stop: {}",
                self.log_tail()
            ))),
        }
    }

    /// Ends the process with SIGKILL, in whatever it is doing.
    ///
    /// # Errors
    ///
    /// The system refused.
    pub(crate) fn kill(mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop)
    }

    fn wait_until_ready(&mut self, listeners: &Path) -> io::Result<Vec<(String, SocketAddr)>> {
        let ready = wait_for(READY_WITHIN, || {
            if let Some(status) = self.child.try_wait()? {
                return Err(io::Error::other(format!("posthouse ended: {status}")));
            }
            Ok(std::fs::read_to_string(listeners)
                .ok()
                .filter(|text| text.ends_with('\n'))
                .and_then(|text| parse_listeners(&text)))
        });
        match ready {
            Ok(Some(listeners)) => Ok(listeners),
            Ok(None) => Err(io::Error::other(format!(
                "posthouse was not ready in time: {}",
                self.log_tail()
            ))),
            Err(error) => Err(io::Error::other(format!("{error}: {}", self.log_tail()))),
        }
    }
}

impl Drop for Posthouse {
    fn drop(&mut self) {
        // Both fail only where the process has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Writes `posthouse.toml`, `accounts.toml` and the empty `data` below `directory`. `DIRECTORY` in the text stands for
/// the directory.
///
/// # Errors
///
/// A file cannot be written.
pub(crate) fn write_configuration(
    directory: &Path,
    config: &str,
    accounts: &str,
) -> io::Result<()> {
    std::fs::create_dir_all(directory.join("data"))?;
    let config = config.replace("DIRECTORY", &directory.display().to_string());
    write_file(&directory.join("posthouse.toml"), config.as_bytes())?;
    write_file(&directory.join("accounts.toml"), accounts.as_bytes())
}

/// Writes a whole file.
///
/// # Errors
///
/// It cannot be written.
pub(crate) fn write_file(path: &Path, octets: &[u8]) -> io::Result<()> {
    File::create(path)?.write_all(octets)
}

/// Asks again and again until there is an answer, an error, or no time left (`None`).
///
/// # Errors
///
/// What `probe` fails with.
pub(crate) fn wait_for<T>(
    limit: Duration,
    mut probe: impl FnMut() -> io::Result<Option<T>>,
) -> io::Result<Option<T>> {
    let deadline: Instant = SystemClock.instant() + limit;
    loop {
        if let Some(answer) = probe()? {
            return Ok(Some(answer));
        }
        if SystemClock.instant() > deadline {
            return Ok(None);
        }
        // Another process is waited for, which can wake nobody here.
        thread::park_timeout(PROBE_EVERY);
    }
}

/// Returns the last lines of a file.
pub(crate) fn tail(path: &Path) -> String {
    let octets = std::fs::read(path).unwrap_or_default();
    let start = octets.len().saturating_sub(TAIL);
    let end = octets.get(start..).unwrap_or_default();
    String::from_utf8_lossy(end).into_owned()
}

/// Reads lines of `NAME ADDRESS:PORT`; `None` while they are incomplete.
fn parse_listeners(text: &str) -> Option<Vec<(String, SocketAddr)>> {
    let lines = text.lines().map(|line| {
        let (name, address) = line.rsplit_once(' ')?;
        Some((name.to_owned(), address.parse().ok()?))
    });
    lines.collect()
}

/// Written by the server once it is ready.
const LISTENERS: &str = "data/listeners";

const READY_WITHIN: Duration = Duration::from_secs(30);

const PROBE_EVERY: Duration = Duration::from_millis(2);

const TAIL: usize = 4000;
