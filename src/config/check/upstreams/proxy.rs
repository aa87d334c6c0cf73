//! The proxy that connections go through.

use toml::Spanned;

use crate::config::check::context::Context;
use crate::config::{raw, secret};
use crate::dial::{Proxy, ProxyKind, ProxyLogin, ProxyUrlError};

use super::Reported;

const EXAMPLE: &str =
    "for example: proxy = { url = \"socks5://proxy.example.com:1080\" }, or http://… for CONNECT";

/// The longest user name or password (RFC 1929 §2), in octets.
const LONGEST: usize = 255;

/// Returns the proxy of the table at `path`, where one is set.
pub(super) fn proxy(
    context: &mut Context,
    path: &[&str],
    raw: Option<&Spanned<raw::Proxy>>,
) -> Result<Option<Proxy>, Reported> {
    let Some(raw) = raw else {
        return Ok(None);
    };
    let path = |key| -> Vec<&str> { path.iter().copied().chain(["proxy", key]).collect() };
    let table = raw.get_ref();
    let Some(url) = &table.url else {
        context.missing(raw.span(), &path("url"), EXAMPLE);
        return Err(Reported);
    };
    let proxy = match Proxy::parse(url.get_ref()) {
        Ok(proxy) => proxy,
        Err(error) => {
            let hint = match error {
                ProxyUrlError::Login => {
                    "the login has keys of its own: username = \"…\", password = { file = \"…\" }"
                }
                ProxyUrlError::Host
                | ProxyUrlError::Port
                | ProxyUrlError::Rest
                | ProxyUrlError::Scheme => EXAMPLE,
            };
            let message = format!("this is no address of a proxy: {error}");
            context.error(url.span(), message, hint);
            return Err(Reported);
        }
    };
    let (username, password) = match (&table.username, &table.password) {
        (None, None) => return Ok(Some(proxy)),
        (Some(username), Some(password)) => (username, password),
        (Some(username), None) => {
            let hint = "write password = { file = \"…\" }, or take `username` out";
            context.missing(username.span(), &path("password"), hint);
            return Err(Reported);
        }
        (None, Some(password)) => {
            let hint = "write username = \"…\", or take `password` out";
            context.missing(password.span(), &path("username"), hint);
            return Err(Reported);
        }
    };
    let name = username.get_ref();
    let has_colon = proxy.kind == ProxyKind::HttpConnect && name.contains(':');
    if name.is_empty() || name.len() > LONGEST || name.contains(char::is_control) || has_colon {
        let hint = "1 to 255 characters; for HTTP without a colon";
        context.error(username.span(), "this cannot be a user name", hint);
        return Err(Reported);
    }
    let secret = secret::resolve(context, password).ok_or(Reported)?;
    if secret.expose().len() > LONGEST {
        let hint = "a proxy takes at most 255 octets";
        context.error(password.span(), "the password is too long", hint);
        return Err(Reported);
    }
    Ok(Some(Proxy {
        login: Some(ProxyLogin {
            username: name.clone(),
            password: secret,
        }),
        ..proxy
    }))
}
