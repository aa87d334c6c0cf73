//! The ledger of senders: a small file in the data directory, replaced as a whole.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::clock::Timestamp;
use crate::durable;
use crate::identity::AccountName;
use crate::mail::Mailbox;
use crate::policy::Grant;

use super::stored;
use super::subject::is_same;
use super::token::Digest;

/// The file name in the data directory.
const FILE: &str = "senders";

/// How long a link can be used.
const LINK_LIFETIME: Duration = Duration::from_hours(24);

/// The most senders of one account that may wait for a proof.
const MOST_WAITING: usize = 50;

/// The span in which links are counted.
const SPAN: Duration = Duration::from_hours(1);

/// The most links that are sent for one account in that span.
const MOST_FOR_ACCOUNT: usize = 20;

/// The most links that are sent to one address in that span, for whichever account.
const MOST_TO_ADDRESS: usize = 3;

/// All senders that wait for a proof or have one.
#[derive(Clone, Debug)]
pub struct Ledger {
    path: PathBuf,
    entries: Vec<Entry>,
    /// The links of the last [`SPAN`]; a restart forgets them.
    sent: Vec<(AccountName, Mailbox, Timestamp)>,
}

/// A sender of an account. There is one at most of the same account and subject.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// Who wants to send so.
    pub account: AccountName,
    /// As what.
    pub subject: Grant,
    /// Since when it is here.
    pub since: Timestamp,
    /// How it can be proved, or could be.
    pub question: Question,
    /// Its proof; `None` while it waits.
    pub verified: Option<Verified>,
}

/// How a sender can be proved.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Question {
    /// By a link that was sent to it.
    Link {
        /// The digest of its token.
        digest: Digest,
        /// When it ends.
        until: Timestamp,
    },
    /// By nothing but an operator's word.
    Operator,
    /// By a record in DNS with this token, which is no secret.
    Record {
        /// The token.
        token: Box<str>,
    },
}

/// That a sender is proved.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Verified {
    /// When.
    pub at: Timestamp,
    /// How.
    pub by: Proof,
}

/// What proved it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Proof {
    /// The record in DNS.
    Dns,
    /// The link.
    Link,
    /// An operator's word.
    Operator,
}

/// What a link is worth.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Standing {
    /// It is too late.
    Expired,
    /// It proves this entry.
    Open(Entry),
    /// There is no such link, or a newer one has taken its place.
    Unknown,
    /// It has been used.
    Used(Entry),
}

/// Why the ledger is as it was.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The account has asked for too much that nobody has proved.
    #[error("{MOST_WAITING} senders of account `{0}` wait for a proof already; delete some")]
    Waiting(AccountName),
    /// Too many links in a short time.
    #[error(
        "too many links in the last hour for account `{account}` or to {address}; try again later"
    )]
    TooMany {
        /// The account.
        account: AccountName,
        /// The address.
        address: Mailbox,
    },
    /// The file cannot be written.
    #[error("cannot write the file of verified senders")]
    Write(#[source] io::Error),
}

impl Ledger {
    /// Reads the file of a data directory. Where it is not there, nothing is verified. Blocks on the disk.
    ///
    /// # Errors
    /// The file cannot be read or understood.
    pub fn load(data_dir: &Path) -> io::Result<Self> {
        let mut ledger = Self::empty(data_dir);
        match fs::read(&ledger.path) {
            Ok(text) => ledger.entries = stored::parse(&text)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        Ok(ledger)
    }

    /// Says that nothing is verified; the file is left as it is.
    pub fn empty(data_dir: &Path) -> Self {
        Self {
            path: data_dir.join(FILE),
            entries: Vec::new(),
            sent: Vec::new(),
        }
    }

    /// Returns the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns all entries.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Returns the entry of an account and subject.
    pub fn find(&self, account: &AccountName, subject: &Grant) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.is(account, subject))
    }

    /// Returns what is proved for an account.
    pub fn verified_of(&self, account: &AccountName) -> Vec<Grant> {
        let own = self
            .entries
            .iter()
            .filter(|entry| entry.account == *account && entry.verified.is_some());
        own.map(|entry| entry.subject.clone()).collect()
    }

    /// Returns what a link is worth. Looks at every entry, so that the time tells nothing.
    pub fn standing(&self, digest: &Digest, now: Timestamp) -> Standing {
        let mut standing = Standing::Unknown;
        for entry in &self.entries {
            let Question::Link { digest: own, until } = &entry.question else {
                continue;
            };
            if own == digest {
                standing = match entry.verified {
                    Some(_) => Standing::Used(entry.clone()),
                    None if now >= *until => Standing::Expired,
                    None => Standing::Open(entry.clone()),
                };
            }
        }
        standing
    }

    /// Lets an address wait for the link with this digest; an older link is worth nothing from then on. Durable when it
    /// returns. A proof that is there stays. Returns until when the link can be used.
    ///
    /// # Errors
    /// [`LedgerError`]: nothing has changed.
    pub fn ask_by_link(
        &mut self,
        (account, address): (&AccountName, &Mailbox),
        digest: Digest,
        now: Timestamp,
    ) -> Result<Timestamp, LedgerError> {
        let begin = now.before(SPAN);
        self.sent.retain(|(_, _, at)| *at > begin);
        let of_account = self.sent.iter().filter(|(own, _, _)| own == account);
        let to_address = self.sent.iter().filter(|(_, to, _)| to.is_same_as(address));
        if of_account.count() >= MOST_FOR_ACCOUNT || to_address.count() >= MOST_TO_ADDRESS {
            return Err(LedgerError::TooMany {
                account: account.clone(),
                address: address.clone(),
            });
        }
        let until = now.after(LINK_LIFETIME);
        self.ask(Entry {
            account: account.clone(),
            subject: Grant::Mailbox(address.clone()),
            since: now,
            question: Question::Link { digest, until },
            verified: None,
        })?;
        self.sent.push((account.clone(), address.clone(), now));
        Ok(until)
    }

    /// Lets a domain wait for a record with this token; where it waits already it keeps the token it has. Durable when it
    /// returns.
    ///
    /// # Errors
    /// [`LedgerError`]: nothing has changed.
    pub fn ask_by_record(
        &mut self,
        (account, subject): (&AccountName, &Grant),
        token: &str,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        let known = self.find(account, subject).map(|entry| &entry.question);
        if let Some(Question::Record { .. }) = known {
            return Ok(());
        }
        self.ask(Entry {
            account: account.clone(),
            subject: subject.clone(),
            since: now,
            question: Question::Record {
                token: token.into(),
            },
            verified: None,
        })
    }

    /// Uses a link. Durable when it returns: the proof counts from then on. Returns what the link was worth; it proved
    /// something where that is [`Standing::Open`].
    ///
    /// # Errors
    /// [`LedgerError::Write`]: the link can be used again.
    pub fn confirm(&mut self, digest: &Digest, now: Timestamp) -> Result<Standing, LedgerError> {
        let standing = self.standing(digest, now);
        if let Standing::Open(entry) = &standing {
            self.prove((&entry.account, &entry.subject), Proof::Link, now)?;
        }
        Ok(standing)
    }

    /// Records a proof, also of what nobody has asked for. Durable when it returns.
    ///
    /// # Errors
    /// [`LedgerError::Write`]: nothing has changed.
    pub fn prove(
        &mut self,
        (account, subject): (&AccountName, &Grant),
        by: Proof,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        let verified = Some(Verified { at: now, by });
        self.change(|entries| {
            let known = entries.iter_mut().find(|entry| entry.is(account, subject));
            match known {
                Some(entry) => entry.verified = verified,
                None => entries.push(Entry {
                    account: account.clone(),
                    subject: subject.clone(),
                    since: now,
                    question: Question::Operator,
                    verified,
                }),
            }
        })
    }

    /// Takes a proof back: it waits again. Durable when it returns.
    ///
    /// # Errors
    /// [`LedgerError::Write`]: nothing has changed.
    pub fn doubt(&mut self, account: &AccountName, subject: &Grant) -> Result<(), LedgerError> {
        self.change(|entries| {
            for entry in entries
                .iter_mut()
                .filter(|entry| entry.is(account, subject))
            {
                entry.verified = None;
            }
        })
    }

    /// Removes an entry; returns whether there was one. Durable when it returns.
    ///
    /// # Errors
    /// [`LedgerError::Write`]: nothing has changed.
    pub fn delete(&mut self, account: &AccountName, subject: &Grant) -> Result<bool, LedgerError> {
        if self.find(account, subject).is_none() {
            return Ok(false);
        }
        self.change(|entries| entries.retain(|entry| !entry.is(account, subject)))?;
        Ok(true)
    }

    /// Removes the entries of accounts that are gone, so that who gets such a name later does not get its senders; returns
    /// them. Durable when it returns.
    ///
    /// # Errors
    /// [`LedgerError::Write`]: they count no more, but are in the file still.
    pub fn forget_gone(
        &mut self,
        exists: impl Fn(&AccountName) -> bool,
    ) -> Result<Vec<Entry>, LedgerError> {
        let entries = std::mem::take(&mut self.entries).into_iter();
        let (known, gone): (Vec<_>, Vec<_>) = entries.partition(|entry| exists(&entry.account));
        self.entries = known;
        if !gone.is_empty() {
            self.save(&self.entries).map_err(LedgerError::Write)?;
        }
        Ok(gone)
    }

    fn ask(&mut self, asked: Entry) -> Result<(), LedgerError> {
        let (account, subject) = (&asked.account, &asked.subject);
        let waiting = self
            .entries
            .iter()
            .filter(|entry| entry.account == *account && entry.verified.is_none());
        if self.find(account, subject).is_none() && waiting.count() >= MOST_WAITING {
            return Err(LedgerError::Waiting(account.clone()));
        }
        self.change(|entries| {
            let known = entries
                .iter_mut()
                .find(|entry| entry.is(&asked.account, &asked.subject));
            match known {
                // A used link would say that it has been used; this one may be.
                Some(entry) if entry.verified.is_none() => *entry = asked,
                Some(_) => {}
                None => entries.push(asked),
            }
        })
    }

    fn change(&mut self, change: impl FnOnce(&mut Vec<Entry>)) -> Result<(), LedgerError> {
        let mut entries = self.entries.clone();
        change(&mut entries);
        self.save(&entries).map_err(LedgerError::Write)?;
        self.entries = entries;
        Ok(())
    }

    fn save(&self, entries: &[Entry]) -> io::Result<()> {
        durable::replace(&self.path, &stored::write(entries)?)
    }
}

impl Entry {
    /// Returns whether it is the one of this account and subject.
    fn is(&self, account: &AccountName, subject: &Grant) -> bool {
        self.account == *account && is_same(&self.subject, subject)
    }
}

#[cfg(test)]
mod tests;
