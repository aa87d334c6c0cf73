//! Edits of what certificates accounts are known by.

use toml_edit::{Array, Item, Value};

use super::{AccountsFile, AccountsFileError, account_of};
use crate::auth::CertificateId;
use crate::identity::AccountName;

/// The key of an account with the list of them.
const KEY: &str = "certificates";

impl AccountsFile {
    /// Adds certificates to an account.
    ///
    /// # Errors
    /// [`AccountsFileError::Missing`], [`AccountsFileError::CertificateExists`], or that the file cannot be read or written.
    pub fn add_certificates(
        &self,
        name: &AccountName,
        new: &[CertificateId],
    ) -> Result<(), AccountsFileError> {
        self.edit(|accounts| {
            let account = account_of(accounts, name)?;
            let mut list = list(account.get(KEY));
            for id in new {
                if list.iter().any(|entry| means(entry, id)) {
                    return Err(AccountsFileError::CertificateExists(id.clone()));
                }
                list.push(id.to_string());
            }
            put(account, list);
            Ok(())
        })
    }

    /// Takes a certificate from an account.
    ///
    /// # Errors
    /// [`AccountsFileError::Missing`], [`AccountsFileError::CertificateMissing`], or that the file cannot be read or
    /// written.
    pub fn remove_certificate(
        &self,
        name: &AccountName,
        id: &CertificateId,
    ) -> Result<(), AccountsFileError> {
        self.edit(|accounts| {
            let account = account_of(accounts, name)?;
            let mut list = list(account.get(KEY));
            let before = list.len();
            list.retain(|entry| !means(entry, id));
            if list.len() == before {
                return Err(AccountsFileError::CertificateMissing(id.clone()));
            }
            put(account, list);
            Ok(())
        })
    }
}

fn means(entry: &str, id: &CertificateId) -> bool {
    CertificateId::parse(entry).as_ref() == Ok(id)
}

/// Returns the entries of a list in either form.
fn list(item: Option<&Item>) -> Vec<String> {
    let texts = |array: &Array| {
        let entries = array.iter().filter_map(Value::as_str);
        entries.map(str::to_owned).collect()
    };
    match item.and_then(Item::as_value) {
        Some(Value::Array(array)) => texts(array),
        Some(Value::String(text)) => {
            let entries = text.value().split(';').map(str::trim);
            let entries = entries.filter(|entry| !entry.is_empty());
            entries.map(str::to_owned).collect()
        }
        Some(_) | None => Vec::new(),
    }
}

/// Writes the list as an array, with the comment beside it; an empty one goes.
fn put(account: &mut dyn toml_edit::TableLike, list: Vec<String>) {
    if list.is_empty() {
        account.remove(KEY);
        return;
    }
    let mut value = Value::Array(list.into_iter().collect());
    match account.get_mut(KEY) {
        Some(item) => {
            if let Some(old) = item.as_value() {
                value.decor_mut().clone_from(old.decor());
            }
            *item = Item::Value(value);
        }
        None => drop(account.insert(KEY, Item::Value(value))),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;

    use super::*;

    fn id(text: &str) -> CertificateId {
        CertificateId::parse(text).unwrap()
    }

    fn edited(before: &str, change: impl FnOnce(&AccountsFile, &AccountName)) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("accounts.toml");
        let mut file = fs::File::create(&path).unwrap();
        file.write_all(before.as_bytes()).unwrap();
        let bob = AccountName::parse("BOB").unwrap();
        change(&AccountsFile::new(path.clone()), &bob);
        fs::read_to_string(&path).unwrap()
    }

    #[test]
    fn a_certificate_is_added_to_what_there_is_and_goes_again() {
        let before = "# Ask Bob.\n[account.bob]\nactive = true # yes\n";
        let text = edited(before, |file, bob| {
            file.add_certificates(bob, &[id("bob@example.com"), id("CN=bob")])
                .unwrap();
            let again = file.add_certificates(bob, &[id("bob@EXAMPLE.com")]);
            assert!(matches!(
                again,
                Err(AccountsFileError::CertificateExists(_))
            ));
            file.remove_certificate(bob, &id("bob@example.com"))
                .unwrap();
        });
        assert_eq!(text, format!("{before}certificates = [\"CN=bob\"]\n"));
        let text = edited(&text, |file, bob| {
            file.remove_certificate(bob, &id("CN=bob")).unwrap();
            let gone = file.remove_certificate(bob, &id("CN=bob"));
            assert!(matches!(
                gone,
                Err(AccountsFileError::CertificateMissing(_))
            ));
        });
        assert_eq!(text, before);
    }

    #[test]
    fn a_list_in_a_string_becomes_an_array() {
        let before = "[account.bob]\ncertificates = \"a.example; b.example\" # two\n";
        let text = edited(before, |file, bob| {
            file.add_certificates(bob, &[id("c.example")]).unwrap();
        });
        let list = "[\"a.example\", \"b.example\", \"c.example\"]";
        assert_eq!(
            text,
            format!("[account.bob]\ncertificates = {list} # two\n")
        );
    }
}
