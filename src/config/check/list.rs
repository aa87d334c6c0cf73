//! Lists, in both forms they are written in.

use std::collections::BTreeSet;
use std::ops::Range;

use toml::Spanned;

use super::context::Context;
use crate::config::diagnostic::quoted;
use crate::config::raw::List;
use crate::identity::nearest;
use crate::identity::{Route, UpstreamName};

/// An entry and its place.
pub(super) type Entry = (String, Range<usize>);

/// Returns the entries. In a string they are separated by `;`; one `;` may follow the last. An entry that is empty, and
/// a comma in a string, are errors: a list that was not understood must not become an empty one.
/// `None` after an error that concerns the list as a whole.
pub(super) fn entries(context: &mut Context, list: &Spanned<List>) -> Option<Vec<Entry>> {
    let place = list.span();
    let text = match list.get_ref() {
        List::Array(entries) => {
            let mut found = Vec::with_capacity(entries.len());
            for entry in entries {
                push(context, &mut found, entry.get_ref(), entry.span());
            }
            return Some(found);
        }
        List::Text(text) => text,
    };
    if text.contains(',') {
        let commas = context.place_of(",", &place);
        context.error(
            commas,
            "entries are not separated by a comma",
            format!(
                "write a `;` between them, or an array: [{}]",
                as_array(text)
            ),
        );
        return None;
    }
    let mut found = Vec::new();
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Some(found);
    }
    let mut rest = place.clone();
    for part in trimmed.strip_suffix(';').unwrap_or(trimmed).split(';') {
        let entry = part.trim();
        let at = context.place_of(entry, &rest);
        if at == rest {
            push(context, &mut found, entry, place.clone());
        } else {
            rest.start = at.end;
            push(context, &mut found, entry, at);
        }
    }
    Some(found)
}

/// Returns a list of upstreams in failover order, or `None` after an error.
pub(super) fn route(
    context: &mut Context,
    list: &Spanned<List>,
    upstreams: &BTreeSet<UpstreamName>,
) -> Option<Route> {
    let entries = entries(context, list)?;
    if entries.is_empty() {
        context.error(
            list.span(),
            "there is no upstream in this list",
            "name at least one, or leave the key out",
        );
    }
    let known: Vec<&str> = upstreams.iter().map(UpstreamName::as_str).collect();
    let mut route = Vec::with_capacity(entries.len());
    for (entry, place) in &entries {
        match upstreams.get(entry.as_str()) {
            Some(name) if route.contains(name) => {
                let message = format!("upstream `{name}` is in this list twice");
                context.error(place.clone(), message, "take one of the two out");
            }
            Some(name) => route.push(name.clone()),
            None => {
                let hint = unknown_name("upstreams", entry, &known);
                context.error(place.clone(), format!("unknown upstream `{entry}`"), hint);
            }
        }
    }
    (route.len() == entries.len()).then(|| Route::new(route))?
}

/// Words the hint for a name that is not defined.
pub(super) fn unknown_name(kind: &str, name: &str, known: &[&str]) -> String {
    let defined = if known.is_empty() {
        format!("no {kind} are defined here")
    } else {
        format!("{kind} defined here: {}", quoted(known.iter().copied()))
    };
    match nearest(name, known) {
        Some(meant) => format!("did you mean `{meant}`? {defined}"),
        None => defined,
    }
}

fn push(context: &mut Context, found: &mut Vec<Entry>, entry: &str, place: Range<usize>) {
    if entry.trim().is_empty() {
        context.error(
            place,
            "an entry of this list is empty",
            "take it out; leave the key out for no list at all",
        );
    } else {
        found.push((entry.trim().to_owned(), place));
    }
}

fn as_array(text: &str) -> String {
    let parts = text.split([',', ';']).map(str::trim);
    let parts: Vec<_> = parts
        .filter(|part| !part.is_empty())
        .map(|part| format!("\"{part}\""))
        .collect();
    parts.join(", ")
}
