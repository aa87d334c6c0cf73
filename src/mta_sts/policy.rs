//! What a domain says of its mail exchangers (RFC 8461 §3), read from a TXT record and from a policy file.

use std::time::Duration;

/// A policy: which servers take a domain's mail, and how sure one must be of them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Policy {
    /// What follows where a server does not fit it.
    pub mode: Mode,
    /// The servers; empty only with [`Mode::None`].
    pub exchangers: Vec<Pattern>,
    /// How long it may be kept without asking again, at most [`MAX_AGE`].
    pub max_age: Duration,
}

/// What follows where a server does not fit a policy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mode {
    /// It gets no mail.
    Enforce,
    /// The domain has no policy any more.
    None,
    /// It gets the mail; the domain would like to hear of it.
    Testing,
}

/// The name of a server, or of all servers one label below a domain.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pattern {
    /// In lower case, without final dot.
    domain: Box<str>,
    reach: Reach,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Reach {
    /// The name itself.
    Itself,
    /// Names with one more label: `*.domain`.
    OneBelow,
}

/// Why a policy file is no policy.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PolicyError {
    /// A line is no `key: value`.
    #[error("line {0} is not `key: value`")]
    Line(usize),
    /// A value that is not one of its key.
    #[error("the value of `{0}` makes no sense")]
    Value(&'static str),
    /// A key that must be there is not.
    #[error("there is no `{0}`")]
    Missing(&'static str),
    /// It is not UTF-8.
    #[error("it is not UTF-8")]
    Encoding,
    /// It names more servers than [`MAX_PATTERNS`].
    #[error("it names too many servers")]
    TooMany,
}

/// The longest time that a policy is kept: a year (RFC 8461 §3.2). What says more is kept no longer.
pub const MAX_AGE: Duration = Duration::from_hours(8766);

/// The most servers that a policy names.
pub const MAX_PATTERNS: usize = 256;

/// The version of policies and of their records.
const VERSION: &str = "STSv1";

impl Policy {
    /// Reads a policy file (RFC 8461 §3.2).
    ///
    /// Keys may come in any order; unknown ones are passed over, and so is the second of any but `mx`.
    ///
    /// # Errors
    /// [`PolicyError`].
    pub fn parse(octets: &[u8]) -> Result<Self, PolicyError> {
        let text = std::str::from_utf8(octets).map_err(|_| PolicyError::Encoding)?;
        let mut found = Found::default();
        for (place, line) in text.lines().enumerate() {
            let line = line.trim_end_matches([' ', '\t']);
            if line.is_empty() {
                continue;
            }
            let (key, value) = line.split_once(':').ok_or(PolicyError::Line(place + 1))?;
            if !is_name(key) {
                return Err(PolicyError::Line(place + 1));
            }
            found.take(key, value.trim_start_matches([' ', '\t']))?;
        }
        found.policy()
    }

    /// Returns whether it names a server.
    pub fn names(&self, host: &str) -> bool {
        self.exchangers.iter().any(|pattern| pattern.matches(host))
    }
}

/// The lines of a policy file so far.
#[derive(Default)]
struct Found<'a> {
    version: Option<&'a str>,
    mode: Option<Mode>,
    max_age: Option<Duration>,
    exchangers: Vec<Pattern>,
}

impl<'a> Found<'a> {
    fn take(&mut self, key: &str, value: &'a str) -> Result<(), PolicyError> {
        match key {
            "version" => {
                self.version.get_or_insert(value);
            }
            "mode" if self.mode.is_none() => {
                self.mode = Some(Mode::parse(value).ok_or(PolicyError::Value("mode"))?);
            }
            "max_age" if self.max_age.is_none() => {
                self.max_age = Some(age(value).ok_or(PolicyError::Value("max_age"))?);
            }
            "mx" => {
                let pattern = Pattern::parse(value).ok_or(PolicyError::Value("mx"))?;
                if self.exchangers.len() >= MAX_PATTERNS {
                    return Err(PolicyError::TooMany);
                }
                self.exchangers.push(pattern);
            }
            // What the first has said counts; what is unknown may mean something to others.
            _ => {}
        }
        Ok(())
    }

    fn policy(self) -> Result<Policy, PolicyError> {
        match self.version {
            Some(VERSION) => {}
            Some(_) => return Err(PolicyError::Value("version")),
            None => return Err(PolicyError::Missing("version")),
        }
        let mode = self.mode.ok_or(PolicyError::Missing("mode"))?;
        let max_age = self.max_age.ok_or(PolicyError::Missing("max_age"))?;
        match mode {
            Mode::Enforce | Mode::Testing if self.exchangers.is_empty() => {
                Err(PolicyError::Missing("mx"))
            }
            Mode::Enforce | Mode::Testing | Mode::None => Ok(Policy {
                mode,
                exchangers: self.exchangers,
                max_age,
            }),
        }
    }
}

impl Mode {
    /// Reads what a policy says.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "enforce" => Some(Self::Enforce),
            "none" => Some(Self::None),
            "testing" => Some(Self::Testing),
            _ => None,
        }
    }

    /// Returns the word that a policy has for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::None => "none",
            Self::Testing => "testing",
        }
    }
}

impl Pattern {
    fn parse(text: &str) -> Option<Self> {
        let (domain, reach) = match text.strip_prefix("*.") {
            Some(domain) => (domain, Reach::OneBelow),
            None => (text, Reach::Itself),
        };
        is_domain(domain).then(|| Self {
            domain: domain.to_ascii_lowercase().into(),
            reach,
        })
    }

    /// Returns whether it is about a host, in A-labels, in any letter case.
    fn matches(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.');
        match self.reach {
            Reach::Itself => host.eq_ignore_ascii_case(&self.domain),
            Reach::OneBelow => host.split_once('.').is_some_and(|(label, rest)| {
                !label.is_empty() && rest.eq_ignore_ascii_case(&self.domain)
            }),
        }
    }
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.reach {
            Reach::Itself => f.write_str(&self.domain),
            Reach::OneBelow => write!(f, "*.{}", self.domain),
        }
    }
}

impl std::fmt::Display for Policy {
    /// Writes a policy file, which reads as the same policy.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "version: {VERSION}\nmode: {}\n", self.mode.word())?;
        for pattern in &self.exchangers {
            writeln!(f, "mx: {pattern}")?;
        }
        writeln!(f, "max_age: {}", self.max_age.as_secs())
    }
}

/// Returns the id of the policy that the TXT records of `_mta-sts.DOMAIN` announce (RFC 8461 §3.1): it changes when the
/// policy does. `None` where there is not exactly one such record, or it cannot be read.
pub fn announced_id<T: AsRef<str>>(records: &[T]) -> Option<&str> {
    let mut announcements = records
        .iter()
        .filter_map(|record| record.as_ref().strip_prefix("v=STSv1"))
        .filter(|rest| rest.trim_start_matches([' ', '\t']).starts_with(';'));
    let (Some(fields), None) = (announcements.next(), announcements.next()) else {
        return None;
    };
    let mut id = None;
    let mut fields = fields
        .split(';')
        .map(|field| field.trim_matches([' ', '\t']));
    // In front of the first semicolon there is nothing more.
    fields.next();
    let fields: Vec<_> = fields.collect();
    for (place, field) in fields.iter().enumerate() {
        // The last one may end with a semicolon too.
        if field.is_empty() && place + 1 == fields.len() {
            break;
        }
        let (name, value) = field.split_once('=')?;
        if !is_name(name)
            || value.is_empty()
            || !value.bytes().all(|octet| octet.is_ascii_graphic())
        {
            return None;
        }
        if name == "id" && id.is_none() {
            id = Some(value);
        }
    }
    id.filter(|id| id.len() <= 32 && id.bytes().all(|octet| octet.is_ascii_alphanumeric()))
}

/// A name of a field: a letter or digit, then up to 31 of those, underscores, hyphens and dots.
fn is_name(text: &str) -> bool {
    let is_inner = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'_' | b'-' | b'.');
    text.len() <= 32
        && text
            .bytes()
            .next()
            .is_some_and(|octet| octet.is_ascii_alphanumeric())
        && text.bytes().all(is_inner)
}

/// A domain in ASCII: labels of letters, digits, hyphens and underscores, none at the edge of dots.
fn is_domain(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_'))
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

/// One to ten digits.
fn age(text: &str) -> Option<Duration> {
    let is_number =
        (1..=10).contains(&text.len()) && text.bytes().all(|octet| octet.is_ascii_digit());
    let seconds = is_number.then(|| text.parse().ok()).flatten()?;
    Some(Duration::from_secs(seconds).min(MAX_AGE))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FILE: &str = "version: STSv1\nmode: enforce\nmx: mail.example.com\nmx: *.example.net\n\
                        mx: backupmx.example.com\nmax_age: 604800\n";

    fn parse(text: &str) -> Result<Policy, PolicyError> {
        Policy::parse(text.as_bytes())
    }

    #[test]
    fn the_example_of_the_rfc_is_read() {
        let policy = parse(FILE).unwrap();
        assert_eq!(
            (policy.mode, policy.max_age.as_secs()),
            (Mode::Enforce, 604_800)
        );
        assert!(policy.names("mail.example.com") && policy.names("MX1.Example.NET."));
    }

    #[test]
    fn line_ends_order_and_spaces_do_not_matter() {
        let file = "max_age:1\r\nfuture_key: anything: at all\r\nmode:\t testing  \r\nmx: a.example\r\n\r\nversion: STSv1";
        assert_eq!(parse(file).unwrap().mode, Mode::Testing);
    }

    #[test]
    fn the_first_of_two_counts() {
        let policy = parse(&format!("{FILE}mode: none\nmax_age: 1\nversion: STSv2\n")).unwrap();
        assert_eq!(
            (policy.mode, policy.max_age.as_secs()),
            (Mode::Enforce, 604_800)
        );
    }

    #[test]
    fn a_star_stands_for_one_label() {
        let policy = parse(FILE).unwrap();
        for host in [
            "example.net",
            "a.b.example.net",
            ".example.net",
            "mail.example.com.evil.example",
        ] {
            assert!(!policy.names(host), "{host}");
        }
    }

    #[test]
    fn a_policy_is_kept_for_a_year_at_most() {
        let file = FILE.replace("604800", "9999999999");
        assert_eq!(parse(&file).unwrap().max_age, MAX_AGE);
    }

    #[test]
    fn what_is_no_policy_says_why() {
        for (file, error) in [
            ("", PolicyError::Missing("version")),
            ("<html>\n", PolicyError::Line(1)),
            (
                "version: STSv2\nmode: none\nmax_age: 1\n",
                PolicyError::Value("version"),
            ),
            ("version: STSv1\nmax_age: 1\n", PolicyError::Missing("mode")),
            (
                "version: STSv1\nmode: none\n",
                PolicyError::Missing("max_age"),
            ),
            (
                "version: STSv1\nmode: Enforce\n",
                PolicyError::Value("mode"),
            ),
            (
                "version: STSv1\nmode: enforce\nmax_age: 1\n",
                PolicyError::Missing("mx"),
            ),
            (
                "version: STSv1\nmax_age: 12345678901\n",
                PolicyError::Value("max_age"),
            ),
            (
                "version: STSv1\nmx: *.*.example\n",
                PolicyError::Value("mx"),
            ),
            (
                "version: STSv1\nmx: a.*.example\n",
                PolicyError::Value("mx"),
            ),
            ("version: STSv1\nmx: *\n", PolicyError::Value("mx")),
            ("version: STSv1\nmx: a..example\n", PolicyError::Value("mx")),
        ] {
            assert_eq!(parse(file), Err(error), "{file}");
        }
        assert_eq!(Policy::parse(b"version: \xff"), Err(PolicyError::Encoding));
        let many = "mx: a.example\n".repeat(MAX_PATTERNS + 1);
        assert_eq!(parse(&many), Err(PolicyError::TooMany));
    }

    #[test]
    fn a_domain_that_gives_its_policy_up_needs_no_servers() {
        let policy = parse("version: STSv1\nmode: none\nmax_age: 86400\n").unwrap();
        assert_eq!(policy.mode, Mode::None);
    }

    #[test]
    fn one_record_announces_an_id() {
        for record in [
            "v=STSv1; id=20160831085700Z;",
            "v=STSv1;id=1",
            "v=STSv1 ; a.b=c ; id=1 ; ",
        ] {
            assert!(announced_id(&[record, "v=spf1 -all"]).is_some(), "{record}");
        }
        assert_eq!(announced_id(&["v=STSv1; id=abc; id=def"]), Some("abc"));
    }

    #[test]
    fn no_record_two_or_a_broken_one_announce_nothing() {
        assert_eq!(announced_id::<&str>(&[]), None);
        assert_eq!(announced_id(&["v=STSv1; id=1;", "v=STSv1; id=2;"]), None);
        for record in [
            "v=STSv1;",
            "v=STSv1",
            "v=STSv10; id=1;",
            "v=STSv1; id=;",
            "v=STSv1; id=a-b;",
            "v=STSv1; id",
            "v=STSv1;; id=1;",
            "v=STSv1; id=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "V=STSv1; id=1",
        ] {
            assert_eq!(announced_id(&[record]), None, "{record}");
        }
    }

    proptest! {
        #[test]
        fn no_octets_make_it_panic(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Policy::parse(&octets);
            let _ = announced_id(&[String::from_utf8_lossy(&octets)]);
        }

        #[test]
        fn lines_of_policies_in_any_order_make_no_panic(
            lines in proptest::collection::vec("(version|mode|mx|max_age|x)(:|: | )(STSv1|enforce|none|\\*\\.a|a\\.b|1|)", 0..8),
        ) {
            let _ = parse(&lines.join("\n"));
        }

        #[test]
        fn what_is_written_reads_as_the_same(
            mode in prop_oneof![Just("enforce"), Just("none"), Just("testing")],
            names in proptest::collection::vec("(\\*\\.)?[a-z0-9]{1,9}(\\.[a-z]{1,9}){0,2}", 1..5),
            age in 0_u64..40_000_000,
        ) {
            let names = names.iter().fold(String::new(), |text, name| text + "mx: " + name + "\n");
            let policy = parse(&format!("version: STSv1\nmode: {mode}\n{names}max_age: {age}\n")).unwrap();
            prop_assert_eq!(parse(&policy.to_string()), Ok(policy));
        }

        #[test]
        fn a_pattern_matches_what_its_definition_says(pattern in "(\\*\\.)?[ab](\\.[ab]){0,2}", host in "[ab](\\.[ab]){0,3}") {
            let expected = match pattern.strip_prefix("*.") {
                Some(domain) => host.split_once('.').is_some_and(|(_, rest)| rest == domain),
                None => host == pattern,
            };
            prop_assert_eq!(Pattern::parse(&pattern).unwrap().matches(&host), expected);
        }
    }
}
