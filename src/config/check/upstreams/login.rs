//! Who logs in at an upstream.

use crate::config::check::context::Context;
use crate::config::{raw, secret};
use crate::identity::UpstreamName;
use crate::upstream::smtp::{Login, PlainTextLogin};

use super::Reported;
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
    let (username, password) = match (&smtp.username, &smtp.password) {
        (None, None) => return Ok(None),
        (Some(username), Some(password)) => (username, password),
        (Some(username), None) => {
            let hint = "write password = { file = \"…\" }, or take `username` out";
            context.missing(username.span(), &[root, upstream, kind, "password"], hint);
            return Err(Reported);
        }
        (None, Some(password)) => {
            let hint = "write username = \"…\", or take `password` out";
            context.missing(password.span(), &[root, upstream, kind, "username"], hint);
            return Err(Reported);
        }
    };
    if username.get_ref().is_empty() || username.get_ref().contains(['\0', '\r', '\n']) {
        let hint = "for example: username = \"relay@example.com\"";
        context.error(username.span(), "this cannot be a user name", hint);
        return Err(Reported);
    }
    let over_plain_text = plain_text(context, smtp, values);
    Ok(Some(Login {
        username: username.get_ref().clone(),
        password: secret::resolve(context, password).ok_or(Reported)?,
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
