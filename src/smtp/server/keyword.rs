//! The keywords of the reply to EHLO, and sets of them.

use std::fmt;

/// A keyword that EHLO may offer.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Keyword {
    /// AUTH (RFC 4954).
    Auth,
    /// CHUNKING (RFC 3030).
    Chunking,
    /// DELIVERBY (RFC 2852).
    DeliverBy,
    /// DSN (RFC 3461).
    Dsn,
    /// 8BITMIME (RFC 6152).
    EightBitMime,
    /// ENHANCEDSTATUSCODES (RFC 2034).
    EnhancedStatusCodes,
    /// FUTURERELEASE (RFC 4865).
    FutureRelease,
    /// LIMITS (RFC 9422).
    Limits,
    /// MT-PRIORITY (RFC 6710).
    MtPriority,
    /// PIPELINING (RFC 2920).
    Pipelining,
    /// REQUIRETLS (RFC 8689).
    RequireTls,
    /// SIZE (RFC 1870).
    Size,
    /// SMTPUTF8 (RFC 6531).
    SmtpUtf8,
    /// STARTTLS (RFC 3207).
    StartTls,
}

impl Keyword {
    /// All of them, in the order of their names.
    pub const ALL: [Self; 14] = [
        Self::EightBitMime,
        Self::Auth,
        Self::Chunking,
        Self::DeliverBy,
        Self::Dsn,
        Self::EnhancedStatusCodes,
        Self::FutureRelease,
        Self::Limits,
        Self::MtPriority,
        Self::Pipelining,
        Self::RequireTls,
        Self::Size,
        Self::SmtpUtf8,
        Self::StartTls,
    ];

    /// Returns it as it stands in the reply.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auth => "AUTH",
            Self::Chunking => "CHUNKING",
            Self::DeliverBy => "DELIVERBY",
            Self::Dsn => "DSN",
            Self::EightBitMime => "8BITMIME",
            Self::EnhancedStatusCodes => "ENHANCEDSTATUSCODES",
            Self::FutureRelease => "FUTURERELEASE",
            Self::Limits => "LIMITS",
            Self::MtPriority => "MT-PRIORITY",
            Self::Pipelining => "PIPELINING",
            Self::RequireTls => "REQUIRETLS",
            Self::Size => "SIZE",
            Self::SmtpUtf8 => "SMTPUTF8",
            Self::StartTls => "STARTTLS",
        }
    }

    /// Finds a keyword by its name, in any letter case.
    pub fn parse(name: &str) -> Option<Self> {
        let is_it = |keyword: &Self| keyword.name().eq_ignore_ascii_case(name);
        Self::ALL.into_iter().find(is_it)
    }

    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// A set of keywords.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Keywords(u16);

impl Keywords {
    /// Returns whether a keyword is in it.
    pub const fn contains(self, keyword: Keyword) -> bool {
        self.0 & keyword.bit() != 0
    }

    /// Adds a keyword.
    pub const fn insert(&mut self, keyword: Keyword) {
        self.0 |= keyword.bit();
    }
}

impl FromIterator<Keyword> for Keywords {
    fn from_iter<T: IntoIterator<Item = Keyword>>(keywords: T) -> Self {
        let mut set = Self::default();
        for keyword in keywords {
            set.insert(keyword);
        }
        set
    }
}

impl fmt::Display for Keywords {
    /// Writes them in the order of their names, with commas between.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = Keyword::ALL.into_iter();
        let names = all.filter(|keyword| self.contains(*keyword));
        for (index, keyword) in names.enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{}", keyword.name())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_keyword_is_found_by_its_name() {
        for keyword in Keyword::ALL {
            let name = keyword.name();
            assert_eq!(Keyword::parse(&name.to_lowercase()), Some(keyword));
        }
        assert_eq!(Keyword::parse("HELP"), None);
    }

    #[test]
    fn a_set_has_what_was_put_in() {
        let set: Keywords = [Keyword::StartTls, Keyword::EightBitMime]
            .into_iter()
            .collect();
        for keyword in Keyword::ALL {
            let is_in = matches!(keyword, Keyword::StartTls | Keyword::EightBitMime);
            assert_eq!(set.contains(keyword), is_in, "{}", keyword.name());
        }
        assert_eq!(set.to_string(), "8BITMIME, STARTTLS");
    }
}
