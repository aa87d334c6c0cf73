//! What is in force for a listener, for people to look at.

use std::collections::HashMap;
use std::fmt::Display;
use std::ops::Range;

use crate::config::effective::{Row, RowOrigin};
use crate::config::raw::{self, List};

/// What is shown for a key that has no value.
const NONE: &str = "none";

/// Where values come from that a listener does not write itself.
pub(super) struct Sources<'a> {
    pub(super) session: &'a raw::Session,
    /// The mechanisms that it offers, where it names none.
    pub(super) mechanisms: String,
    /// The places of what is written in `[session]`, by the keys in it.
    pub(super) session_places: &'a HashMap<String, Range<usize>>,
    pub(super) profile: Option<(&'static str, &'a raw::Listener)>,
}

impl Sources<'_> {
    /// Returns a row for each key, with what counts where the table does not have it.
    pub(super) fn rows(&self, name: &str) -> Vec<Row> {
        let (profile, default) = (
            self.profile.map(|(_, table)| table),
            raw::Listener::default(),
        );
        let listed = |list: Option<&toml::Spanned<List>>| list.map(|list| shown(list.get_ref()));
        let mut rows = vec![
            row("name", name, RowOrigin::Default),
            row("profile", NONE, RowOrigin::Default),
            row(
                "address",
                shown(default.address.get_ref()),
                RowOrigin::Default,
            ),
            row("ports", NONE, RowOrigin::Default),
            self.row("tls", profile.and_then(|p| p.tls), raw::TlsMode::default()),
            self.row(
                "auth",
                profile
                    .and_then(|p| p.auth.as_ref())
                    .map(|auth| *auth.get_ref()),
                raw::AuthRule::default(),
            ),
            row("mechanisms", &self.mechanisms, RowOrigin::Default),
            self.row(
                "client_certificate",
                profile.and_then(|p| p.client_certificate.as_ref().map(|rule| *rule.get_ref())),
                raw::ClientCertificates::default(),
            ),
            self.text(
                "plain_text_auth_networks",
                listed(profile.and_then(|p| p.plain_text_auth_networks.as_ref())),
            ),
            self.row("auth_equals", profile.and_then(|p| p.auth_equals), false),
            self.text(
                "discard_keywords",
                listed(profile.and_then(|p| p.discard_keywords.as_ref())),
            ),
            self.of_session(
                ("bare_newlines", "bare_newlines"),
                profile.and_then(|p| p.bare_newlines),
                self.session.bare_newlines,
            ),
            row("proxy_protocol", NONE, RowOrigin::Default),
            row("connections", "those of the server", RowOrigin::Default),
            row(
                "connections_per_address",
                "those of the server",
                RowOrigin::Default,
            ),
            row(
                "on_port_in_use",
                "fail, skip in a range",
                RowOrigin::Default,
            ),
        ];
        rows.extend(self.limits(profile.map(|profile| &profile.limits)));
        rows.extend(self.timeouts(profile.map(|profile| &profile.timeouts)));
        rows
    }

    fn limits(&self, own: Option<&raw::OwnLimits>) -> [Row; 11] {
        let session = &self.session.limits;
        macro_rules! limit {
            ($name:ident) => {{
                let name = stringify!($name);
                let key = concat!("limits.", stringify!($name));
                self.of_session(
                    (key, &format!("limits.{name}")),
                    own.and_then(|own| own.$name),
                    session.$name,
                )
            }};
        }
        [
            limit!(message_size),
            limit!(recipients),
            limit!(command_line),
            limit!(auth_line),
            limit!(data_line),
            limit!(errors),
            limit!(auth_failures),
            limit!(idle_commands),
            limit!(messages),
            limit!(future_release),
            limit!(deliver_by_min),
        ]
    }

    fn timeouts(&self, own: Option<&raw::OwnTimeouts>) -> [Row; 4] {
        let session = &self.session.timeouts;
        macro_rules! timeout {
            ($name:ident) => {{
                let key = concat!("timeouts.", stringify!($name));
                self.of_session((key, key), own.and_then(|own| own.$name), session.$name)
            }};
        }
        [
            timeout!(before_auth),
            timeout!(command),
            timeout!(data),
            timeout!(handshake),
        ]
    }

    /// Returns what the profile has, else the default.
    fn row<T: Display>(&self, key: &'static str, profile: Option<T>, default: T) -> Row {
        match (profile, self.profile) {
            (Some(value), Some((name, _))) => row(key, value, RowOrigin::Profile(name)),
            (Some(_) | None, _) => row(key, default, RowOrigin::Default),
        }
    }

    fn text(&self, key: &'static str, profile: Option<String>) -> Row {
        self.row(key, profile, NONE.to_owned())
    }

    /// Returns what the profile has, else what `[session]` has.
    fn of_session<T: Display>(
        &self,
        (key, session_key): (&'static str, &str),
        profile: Option<T>,
        session: T,
    ) -> Row {
        match (profile, self.profile, self.session_places.get(session_key)) {
            (Some(value), Some((name, _)), _) => row(key, value, RowOrigin::Profile(name)),
            (_, _, Some(place)) => row(key, session, RowOrigin::Elsewhere(place.clone())),
            (_, _, None) => row(key, session, RowOrigin::Default),
        }
    }
}

fn row(key: &'static str, value: impl Display, origin: RowOrigin) -> Row {
    Row {
        key,
        value: value.to_string(),
        origin,
    }
}

fn shown(list: &List) -> String {
    match list {
        List::Array(entries) => {
            let entries = entries.iter().map(|entry| format!("{:?}", entry.get_ref()));
            format!("[{}]", entries.collect::<Vec<_>>().join(", "))
        }
        List::Text(text) => text.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::diagnostic::Source;
    use crate::config::read::{Reading, read};

    #[test]
    fn every_known_key_is_shown() {
        let text = "[[listener]]\nno_such_key = 1\n".to_owned();
        let reading: Reading<raw::Root> = read(&Source::new(Path::new("p.toml"), text));
        let hint = reading.diagnostics.first().unwrap().hint().unwrap();
        let sources = Sources {
            session: &raw::Session::default(),
            mechanisms: String::new(),
            session_places: &HashMap::new(),
            profile: None,
        };
        let rows = sources.rows("x");
        let known: Vec<&str> = hint.split('`').skip(1).step_by(2).collect();
        assert!(known.len() > 10, "{known:?}");
        for key in known.into_iter().filter(|key| *key != "network") {
            let table = format!("{key}.");
            let is_it = |row: &Row| row.key == key || row.key.starts_with(&table);
            assert!(rows.iter().any(is_it), "{key} has no row in this file");
        }
    }
}
