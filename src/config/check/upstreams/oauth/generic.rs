//! Any other server that gives tokens.

use toml::Spanned;

use crate::config::check::context::Context;
use crate::config::{raw, secret};
use crate::identity::UpstreamName;
use crate::oauth::{
    Audience, Authentication, ClientCredentials, DeviceLogin, Grant, RefreshToken, Settings,
};

use super::{Place, endpoint_url, finish, refreshing, trust, wanted};

pub(super) fn generic(
    context: &mut Context,
    name: &UpstreamName,
    raw: &Spanned<raw::Generic>,
) -> Option<Settings> {
    let table = raw.get_ref();
    let place = Place {
        upstream: name,
        form: "generic",
    };
    let trust = trust(context, table.ca_file.as_ref());
    let client_id = wanted(context, raw, (place, "client_id"), table.client_id.as_ref());
    let proof = generic_proof(context, raw, place);
    let text = wanted(context, raw, (place, "token_url"), table.token_url.as_ref());
    let url = table.token_url.as_ref().filter(|_| text.is_some());
    let url = url.and_then(|url| endpoint_url(context, url));
    let (client_id, authentication, url) = (client_id?, proof?, url?);
    let scope = table.scope.as_ref().map(|scope| scope.get_ref().clone());
    let grant = match (&table.refresh_token, &table.device_url) {
        (None, None) => Grant::ClientCredentials(ClientCredentials {
            client_id,
            authentication,
            audience: Audience {
                scope,
                audience: table.audience.as_ref().map(|text| text.get_ref().clone()),
            },
        }),
        (Some(source), None) => {
            let configured = secret::resolve(context, source)?;
            let from = (client_id, authentication);
            Grant::RefreshToken(refreshing(context, name, from, (Some(configured), scope)))
        }
        (None, Some(device_url)) => {
            let login = DeviceLogin {
                device_url: endpoint_url(context, device_url)?,
                scope: scope.clone(),
            };
            let grant = refreshing(context, name, (client_id, authentication), (None, scope));
            Grant::RefreshToken(RefreshToken {
                login: Some(login),
                ..grant
            })
        }
        (Some(refresh), Some(_)) => {
            let message =
                "the permission comes from `posthouse upstream login` or is written here, not both";
            context.error(
                refresh.span(),
                message,
                "keep one of `device_url` and `refresh_token`",
            );
            return None;
        }
    };
    finish(Some((url, grant)), trust)
}

/// Returns what proves who the program is. With a person's permission it may be a public client.
fn generic_proof(
    context: &mut Context,
    raw: &Spanned<raw::Generic>,
    place: Place<'_>,
) -> Option<Authentication> {
    let table = raw.get_ref();
    let is_permitted = table.refresh_token.is_some() || table.device_url.is_some();
    let Some(source) = &table.client_secret else {
        if !is_permitted {
            let path = place.path("client_secret");
            let hint = "write client_secret = { file = \"…\" }; or, for a person's permission, `refresh_token` or \
                        `device_url`";
            context.missing(raw.span(), &path, hint);
            return None;
        }
        return Some(Authentication::None);
    };
    let secret = secret::resolve(context, source)?;
    Some(match table.client_auth {
        raw::ClientAuth::Basic => Authentication::Basic(secret),
        raw::ClientAuth::Post => Authentication::Post(secret),
    })
}
