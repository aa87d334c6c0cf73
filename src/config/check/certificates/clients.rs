//! Who vouches for the certificates of clients, and what these have revoked.

use std::path::PathBuf;
use std::time::Duration;

use toml::Spanned;

use crate::config::check::context::Context;
use crate::config::raw;
use crate::telemetry::chain;
use crate::tls::server::{
    ClientTrustError, Clients, End, authority_ends, check_clients, revocation_ends,
};

/// Returns where authorities and their lists are, or `None` after an error.
pub(super) fn clients(context: &mut Context, raw: &raw::Tls) -> Option<Clients> {
    let path = |file: &Spanned<PathBuf>| context.path(file.get_ref());
    let clients = Clients {
        authorities: raw.client_ca.as_ref().map(path),
        revoked: raw.client_crl.as_ref().map(path),
    };
    let Some(ca) = &raw.client_ca else {
        if let Some(crl) = &raw.client_crl {
            let message = "this lists what an authority has revoked, and no authority is named";
            context.error(crl.span(), message, "write client_ca, or take it out");
            return None;
        }
        return Some(clients);
    };
    context.turn_to("clients");
    let ends = match usable(&clients) {
        Ok(ends) => ends,
        Err(error) => {
            let crl = raw.client_crl.as_ref();
            let crl = crl.filter(|_| Some(error.path()) == clients.revoked.as_deref());
            context.error(crl.unwrap_or(ca).span(), chain(&error), hint(&error));
            return None;
        }
    };
    for End { name, at, .. } in ends.authorities {
        let what = format!("the certificate of the authority `{name}`");
        context.ends(ca.span(), &what, at, RENEW_AUTHORITY);
    }
    let lists = ends.lists.into_iter().filter(is_watched);
    for (End { name, at, .. }, crl) in lists.zip(raw.client_crl.iter().cycle()) {
        let what = format!("the list of certificates that `{name}` has revoked");
        context.ends(crl.span(), &what, at, RENEW_LIST);
    }
    Some(clients)
}

/// When what the files have ends.
struct Ends {
    authorities: Vec<End>,
    lists: Vec<End>,
}

fn usable(clients: &Clients) -> Result<Ends, ClientTrustError> {
    let authorities = clients.authorities.as_deref().map(authority_ends);
    let lists = clients.revoked.as_deref().map(revocation_ends);
    let ends = Ends {
        authorities: authorities.transpose()?.unwrap_or_default(),
        lists: lists.transpose()?.unwrap_or_default(),
    };
    check_clients(clients)?;
    Ok(ends)
}

/// Lists that are valid for days are renewed by a program; each of them would be near its end.
fn is_watched(end: &End) -> bool {
    end.at.since(end.from) >= WATCHED
}

/// How long a list is valid at least that is watched. `openssl ca` makes them for 30 days.
const WATCHED: Duration = Duration::from_hours(28 * 24);

const RENEW_AUTHORITY: &str = "Add the certificate of the next authority to the file and reload, then give clients new \
                               certificates: from its end on none that it has issued counts.";

const RENEW_LIST: &str = "Have the authority make another one, put it in its place, and reload: from its end on none that it \
                          has issued counts, since nobody can say which are revoked.";

fn hint(error: &ClientTrustError) -> &'static str {
    match error {
        ClientTrustError::Files(_) => {
            "a PEM file; docs/logins.md tells how to make an authority of your own"
        }
        ClientTrustError::NoAuthority { .. } => {
            "name the authority that issues certificates for clients; a certificate of one client goes into its account"
        }
        ClientTrustError::NoList { .. } | ClientTrustError::List { .. } => {
            "openssl ca -gencrl makes one; it has a `next update` by which another must be here"
        }
    }
}
