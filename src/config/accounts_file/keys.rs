//! Edits of the other keys of an account. What a value may be is checked with the whole configuration, not here.

use toml_edit::{Array, InlineTable, Value};

use super::{AccountsFile, AccountsFileError, key_of, missing, set, unset};
use crate::identity::AccountName;

macro_rules! keys {
    ($($name:ident = $text:literal,)+) => {
        /// A key of an account that is neither a password nor `active`.
        #[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
        pub enum AccountKey {
            $(
                #[doc = concat!("`", $text, "`.")]
                $name,
            )+
        }

        impl AccountKey {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// Returns the key as it is written.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }
        }
    };
}

keys! {
    AddedFields = "added_fields",
    AlertMail = "alert_mail",
    Aliases = "aliases",
    AuthorizedDomains = "authorized_domains",
    AuthorizedSenders = "authorized_senders",
    Certificates = "certificates",
    CheckHeaderFrom = "check_header_from",
    DefaultSender = "default_sender",
    MaxPriority = "max_priority",
    Messages = "messages",
    Networks = "networks",
    Note = "note",
    OnUnauthorized = "on_unauthorized",
    OverQuota = "over_quota",
    PlusAddressing = "plus_addressing",
    Priority = "priority",
    PriorityHeader = "priority_header",
    Recipients = "recipients",
    Sessions = "sessions",
    Size = "size",
    StrictAddresses = "strict_addresses",
    Tenant = "tenant",
    Upstream = "upstream",
    VerifiedSenders = "verified_senders",
}

/// What is written behind a key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum AccountValue {
    /// `true` or `false`.
    Flag(bool),
    /// An array of texts.
    List(Vec<String>),
    /// A number.
    Number(u32),
    /// Names with texts.
    Table(Vec<(String, String)>),
    /// A text.
    Text(String),
}

/// What becomes of a key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum KeyChange {
    /// It is written.
    Set(AccountKey, AccountValue),
    /// It is taken out, so that its default counts.
    Unset(AccountKey),
}

impl From<&AccountValue> for Value {
    fn from(value: &AccountValue) -> Self {
        match value {
            AccountValue::Flag(flag) => (*flag).into(),
            AccountValue::List(entries) => {
                Self::Array(entries.iter().map(String::as_str).collect::<Array>())
            }
            AccountValue::Number(number) => i64::from(*number).into(),
            AccountValue::Table(fields) => {
                let fields = fields.iter();
                let fields = fields.map(|(name, value)| (name.as_str(), value.as_str()));
                Self::InlineTable(fields.collect::<InlineTable>())
            }
            AccountValue::Text(text) => text.as_str().into(),
        }
    }
}

impl AccountsFile {
    /// Changes keys of an account, all of them or none: the file is as it was where `accept` refuses what it has become.
    ///
    /// # Errors
    /// [`AccountsFileError::Missing`], or that the file cannot be read or written. Inside, why it was not accepted.
    pub fn change<R>(
        &self,
        name: &AccountName,
        changes: &[KeyChange],
        accept: impl FnOnce() -> Result<(), R>,
    ) -> Result<Result<(), R>, AccountsFileError> {
        self.edit_if(
            |accounts| {
                key_of(accounts, name).ok_or_else(|| missing(name))?;
                changes.iter().try_for_each(|change| match change {
                    KeyChange::Set(key, value) => set(accounts, name, key.as_str(), value.into()),
                    KeyChange::Unset(key) => unset(accounts, name, key.as_str()),
                })
            },
            accept,
        )
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::{fs, path::PathBuf};

    use super::*;

    const FILE: &str = "\
[account.bob]
priority = 4 # he can wait
note = \"x\"

# The web shop.
[account.shop]
";

    fn file() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("accounts.toml");
        let mut file = fs::File::create(&path).unwrap();
        file.write_all(FILE.as_bytes()).unwrap();
        (folder, path)
    }

    fn bob() -> AccountName {
        AccountName::parse("BOB").unwrap()
    }

    #[test]
    fn keys_are_written_in_place_and_taken_out() {
        let (_folder, path) = file();
        let fields = vec![("X-Via".to_owned(), "{account}".to_owned())];
        let changes = [
            KeyChange::Set(AccountKey::Priority, AccountValue::Number(2)),
            KeyChange::Unset(AccountKey::Note),
            KeyChange::Set(AccountKey::PlusAddressing, AccountValue::Flag(true)),
            KeyChange::Set(AccountKey::AddedFields, AccountValue::Table(fields)),
        ];
        let file = AccountsFile::new(path.clone());
        let accepted = file.change(&bob(), &changes, || Ok::<(), ()>(()));
        assert_eq!(accepted.unwrap(), Ok(()));
        let expected = FILE.replace("priority = 4", "priority = 2").replace(
            "note = \"x\"\n",
            "plus_addressing = true\nadded_fields = { X-Via = \"{account}\" }\n",
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), expected);
    }

    #[test]
    fn what_is_not_accepted_leaves_the_file_as_it_was() {
        let (_folder, path) = file();
        let file = AccountsFile::new(path.clone());
        let changes = [KeyChange::Unset(AccountKey::Note)];
        let seen = || {
            let text = fs::read_to_string(&path).unwrap();
            Err::<(), String>(text)
        };
        let refused = file.change(&bob(), &changes, seen).unwrap().unwrap_err();
        assert!(!refused.contains("note"), "it was judged with the change");
        assert_eq!(fs::read_to_string(&path).unwrap(), FILE);
        let eve = AccountName::parse("eve").unwrap();
        let missing = file.change(&eve, &changes, || Ok::<(), ()>(()));
        assert!(matches!(missing, Err(AccountsFileError::Missing(_))));
    }
}
