//! What the server may do with files once it serves: read its configuration, what that names and what the system shares;
//! write its own folders; run nothing but a `dns_hook`. The kernel enforces it (Landlock), whatever a bug lets an attacker do.
//!
//! The command line is not inside: only `posthouse serve` calls this, and once it is inside it cannot leave.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, BitFlags, CompatLevel, Compatible as _, LandlockStatus,
    PathBeneath, PathFd, RestrictionStatus, Ruleset, RulesetAttr as _, RulesetCreated,
    RulesetCreatedAttr as _, RulesetError, RulesetStatus, Scope,
};

use crate::acme::Challenge;
use crate::config::{Checked, Engine, SandboxMode};

use super::error::AppError;
use super::privileges;

/// The newest rules that are asked for; the kernel enforces those it knows.
const NEWEST: ABI = ABI::V7;

/// What programs share: settings of name look-ups, certificate authorities, time zones, and how many processors there are
/// for this one.
const SHARED: [&str; 6] = [
    "/etc",
    "/proc/self",
    "/sys/fs/cgroup",
    "/usr/lib/ssl",
    "/usr/local/share",
    "/usr/share",
];

/// Files of the system that may be links to anywhere, and are exchanged while the server runs.
const LINKED: [&str; 5] = [
    "/etc/hosts",
    "/etc/localtime",
    "/etc/resolv.conf",
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
];

/// Devices that are read.
const DEVICES: [&str; 3] = ["/dev/null", "/dev/random", "/dev/urandom"];

/// Where certificate authorities are read from besides (see rustls-native-certs).
const ROOTS: [&str; 2] = ["SSL_CERT_DIR", "SSL_CERT_FILE"];

/// Where the programs of a hook are, and what they are made of.
const PROGRAMS: [&str; 7] = ["/bin", "/lib", "/lib32", "/lib64", "/opt", "/sbin", "/usr"];

/// Where a hook writes.
const SCRATCH: [&str; 3] = ["/dev/null", "/tmp", "/var/tmp"];

/// The folders that the server uses. What lies below a folder belongs to it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Folders {
    read: BTreeSet<PathBuf>,
    write: BTreeSet<PathBuf>,
    /// Empty where the configuration names no program.
    run: BTreeSet<PathBuf>,
}

/// What the kernel enforces.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Sandbox {
    /// Access to other folders is refused. The number is the kernel's version of the rules (ABI).
    Enforced { abi: i32, folders: Folders },
    /// The configuration says so.
    Off,
    /// The kernel has no Landlock, or it is not switched on.
    Unsupported,
}

impl Folders {
    /// Lists what a configuration needs. Looks at the disk.
    pub(super) fn of(config: &Checked) -> Self {
        let mut folders = Self::default();
        for shared in SHARED.iter().chain(&DEVICES) {
            folders.read.insert(PathBuf::from(shared));
        }
        let roots = ROOTS.iter().filter_map(std::env::var_os);
        let roots = roots.flat_map(|list| split(&list));
        let linked = LINKED.iter().map(PathBuf::from);
        for file in config.files.iter().cloned().chain(linked).chain(roots) {
            folders.read.extend(places(&file));
        }
        folders.write = writable(config);
        if let Some(program) = hook(config) {
            folders.allow_hook(program);
        }
        folders
    }

    /// A hook may run what the system has and what lies beside it, and write to the folders for temporary files.
    fn allow_hook(&mut self, program: &Path) {
        self.write.extend(SCRATCH.map(PathBuf::from));
        self.run.extend(PROGRAMS.map(PathBuf::from));
        self.run.extend(places(program));
    }

    /// Returns the first folder that another configuration writes to, or the program that it runs, which these leave out.
    pub(super) fn first_missing(&self, config: &Checked) -> Option<PathBuf> {
        let is_in = |folders: &BTreeSet<PathBuf>, path: &Path| {
            folders.iter().any(|folder| path.starts_with(folder))
        };
        let mut written = writable(config).into_iter();
        let folder = written.find(|path| !is_in(&self.write, path));
        folder.or_else(|| {
            let program = hook(config)?;
            let mut places = places(program).into_iter();
            places.find(|place| !is_in(&self.run, place))
        })
    }
}

/// Returns the program that a configuration runs, if it runs one.
fn hook(config: &Checked) -> Option<&Path> {
    match config.acme.as_ref().map(|acme| &acme.challenge) {
        Some(Challenge::Dns01(hook)) => Some(&hook.program),
        Some(Challenge::Http01 { .. } | Challenge::TlsAlpn01 { .. }) | None => None,
    }
}

/// The value of a variable with paths between colons.
fn split(list: &OsString) -> Vec<PathBuf> {
    std::env::split_paths(list).collect()
}

/// Returns what must be readable for a file: its folder, since whoever exchanges a file puts another in its place, and the
/// folder that a link leads to. Never the root folder.
fn places(file: &Path) -> Vec<PathBuf> {
    let place = |path: PathBuf| {
        if path.is_dir() {
            return path;
        }
        match path.parent() {
            Some(folder) if folder.as_os_str().is_empty() => PathBuf::from("."),
            Some(folder) if folder.parent().is_some() => folder.to_owned(),
            Some(_) | None => path,
        }
    };
    let target = fs::canonicalize(file).ok();
    [Some(file.to_owned()), target]
        .into_iter()
        .flatten()
        .map(place)
        .collect()
}

fn writable(config: &Checked) -> BTreeSet<PathBuf> {
    let maildirs = config
        .upstreams
        .values()
        .filter_map(|upstream| match &upstream.engine {
            Engine::Graph(_) | Engine::Smtp(_) => None,
            Engine::Maildir(settings) => Some(settings.directory.clone()),
        });
    maildirs.chain([config.server.data_dir.clone()]).collect()
}

/// Shuts the calling thread, and all threads it starts from now on, in the folders. Makes those that are written to.
///
/// # Errors
/// [`AppError::Sandbox`] where it is required and cannot be had, or the kernel refuses it.
pub(super) fn enter(mode: SandboxMode, folders: Folders) -> Result<Sandbox, AppError> {
    if mode == SandboxMode::Off {
        return Ok(Sandbox::Off);
    }
    for folder in folders.write.iter().filter(|path| !path.exists()) {
        // One that cannot be made is told of by whoever needs it.
        let _missing = fs::create_dir_all(folder);
    }
    let refused = |error: RulesetError| AppError::Sandbox {
        source: io::Error::other(error),
    };
    let status = restrict(&folders).map_err(refused)?;
    let sandbox = sandbox(&status, folders);
    if mode == SandboxMode::Required && sandbox == Sandbox::Unsupported {
        return Err(AppError::Sandbox {
            source: io::Error::new(io::ErrorKind::Unsupported, "the kernel has no Landlock"),
        });
    }
    Ok(sandbox)
}

fn restrict(folders: &Folders) -> Result<RestrictionStatus, RulesetError> {
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let devices = AccessFs::MakeBlock | AccessFs::MakeChar;
    let write = AccessFs::from_all(NEWEST) & !(AccessFs::Execute | AccessFs::IoctlDev | devices);
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?
        .create()?;
    for folder in &folders.read {
        ruleset = allow(ruleset, folder, read)?;
    }
    for folder in &folders.write {
        ruleset = allow(ruleset, folder, write)?;
    }
    for folder in &folders.run {
        ruleset = allow(ruleset, folder, read | AccessFs::Execute)?;
    }
    ruleset.restrict_self()
}

/// Allows a folder or a file. One that this user cannot reach needs no permission.
fn allow(
    ruleset: RulesetCreated,
    path: &Path,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, RulesetError> {
    let Ok(opened) = PathFd::new(path) else {
        return Ok(ruleset);
    };
    let access = if path.is_dir() {
        access
    } else {
        access & AccessFs::from_file(NEWEST)
    };
    ruleset.add_rule(PathBeneath::new(opened, access))
}

fn sandbox(status: &RestrictionStatus, folders: Folders) -> Sandbox {
    let LandlockStatus::Available {
        effective_abi,
        kernel_abi,
    } = status.landlock
    else {
        return Sandbox::Unsupported;
    };
    match status.ruleset {
        RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced => Sandbox::Enforced {
            abi: kernel_abi.unwrap_or(effective_abi as i32),
            folders,
        },
        RulesetStatus::NotEnforced => Sandbox::Unsupported,
    }
}

impl Sandbox {
    /// Says in one line of the log what is enforced.
    pub(super) fn report(&self) {
        let capabilities = privileges::held();
        match self {
            Self::Enforced { abi, folders } => {
                let list = |paths: &BTreeSet<PathBuf>| {
                    let paths = paths.iter().filter(|path| path.exists());
                    let paths: Vec<_> = paths.map(|path| path.display().to_string()).collect();
                    paths.join(" ")
                };
                tracing::info!(
                    abi,
                    capabilities,
                    read = list(&folders.read),
                    write = list(&folders.write),
                    run = list(&folders.run),
                    "sandboxed"
                );
            }
            Self::Off => tracing::warn!(capabilities, "not sandboxed: the configuration says so"),
            Self::Unsupported => {
                tracing::warn!(capabilities, "not sandboxed: the kernel has no Landlock");
            }
        }
    }

    /// Returns whether some folders are out of reach.
    pub(super) fn is_enforced(&self) -> bool {
        match self {
            Self::Enforced { .. } => true,
            Self::Off | Self::Unsupported => false,
        }
    }

    /// Refuses a configuration that writes to folders which are out of reach.
    ///
    /// # Errors
    /// [`AppError::OutsideSandbox`] names the first.
    pub(super) fn admit(&self, config: &Checked) -> Result<(), AppError> {
        let missing = match self {
            Self::Enforced { folders, .. } => folders.first_missing(config),
            Self::Off | Self::Unsupported => None,
        };
        missing.map_or(Ok(()), |path| Err(AppError::OutsideSandbox { path }))
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn folders(read: &Path, write: &Path) -> Folders {
        Folders {
            read: BTreeSet::from([read.to_owned()]),
            write: BTreeSet::from([write.to_owned()]),
            run: BTreeSet::new(),
        }
    }

    /// Landlock holds for a thread and those it starts, so each test has a thread of its own.
    #[expect(clippy::print_stderr, reason = "what is not tested is said aloud")]
    fn inside<T: Send>(folders: Folders, work: impl FnOnce() -> T + Send) -> Option<T> {
        let entered = || match enter(SandboxMode::Auto, folders).unwrap() {
            Sandbox::Enforced { .. } => Some(work()),
            Sandbox::Off | Sandbox::Unsupported => {
                eprintln!("SKIPPED: the kernel has no Landlock");
                None
            }
        };
        thread::scope(|scope| scope.spawn(entered).join().unwrap())
    }

    fn denied<T>(result: io::Result<T>) -> bool {
        result.is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
    }

    #[test]
    fn nothing_outside_is_read_written_or_run() {
        let home = tempfile::tempdir().unwrap();
        let path = |name: &str| home.path().join(name);
        for folder in ["config", "data", "other"] {
            fs::create_dir(path(folder)).unwrap();
            fs::copy("/bin/true", path(folder).join("file")).unwrap();
        }
        let _judged = inside(folders(&path("config"), &path("data")), || {
            let run = |folder| std::process::Command::new(path(folder).join("file")).status();
            assert!(fs::read(path("config/file")).is_ok());
            assert!(denied(fs::File::create(path("config/new"))));
            assert!(denied(fs::rename(path("config/file"), path("data/moved"))));
            assert!(fs::File::create(path("data/new")).is_ok());
            assert!(fs::rename(path("data/new"), path("data/renamed")).is_ok());
            assert!(denied(fs::read(path("other/file"))));
            assert!(denied(fs::read_dir(path("other"))));
            assert!(denied(fs::remove_file(path("other/file"))));
            assert!(denied(run("config")) && denied(run("data")) && denied(run("other")));
        });
    }

    #[test]
    fn a_file_that_takes_the_place_of_another_is_read() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("server.pem");
        fs::copy("/etc/hosts", &file).unwrap();
        let folders = Folders {
            read: places(&file).into_iter().collect(),
            write: BTreeSet::new(),
            run: BTreeSet::new(),
        };
        let (exchange, exchanged) = std::sync::mpsc::channel();
        let (done, wait) = std::sync::mpsc::channel();
        let (next, place) = (home.path().join("next"), file.clone());
        // Started outside, so that it may write.
        let other = thread::spawn(move || {
            if exchanged.recv().is_ok() {
                fs::copy("/etc/hostname", &next)
                    .or_else(|_| fs::copy("/etc/hosts", &next))
                    .unwrap();
                fs::rename(&next, &place).unwrap();
            }
            done.send(()).unwrap();
        });
        let _judged = inside(folders, move || {
            assert!(fs::read(&file).is_ok());
            exchange.send(()).unwrap();
            wait.recv().unwrap();
            assert!(fs::read(&file).is_ok());
        });
        other.join().unwrap();
    }

    #[test]
    fn a_hook_runs_and_other_programs_do_not() {
        let home = tempfile::tempdir().unwrap();
        let path = |name: &str| home.path().join(name);
        for folder in ["hooks", "other"] {
            fs::create_dir(path(folder)).unwrap();
            fs::copy("/bin/true", path(folder).join("program")).unwrap();
        }
        let mut folders = Folders::default();
        folders.allow_hook(&path("hooks/program"));
        folders.read.extend(SHARED.map(PathBuf::from));
        let _judged = inside(folders, || {
            let run = |name| std::process::Command::new(path(name)).status();
            assert!(run("hooks/program").unwrap().success());
            assert!(denied(run("other/program")));
        });
    }

    #[test]
    fn a_link_opens_the_folder_that_it_leads_to() {
        let home = tempfile::tempdir().unwrap();
        let home = fs::canonicalize(home.path()).unwrap();
        for folder in ["live", "archive"] {
            fs::create_dir(home.join(folder)).unwrap();
        }
        fs::copy("/etc/hosts", home.join("archive/cert3.pem")).unwrap();
        std::os::unix::fs::symlink("../archive/cert3.pem", home.join("live/cert.pem")).unwrap();
        assert_eq!(
            places(&home.join("live/cert.pem")),
            [home.join("live"), home.join("archive")]
        );
    }

    #[test]
    fn the_root_folder_is_never_opened() {
        assert_eq!(
            places(Path::new("/missing.toml")),
            [PathBuf::from("/missing.toml")]
        );
        assert_eq!(places(Path::new("missing.toml")), [PathBuf::from(".")]);
    }
}
