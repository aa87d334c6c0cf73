//! Enhanced status codes: `class.subject.detail` (RFC 3463 §2).

use std::fmt;

/// The first number of an enhanced status code.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Class {
    /// 2: done.
    Success,
    /// 4: may succeed later.
    PersistentTransientFailure,
    /// 5: will not succeed as it is.
    PermanentFailure,
}

impl Class {
    const fn digit(self) -> u8 {
        match self {
            Self::Success => 2,
            Self::PersistentTransientFailure => 4,
            Self::PermanentFailure => 5,
        }
    }
}

/// An enhanced status code such as 5.7.1. Subject and detail are at most 999.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct EnhancedStatusCode {
    class: Class,
    subject: u16,
    detail: u16,
}

impl EnhancedStatusCode {
    /// Puts a code together.
    pub const fn new(class: Class, subject: u16, detail: u16) -> Self {
        Self {
            class,
            subject,
            detail,
        }
    }

    /// Parses `2.1.5`; subject and detail have one to three digits (RFC 3463 §2).
    pub fn parse(text: &str) -> Option<Self> {
        let (class, rest) = text.split_once('.')?;
        let (subject, detail) = rest.split_once('.')?;
        let class = match class {
            "2" => Class::Success,
            "4" => Class::PersistentTransientFailure,
            "5" => Class::PermanentFailure,
            _ => return None,
        };
        Some(Self::new(class, number(subject)?, number(detail)?))
    }

    /// Returns the class.
    pub const fn class(self) -> Class {
        self.class
    }

    /// Returns the subject: what kind of thing the status is about.
    pub const fn subject(self) -> u16 {
        self.subject
    }

    /// Returns the detail.
    pub const fn detail(self) -> u16 {
        self.detail
    }

    /// Returns the same subject and detail in another class.
    #[must_use]
    pub const fn in_class(self, class: Class) -> Self {
        Self::new(class, self.subject, self.detail)
    }

    /// Returns whether a reply code may stand before this status: 2yz with 2, 4yz with 4, 5yz with 5.
    pub const fn agrees_with(self, code: u16) -> bool {
        code / 100 == self.class.digit() as u16
    }
}

fn number(text: &str) -> Option<u16> {
    let is_plain =
        (1..=3).contains(&text.len()) && text.bytes().all(|octet| octet.is_ascii_digit());
    is_plain.then(|| text.parse().ok()).flatten()
}

impl fmt::Display for EnhancedStatusCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class.digit(), self.subject, self.detail)
    }
}

impl fmt::Debug for EnhancedStatusCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_above_255_are_kept() {
        assert_eq!(
            EnhancedStatusCode::parse("5.7.509").unwrap().to_string(),
            "5.7.509"
        );
    }

    #[test]
    fn other_texts_are_no_status() {
        for text in [
            "", "5", "5.7", "3.1.1", "5.7.1000", "5.7.", "5..1", "5.+7.1", "5.7.1.2", "5.7.1 ",
        ] {
            assert_eq!(EnhancedStatusCode::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_status_agrees_only_with_its_own_class() {
        let status = EnhancedStatusCode::parse("4.7.0").unwrap();
        assert!(status.agrees_with(454));
        assert!(!status.agrees_with(554));
    }
}
