//! Application passwords: further passwords of an account, one for each program that uses it.

use super::password::PasswordHash;
use crate::clock::Timestamp;
use crate::identity::Label;

/// A further password of an account, with a name of its own, that can end without the others.
///
/// Its first letters are known. They say which password is meant, so that a login costs one hash however many there are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AppPassword {
    /// What it is called.
    pub label: Label,
    /// What the password begins with.
    pub prefix: Prefix,
    /// The hash of the whole password.
    pub hash: PasswordHash,
    /// Whether it may be used at all.
    pub active: bool,
    /// When it was made, where that is known.
    pub created: Option<Timestamp>,
    /// From when on it is refused.
    pub expires: Option<Timestamp>,
}

impl AppPassword {
    /// Returns whether it may be used at `now`.
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.active && self.expires.is_none_or(|expires| now < expires)
    }
}

/// The first five letters of an application password. `Debug` does not show them.
#[derive(Clone, Eq, PartialEq)]
pub struct Prefix([u8; Self::LENGTH]);

impl Prefix {
    /// How many letters it has.
    pub const LENGTH: usize = 5;

    /// Takes five letters or digits of ASCII, or `None` from anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let letters = <[u8; Self::LENGTH]>::try_from(text.as_bytes()).ok()?;
        letters
            .iter()
            .all(u8::is_ascii_alphanumeric)
            .then_some(Self(letters))
    }

    /// Returns what a password begins with, where that may be a prefix.
    pub fn of(password: &str) -> Option<Self> {
        Self::parse(password.get(..Self::LENGTH)?)
    }

    /// Returns the letters.
    pub fn as_str(&self) -> &str {
        // They are ASCII.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl std::fmt::Debug for Prefix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Prefix(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_the_first_group_of_a_password() {
        let prefix = Prefix::of("abcde-fghjk-mnopq").unwrap();
        assert_eq!(prefix.as_str(), "abcde");
        assert_eq!(Prefix::parse("abcde"), Some(prefix.clone()));
        assert_eq!(format!("{prefix:?}"), "Prefix(***)");
    }

    #[test]
    fn what_is_too_short_or_has_other_characters_has_no_prefix() {
        for password in ["", "abcd", "ab-de-fghjk", "äbcd-efghj", "abcdé"] {
            assert_eq!(Prefix::of(password), None, "{password}");
        }
        assert_eq!(Prefix::parse("abcdef"), None);
    }
}
