//! Mail addresses as RFC 5321 §4.1.2 and RFC 6531 §3.3 write them.
//!
//! The grammar is strict and there is one parser: what is authorized is the very value that is relayed. A local
//! part is kept without its quotes and quoted again when printed, so an address can never carry a parameter, a
//! second command or a line break to an upstream. An international domain is accepted only in the form that its
//! own A-label decodes to, which refuses full-width letters, ideographic full stops and invisible characters.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The longest local part accepted, in octets. RFC 5321 §4.5.3.1.1 asks for 64; real VERP addresses are longer.
pub const MAX_LOCAL_PART: usize = 128;

/// The longest domain accepted, in octets, in A-label form. RFC 5321 §4.5.3.1.2.
pub const MAX_DOMAIN: usize = 255;

/// Why a text is not an address.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AddressError {
    /// The domain is missing, malformed, or not in its canonical international form.
    #[error("the domain is not valid")]
    Domain,
    /// The local part is missing, malformed or too long.
    #[error("the local part is not valid")]
    LocalPart,
    /// There is no `@` between local part and domain.
    #[error("there is no @")]
    NoAt,
    /// A path does not begin with `<` or does not end with `>`.
    #[error("the angle brackets are missing or do not match")]
    Path,
    /// Something follows the address.
    #[error("something follows the address")]
    Trailing,
}

/// The part of an address before the `@`, without quotes.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct LocalPart(Box<str>);

impl LocalPart {
    /// Returns the text without quotes or escapes. It may hold spaces, `@` and `>`; print it with `Display`.
    pub fn as_unquoted(&self) -> &str {
        &self.0
    }

    /// Returns whether both are the same local part when letter case does not count.
    ///
    /// No international local part is the same as an ASCII one: the Kelvin sign is not a `k`.
    pub fn is_same_as(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
            || (!self.is_ascii()
                && !other.is_ascii()
                && self.0.to_lowercase() == other.0.to_lowercase())
    }

    /// Returns the local part up to the first `+`, where something stands before it.
    #[must_use]
    pub fn without_detail(&self) -> Self {
        match self.0.split_once('+') {
            Some((base, _)) if !base.is_empty() => Self(base.into()),
            _ => self.clone(),
        }
    }

    /// Returns whether all characters are ASCII.
    pub fn is_ascii(&self) -> bool {
        self.0.is_ascii()
    }

    fn is_dot_string(&self) -> bool {
        self.0
            .split('.')
            .all(|atom| !atom.is_empty() && atom.chars().all(is_atext))
    }
}

impl fmt::Display for LocalPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_dot_string() {
            return f.write_str(&self.0);
        }
        f.write_str("\"")?;
        for c in self.0.chars() {
            if matches!(c, '"' | '\\') {
                f.write_str("\\")?;
            }
            write!(f, "{c}")?;
        }
        f.write_str("\"")
    }
}

impl fmt::Debug for LocalPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// The part of an address after the `@`: a domain name or an address literal.
///
/// Two domains are equal when their A-label forms are, whatever the letter case.
#[derive(Clone)]
pub struct Domain {
    given: Box<str>,
    /// The lower-case A-label form, where it differs from `given`.
    canonical: Option<Box<str>>,
}

impl Domain {
    /// Parses a domain name (A-labels or U-labels) or an address literal in brackets.
    ///
    /// # Errors
    /// [`AddressError::Domain`] for anything else, among it empty labels, a trailing dot, and international names
    /// that are not in the form their A-label decodes to.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        if let Some(literal) = text
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            return Self::literal(literal);
        }
        if text.is_empty() || text.len() > 4 * MAX_DOMAIN {
            return Err(AddressError::Domain);
        }
        let canonical = canonical_name(text)?;
        Ok(Self {
            given: text.into(),
            canonical: (canonical != text).then(|| canonical.into()),
        })
    }

    fn literal(text: &str) -> Result<Self, AddressError> {
        let address = match text.get(..5) {
            Some(tag) if tag.eq_ignore_ascii_case("IPv6:") => {
                let address = text.get(5..).unwrap_or_default().parse::<Ipv6Addr>();
                IpAddr::V6(address.map_err(|_| AddressError::Domain)?)
            }
            _ => IpAddr::V4(text.parse::<Ipv4Addr>().map_err(|_| AddressError::Domain)?),
        };
        Ok(Self::from(address))
    }

    /// Returns the lower-case A-label form, or the address literal with its brackets.
    pub fn as_ascii(&self) -> &str {
        self.canonical.as_deref().unwrap_or(&self.given)
    }

    /// Returns the domain as it was written.
    pub fn as_given(&self) -> &str {
        &self.given
    }

    /// Returns whether this is a domain name below `parent`, at any depth. A domain is not below itself.
    pub fn is_below(&self, parent: &Self) -> bool {
        self.as_ascii()
            .strip_suffix(parent.as_ascii())
            .is_some_and(|rest| rest.ends_with('.'))
    }
}

impl From<IpAddr> for Domain {
    fn from(address: IpAddr) -> Self {
        let given = match address {
            IpAddr::V4(address) => format!("[{address}]"),
            IpAddr::V6(address) => format!("[IPv6:{address}]"),
        };
        Self {
            given: given.into(),
            canonical: None,
        }
    }
}

impl PartialEq for Domain {
    fn eq(&self, other: &Self) -> bool {
        self.as_ascii() == other.as_ascii()
    }
}

impl Eq for Domain {}

impl Hash for Domain {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_ascii().hash(state);
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.given)
    }
}

impl fmt::Debug for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.given, f)
    }
}

/// A complete address: local part, `@`, domain.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Mailbox {
    local_part: LocalPart,
    domain: Domain,
}

impl Mailbox {
    /// Parses `local-part@domain` and nothing else: no brackets, display name, comment or route.
    ///
    /// # Errors
    /// [`AddressError`] names the part that is wrong.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        match take_mailbox(text)? {
            (mailbox, "") => Ok(mailbox),
            _ => Err(AddressError::Trailing),
        }
    }

    /// Puts an address together from its parts.
    pub fn new(local_part: LocalPart, domain: Domain) -> Self {
        Self { local_part, domain }
    }

    /// Returns the local part.
    pub fn local_part(&self) -> &LocalPart {
        &self.local_part
    }

    /// Returns the domain.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// Returns whether both name the same mailbox when letter case does not count.
    pub fn is_same_as(&self, other: &Self) -> bool {
        self.domain == other.domain && self.local_part.is_same_as(&other.local_part)
    }

    /// Returns whether it prints as ASCII, so that no SMTPUTF8 is needed (RFC 6531).
    pub fn is_ascii(&self) -> bool {
        self.local_part.is_ascii() && self.domain.as_given().is_ascii()
    }

    /// Returns the same mailbox with its domain in A-label form, or `None` where the local part is international.
    pub fn to_ascii(&self) -> Option<Self> {
        self.local_part.is_ascii().then(|| Self {
            local_part: self.local_part.clone(),
            domain: Domain {
                given: self.domain.as_ascii().into(),
                canonical: None,
            },
        })
    }
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.local_part, self.domain)
    }
}

/// The argument of MAIL: where failures are reported to. RFC 5321 §4.1.1.2.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum ReversePath {
    /// A mailbox.
    Mailbox(Mailbox),
    /// `<>`: nobody; such a message is never bounced.
    Null,
}

impl ReversePath {
    /// Takes a path in angle brackets from the front of `text`; returns it and what follows the bracket.
    ///
    /// A source route is recognised and dropped (RFC 5321 §4.1.1.3).
    ///
    /// # Errors
    /// [`AddressError`] names the part that is wrong.
    pub fn take(text: &str) -> Result<(Self, &str), AddressError> {
        if let Some(rest) = text.strip_prefix("<>") {
            return Ok((Self::Null, rest));
        }
        take_path(text).map(|(mailbox, rest)| (Self::Mailbox(mailbox), rest))
    }

    /// Returns the mailbox, or `None` for the null reverse-path.
    pub fn mailbox(&self) -> Option<&Mailbox> {
        match self {
            Self::Mailbox(mailbox) => Some(mailbox),
            Self::Null => None,
        }
    }

    /// Returns whether it prints as ASCII.
    pub fn is_ascii(&self) -> bool {
        self.mailbox().is_none_or(Mailbox::is_ascii)
    }
}

impl fmt::Display for ReversePath {
    /// Writes the path with its angle brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mailbox(mailbox) => write!(f, "<{mailbox}>"),
            Self::Null => f.write_str("<>"),
        }
    }
}

/// The argument of RCPT: one recipient. RFC 5321 §4.1.1.3.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct ForwardPath(Mailbox);

impl ForwardPath {
    /// Takes a path in angle brackets from the front of `text`; returns it and what follows the bracket.
    ///
    /// `<Postmaster>`, which every server must accept (RFC 5321 §4.1.1.3), becomes `postmaster@` `here`.
    ///
    /// # Errors
    /// [`AddressError`] names the part that is wrong.
    pub fn take<'a>(text: &'a str, here: &Domain) -> Result<(Self, &'a str), AddressError> {
        const POSTMASTER: &str = "<postmaster>";
        if let Some((head, rest)) = text.split_at_checked(POSTMASTER.len())
            && head.eq_ignore_ascii_case(POSTMASTER)
        {
            let mailbox = Mailbox::new(LocalPart("postmaster".into()), here.clone());
            return Ok((Self(mailbox), rest));
        }
        take_path(text).map(|(mailbox, rest)| (Self(mailbox), rest))
    }

    /// Returns the mailbox.
    pub fn mailbox(&self) -> &Mailbox {
        &self.0
    }
}

impl From<Mailbox> for ForwardPath {
    fn from(mailbox: Mailbox) -> Self {
        Self(mailbox)
    }
}

impl fmt::Display for ForwardPath {
    /// Writes the path with its angle brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}>", self.0)
    }
}

fn take_path(text: &str) -> Result<(Mailbox, &str), AddressError> {
    let inner = text.strip_prefix('<').ok_or(AddressError::Path)?;
    let inner = match inner.strip_prefix('@') {
        Some(route) => skip_source_route(route)?,
        None => inner,
    };
    let (mailbox, rest) = take_mailbox(inner)?;
    let rest = rest.strip_prefix('>').ok_or(AddressError::Path)?;
    Ok((mailbox, rest))
}

fn skip_source_route(route: &str) -> Result<&str, AddressError> {
    let (hops, rest) = route.split_once(':').ok_or(AddressError::Path)?;
    for (index, hop) in hops.split(',').enumerate() {
        let hop = if index == 0 {
            Some(hop)
        } else {
            hop.strip_prefix('@')
        };
        Domain::parse(hop.ok_or(AddressError::Path)?)?;
    }
    Ok(rest)
}

fn take_mailbox(text: &str) -> Result<(Mailbox, &str), AddressError> {
    let (local_part, rest) = take_local_part(text)?;
    let rest = rest.strip_prefix('@').ok_or(AddressError::NoAt)?;
    let end = if rest.starts_with('[') {
        rest.find(']').ok_or(AddressError::Domain)? + 1
    } else {
        rest.find(|c: char| !is_domain_character(c))
            .unwrap_or(rest.len())
    };
    let (domain, rest) = rest.split_at_checked(end).ok_or(AddressError::Domain)?;
    let domain = Domain::parse(domain)?;
    Ok((Mailbox::new(local_part, domain), rest))
}

fn take_local_part(text: &str) -> Result<(LocalPart, &str), AddressError> {
    let (local_part, rest) = match text.strip_prefix('"') {
        Some(quoted) => take_quoted_string(quoted),
        None => take_dot_string(text),
    }?;
    if local_part.0.len() > MAX_LOCAL_PART {
        return Err(AddressError::LocalPart);
    }
    Ok((local_part, rest))
}

fn take_dot_string(text: &str) -> Result<(LocalPart, &str), AddressError> {
    let end = text
        .find(|c: char| c != '.' && !is_atext(c))
        .unwrap_or(text.len());
    let (dot_string, rest) = text.split_at_checked(end).ok_or(AddressError::LocalPart)?;
    if dot_string.split('.').any(str::is_empty) {
        return Err(AddressError::LocalPart);
    }
    Ok((LocalPart(dot_string.into()), rest))
}

fn take_quoted_string(text: &str) -> Result<(LocalPart, &str), AddressError> {
    let mut content = String::new();
    let mut characters = text.chars();
    loop {
        match characters.next() {
            Some('"') => return Ok((LocalPart(content.into()), characters.as_str())),
            Some('\\') => match characters.next() {
                Some(c @ ' '..='~') => content.push(c),
                _ => return Err(AddressError::LocalPart),
            },
            Some(c) if matches!(c, ' '..='~') || is_international(c) => content.push(c),
            _ => return Err(AddressError::LocalPart),
        }
    }
}

fn is_atext(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c) || is_international(c)
}

fn is_domain_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '.' || !c.is_ascii()
}

/// Accepts what prints outside ASCII. Invisible and direction-changing characters would show people another
/// address than the one that was authorized.
fn is_international(c: char) -> bool {
    let is_invisible = matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{ffff}' | '\u{e0000}'..='\u{e0fff}');
    !c.is_ascii() && !c.is_control() && !c.is_whitespace() && !is_invisible
}

fn canonical_name(text: &str) -> Result<String, AddressError> {
    let lower = text.to_ascii_lowercase();
    let canonical = if lower.is_ascii() && !lower.contains("xn--") {
        lower
    } else {
        let ascii = idna::domain_to_ascii(&lower).map_err(|_| AddressError::Domain)?;
        let (unicode, decoded) = idna::domain_to_unicode(&ascii);
        if decoded.is_err() || (lower != unicode && lower != ascii) {
            return Err(AddressError::Domain);
        }
        ascii
    };
    let is_valid = canonical.len() <= MAX_DOMAIN && canonical.split('.').all(is_label);
    if is_valid {
        Ok(canonical)
    } else {
        Err(AddressError::Domain)
    }
}

fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label
            .bytes()
            .all(|octet| octet.is_ascii_alphanumeric() || octet == b'-')
}

#[cfg(test)]
mod tests;
