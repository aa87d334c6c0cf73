//! Google: service accounts, and refresh tokens.

use std::path::PathBuf;

use toml::Spanned;
use url::Url;

use crate::config::check::context::Context;
use crate::config::{raw, secret};
use crate::http::Trust;
use crate::identity::UpstreamName;
use crate::oauth::{Authentication, Grant, ServiceAccount, Settings};

use super::{Entitled, Place, finish, is_endpoint, refreshing, wanted};

/// What a Google mailbox is sent from with (the one scope that covers SMTP).
const GOOGLE_SCOPE: &str = "https://mail.google.com/";

/// Where Google gives tokens to programs that a person has permitted.
const GOOGLE_TOKEN_URL: &str = "https://oauth2.googleapis.com/token";

pub(super) fn google(
    context: &mut Context,
    name: &UpstreamName,
    raw: &Spanned<raw::Google>,
    username: &str,
) -> Option<Settings> {
    let table = raw.get_ref();
    let entitled = match (&table.service_account, &table.refresh_token) {
        (Some(_), Some(refresh)) => {
            let message = "a mailbox is used by a service account or by a refresh token, not both";
            context.error(
                refresh.span(),
                message,
                "keep one of `service_account` and `refresh_token`",
            );
            None
        }
        (Some(file), None) => service_account(context, file, username),
        (None, Some(source)) => {
            let place = Place {
                upstream: name,
                form: "google",
            };
            let id = wanted(context, raw, (place, "client_id"), table.client_id.as_ref());
            let proof = post_secret(context, table.client_secret.as_ref());
            let configured = secret::resolve(context, source);
            let from = (id?, proof?);
            let grant = refreshing(context, name, from, (Some(configured?), None));
            let url = Url::parse(GOOGLE_TOKEN_URL).ok()?;
            Some((url, Grant::RefreshToken(grant)))
        }
        (None, None) => {
            let path = [
                "upstream",
                name.as_str(),
                "smtp",
                "oauth",
                "google",
                "service_account",
            ];
            let hint = "write service_account = \"…\", the JSON key file of a service account; or `client_id`, \
                        `client_secret` and `refresh_token`";
            context.missing(raw.span(), &path, hint);
            None
        }
    };
    finish(entitled, Some(Trust::SystemRoots))
}

fn service_account(context: &mut Context, file: &Spanned<PathBuf>, username: &str) -> Entitled {
    const HINT: &str = "the JSON key file that Google's console gives out for a service account";
    let text = secret::key_file(context, file, HINT)?;
    let account = match ServiceAccount::from_json(text.expose()) {
        Ok(account) if is_endpoint(&account.token_url) => account,
        Ok(_) => {
            context.error(file.span(), "its `token_uri` is not an https address", HINT);
            return None;
        }
        Err(error) => {
            context.error(file.span(), error.to_string(), HINT);
            return None;
        }
    };
    let url = account.token_url.clone();
    let grant = Grant::ServiceAccount {
        account,
        mailbox: username.to_owned(),
        scope: GOOGLE_SCOPE.to_owned(),
    };
    Some((url, grant))
}

fn post_secret(
    context: &mut Context,
    source: Option<&Spanned<raw::SecretSource>>,
) -> Option<Authentication> {
    match source {
        Some(source) => secret::resolve(context, source).map(Authentication::Post),
        None => Some(Authentication::None),
    }
}
