//! The extensions a server offers in its reply to EHLO (RFC 5321 §4.1.1.1), read from an upstream's reply.

use std::time::Duration;

use super::limits::Announced;

/// What an upstream offered. The default is what a server that knows only HELO offers: nothing.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent offers, one for each keyword"
)]
pub struct Extensions {
    /// 8BITMIME (RFC 6152).
    pub eight_bit_mime: bool,
    /// AUTH (RFC 4954): the mechanisms this relay knows.
    pub auth: Mechanisms,
    /// CHUNKING (RFC 3030): BDAT.
    pub chunking: bool,
    /// DELIVERBY (RFC 2852): the least time to deliver that it takes for a message which is to be returned when that is
    /// over; zero where it names none.
    pub deliver_by: Option<Duration>,
    /// DSN (RFC 3461).
    pub dsn: bool,
    /// LIMITS (RFC 9422).
    pub limits: Announced,
    /// MT-PRIORITY (RFC 6710).
    pub mt_priority: bool,
    /// PIPELINING (RFC 2920).
    pub pipelining: bool,
    /// REQUIRETLS (RFC 8689).
    pub require_tls: bool,
    /// SIZE (RFC 1870).
    pub size: Option<Size>,
    /// SMTPUTF8 (RFC 6531).
    pub smtputf8: bool,
    /// STARTTLS (RFC 3207).
    pub starttls: bool,
}

/// The offer SIZE.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Size {
    /// Messages of at most so many octets.
    AtMost(u64),
    /// No fixed maximum, or none that was said.
    Unlimited,
}

/// The login mechanisms an upstream offers, of those this relay knows.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent offers, one for each mechanism"
)]
pub struct Mechanisms {
    /// CRAM-MD5 (RFC 2195).
    pub cram_md5: bool,
    /// LOGIN (draft-murchison-sasl-login).
    pub login: bool,
    /// OAUTHBEARER (RFC 7628).
    pub oauthbearer: bool,
    /// PLAIN (RFC 4616).
    pub plain: bool,
    /// XOAUTH2, Google's forerunner of OAUTHBEARER.
    pub xoauth2: bool,
}

impl Extensions {
    /// Reads the lines of a reply to EHLO, without codes. The first line is the greeting and names no extension.
    ///
    /// Unknown keywords and parameters are passed over. Keywords are read whatever their letter case.
    pub fn parse<L: AsRef<str>>(lines: &[L]) -> Self {
        let mut extensions = Self::default();
        for line in lines.iter().skip(1) {
            extensions.add(line.as_ref());
        }
        extensions
    }

    fn add(&mut self, line: &str) {
        let mut words = line.split_ascii_whitespace();
        let keyword = words.next().unwrap_or_default().to_ascii_uppercase();
        match keyword.as_str() {
            "8BITMIME" => self.eight_bit_mime = true,
            "AUTH" => self.auth.add(words),
            "CHUNKING" => self.chunking = true,
            "DELIVERBY" => self.deliver_by = Some(least_time(words.next())),
            "DSN" => self.dsn = true,
            "LIMITS" => self.limits = Announced::parse(words),
            "MT-PRIORITY" => self.mt_priority = true,
            "PIPELINING" => self.pipelining = true,
            "REQUIRETLS" => self.require_tls = true,
            "SIZE" => self.size = Some(Size::parse(words.next())),
            "SMTPUTF8" => self.smtputf8 = true,
            "STARTTLS" => self.starttls = true,
            // Old servers write `AUTH=LOGIN PLAIN`, for clients older still.
            _ => {
                if let Some(first) = keyword.strip_prefix("AUTH=") {
                    self.auth.add(std::iter::once(first).chain(words));
                }
            }
        }
    }
}

/// RFC 2852 §2: a missing value says nothing of a minimum.
fn least_time(value: Option<&str>) -> Duration {
    let seconds = value.and_then(|value| value.parse::<u32>().ok());
    Duration::from_secs(seconds.unwrap_or_default().into())
}

impl Size {
    /// RFC 1870 §4: a missing value or 0 means that there is no fixed maximum.
    fn parse(value: Option<&str>) -> Self {
        match value.map(str::parse) {
            Some(Ok(octets)) if octets > 0 => Self::AtMost(octets),
            Some(_) | None => Self::Unlimited,
        }
    }
}

impl Mechanisms {
    /// Returns whether none of them is offered.
    pub const fn is_empty(self) -> bool {
        let Self {
            cram_md5,
            login,
            oauthbearer,
            plain,
            xoauth2,
        } = self;
        !(cram_md5 || login || oauthbearer || plain || xoauth2)
    }

    fn add<'a>(&mut self, names: impl Iterator<Item = &'a str>) {
        for name in names {
            self.cram_md5 |= name.eq_ignore_ascii_case("CRAM-MD5");
            self.login |= name.eq_ignore_ascii_case("LOGIN");
            self.oauthbearer |= name.eq_ignore_ascii_case("OAUTHBEARER");
            self.plain |= name.eq_ignore_ascii_case("PLAIN");
            self.xoauth2 |= name.eq_ignore_ascii_case("XOAUTH2");
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_known_keyword_is_read() {
        let lines = [
            "mx.example.net at your service",
            "PIPELINING",
            "SIZE 52428800",
            "8BITMIME",
            "SMTPUTF8",
            "CHUNKING",
            "DELIVERBY 120",
            "DSN",
            "ENHANCEDSTATUSCODES",
            "LIMITS RCPTMAX=20 MAILMAX=5",
            "MT-PRIORITY MIXER",
            "REQUIRETLS",
            "STARTTLS",
            "AUTH PLAIN LOGIN CRAM-MD5 XOAUTH2 OAUTHBEARER",
        ];
        let mechanisms = Mechanisms {
            cram_md5: true,
            login: true,
            oauthbearer: true,
            plain: true,
            xoauth2: true,
        };
        let expected = Extensions {
            eight_bit_mime: true,
            auth: mechanisms,
            chunking: true,
            deliver_by: Some(Duration::from_mins(2)),
            dsn: true,
            limits: Announced {
                mails: Some(5),
                recipients: Some(20),
                domains: None,
            },
            mt_priority: true,
            pipelining: true,
            require_tls: true,
            size: Some(Size::AtMost(52_428_800)),
            smtputf8: true,
            starttls: true,
        };
        assert_eq!(Extensions::parse(&lines), expected);
    }

    #[test]
    fn the_greeting_line_names_no_extension() {
        assert_eq!(
            Extensions::parse(&["STARTTLS", "HELP"]),
            Extensions::default()
        );
    }

    #[test]
    fn letter_case_does_not_count() {
        let extensions = Extensions::parse(&["hi", "pipelining", "auth login"]);
        assert!(extensions.pipelining && extensions.auth.login);
    }

    #[test]
    fn the_old_form_of_auth_is_read() {
        assert!(Extensions::parse(&["hi", "AUTH=LOGIN PLAIN"]).auth.login);
        assert!(Extensions::parse(&["hi", "AUTH=LOGIN PLAIN"]).auth.plain);
    }

    #[test]
    fn size_without_a_usable_value_is_no_limit() {
        for line in [
            "SIZE",
            "SIZE 0",
            "SIZE x",
            "SIZE -1",
            "SIZE 99999999999999999999",
        ] {
            assert_eq!(
                Extensions::parse(&["hi", line]).size,
                Some(Size::Unlimited),
                "{line}"
            );
        }
    }

    #[test]
    fn deliverby_without_a_usable_value_names_no_minimum() {
        for line in ["DELIVERBY", "DELIVERBY 0", "deliverby x", "DELIVERBY -1"] {
            let extensions = Extensions::parse(&["hi", line]);
            assert_eq!(extensions.deliver_by, Some(Duration::ZERO), "{line}");
        }
        assert_eq!(Extensions::parse(&["hi", "HELP"]).deliver_by, None);
    }

    #[test]
    fn masked_keywords_are_no_offer() {
        assert_eq!(
            Extensions::parse(&["hi", "XXXXXXXA", "XXXXXXXX PIPELINING"]),
            Extensions::default()
        );
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(lines: Vec<String>) {
            let _ = Extensions::parse(&lines);
        }
    }
}
