//! When and from where application passwords were used last, and the file of it.
//!
//! Text, so that a person can read it, written whole and now and then:
//!
//! ```text
//! posthouse app-passwords 1
//! alice phone 1795000000000 192.0.2.7
//! ```
//!
//! A line for each: account, application password, milliseconds since 1970, address. A crash forgets the last half
//! minute. Nothing is decided by it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::account::Accounts;
use crate::clock::Timestamp;
use crate::durable;
use crate::identity::{AccountName, Label};

/// The file in the data directory.
pub const USES_FILE: &str = "app-passwords";

/// The first line of the file.
const HEAD: &str = "posthouse app-passwords 1";

/// The largest file that is read, in octets: a million application passwords.
const MAX_FILE: u64 = 256 << 20;

/// How often the file is written at most.
const EVERY: Duration = Duration::from_secs(30);

/// One use.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Use {
    /// When.
    pub at: Timestamp,
    /// Where the client was.
    pub from: IpAddr,
}

/// The last use of each application password. There are at most as many as passwords.
#[derive(Debug, Default)]
pub struct Uses {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    uses: BTreeMap<(AccountName, Label), Use>,
    has_changed: bool,
}

impl Uses {
    /// Reads a file; one that does not exist has none, and lines that are not understood are left out. Blocks on the
    /// disk.
    ///
    /// # Errors
    /// It cannot be read, or is none of ours.
    pub fn load(path: &Path) -> io::Result<Self> {
        let Some(text) = durable::read(path, MAX_FILE)? else {
            return Ok(Self::default());
        };
        let mut lines = text.lines();
        if lines.next() != Some(HEAD) {
            return Err(io::Error::other("it is no list of application passwords"));
        }
        let known = Known {
            uses: lines.filter_map(parse).collect(),
            has_changed: false,
        };
        Ok(Self {
            known: Mutex::new(known),
        })
    }

    /// Notes a use.
    pub fn note(&self, account: &AccountName, label: &Label, used: Use) {
        let mut known = self.lock();
        known.uses.insert((account.clone(), label.clone()), used);
        known.has_changed = true;
    }

    /// Returns the last use.
    pub fn last(&self, account: &AccountName, label: &Label) -> Option<Use> {
        let key = (account.clone(), label.clone());
        self.lock().uses.get(&key).copied()
    }

    /// Forgets those that there are no more.
    pub fn retain(&self, accounts: &Accounts) {
        let mut known = self.lock();
        let before = known.uses.len();
        known.uses.retain(|(account, label), _| {
            let account = accounts.find(account.as_str());
            account.is_some_and(|account| {
                let mut passwords = account.app_passwords.iter();
                passwords.any(|password| password.label == *label)
            })
        });
        known.has_changed |= known.uses.len() != before;
    }

    /// Writes the file when something has changed, at most twice a minute, until it is stopped; then once more.
    pub async fn keep(self: Arc<Self>, path: PathBuf, stop: CancellationToken) {
        let write = move || self.write(&path);
        durable::keep_written("last uses of application passwords", EVERY, stop, write).await;
    }

    /// Writes the file where something has changed, and puts it in the place of the one before. Blocks on the disk.
    ///
    /// # Errors
    /// The disk's. It will be tried again.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let Some(text) = self.take_changed() else {
            return Ok(());
        };
        let written = durable::replace(path, text.as_bytes());
        if written.is_err() {
            self.lock().has_changed = true;
        }
        written
    }

    fn take_changed(&self) -> Option<String> {
        let mut known = self.lock();
        if !std::mem::take(&mut known.has_changed) {
            return None;
        }
        let mut text = format!("{HEAD}\n");
        for ((account, label), used) in &known.uses {
            let at = used.at.unix_millis();
            // Writing to a string does not fail.
            let _ = writeln!(text, "{account} {label} {at} {}", used.from);
        }
        Some(text)
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn parse(line: &str) -> Option<((AccountName, Label), Use)> {
    // Names have no spaces.
    let mut words = line.split(' ');
    let account = AccountName::parse(words.next()?).ok()?;
    let label = Label::parse(words.next()?).ok()?;
    let used = Use {
        at: Timestamp::from_unix_millis(words.next()?.parse().ok()?),
        from: words.next()?.parse().ok()?,
    };
    Some(((account, label), used))
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;
    use crate::auth::Account;

    fn name(text: &str) -> AccountName {
        AccountName::parse(text).unwrap()
    }

    fn label(text: &str) -> Label {
        Label::parse(text).unwrap()
    }

    fn used(millis: u64) -> Use {
        Use {
            at: Timestamp::from_unix_millis(millis),
            from: "2001:db8::7".parse().unwrap(),
        }
    }

    fn put(path: &Path, text: &str) {
        let mut file = File::create(path).unwrap();
        io::Write::write_all(&mut file, text.as_bytes()).unwrap();
    }

    #[test]
    fn what_is_written_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(USES_FILE);
        let uses = Uses::load(&path).unwrap();
        uses.note(&name("alice@example.com"), &label("phone"), used(1000));
        uses.note(&name("alice@example.com"), &label("phone"), used(2000));
        uses.write(&path).unwrap();
        let read = Uses::load(&path).unwrap();
        let last = read.last(&name("alice@example.com"), &label("phone"));
        assert_eq!(last, Some(used(2000)));
        assert_eq!(read.last(&name("alice@example.com"), &label("desk")), None);
    }

    #[test]
    fn nothing_is_written_where_nothing_has_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(USES_FILE);
        let uses = Uses::default();
        uses.write(&path).unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn a_foreign_file_is_refused_and_a_damaged_line_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(USES_FILE);
        put(&path, "something else\n");
        assert!(Uses::load(&path).is_err());
        put(&path, &format!("{HEAD}\na b\nalice phone 5 2001:db8::7\n"));
        let read = Uses::load(&path).unwrap();
        assert_eq!(read.last(&name("alice"), &label("phone")), Some(used(5)));
    }

    #[test]
    fn a_password_that_is_gone_is_forgotten() {
        let uses = Uses::default();
        uses.note(&name("alice"), &label("phone"), used(1));
        let accounts = Accounts::new(vec![Account::new(name("alice"))]).unwrap();
        uses.retain(&accounts);
        assert_eq!(uses.last(&name("alice"), &label("phone")), None);
    }
}
