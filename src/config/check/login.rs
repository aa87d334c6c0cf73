//! Logins by access tokens: whose tokens count, and for which accounts.

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;

use toml::Spanned;
use url::Url;

use super::context::Context;
use super::list::{entries, unknown_name};
use super::upstreams::{endpoint_url, trust};
use crate::config::{raw, secret};
use crate::identity::{TenantName, UpstreamName};
use crate::oauth::Authentication;
use crate::token::{AccountRule, Check, Demands, KeySource, Settings};

/// How long an answer about a token may count at most: so long a token goes on that its issuer has revoked.
const LONGEST_MEMORY: Duration = Duration::from_mins(10);

/// Where the metadata of an issuer are (`OpenID` Connect Discovery 1.0 §4).
const METADATA: &str = "/.well-known/openid-configuration";

/// Returns the issuers whose tokens count.
pub(in crate::config) fn login(
    context: &mut Context,
    raw: &raw::Login,
    tenants: &[TenantName],
) -> Vec<Settings> {
    let mut found: Vec<Settings> = Vec::with_capacity(raw.oauth.len());
    for (name, issuer) in &raw.oauth {
        // The rules for names are the same for all kinds.
        if let Err(error) = UpstreamName::parse(name.get_ref()) {
            let message = format!("this cannot be the name of an issuer of tokens: {error}");
            context.error(name.span(), message, "for example: [login.oauth.corp]");
        }
        let settings = one(context, name.get_ref(), issuer, tenants);
        if let Some(settings) = settings {
            clash(context, &settings, issuer.span(), &found);
            found.push(settings);
        }
    }
    found
}

fn one(
    context: &mut Context,
    name: &str,
    issuer: &Spanned<raw::Issuer>,
    tenants: &[TenantName],
) -> Option<Settings> {
    let raw = issuer.get_ref();
    let path = ["login", "oauth", name];
    let check = match (&raw.jwt, &raw.introspection) {
        (Some(jwt), None) => jwt_check(context, name, jwt),
        (None, Some(table)) => introspection(context, name, table),
        (None, None) => {
            if !context.is_wrong_below(&path) {
                let message = "nothing says how the tokens are judged";
                let hint = format!(
                    "write [login.oauth.{name}.jwt] for signed tokens, or [login.oauth.{name}.introspection] for others"
                );
                context.error(issuer.span(), message, hint);
            }
            None
        }
        (Some(_), Some(other)) => {
            let message = "tokens are judged in one way only";
            let hint =
                "keep one of `jwt` and `introspection`; another issuer has a table of its own";
            context.error(other.span(), message, hint);
            None
        }
    };
    let demands = demands(context, issuer, &path);
    let accounts = account_rule(context, issuer);
    let tenant = raw.tenant.as_ref();
    let tenant = tenant.map(|tenant| known_tenant(context, tenant, tenants));
    let trust = trust(context, raw.ca_file.as_ref());
    Some(Settings {
        name: name.to_owned(),
        check: check?,
        demands: demands?,
        accounts: accounts?,
        tenant: match tenant {
            Some(known) => Some(known?),
            None => None,
        },
        trust: trust?,
    })
}

fn jwt_check(context: &mut Context, name: &str, table: &Spanned<raw::Jwt>) -> Option<Check> {
    let raw = table.get_ref();
    let Some(issuer) = &raw.issuer else {
        let path = ["login", "oauth", name, "jwt", "issuer"];
        let hint = "what the tokens say in `iss`, to the letter: issuer = \"https://login.example.com/realms/corp\"";
        context.missing(table.span(), &path, hint);
        return None;
    };
    let url = endpoint_url(context, issuer)?;
    warn_of_many_tenants(context, issuer, &url)?;
    let keys = if let Some(text) = &raw.jwks_url {
        KeySource::Fixed(endpoint_url(context, text)?)
    } else {
        let base = issuer.get_ref().trim_end_matches('/');
        // What was an address is one with a longer path too.
        KeySource::Discovered(Url::parse(&format!("{base}{METADATA}")).ok()?)
    };
    Some(Check::Jwt {
        issuer: issuer.get_ref().clone(),
        keys,
    })
}

/// An issuer that vouches for every tenant of a service vouches for strangers, who choose their addresses themselves.
fn warn_of_many_tenants(context: &mut Context, issuer: &Spanned<String>, url: &Url) -> Option<()> {
    let mut steps = url.path_segments()?;
    let is_shared = steps.any(|step| {
        let step = step.to_ascii_lowercase();
        matches!(step.as_str(), "common" | "consumers" | "organizations")
            || step.contains("tenantid")
    });
    let is_microsoft = url
        .host_str()
        .is_some_and(|host| host.contains("microsoftonline"));
    if is_shared && is_microsoft {
        let message = "this is no issuer of one organization";
        let hint = "write the Directory (tenant) ID: issuer = \"https://login.microsoftonline.com/00000000-…/v2.0\"";
        context.error(issuer.span(), message, hint);
        return None;
    }
    Some(())
}

fn introspection(
    context: &mut Context,
    name: &str,
    table: &Spanned<raw::Introspection>,
) -> Option<Check> {
    let raw = table.get_ref();
    let path = |key| ["login", "oauth", name, "introspection", key];
    if raw.url.is_none() {
        let hint = "for example: url = \"https://login.example.com/oauth2/introspect\"";
        context.missing(table.span(), &path("url"), hint);
    }
    if raw.client_id.is_none() {
        let hint = "the name under which posthouse is registered there: client_id = \"…\"";
        context.missing(table.span(), &path("client_id"), hint);
    }
    if raw.client_secret.is_none() {
        let hint = "write client_secret = { file = \"…\" }";
        context.missing(table.span(), &path("client_secret"), hint);
    }
    let remember = raw.remember.get_ref().get();
    if remember > LONGEST_MEMORY {
        let message = "answers are remembered for 10 minutes at most";
        let hint = "so long a token goes on that was revoked; for example: remember = \"1m\"";
        context.error(raw.remember.span(), message, hint);
    }
    let url = raw.url.as_ref().and_then(|url| endpoint_url(context, url));
    let secret = raw.client_secret.as_ref();
    let secret = secret.and_then(|source| secret::resolve(context, source))?;
    Some(Check::Introspection {
        url: url?,
        client_id: raw.client_id.as_ref()?.get_ref().clone(),
        authentication: match raw.client_auth {
            raw::ClientAuth::Basic => Authentication::Basic(secret),
            raw::ClientAuth::Post => Authentication::Post(secret),
        },
        remember,
    })
}

fn demands(
    context: &mut Context,
    issuer: &Spanned<raw::Issuer>,
    path: &[&str; 3],
) -> Option<Demands> {
    let raw = issuer.get_ref();
    let is_jwt = raw.jwt.is_some();
    let audience = texts(context, raw.audience.as_ref())?;
    if audience.is_empty() && is_jwt {
        let [login, oauth, name] = path;
        let hint = "what the tokens say in `aud`: audience = [\"…\"]; without it a token for another program would do";
        match &raw.audience {
            Some(list) => context.error(list.span(), "`audience` is empty", hint),
            None => context.missing(issuer.span(), &[login, oauth, name, "audience"], hint),
        }
    }
    let claim = raw.claim.as_ref().map(Spanned::get_ref);
    let default = if is_jwt { "email" } else { "username" };
    Some(Demands {
        audience,
        clients: texts(context, raw.clients.as_ref())?,
        scopes: texts(context, raw.scopes.as_ref())?,
        claim: claim.map_or(default, String::as_str).to_owned(),
    })
}

fn texts(context: &mut Context, list: Option<&Spanned<raw::List>>) -> Option<Vec<String>> {
    let Some(list) = list else {
        return Some(Vec::new());
    };
    let entries = entries(context, list)?;
    Some(entries.into_iter().map(|(entry, _)| entry).collect())
}

fn account_rule(context: &mut Context, issuer: &Spanned<raw::Issuer>) -> Option<AccountRule> {
    let raw = issuer.get_ref();
    let domains = texts(context, raw.domains.as_ref())?;
    match raw.accounts.get_ref() {
        raw::AccountRule::LocalPart if domains.is_empty() => {
            let message = "with `accounts = \"local-part\"` the issuer's domains must be listed";
            let hint = "write domains = [\"example.com\"]: else somebody at another domain would be taken for the account";
            context.error(raw.accounts.span(), message, hint);
            None
        }
        raw::AccountRule::LocalPart => Some(AccountRule::LocalPart(domains)),
        raw::AccountRule::Name => Some(AccountRule::Whole(domains)),
    }
}

/// Returns the tenant of that name, or `None` after an error.
fn known_tenant(
    context: &mut Context,
    tenant: &Spanned<String>,
    tenants: &[TenantName],
) -> Option<TenantName> {
    let known = tenants
        .iter()
        .find(|known| known.as_str() == tenant.get_ref());
    if known.is_none() {
        let names: BTreeSet<&str> = tenants.iter().map(TenantName::as_str).collect();
        let names: Vec<&str> = names.into_iter().collect();
        let hint = unknown_name("tenants", tenant.get_ref(), &names);
        let message = format!("unknown tenant `{}`", tenant.get_ref());
        context.error(tenant.span(), message, hint);
    }
    known.cloned()
}

/// Nobody could say which of two issuers judges a token that both could.
fn clash(context: &mut Context, settings: &Settings, place: Range<usize>, others: &[Settings]) {
    for other in others {
        let (message, hint) = match (&settings.check, &other.check) {
            (Check::Jwt { issuer, .. }, Check::Jwt { issuer: same, .. }) if issuer == same => (
                format!("[login.oauth.{}] has the same issuer", other.name),
                "an issuer has one table; `audience` and `clients` are lists",
            ),
            (Check::Introspection { .. }, Check::Introspection { .. }) => (
                format!("[login.oauth.{}] has `introspection` too", other.name),
                "an opaque token does not say whose it is: only one issuer can be asked",
            ),
            (Check::Introspection { .. } | Check::Jwt { .. }, _) => continue,
        };
        context.error(place.clone(), message, hint);
    }
}
