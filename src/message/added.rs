//! Fields that are added to every message of an account (`added_fields`), such as who has authenticated.

use std::net::IpAddr;

use crate::identity::{AccountName, TenantName};
use crate::mail::QueueId;
use crate::mail::header::encoded_words;

/// A field that is added, with a value in which placeholders are filled in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AddedField {
    name: Box<str>,
    value: Vec<Piece>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Piece {
    Placeholder(Placeholder),
    Text(Box<str>),
}

/// What a value may say of a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Placeholder {
    Account,
    ClientAddress,
    QueueId,
    Tenant,
}

/// Why a field cannot be added.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AddedFieldError {
    /// The name is no field name (RFC 5322 §2.2), or longer than 64 octets.
    #[error("a field name is of printable ASCII without spaces and colons, at most 64 octets")]
    Name,
    /// Others rely on what that field says.
    #[error("this field has a meaning that others rely on")]
    Reserved,
    /// A placeholder is not one of those there are, or does not end.
    #[error(
        "`{0}` is not a placeholder; there are {{account}}, {{tenant}}, {{client_address}} and {{queue_id}}"
    )]
    Placeholder(String),
    /// The value is empty, longer than 500 octets, or has a control character.
    #[error("a value is one line of text, of 500 octets at most")]
    Value,
}

/// What placeholders are filled with.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The account that has authenticated.
    pub account: &'a AccountName,
    /// Its tenant.
    pub tenant: Option<&'a TenantName>,
    /// Where its client connected from.
    pub client_address: IpAddr,
    /// The message.
    pub queue_id: QueueId,
}

impl AddedField {
    /// Reads a name and a value such as `{account} via {client_address}`.
    ///
    /// # Errors
    /// [`AddedFieldError`].
    pub fn parse(name: &str, value: &str) -> Result<Self, AddedFieldError> {
        let is_name = |octet: u8| octet.is_ascii_graphic() && octet != b':';
        if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(is_name) {
            return Err(AddedFieldError::Name);
        }
        if is_reserved(name) {
            return Err(AddedFieldError::Reserved);
        }
        let is_blank = value.trim().is_empty();
        if is_blank || value.len() > MAX_VALUE || value.contains(char::is_control) {
            return Err(AddedFieldError::Value);
        }
        let (mut pieces, mut rest) = (Vec::new(), value.trim());
        while let Some((before, behind)) = rest.split_once(['{', '}']) {
            let unknown = || {
                AddedFieldError::Placeholder(
                    rest.get(before.len()..).unwrap_or_default().to_owned(),
                )
            };
            let is_open = rest
                .get(before.len()..)
                .is_some_and(|rest| rest.starts_with('{'));
            let (word, after) = behind
                .split_once('}')
                .filter(|_| is_open)
                .ok_or_else(unknown)?;
            let placeholder = placeholder(word)
                .ok_or_else(|| AddedFieldError::Placeholder(format!("{{{word}}}")))?;
            if !before.is_empty() {
                pieces.push(Piece::Text(before.into()));
            }
            pieces.push(Piece::Placeholder(placeholder));
            rest = after;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.into()));
        }
        Ok(Self {
            name: name.into(),
            value: pieces,
        })
    }

    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the field with its last CRLF; nothing where its value would be empty, as `{tenant}` is for an account
    /// without one.
    pub fn line(&self, facts: Facts<'_>) -> String {
        let value: String = self.value.iter().map(|piece| piece.fill(facts)).collect();
        let words: Vec<&str> = value.split_whitespace().collect();
        if words.is_empty() {
            return String::new();
        }
        let is_short = words.iter().all(|word| word.len() <= MAX_WORD);
        let is_plain = is_short && value.is_ascii() && !value.contains("=?");
        let words = if is_plain {
            words.into_iter().map(str::to_owned).collect()
        } else {
            encoded_words(&words.join(" "))
        };
        let mut line = format!("{}:", self.name);
        let mut length = line.len();
        for word in words {
            // The first word stays in the first line: some readers take an empty one for an empty field.
            if length > self.name.len() + 1 && length + 1 + word.len() > MAX_LINE {
                line.push_str("\r\n");
                length = 0;
            }
            line.push(' ');
            line.push_str(&word);
            length += 1 + word.len();
        }
        line.push_str("\r\n");
        line
    }
}

impl Piece {
    fn fill(&self, facts: Facts<'_>) -> String {
        match self {
            Self::Placeholder(Placeholder::Account) => facts.account.to_string(),
            Self::Placeholder(Placeholder::ClientAddress) => facts.client_address.to_string(),
            Self::Placeholder(Placeholder::QueueId) => facts.queue_id.to_string(),
            Self::Placeholder(Placeholder::Tenant) => {
                facts.tenant.map(ToString::to_string).unwrap_or_default()
            }
            Self::Text(text) => text.to_string(),
        }
    }
}

fn placeholder(word: &str) -> Option<Placeholder> {
    match word {
        "account" => Some(Placeholder::Account),
        "client_address" => Some(Placeholder::ClientAddress),
        "queue_id" => Some(Placeholder::QueueId),
        "tenant" => Some(Placeholder::Tenant),
        _ => None,
    }
}

fn is_reserved(name: &str) -> bool {
    let is_one = RESERVED
        .iter()
        .any(|reserved| name.eq_ignore_ascii_case(reserved));
    let begins = |start: &str| {
        let front = name.get(..start.len());
        front.is_some_and(|front| front.eq_ignore_ascii_case(start))
    };
    is_one || RESERVED_BEGINNINGS.iter().any(|start| begins(start))
}

/// Fields that RFC 5322 and its extensions define, or that posthouse reads or writes itself.
const RESERVED: [&str; 24] = [
    "Apparently-To",
    "Authentication-Results",
    "Auto-Submitted",
    "Bcc",
    "Cc",
    "Date",
    "Delivered-To",
    "DKIM-Signature",
    "DomainKey-Signature",
    "From",
    "Importance",
    "In-Reply-To",
    "Message-ID",
    "MIME-Version",
    "MT-Priority",
    "Priority",
    "Received",
    "Received-SPF",
    "References",
    "Reply-To",
    "Return-Path",
    "Sender",
    "Subject",
    "To",
];

/// How the names of such fields begin.
const RESERVED_BEGINNINGS: [&str; 5] = ["ARC-", "Content-", "Resent-", "X-MSMail-", "X-Priority"];

/// The longest name, in octets.
const MAX_NAME: usize = 64;

/// The longest value as it is configured, in octets.
const MAX_VALUE: usize = 500;

/// The longest word that stands as it is: a line has at most 998 octets (RFC 5322 §2.1.1).
const MAX_WORD: usize = 900;

/// The longest line that is not folded (RFC 5322 §2.1.1).
const MAX_LINE: usize = 78;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::mail::Header;

    fn line_for(account: &str, tenant: Option<&str>, value: &str) -> String {
        let account = AccountName::parse(account).unwrap();
        let tenant = tenant.map(|tenant| TenantName::parse(tenant).unwrap());
        let field = AddedField::parse("X-Authenticated-User", value).unwrap();
        field.line(Facts {
            account: &account,
            tenant: tenant.as_ref(),
            client_address: "192.0.2.7".parse().unwrap(),
            queue_id: QueueId::from_number(7),
        })
    }

    #[test]
    fn placeholders_are_filled_in() {
        assert_eq!(
            line_for(
                "shop",
                Some("acme"),
                "{account} of {tenant} from {client_address}, {queue_id}"
            ),
            format!(
                "X-Authenticated-User: shop of acme from 192.0.2.7, {}\r\n",
                QueueId::from_number(7)
            )
        );
    }

    #[test]
    fn an_account_without_tenant_leaves_nothing_in_its_place() {
        assert_eq!(line_for("shop", None, "{tenant}"), "");
        assert_eq!(
            line_for("shop", None, "<{tenant}>"),
            "X-Authenticated-User: <>\r\n"
        );
    }

    #[test]
    fn an_international_name_is_encoded() {
        assert_eq!(
            line_for("jürgen", None, "{account}"),
            "X-Authenticated-User: =?utf-8?B?asO8cmdlbg==?=\r\n"
        );
        assert!(line_for("=?x?q?y?=", None, "{account}").contains("=?utf-8?B?"));
    }

    #[test]
    fn a_long_value_is_folded_between_words() {
        let line = line_for("shop", None, &"twelve chars ".repeat(10));
        assert!(line.split("\r\n").all(|line| line.len() <= 78), "{line}");
        assert_eq!(line.matches("twelve chars").count(), 10);
    }

    #[test]
    fn fields_that_others_rely_on_are_refused() {
        for name in [
            "From",
            "received",
            "DKIM-signature",
            "Content-Type",
            "RESENT-To",
            "X-Priority",
        ] {
            assert_eq!(
                AddedField::parse(name, "x"),
                Err(AddedFieldError::Reserved),
                "{name}"
            );
        }
        for name in ["", "X Y", "X:", "Xä", "X\r\nBcc"] {
            assert_eq!(
                AddedField::parse(name, "x"),
                Err(AddedFieldError::Name),
                "{name}"
            );
        }
        assert!(AddedField::parse("X-Authenticated-User", "x").is_ok());
    }

    #[test]
    fn a_brace_belongs_to_a_placeholder() {
        for (value, named) in [
            ("{user}", "{user}"),
            ("{account", "{account"),
            ("account}", "}"),
            ("{}", "{}"),
            ("{account} {x", "{x"),
        ] {
            let error = AddedFieldError::Placeholder(named.to_owned());
            assert_eq!(AddedField::parse("X-A", value), Err(error), "{value}");
        }
        assert_eq!(
            AddedField::parse("X-A", "a\r\nBcc: x"),
            Err(AddedFieldError::Value)
        );
        assert_eq!(AddedField::parse("X-A", " "), Err(AddedFieldError::Value));
    }

    proptest! {
        /// Whatever an account is called and a value says, one field comes of it.
        #[test]
        fn one_field_comes_of_any_value(account in "[^\\s\"'\\\\`\\pC]{1,255}", value in "[^{}\\pC]{1,80}\\{account\\}[^{}\\pC]{0,80}") {
            prop_assume!(AccountName::parse(&account).is_ok() && value.len() <= MAX_VALUE);
            let line = line_for(&account, None, &value);
            prop_assert!(line.is_ascii());
            let header = Header::parse(line.as_bytes()).unwrap();
            prop_assert_eq!(header.fields().len(), 1);
            prop_assert_eq!(header.fields()[0].name(), "X-Authenticated-User");
            for piece in line.split("\r\n") {
                prop_assert!(piece.len() < 998);
            }
        }
    }
}
