//! File descriptors for thousands of ports, no core dumps, and the step from root to an ordinary user.

use std::fs;
use std::io;
use std::os::unix::fs::{chown, lchown};
use std::path::Path;

use rustix::process::{Gid, Resource, Rlimit, Uid, getrlimit, setrlimit};
use rustix::thread::{set_thread_gid, set_thread_groups, set_thread_uid};

use super::error::AppError;

/// File descriptors kept for connections, the spool and the rest, beside the ports.
const RESERVE: u64 = 256;

/// Raises the soft limit on open files to the hard one; refuses a start that would run out of them.
pub(super) fn raise_file_limit(ports: usize) -> Result<(), AppError> {
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
    })
}

/// Keeps a crash from writing passwords, keys and mail to the disk.
pub(super) fn forbid_core_dumps() -> Result<(), AppError> {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    setrlimit(Resource::Core, none).map_err(|error| AppError::Runtime {
        part: "process without core dumps",
        source: error.into(),
    })
}

/// An ordinary user of the system.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct User {
    uid: u32,
    gid: u32,
}

/// Finds a user in `/etc/passwd`. Users from elsewhere (LDAP) are not found; start as that user instead.
pub(super) fn find_user(name: &str) -> io::Result<User> {
    let passwd = fs::read_to_string("/etc/passwd")?;
    user_in(&passwd, name).ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::NotFound,
            "there is no such user in /etc/passwd",
        )
    })
}

fn user_in(passwd: &str, name: &str) -> Option<User> {
    let line = passwd
        .lines()
        .find(|line| line.split(':').next() == Some(name))?;
    let mut fields = line.split(':').skip(2);
    Some(User {
        uid: fields.next()?.parse().ok()?,
        gid: fields.next()?.parse().ok()?,
    })
}

impl User {
    /// Gives a folder to the user.
    pub(super) fn own(self, path: &Path) -> io::Result<()> {
        chown(path, Some(self.uid), Some(self.gid))
    }

    /// Gives a folder and the files in it to the user, where it is there.
    pub(super) fn own_all(self, folder: &Path) -> io::Result<()> {
        let entries = match fs::read_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            read => read?,
        };
        self.own(folder)?;
        for entry in entries {
            // Not through a link: what it leads to may be another's.
            lchown(entry?.path(), Some(self.uid), Some(self.gid))?;
        }
        Ok(())
    }

    /// Becomes the user, for good. Called before any other thread exists: threads started later inherit it.
    pub(super) fn assume(self) -> io::Result<()> {
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
        set_thread_groups(&[Gid::from_raw(self.gid)])?;
        set_thread_gid(Gid::from_raw(self.gid))?;
        set_thread_uid(Uid::from_raw(self.uid))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nposthouse:x:997:995::/var/lib/posthouse:/usr/sbin/nologin\n";

    #[test]
    fn no_core_is_dumped() {
        forbid_core_dumps().unwrap();
        let limits = getrlimit(Resource::Core);
        assert_eq!((limits.current, limits.maximum), (Some(0), Some(0)));
    }

    #[test]
    fn a_user_is_found_by_the_whole_name() {
        assert_eq!(
            user_in(PASSWD, "posthouse"),
            Some(User { uid: 997, gid: 995 })
        );
        assert_eq!(user_in(PASSWD, "post"), None);
        assert_eq!(user_in("broken:x:a:b", "broken"), None);
    }
}
