//! Upstreams: where they are, how they are secured, who logs in.

mod graph;
mod login;
mod oauth;
mod picked;
mod proxy;
mod retry;
mod servers;
mod shown;
mod smtp;
mod trust;
mod values;
mod vouching;

use std::ops::Range;

use toml::Spanned;

use super::context::Context;
use crate::config::checked::{Engine, Upstream};
use crate::config::raw;
use crate::identity::UpstreamName;
use crate::mail::Domain;
use crate::schedule::Bounds;
use crate::upstream::maildir;

use values::Values;

pub(super) use oauth::is_endpoint;
pub(super) use oauth::{endpoint_url, trust};
pub(in crate::config) use retry::plan;

/// Returns each upstream by its name, with nothing for those that have errors.
pub(in crate::config) fn upstreams(
    context: &mut Context,
    raw: &raw::Named<raw::Upstream>,
    retry: &raw::Retry,
    hostname: &Domain,
) -> Vec<(UpstreamName, Option<Upstream>)> {
    let base = (retry, hostname);
    let mut found = Vec::with_capacity(raw.len());
    for (key, upstream) in raw {
        let name = match UpstreamName::parse(key.get_ref()) {
            Ok(name) if !key.get_ref().contains([',', ';']) => name,
            Ok(_) | Err(_) => {
                let message = format!("`{}` cannot be the name of an upstream", key.get_ref());
                let hint = "a name has no spaces, quotes, commas, semicolons or control characters";
                context.error(key.span(), message, hint);
                continue;
            }
        };
        context.turn_to(format!("upstream {name}"));
        let checked = upstream_of_kind(context, &name, key.span(), upstream.get_ref(), base);
        found.push((name, checked));
    }
    found
}

/// Returns an upstream, or `None` after an error.
fn upstream_of_kind(
    context: &mut Context,
    name: &UpstreamName,
    key: Range<usize>,
    raw: &raw::Upstream,
    (retry, hostname): (&raw::Retry, &Domain),
) -> Option<Upstream> {
    let path = |kind| ["upstream", name.as_str(), kind];
    let (engine, own_retry, bounds, settings) = match (&raw.smtp, &raw.maildir, &raw.graph) {
        (Some(table), None, None) => {
            let profile = values::profile(context, table.get_ref().profile.as_ref());
            let values = Values::of(table.get_ref(), profile);
            let settings = smtp::settings(context, name, table, &values, hostname);
            let rows = shown::rows(table.get_ref(), &values, (retry, hostname));
            (
                settings.map(Box::new).map(Engine::Smtp),
                &table.get_ref().retry,
                smtp::bounds(context, table.get_ref(), &values),
                context.effective(&path("smtp"), rows),
            )
        }
        (None, Some(folder), None) => {
            let settings = maildir(context, name, folder);
            let bounds = Bounds {
                connections: maildir::CONNECTIONS,
                reserved: 1,
                rates: Vec::new(),
            };
            (
                settings.map(Engine::Maildir),
                &folder.get_ref().retry,
                Some(bounds),
                context.effective(&path("maildir"), shown::retries(retry).into()),
            )
        }
        (None, None, Some(table)) => {
            let setup = graph::setup(context, name, table, hostname);
            (
                setup.map(Box::new).map(Engine::Graph),
                &table.get_ref().retry,
                graph::bounds(context, table.get_ref()),
                context.effective(&path("graph"), shown::graph(table.get_ref(), retry)),
            )
        }
        (Some(_), Some(folder), _) | (None, Some(folder), Some(_)) => {
            return two_kinds(context, name, folder.span());
        }
        (Some(_), None, Some(table)) => return two_kinds(context, name, table.span()),
        (None, None, None) => {
            if !context.is_wrong_below(&["upstream", name.as_str()]) {
                let message = format!("upstream `{name}` has no kind");
                let hint = format!("write [upstream.{name}.smtp] or [upstream.{name}.graph]");
                context.error(key, message, hint);
            }
            return None;
        }
    };
    let retry = plan(context, own_retry, retry);
    Some(Upstream {
        engine: engine?,
        retry: retry?,
        bounds: bounds?,
        settings,
    })
}

fn two_kinds(context: &mut Context, name: &UpstreamName, place: Range<usize>) -> Option<Upstream> {
    let message = format!("upstream `{name}` has two kinds");
    let hint = format!(
        "keep one of [upstream.{name}.smtp], [upstream.{name}.graph] and [upstream.{name}.maildir]"
    );
    context.error(place, message, hint);
    None
}

fn maildir(
    context: &mut Context,
    name: &UpstreamName,
    raw: &Spanned<raw::Maildir>,
) -> Option<maildir::Settings> {
    let Some(directory) = &raw.get_ref().directory else {
        let path = ["upstream", name.as_str(), "maildir", "directory"];
        context.missing(raw.span(), &path, "for example: directory = \"mail\"");
        return None;
    };
    context.warning(
        directory.span(),
        "this upstream keeps mail in a local folder and sends none",
        "that is for trials and staging; [upstream.NAME.smtp] sends mail",
    );
    Some(maildir::Settings {
        name: name.clone(),
        directory: context.path(directory.get_ref()),
    })
}

/// An error has been recorded; nothing more is known.
struct Reported;
