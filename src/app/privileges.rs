//! File descriptors for thousands of ports, no core dumps, the step from root to an ordinary user, and no way back.

use std::fs;
use std::io;
use std::os::unix::fs::chown;
use std::path::Path;

use rustix::fs::{CWD, Dir, FileType, Mode, OFlags, fchown, fstat, openat};
use rustix::io::Errno;
use rustix::process::{
    DumpableBehavior, Gid, Resource, Rlimit, Uid, getrlimit, set_dumpable_behavior, setrlimit,
};
use rustix::thread::{
    CapabilitySet, CapabilitySets, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities, set_no_new_privs, set_thread_gid,
    set_thread_groups, set_thread_uid,
};

use super::error::AppError;

/// File descriptors kept for connections, the spool and the rest, beside the ports.
const RESERVE: u64 = 256;

/// What of root's power stays where the configuration names no user: over files of others, nothing else.
const OVER_FILES: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::DAC_READ_SEARCH)
    .union(CapabilitySet::FOWNER);

/// Raises the soft limit on open files to the hard one; refuses a start that would run out of them. Returns how many
/// connections there is room for beside the ports and a reserve for everything else.
pub(super) fn raise_file_limit(ports: usize) -> Result<usize, AppError> {
    let limits = getrlimit(Resource::Nofile);
    let needed = ports as u64 + RESERVE;
    match limits.maximum {
        Some(limit) if limit < needed => return Err(AppError::FileDescriptors { needed, limit }),
        Some(_) | None => {}
    }
    let raised = Rlimit {
        current: limits.maximum,
        maximum: limits.maximum,
    };
    setrlimit(Resource::Nofile, raised).map_err(|error| AppError::Runtime {
        part: "process with more file descriptors",
        source: error.into(),
    })?;
    let room = limits.maximum.map(|limit| limit - needed);
    Ok(room.map_or(usize::MAX, |room| {
        usize::try_from(room).unwrap_or(usize::MAX)
    }))
}

/// Keeps a crash from writing passwords, keys and mail to the disk, and other processes of the user from reading the
/// memory. Called after the user has changed, which would undo it.
pub(super) fn forbid_core_dumps() -> Result<(), AppError> {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    let limited = setrlimit(Resource::Core, none);
    limited
        .and_then(|()| set_dumpable_behavior(DumpableBehavior::NotDumpable))
        .map_err(|error| AppError::Runtime {
            part: "process without core dumps",
            source: error.into(),
        })
}

/// Gives up for good what the process could do beyond what its user may: capabilities, and programs that give others
/// (`no_new_privs`). Called before any other thread exists: threads started later inherit it.
///
/// Root that stays root keeps its power over files alone, since the data may belong to another user.
pub(super) fn give_up() -> Result<(), AppError> {
    let kept = if rustix::process::geteuid().is_root() {
        OVER_FILES
    } else {
        CapabilitySet::empty()
    };
    bound(kept);
    drop_capabilities(kept).map_err(|error| AppError::Runtime {
        part: "process without privileges",
        source: error.into(),
    })
}

/// Takes all other capabilities out of reach for programs that are run. Only who may change its capabilities can do
/// that; the others cannot win any, by `no_new_privs`.
fn bound(kept: CapabilitySet) {
    for capability in (CapabilitySet::all() - kept).iter() {
        let _refused = remove_capability_from_bounding_set(capability);
    }
}

fn drop_capabilities(kept: CapabilitySet) -> rustix::io::Result<()> {
    let permitted = rustix::thread::capabilities(None)?.permitted & kept;
    match clear_ambient_capability_set() {
        // Before Linux 4.3 there are none.
        Ok(()) | Err(Errno::INVAL) => {}
        Err(error) => return Err(error),
    }
    let sets = CapabilitySets {
        effective: permitted,
        permitted,
        inheritable: CapabilitySet::empty(),
    };
    match set_capabilities(None, sets) {
        // A filter of system calls forbids it; `held` tells what is left.
        Ok(()) | Err(Errno::PERM) => {}
        Err(error) => return Err(error),
    }
    set_no_new_privs(true)
}

/// Returns the capabilities that the thread has, for the log.
pub(super) fn held() -> String {
    let sets = rustix::thread::capabilities(None);
    let names = |sets: CapabilitySets| {
        let names = sets.permitted.iter_names().map(|(name, _)| name);
        names.collect::<Vec<_>>().join(" ")
    };
    sets.map_or_else(|error| error.to_string(), names)
}

/// An ordinary user of the system.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct User {
    uid: u32,
    gid: u32,
    /// The other groups it belongs to: one of them may be who reads the keys.
    groups: Vec<u32>,
}

/// Finds a user in `/etc/passwd`, and its groups in `/etc/group`. Users from elsewhere (LDAP) are not found; start as
/// that user instead.
pub(super) fn find_user(name: &str) -> io::Result<User> {
    let passwd = fs::read_to_string("/etc/passwd")?;
    let mut user = user_in(&passwd, name).ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::NotFound,
            "there is no such user in /etc/passwd",
        )
    })?;
    user.groups = match fs::read_to_string("/etc/group") {
        Ok(list) => groups_in(&list, name),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    Ok(user)
}

/// Returns the groups that list a user among their members.
fn groups_in(list: &str, name: &str) -> Vec<u32> {
    let group = |line: &str| {
        let mut fields = line.split(':').skip(2);
        let number = fields.next()?.parse().ok()?;
        fields.next()?.split(',').find(|member| *member == name)?;
        Some(number)
    };
    list.lines().filter_map(group).collect()
}

fn user_in(passwd: &str, name: &str) -> Option<User> {
    let line = passwd
        .lines()
        .find(|line| line.split(':').next() == Some(name))?;
    let mut fields = line.split(':').skip(2);
    Some(User {
        uid: fields.next()?.parse().ok()?,
        gid: fields.next()?.parse().ok()?,
        groups: Vec::new(),
    })
}

impl User {
    /// Gives a folder to the user.
    pub(super) fn own(&self, path: &Path) -> io::Result<()> {
        chown(path, Some(self.uid), Some(self.gid))
    }

    /// Gives a folder and the files in it to the user, where it is there.
    ///
    /// The user may write beside it already, and so may whoever has taken over the server before: nothing is followed, and
    /// what is given away is what was looked at.
    ///
    /// # Errors
    /// The folder is a link, or no folder; a file cannot be given away.
    pub(super) fn own_all(&self, folder: &Path) -> io::Result<()> {
        let looking = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = match openat(CWD, folder, looking | OFlags::DIRECTORY, Mode::empty()) {
            Err(Errno::NOENT) => return Ok(()),
            opened => opened?,
        };
        let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
        fchown(&opened, Some(uid), Some(gid))?;
        for entry in Dir::read_from(&opened)? {
            let entry = entry?;
            // A pipe must not keep the start waiting.
            let file = openat(
                &opened,
                entry.file_name(),
                looking | OFlags::NONBLOCK,
                Mode::empty(),
            );
            let Ok(file) = file else { continue };
            let found = fstat(&file)?;
            // A file with a second name may be another's.
            if FileType::from_raw_mode(found.st_mode).is_file() && found.st_nlink == 1 {
                fchown(&file, Some(uid), Some(gid))?;
            }
        }
        Ok(())
    }

    /// Becomes the user, for good. Called before any other thread exists: threads started later inherit it.
    pub(super) fn assume(&self) -> io::Result<()> {
        if !rustix::process::geteuid().is_root() {
            return if rustix::process::geteuid().as_raw() == self.uid {
                Ok(())
            } else {
                Err(io::Error::new(
                    io::ErrorKind::PermissionDenied,
                    "only root can become another user",
                ))
            };
        }
        // Whoever may change capabilities takes them out of reach before that right is gone.
        bound(CapabilitySet::empty());
        let groups = std::iter::once(self.gid).chain(self.groups.iter().copied());
        let groups: Vec<_> = groups.map(Gid::from_raw).collect();
        set_thread_groups(&groups)?;
        set_thread_gid(Gid::from_raw(self.gid))?;
        set_thread_uid(Uid::from_raw(self.uid))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nposthouse:x:997:995::/var/lib/posthouse:/usr/sbin/nologin\n";

    #[test]
    fn no_core_is_dumped() {
        forbid_core_dumps().unwrap();
        let limits = getrlimit(Resource::Core);
        assert_eq!((limits.current, limits.maximum), (Some(0), Some(0)));
    }

    #[test]
    fn a_thread_that_gives_up_has_no_way_back() {
        let given_up = std::thread::spawn(|| {
            give_up().unwrap();
            let sets = rustix::thread::capabilities(None).unwrap();
            assert_eq!(sets.effective, sets.permitted);
            assert!((sets.permitted - OVER_FILES).is_empty());
            assert!(sets.inheritable.is_empty());
            assert!(rustix::thread::no_new_privs().unwrap());
        });
        given_up.join().unwrap();
    }

    #[test]
    fn nothing_is_given_away_through_a_link() {
        let home = tempfile::tempdir().unwrap();
        let path = |name: &str| home.path().join(name);
        for folder in ["others", "tokens"] {
            fs::create_dir(path(folder)).unwrap();
        }
        for file in ["others/shadow", "others/hard", "tokens/token"] {
            fs::File::create(path(file)).unwrap();
        }
        fs::hard_link(path("others/hard"), path("tokens/hard")).unwrap();
        std::os::unix::fs::symlink(path("others/shadow"), path("tokens/soft")).unwrap();
        std::os::unix::fs::symlink(path("others"), path("link")).unwrap();
        let own = rustix::process::geteuid();
        let owner = |name: &str| fs::metadata(path(name)).unwrap().uid();
        let nobody = User {
            uid: 65_534,
            gid: 65_534,
            groups: Vec::new(),
        };
        assert!(nobody.own_all(&path("link")).is_err());
        nobody.own_all(&path("missing")).unwrap();
        // Who is not root cannot give anything away.
        let is_given = nobody.own_all(&path("tokens")).is_ok();
        assert_eq!(is_given, own.is_root());
        for other in ["others", "others/shadow", "others/hard"] {
            assert_eq!(owner(other), own.as_raw(), "{other}");
        }
        for ours in ["tokens", "tokens/token"] {
            assert_eq!(owner(ours) == nobody.uid, is_given, "{ours}");
        }
    }

    #[test]
    fn a_user_is_in_the_groups_that_list_it() {
        let list = "root:x:0:\nssl-cert:x:110:postgres,posthouse\nmail:x:8:posthouses\nbroken\n";
        assert_eq!(groups_in(list, "posthouse"), [110]);
        assert_eq!(groups_in(list, "root"), [] as [u32; 0]);
    }

    #[test]
    fn a_user_is_found_by_the_whole_name() {
        assert_eq!(
            user_in(PASSWD, "posthouse"),
            Some(User {
                uid: 997,
                gid: 995,
                groups: Vec::new()
            })
        );
        assert_eq!(user_in(PASSWD, "post"), None);
        assert_eq!(user_in("broken:x:a:b", "broken"), None);
    }
}
