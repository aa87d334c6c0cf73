//! Who logs in at an upstream.

use crate::config::check::context::Context;
use crate::config::{raw, secret};
use crate::identity::UpstreamName;
use crate::upstream::smtp::{Credential, Login, PlainTextLogin};

use super::Reported;
use super::oauth;
use super::values::Values;

/// Returns the login, where there is one.
pub(super) fn login(
    context: &mut Context,
    name: &UpstreamName,
    smtp: &raw::Smtp,
    values: &Values,
) -> Result<Option<Login>, Reported> {
    let table = ["upstream", name.as_str(), "smtp"];
    let [root, upstream, kind] = table;
    if let (Some(_), Some(oauth)) = (&smtp.password, &smtp.oauth) {
        let message = "a login has a password or OAuth, not both";
        context.error(oauth.span(), message, "take `password` out");
        return Err(Reported);
    }
    let place = match (&smtp.username, &smtp.password, &smtp.oauth) {
        (None, None, None) => return Ok(None),
        (Some(username), None, None) => {
            let hint = "write password = { file = \"…\" } or [upstream.NAME.smtp.oauth…], or take `username` out";
            context.missing(username.span(), &[root, upstream, kind, "password"], hint);
            return Err(Reported);
        }
        (None, Some(password), _) => {
            let hint = "write username = \"…\", or take `password` out";
            context.missing(password.span(), &[root, upstream, kind, "username"], hint);
            return Err(Reported);
        }
        (None, None, Some(oauth)) => {
            let hint = "the mailbox that the login is for: username = \"relay@example.com\"";
            context.missing(oauth.span(), &[root, upstream, kind, "username"], hint);
            return Err(Reported);
        }
        (Some(username), ..) => username,
    };
    let username = place.get_ref();
    if username.is_empty() || username.contains(['\0', '\r', '\n', '\u{1}']) {
        let hint = "for example: username = \"relay@example.com\"";
        context.error(place.span(), "this cannot be a user name", hint);
        return Err(Reported);
    }
    let over_plain_text = plain_text(context, smtp, values);
    let credential = match (&smtp.password, &smtp.oauth) {
        (Some(password), _) => secret::resolve(context, password).map(Credential::Password),
        (None, Some(oauth)) => {
            let settings = oauth::settings(context, name, oauth, username);
            settings.map(Box::new).map(Credential::Token)
        }
        (None, None) => None,
    };
    Ok(Some(Login {
        username: username.clone(),
        credential: credential.ok_or(Reported)?,
        over_plain_text: over_plain_text.ok_or(Reported)?,
    }))
}

fn plain_text(context: &mut Context, smtp: &raw::Smtp, values: &Values) -> Option<PlainTextLogin> {
    match (smtp.plain_text_login.get_ref(), values.tls.value) {
        (true, raw::TlsPolicy::Disabled | raw::TlsPolicy::Opportunistic) => {
            context.warning(
                smtp.plain_text_login.span(),
                "the password of this upstream may cross the network unprotected",
                "write tls = \"required\" where the upstream offers STARTTLS",
            );
            Some(PlainTextLogin::Allowed)
        }
        (false, raw::TlsPolicy::Disabled) => {
            context.error(
                values.tls.place(),
                "there is a login, but it may not be sent over plain text",
                "write tls = \"required\" or \"implicit\"; where the upstream has no TLS at all, \
                 plain_text_login = true",
            );
            None
        }
        (_, _) => Some(PlainTextLogin::Forbidden),
    }
}
