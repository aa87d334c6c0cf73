//! Edits of the accounts file that leave everything else in it as it is: comments, order, white space.
//!
//! An edit is written to a new file that takes the place of the old one, so that readers and a crash meet either the
//! one or the other. Two edits at once wait for each other; an edit by hand in that moment is not noticed.

mod app_passwords;
mod certificates;
mod keys;

use std::convert::Infallible;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, fchown};
use std::path::{Path, PathBuf};

use toml_edit::{DocumentMut, Item, Table, TableLike, Value};

use super::diagnostic::{Report, Source};
use super::{raw, read};
use crate::auth::{CertificateId, PasswordHash, ScramVerifier};
use crate::durable::{self, Replacement};
use crate::identity::{AccountName, Label, folded};

pub use app_passwords::NewAppPassword;
pub use keys::{AccountKey, AccountValue, KeyChange};

/// Why an edit was not made. The file is as it was.
#[derive(Debug, thiserror::Error)]
pub enum AccountsFileError {
    /// The account has an application password of that name.
    #[error("there is an application password `{0}` already")]
    AppPasswordExists(Label),
    /// The account has no application password of that name.
    #[error("there is no application password `{0}`")]
    AppPasswordMissing(Label),
    /// The account has that certificate.
    #[error("certificate `{0}` is the account's already")]
    CertificateExists(CertificateId),
    /// The account has not that certificate.
    #[error("certificate `{0}` is not the account's")]
    CertificateMissing(CertificateId),
    /// There is an account of that name, perhaps in other letter case.
    #[error("there is an account `{0}` already")]
    Exists(AccountName),
    /// The file has faults; it is repaired by hand.
    #[error("the accounts file has faults")]
    Invalid(#[source] Report),
    /// There is no account of that name.
    #[error("there is no account `{0}`")]
    Missing(AccountName),
    /// The file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file cannot be written.
    #[error("cannot write {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// What an account begins with.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// Its name.
    pub name: AccountName,
    /// The hash of its password.
    pub password: Option<PasswordHash>,
    /// What is kept of it for SCRAM.
    pub scram: Option<ScramVerifier>,
    /// Everything else, in the order in which it is written. What is not among it has its default.
    pub keys: Vec<(AccountKey, AccountValue)>,
}

/// The accounts file. Every edit blocks on the disk, and is durable when it returns.
#[derive(Clone, Debug)]
pub struct AccountsFile {
    path: PathBuf,
}

impl AccountsFile {
    /// Names the file, which need not exist.
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Adds an account at the end. The file is made, readable by its owner alone, where there is none.
    ///
    /// # Errors
    /// [`AccountsFileError::Exists`], or that the file cannot be read or written.
    pub fn add(&self, account: &NewAccount) -> Result<(), AccountsFileError> {
        self.edit(|accounts| {
            if let Some(key) = key_of(accounts, &account.name) {
                let existing = AccountName::parse(&key).unwrap_or_else(|_| account.name.clone());
                return Err(AccountsFileError::Exists(existing));
            }
            accounts.insert(account.name.as_str(), Item::Table(table_of(account)));
            Ok(())
        })
    }

    /// Sets the password of an account, and what is kept of it for SCRAM.
    ///
    /// # Errors
    /// [`AccountsFileError::Missing`], or that the file cannot be read or written.
    pub fn set_password(
        &self,
        name: &AccountName,
        hash: &PasswordHash,
        scram: Option<&ScramVerifier>,
    ) -> Result<(), AccountsFileError> {
        self.edit(|accounts| {
            set(accounts, name, "password", hash.as_str().into())?;
            match scram {
                Some(scram) => set(accounts, name, "scram", scram.as_str().into()),
                // That of the old password would let it in.
                None => unset(accounts, name, "scram"),
            }
        })
    }

    /// Lets an account be used again.
    ///
    /// # Errors
    /// [`AccountsFileError::Missing`], or that the file cannot be read or written.
    pub fn enable(&self, name: &AccountName) -> Result<(), AccountsFileError> {
        self.edit(|accounts| set(accounts, name, "active", true.into()))
    }

    /// Keeps an account from being used.
    ///
    /// # Errors
    /// [`AccountsFileError::Missing`], or that the file cannot be read or written.
    pub fn disable(&self, name: &AccountName) -> Result<(), AccountsFileError> {
        self.edit(|accounts| set(accounts, name, "active", false.into()))
    }

    /// Removes an account, with the comment above it.
    ///
    /// # Errors
    /// [`AccountsFileError::Missing`], or that the file cannot be read or written.
    pub fn delete(&self, name: &AccountName) -> Result<(), AccountsFileError> {
        self.edit(|accounts| {
            let key = key_of(accounts, name);
            let removed = key.and_then(|key| accounts.remove(&key));
            removed.map(drop).ok_or_else(|| missing(name))
        })
    }

    fn edit(
        &self,
        change: impl FnOnce(&mut dyn TableLike) -> Result<(), AccountsFileError>,
    ) -> Result<(), AccountsFileError> {
        match self.edit_if(change, || Ok::<(), Infallible>(()))? {
            Ok(()) => Ok(()),
        }
    }

    /// Makes an edit, and takes it back where `accept` refuses what has come out. Other edits wait meanwhile.
    fn edit_if<R>(
        &self,
        change: impl FnOnce(&mut dyn TableLike) -> Result<(), AccountsFileError>,
        accept: impl FnOnce() -> Result<(), R>,
    ) -> Result<Result<(), R>, AccountsFileError> {
        // Through a symbolic link, so that the file it points to is exchanged and not the link.
        let path = fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        let unwritable = |source| AccountsFileError::Write {
            path: path.clone(),
            source,
        };
        // The folder is locked, since the file itself is another one after every edit.
        let folder = durable::lock_folder_of(&path).map_err(unwritable)?;
        let text = self.read(&path)?;
        let edited = self.edited(&text, change)?;
        replace(&folder, &path, &edited).map_err(unwritable)?;
        let accepted = accept();
        if accepted.is_err() {
            replace(&folder, &path, &text).map_err(unwritable)?;
        }
        Ok(accepted)
    }

    /// Returns a text with an edit.
    fn edited(
        &self,
        text: &str,
        change: impl FnOnce(&mut dyn TableLike) -> Result<(), AccountsFileError>,
    ) -> Result<String, AccountsFileError> {
        let mut document = self.parse(text)?;
        let accounts = document
            .entry("account")
            .or_insert_with(|| Item::Table(implicit_table()));
        match accounts.as_table_like_mut() {
            Some(accounts) => change(accounts)?,
            None => return Err(self.invalid(text)),
        }
        let edited = document.to_string();
        self.parse(&edited)?;
        Ok(edited)
    }

    fn read(&self, path: &Path) -> Result<String, AccountsFileError> {
        match fs::read_to_string(path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(AccountsFileError::Read {
                    path: self.path.clone(),
                    source,
                })
            }
            Err(_) => Ok(String::new()),
            Ok(text) => Ok(text),
        }
    }

    fn parse(&self, text: &str) -> Result<DocumentMut, AccountsFileError> {
        text.parse().map_err(|_| self.invalid(text))
    }

    fn invalid(&self, text: &str) -> AccountsFileError {
        let source = Source::new(&self.path, text.to_owned());
        let reading = read::read::<raw::AccountsRoot>(&source);
        AccountsFileError::Invalid(Report::new(reading.diagnostics))
    }
}

fn missing(name: &AccountName) -> AccountsFileError {
    AccountsFileError::Missing(name.clone())
}

/// Returns the key as it is in the file; letter case does not count.
fn key_of(accounts: &dyn TableLike, name: &AccountName) -> Option<String> {
    let wanted = folded(name.as_str());
    let mut keys = accounts.iter().map(|(key, _)| key);
    keys.find(|key| folded(key) == wanted).map(str::to_owned)
}

fn account_of<'a>(
    accounts: &'a mut dyn TableLike,
    name: &AccountName,
) -> Result<&'a mut dyn TableLike, AccountsFileError> {
    let key = key_of(accounts, name).ok_or_else(|| missing(name))?;
    accounts
        .get_mut(&key)
        .and_then(Item::as_table_like_mut)
        .ok_or_else(|| missing(name))
}

/// Sets a key of an account, keeping the comment beside it.
fn set(
    accounts: &mut dyn TableLike,
    name: &AccountName,
    key: &str,
    mut value: Value,
) -> Result<(), AccountsFileError> {
    let account = key_of(accounts, name)
        .and_then(|name| accounts.get_mut(&name))
        .and_then(Item::as_table_like_mut)
        .ok_or_else(|| missing(name))?;
    if let Some(old) = account.get(key).and_then(Item::as_value) {
        value.decor_mut().clone_from(old.decor());
    }
    match account.get_mut(key) {
        Some(item) => *item = Item::Value(value),
        None => drop(account.insert(key, Item::Value(value))),
    }
    Ok(())
}

/// Takes a key of an account out.
fn unset(
    accounts: &mut dyn TableLike,
    name: &AccountName,
    key: &str,
) -> Result<(), AccountsFileError> {
    let account = key_of(accounts, name)
        .and_then(|name| accounts.get_mut(&name))
        .and_then(Item::as_table_like_mut)
        .ok_or_else(|| missing(name))?;
    account.remove(key);
    Ok(())
}

fn implicit_table() -> Table {
    let mut table = Table::new();
    table.set_implicit(true);
    table
}

fn table_of(account: &NewAccount) -> Table {
    let mut table = Table::new();
    table.decor_mut().set_prefix("\n");
    let mut put = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            table.insert(key, Item::Value(value));
        }
    };
    let hash = account.password.as_ref();
    put("password", hash.map(|hash| hash.as_str().into()));
    let scram = account.scram.as_ref();
    put("scram", scram.map(|scram| scram.as_str().into()));
    put("active", Some(true.into()));
    for (key, value) in &account.keys {
        put(key.as_str(), Some(value.into()));
    }
    table
}

/// Puts a new file in the place of the old one, in a locked folder, with its mode and owner. It stays locked.
fn replace(folder: &File, path: &Path, text: &str) -> io::Result<()> {
    let old = match fs::metadata(path) {
        Ok(metadata) => Some(metadata),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let mut file = Replacement::begin_under(folder.try_clone()?, path)?;
    file.write_all(text.as_bytes())?;
    if let Some(old) = old {
        keep(file.file(), &old)?;
    }
    file.finish().map(drop)
}

fn keep(file: &File, old: &fs::Metadata) -> io::Result<()> {
    let new = file.metadata()?;
    if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
        fchown(file, Some(old.uid()), Some(old.gid()))?;
    }
    file.set_permissions(old.permissions())
}

#[cfg(test)]
mod tests;
