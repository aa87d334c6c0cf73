//! Edits of application passwords.

use toml_edit::{Item, Table};

use super::{AccountsFile, AccountsFileError, account_of, implicit_table, missing};
use crate::auth::{PasswordHash, Prefix};
use crate::identity::{AccountName, Label};

/// The key of an account below which they stand.
const KEY: &str = "app_password";

/// An application password as it is added.
#[derive(Clone, Debug)]
pub struct NewAppPassword {
    /// What it is called.
    pub label: Label,
    /// What it begins with.
    pub prefix: Prefix,
    /// The hash of all of it.
    pub hash: PasswordHash,
    /// The day on which it is made, such as `2026-05-01`.
    pub created: String,
    /// The day from which on it is refused.
    pub expires: Option<String>,
}

impl AccountsFile {
    /// Adds an application password to an account.
    ///
    /// # Errors
    /// [`AccountsFileError::Missing`], [`AccountsFileError::AppPasswordExists`], or that the file cannot be read or written.
    pub fn add_app_password(
        &self,
        name: &AccountName,
        new: &NewAppPassword,
    ) -> Result<(), AccountsFileError> {
        self.edit(|accounts| {
            let account = account_of(accounts, name)?;
            let all = account
                .entry(KEY)
                .or_insert_with(|| Item::Table(implicit_table()))
                .as_table_like_mut()
                .ok_or_else(|| missing(name))?;
            if all.contains_key(new.label.as_str()) {
                return Err(AccountsFileError::AppPasswordExists(new.label.clone()));
            }
            all.insert(new.label.as_str(), Item::Table(table_of(new)));
            Ok(())
        })
    }

    /// Removes an application password of an account.
    ///
    /// # Errors
    /// [`AccountsFileError::Missing`], [`AccountsFileError::AppPasswordMissing`], or that the file cannot be read or
    /// written.
    pub fn revoke_app_password(
        &self,
        name: &AccountName,
        label: &Label,
    ) -> Result<(), AccountsFileError> {
        self.edit(|accounts| {
            let account = account_of(accounts, name)?;
            let all = account.get_mut(KEY).and_then(Item::as_table_like_mut);
            let removed = all.and_then(|all| all.remove(label.as_str()));
            removed
                .map(drop)
                .ok_or_else(|| AccountsFileError::AppPasswordMissing(label.clone()))
        })
    }
}

fn table_of(new: &NewAppPassword) -> Table {
    let mut table = Table::new();
    table.decor_mut().set_prefix("\n");
    for (key, value) in [
        ("password", Some(new.hash.as_str())),
        ("prefix", Some(new.prefix.as_str())),
        ("created", Some(new.created.as_str())),
        ("expires", new.expires.as_deref()),
    ] {
        if let Some(value) = value {
            table.insert(key, Item::Value(value.into()));
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::auth::hash_password;
    use crate::secret::Secret;

    const FILE: &str = "\
# Ask Bob.
[account.bob]
password = \"$old\" # set in 2025

# The web shop.
[account.shop]
note = \"x\"
";

    fn new(label: &str) -> NewAppPassword {
        NewAppPassword {
            label: Label::parse(label).unwrap(),
            prefix: Prefix::parse("abcde").unwrap(),
            hash: hash_password(&Secret::new("abcde-x".to_owned()), [1; 16]).unwrap(),
            created: "2026-11-25".to_owned(),
            expires: None,
        }
    }

    fn bob() -> AccountName {
        AccountName::parse("BOB").unwrap()
    }

    #[test]
    fn an_application_password_stands_below_its_account_and_goes_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("accounts.toml");
        let mut file = fs::File::create(&path).unwrap();
        std::io::Write::write_all(&mut file, FILE.as_bytes()).unwrap();
        let file = AccountsFile::new(path.clone());
        file.add_app_password(&bob(), &new("phone")).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let hash = new("phone").hash;
        let own = format!(
            "\n[account.bob.app_password.phone]\npassword = \"{}\"\nprefix = \"abcde\"\ncreated = \"2026-11-25\"\n",
            hash.as_str()
        );
        let (before, after) = FILE.split_at(FILE.find("\n# The web shop").unwrap());
        assert_eq!(text, format!("{before}{own}{after}"));
        let again = file.add_app_password(&bob(), &new("phone"));
        assert!(matches!(
            again,
            Err(AccountsFileError::AppPasswordExists(_))
        ));
        let label = Label::parse("phone").unwrap();
        file.revoke_app_password(&bob(), &label).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), FILE);
        let gone = file.revoke_app_password(&bob(), &label);
        assert!(matches!(
            gone,
            Err(AccountsFileError::AppPasswordMissing(_))
        ));
    }
}
