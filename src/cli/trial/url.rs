//! An upstream as a URL: `smtps://user:password@smtp.example.net:465`.

use crate::secret::Secret;

/// Where mail goes instead of into a folder.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct UpstreamUrl {
    pub(super) tls: UrlTls,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) login: Option<(String, Secret)>,
}

/// The scheme.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum UrlTls {
    /// `smtps`: from the beginning.
    Implicit,
    /// `smtp`: where it is offered.
    Opportunistic,
    /// `smtp+starttls`: STARTTLS or nothing.
    Required,
}

/// Why a text is no URL of an upstream. It never quotes the text, which may hold a password.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum UrlError {
    #[error(
        "a % is followed by two hexadecimal digits, and the text is UTF-8; write a % itself as %25"
    )]
    Escape,
    #[error("there is no host in it; for example smtps://user:password@smtp.example.net")]
    Host,
    #[error("the user name and the password belong together; write special characters as %40")]
    Login,
    #[error("there is nothing behind the port; write a / in the password as %2F")]
    Path,
    #[error("the port is a number from 1 to 65535")]
    Port,
    #[error("it begins with smtp://, smtp+starttls:// or smtps://")]
    Scheme,
}

impl UpstreamUrl {
    pub(super) fn parse(text: &str) -> Result<Self, UrlError> {
        let (scheme, rest) = text.split_once("://").ok_or(UrlError::Scheme)?;
        let (tls, default_port) = match scheme.to_ascii_lowercase().as_str() {
            "smtp" => (UrlTls::Opportunistic, 25),
            "smtp+starttls" => (UrlTls::Required, 587),
            "smtps" => (UrlTls::Implicit, 465),
            _ => return Err(UrlError::Scheme),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (login, place) = match rest.rsplit_once('@') {
            Some((login, place)) => (Some(parse_login(login)?), place),
            None => (None, rest),
        };
        if place.contains(['/', '?', '#']) {
            return Err(UrlError::Path);
        }
        let (host, port) = split_port(place)?;
        if host.is_empty() || host.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(UrlError::Host);
        }
        Ok(Self {
            tls,
            host: host.to_owned(),
            port: match port {
                Some(port) => port
                    .parse()
                    .ok()
                    .filter(|&port| port > 0)
                    .ok_or(UrlError::Port)?,
                None => default_port,
            },
            login,
        })
    }
}

/// Parses `user:password`.
fn parse_login(text: &str) -> Result<(String, Secret), UrlError> {
    let (user, password) = text.split_once(':').ok_or(UrlError::Login)?;
    let (user, password) = (decode(user)?, Secret::new(decode(password)?));
    if user.is_empty() || password.expose().is_empty() {
        return Err(UrlError::Login);
    }
    Ok((user, password))
}

/// Splits `host:port`; an IPv6 address stands in brackets.
fn split_port(place: &str) -> Result<(&str, Option<&str>), UrlError> {
    if let Some(rest) = place.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or(UrlError::Host)?;
        return match (rest.is_empty(), rest.strip_prefix(':')) {
            (true, _) => Ok((host, None)),
            (false, Some(port)) => Ok((host, Some(port))),
            (false, None) => Err(UrlError::Host),
        };
    }
    match place.split_once(':') {
        Some((_, port)) if port.contains(':') => Err(UrlError::Host),
        Some((host, port)) => Ok((host, Some(port))),
        None => Ok((place, None)),
    }
}

/// Decodes `%XX` (RFC 3986 §2.1).
fn decode(text: &str) -> Result<String, UrlError> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        if octet != b'%' {
            octets.push(octet);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        let (high, low) = (digit(), digit());
        let value = high.zip(low).map(|(high, low)| high * 16 + low);
        octets.push(
            value
                .and_then(|value| u8::try_from(value).ok())
                .ok_or(UrlError::Escape)?,
        );
    }
    String::from_utf8(octets).map_err(|_| UrlError::Escape)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_sets_tls_and_port() {
        for (text, tls, port) in [
            ("smtp://mail.example", UrlTls::Opportunistic, 25),
            ("smtp+starttls://mail.example/", UrlTls::Required, 587),
            ("SMTPS://mail.example", UrlTls::Implicit, 465),
            ("smtps://mail.example:2465", UrlTls::Implicit, 2465),
        ] {
            let url = UpstreamUrl::parse(text).unwrap();
            assert_eq!((url.tls, url.port, &*url.host), (tls, port, "mail.example"));
        }
    }

    #[test]
    fn user_and_password_are_decoded() {
        let url = UpstreamUrl::parse("smtps://ann%40example.com:p%3a%2F%25@mail.example").unwrap();
        let (user, password) = url.login.unwrap();
        assert_eq!((&*user, password.expose()), ("ann@example.com", "p:/%"));
    }

    #[test]
    fn an_address_may_stand_in_brackets() {
        let url = UpstreamUrl::parse("smtp://[::1]:2525").unwrap();
        assert_eq!((&*url.host, url.port), ("::1", 2525));
        let url = UpstreamUrl::parse("smtp://[::1]").unwrap();
        assert_eq!((&*url.host, url.port), ("::1", 25));
    }

    #[test]
    fn each_mistake_has_its_reason() {
        for (text, error) in [
            ("mail.example", UrlError::Scheme),
            ("https://mail.example", UrlError::Scheme),
            ("smtp://", UrlError::Host),
            ("smtp://::1", UrlError::Host),
            ("smtp://[::1", UrlError::Host),
            ("smtp://a b", UrlError::Host),
            ("smtp://mail.example:0", UrlError::Port),
            ("smtp://mail.example:x", UrlError::Port),
            ("smtp://mail.example/x", UrlError::Path),
            ("smtp://ann@mail.example", UrlError::Login),
            ("smtp://ann:@mail.example", UrlError::Login),
            ("smtp://ann:%4@mail.example", UrlError::Escape),
            ("smtp://ann:%ff@mail.example", UrlError::Escape),
        ] {
            assert_eq!(UpstreamUrl::parse(text), Err(error), "{text}");
        }
    }
}
