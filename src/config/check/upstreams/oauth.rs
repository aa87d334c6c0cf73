//! Logins by OAuth: who gives the tokens, and what entitles to them.

mod generic;
mod google;
mod microsoft;

use std::path::PathBuf;

use toml::Spanned;
use url::{Host, Url};

use crate::config::check::context::Context;
use crate::config::raw;
use crate::http::Trust;
use crate::identity::UpstreamName;
use crate::oauth::{Authentication, FOLDER, Grant, RefreshToken, Settings, token_file};
use crate::secret::Secret;
use crate::telemetry::chain;
use crate::tls::client;

use generic::generic;
use google::google;
pub(super) use microsoft::{Scopes, cloud_of, microsoft};

/// A table that is looked at, for the keys that are missing in it.
#[derive(Clone, Copy)]
struct Place<'a> {
    upstream: &'a UpstreamName,
    form: &'a str,
}

/// What a form gives besides the trust in its endpoint.
type Entitled = Option<(Url, Grant)>;

/// Returns how tokens are got for the mailbox `username`, or `None` after an error.
pub(super) fn settings(
    context: &mut Context,
    name: &UpstreamName,
    raw: &Spanned<raw::OAuth>,
    username: &str,
) -> Option<Settings> {
    let raw::OAuth {
        microsoft: by_microsoft,
        google: by_google,
        generic: by_generic,
    } = raw.get_ref();
    match (by_microsoft, by_google, by_generic) {
        (Some(table), None, None) => {
            let cloud = cloud_of(table.get_ref().cloud);
            let scopes = Scopes {
                own: cloud.smtp_scope(),
                login: cloud.smtp_login_scope(),
            };
            microsoft(context, name, table, scopes)
        }
        (None, Some(table), None) => google(context, name, table, username),
        (None, None, Some(table)) => generic(context, name, table),
        (None, None, None) => {
            if !context.is_wrong_below(&["upstream", name.as_str(), "smtp", "oauth"]) {
                let message = "nothing says who gives the tokens";
                let hint = format!(
                    "write [upstream.{name}.smtp.oauth.microsoft], [upstream.{name}.smtp.oauth.google] or \
                     [upstream.{name}.smtp.oauth.generic]"
                );
                context.error(raw.span(), message, hint);
            }
            None
        }
        (Some(_), Some(other), _) => one_form(context, other),
        (Some(_), _, Some(other)) | (_, Some(_), Some(other)) => one_form(context, other),
    }
}

fn one_form<T>(context: &mut Context, other: &Spanned<T>) -> Option<Settings> {
    let message = "the tokens come from one place only";
    let hint = "keep one of `microsoft`, `google` and `generic`";
    context.error(other.span(), message, hint);
    None
}

fn refreshing(
    context: &Context,
    name: &UpstreamName,
    (client_id, authentication): (String, Authentication),
    (configured, scope): (Option<Secret>, Option<String>),
) -> RefreshToken {
    RefreshToken {
        client_id,
        authentication,
        scope,
        configured,
        file: token_file(&context.data_dir.join(FOLDER), name.as_str()),
        login: None,
    }
}

fn finish(entitled: Entitled, trust: Option<Trust>) -> Option<Settings> {
    let (token_url, grant) = entitled?;
    Some(Settings {
        token_url,
        grant,
        trust: trust?,
    })
}

pub(in crate::config::check) fn trust(
    context: &mut Context,
    ca_file: Option<&Spanned<PathBuf>>,
) -> Option<Trust> {
    let Some(file) = ca_file else {
        return Some(Trust::SystemRoots);
    };
    let path = context.path(file.get_ref());
    if let Err(error) = client::authority(&path) {
        let hint = "a PEM file with the certificates of the authorities to trust";
        context.error(file.span(), chain(&error), hint);
        return None;
    }
    Some(Trust::Authority(path))
}

impl<'a> Place<'a> {
    fn path(self, key: &'a str) -> [&'a str; 6] {
        [
            "upstream",
            self.upstream.as_str(),
            "smtp",
            "oauth",
            self.form,
            key,
        ]
    }
}

/// Returns a text that must be there and say something.
fn wanted<T>(
    context: &mut Context,
    table: &Spanned<T>,
    (place, key): (Place<'_>, &str),
    text: Option<&Spanned<String>>,
) -> Option<String> {
    let Some(text) = text else {
        let hint = match key {
            "client_id" => "the name under which posthouse is registered there: client_id = \"…\"",
            "tenant_id" => "the Directory (tenant) ID that Entra shows: tenant_id = \"…\"",
            _ => "for example: token_url = \"https://login.example.com/oauth2/token\"",
        };
        context.missing(table.span(), &place.path(key), hint);
        return None;
    };
    let is_sound = |c: char| c.is_ascii_graphic();
    if text.get_ref().is_empty() || !text.get_ref().chars().all(is_sound) {
        let message = format!("this cannot be a `{key}`");
        context.error(text.span(), message, "one word, without spaces");
        return None;
    }
    Some(text.get_ref().clone())
}

/// Returns an address to which secrets may be sent, or `None` after an error.
pub(in crate::config::check) fn endpoint_url(
    context: &mut Context,
    text: &Spanned<String>,
) -> Option<Url> {
    let url = Url::parse(text.get_ref()).ok().filter(is_endpoint);
    if url.is_none() {
        let hint = "for example: \"https://login.example.com/oauth2/token\"; http is for this machine alone, and secrets \
                    do not belong there";
        context.error(text.span(), "this is not an https address", hint);
    }
    url
}

/// Returns whether secrets may be sent there: by https, or to this machine.
pub(in crate::config::check) fn is_endpoint(url: &Url) -> bool {
    let is_here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => return false,
    };
    let is_plain =
        url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    is_plain && (url.scheme() == "https" || url.scheme() == "http" && is_here)
}
