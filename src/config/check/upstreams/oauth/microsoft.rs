//! Applications of Microsoft Entra.

use std::path::PathBuf;

use toml::Spanned;
use url::Url;

use crate::config::check::context::Context;
use crate::config::{raw, secret};
use crate::identity::UpstreamName;
use crate::oauth::{
    Audience, Authentication, CertificateKey, ClientCredentials, Cloud, DeviceLogin, Grant,
    RefreshToken, Settings,
};

use super::{Place, endpoint_url, finish, refreshing, trust, wanted};

/// What a Microsoft application asks for: with its own permissions, and with a person's.
#[derive(Clone, Copy)]
pub(in crate::config::check::upstreams) struct Scopes {
    pub(in crate::config::check::upstreams) own: &'static str,
    pub(in crate::config::check::upstreams) login: &'static str,
}

/// Returns the cloud of a Microsoft application.
pub(in crate::config::check::upstreams) const fn cloud_of(raw: raw::Cloud) -> Cloud {
    match raw {
        raw::Cloud::China => Cloud::China,
        raw::Cloud::Global => Cloud::Global,
        raw::Cloud::UsDod => Cloud::UsDod,
        raw::Cloud::UsGov => Cloud::UsGov,
    }
}

/// Returns how a Microsoft application gets tokens, or `None` after an error.
pub(in crate::config::check::upstreams) fn microsoft(
    context: &mut Context,
    name: &UpstreamName,
    raw: &Spanned<raw::Microsoft>,
    scopes: Scopes,
) -> Option<Settings> {
    let table = raw.get_ref();
    let place = Place {
        upstream: name,
        form: "microsoft",
    };
    let trust = trust(context, table.ca_file.as_ref());
    let client_id = wanted(context, raw, (place, "client_id"), table.client_id.as_ref());
    let base = microsoft_base(context, raw, place);
    let proof = microsoft_proof(context, raw, place);
    let (base, proof, client_id) = (base?, proof?, client_id?);
    let scope = table.scope.as_ref().map(|scope| scope.get_ref().clone());
    let endpoint = |last: &str| base.join(&format!("oauth2/v2.0/{last}")).ok();
    let is_login = *table.login.get_ref();
    let grant = if let Some(source) = table.refresh_token.as_ref().filter(|_| !is_login) {
        let configured = secret::resolve(context, source)?;
        let scope = scope.unwrap_or_else(|| scopes.login.to_owned());
        refreshing(
            context,
            name,
            (client_id, proof),
            (Some(configured), Some(scope)),
        )
    } else if is_login {
        let scope = scope.unwrap_or_else(|| scopes.login.to_owned());
        let device_url = endpoint("devicecode")?;
        let login = DeviceLogin {
            device_url,
            scope: Some(scope.clone()),
        };
        let grant = refreshing(context, name, (client_id, proof), (None, Some(scope)));
        RefreshToken {
            login: Some(login),
            ..grant
        }
    } else {
        let scope = scope.unwrap_or_else(|| scopes.own.to_owned());
        let audience = Audience {
            scope: Some(scope),
            audience: None,
        };
        let grant = Grant::ClientCredentials(ClientCredentials {
            client_id,
            authentication: proof,
            audience,
        });
        return finish(Some((endpoint("token")?, grant)), trust);
    };
    finish(
        Some((endpoint("token")?, Grant::RefreshToken(grant))),
        trust,
    )
}

/// Returns where the endpoints of a tenant are.
fn microsoft_base(
    context: &mut Context,
    raw: &Spanned<raw::Microsoft>,
    place: Place<'_>,
) -> Option<Url> {
    let table = raw.get_ref();
    let authority = match &table.authority {
        Some(text) => endpoint_url(context, text),
        None => Url::parse(cloud_of(table.cloud).authority()).ok(),
    };
    let tenant = wanted(context, raw, (place, "tenant_id"), table.tenant_id.as_ref())?;
    let is_tenant = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    if !tenant.chars().all(is_tenant)
        && let Some(text) = &table.tenant_id
    {
        let hint = "the Directory (tenant) ID that Entra shows, such as \"00000000-0000-0000-0000-000000000000\"";
        context.error(text.span(), "this cannot be a tenant", hint);
        return None;
    }
    let mut base = authority?;
    base.path_segments_mut()
        .ok()?
        .pop_if_empty()
        .extend([&tenant, ""]);
    Some(base)
}

/// Returns what proves who the application is, where that fits the rest of its table.
fn microsoft_proof(
    context: &mut Context,
    raw: &Spanned<raw::Microsoft>,
    place: Place<'_>,
) -> Option<Authentication> {
    let table = raw.get_ref();
    let is_login = *table.login.get_ref();
    if let (true, Some(refresh)) = (is_login, &table.refresh_token) {
        let message =
            "the permission comes from `posthouse upstream login` or is written here, not both";
        context.error(
            refresh.span(),
            message,
            "keep one of `login` and `refresh_token`",
        );
        return None;
    }
    let is_permitted = is_login || table.refresh_token.is_some();
    match (&table.client_secret, &table.certificate, &table.key) {
        (Some(secret), None, None) => secret::resolve(context, secret).map(Authentication::Post),
        (None, Some(certificate), Some(key)) => certificate_key(context, certificate, key),
        (None, None, None) if is_permitted => Some(Authentication::None),
        (None, None, None) => {
            let path = place.path("client_secret");
            let hint = "write client_secret = { file = \"…\" }, or `certificate` and `key`, or login = true and run \
                        `posthouse upstream login`";
            context.missing(raw.span(), &path, hint);
            None
        }
        (None, Some(certificate), None) => {
            let path = place.path("key");
            context.missing(
                certificate.span(),
                &path,
                "the private key of the certificate",
            );
            None
        }
        (None, None, Some(key)) => {
            let path = place.path("certificate");
            context.missing(
                key.span(),
                &path,
                "the certificate of the key, as it was registered",
            );
            None
        }
        (Some(_), Some(other), _) | (Some(_), None, Some(other)) => {
            let message = "an application proves itself by a secret or by a certificate, not both";
            context.error(
                other.span(),
                message,
                "take `client_secret` out, or `certificate` and `key`",
            );
            None
        }
    }
}

fn certificate_key(
    context: &mut Context,
    certificate: &Spanned<PathBuf>,
    key: &Spanned<PathBuf>,
) -> Option<Authentication> {
    let path = context.path(certificate.get_ref());
    let pem = std::fs::read(&path);
    if let Err(error) = &pem {
        let message = format!("cannot read the certificate {}: {error}", path.display());
        context.error(
            certificate.span(),
            message,
            "a PEM file with the certificate",
        );
    }
    let hint = "a PEM file with the private key of `certificate`";
    let key_pem = secret::key_file(context, key, hint);
    let (pem, key_pem) = (pem.ok()?, key_pem?);
    match CertificateKey::from_pem(&pem, key_pem.expose().as_bytes()) {
        Ok(pair) => Some(Authentication::Certificate(pair)),
        Err(error) => {
            let hint = "an RSA key and its certificate, both in PEM; the certificate is the one that was uploaded";
            context.error(key.span(), error.to_string(), hint);
            None
        }
    }
}
