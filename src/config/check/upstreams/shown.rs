//! What is in force for an SMTP upstream, for people to look at.

use std::fmt::Display;

use toml::Spanned;

use crate::config::effective::{Row, RowOrigin};
use crate::config::raw;
use crate::mail::Domain;

use super::picked::{Origin, Picked};
use super::values::Values;
use super::vouching::is_default;

/// What is shown for a key that has no value.
const NONE: &str = "none";

/// Returns a row for each key, with what counts where the table does not have it.
pub(super) fn rows(
    smtp: &raw::Smtp,
    values: &Values,
    (retry, hostname): (&raw::Retry, &Domain),
) -> Vec<Row> {
    let vouched = is_default(smtp, values);
    let mut rows = vec![default("profile", NONE)];
    rows.extend(servers(smtp, values));
    rows.extend([
        picked("tls", &values.tls),
        default("verify", smtp.verify.get_ref()),
        default("ca_file", NONE),
        default("fingerprint", NONE),
        default("dane", if vouched { "where possible" } else { "false" }),
        default("mta_sts", vouched),
        default("username", NONE),
        default("password", NONE),
        default("oauth", NONE),
        default("plain_text_login", smtp.plain_text_login.get_ref()),
        default("client_certificate", NONE),
        default("client_key", NONE),
        default("helo", hostname),
        default("envelope_sender", NONE),
        default("local_address", NONE),
        default("proxy", NONE),
    ]);
    rows.extend(bounds(smtp, values));
    rows.extend([
        picked("timeout.connect", &values.connect),
        picked("timeout.command", &values.command),
        picked("timeout.data", &values.data),
        picked("timeout.final", &values.final_reply),
    ]);
    rows.extend(retries(retry));
    rows
}

/// The same, of a Graph upstream.
pub(super) fn graph(graph: &raw::Graph, retry: &raw::Retry) -> Vec<Row> {
    let connections: usize = graph.connections.to();
    let mut rows: Vec<Row> = [
        "tenant_id",
        "client_id",
        "client_secret",
        "certificate",
        "key",
    ]
    .map(|key| default(key, NONE))
    .into();
    rows.extend([
        default("cloud", graph.cloud),
        default("mailbox", NONE),
        default("large", graph.large),
        default("foreign_recipients", graph.foreign_recipients.get_ref()),
        default("message_size", graph.message_size.get_ref()),
        default("connections", graph.connections),
        default("reserved_connections", usize::from(connections > 1)),
        default("rate", &graph.rate),
        default("recipients_per_message", graph.recipients_per_message),
        default("timeout", graph.timeout),
        default("endpoint", "that of the cloud"),
        default("authority", "that of the cloud"),
        default("smtp_host", "that of the cloud"),
        default("smtp_port", graph.smtp_port),
        default("ca_file", NONE),
        default("proxy", NONE),
    ]);
    rows.extend(retries(retry));
    rows
}

/// Returns the rows of a retry plan, which come from `[relay.retry]` where an upstream has none of its own.
pub(super) fn retries(retry: &raw::Retry) -> [Row; 4] {
    [
        inherited("retry.first", &retry.first),
        inherited("retry.longest", &retry.longest),
        inherited("retry.lifetime", &retry.lifetime),
        inherited("retry.warn_after", &retry.warn_after),
    ]
}

fn servers(smtp: &raw::Smtp, values: &Values) -> [Row; 4] {
    let host = match &values.host {
        Some(host) => picked("host", host),
        None => default("host", NONE),
    };
    let port = if *smtp.srv.get_ref() {
        default("port", "that of the SRV records")
    } else {
        picked("port", &values.port)
    };
    [
        host,
        port,
        default("mx", smtp.mx.get_ref()),
        default("srv", smtp.srv.get_ref()),
    ]
}

fn bounds(smtp: &raw::Smtp, values: &Values) -> [Row; 11] {
    let connections: usize = values.connections.value.to();
    [
        picked("connections", &values.connections),
        default("reserved_connections", usize::from(connections > 1)),
        picked("rate", &values.rate),
        picked("messages_per_connection", &values.messages_per_connection),
        picked("recipients_per_message", &values.recipients_per_message),
        default("bandwidth", NONE),
        picked("keep_idle", &values.keep_idle),
        default("smtputf8", smtp.smtputf8.get_ref()),
        default("eight_bit", smtp.eight_bit),
        default("long_lines", smtp.long_lines),
        default("dkim", smtp.dkim),
    ]
}

fn default(key: &'static str, value: impl Display) -> Row {
    Row {
        key,
        value: value.to_string(),
        origin: RowOrigin::Default,
    }
}

fn picked<T: Display>(key: &'static str, picked: &Picked<T>) -> Row {
    Row {
        origin: match &picked.origin {
            Origin::Default => RowOrigin::Default,
            Origin::File(place) => RowOrigin::Elsewhere(place.clone()),
            Origin::Profile(name) => RowOrigin::Profile(name),
        },
        ..default(key, &picked.value)
    }
}

fn inherited<T: Display>(key: &'static str, value: &Spanned<T>) -> Row {
    let row = default(key, value.get_ref());
    if value.span().is_empty() {
        return row;
    }
    Row {
        origin: RowOrigin::Elsewhere(value.span()),
        ..row
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::diagnostic::Source;
    use crate::config::read::{Reading, read};

    /// Returns the keys that a table knows, as the refusal of an unknown one lists them.
    fn known(kind: &str) -> Vec<String> {
        let text = format!("[upstream.x.{kind}]\nno_such_key = 1\n");
        let source = Source::new(Path::new("p.toml"), text);
        let reading: Reading<raw::Root> = read(&source);
        let hint = reading.diagnostics.first().unwrap().hint().unwrap();
        hint.split('`')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect()
    }

    #[track_caller]
    fn assert_complete(kind: &str, rows: &[Row]) {
        for key in known(kind) {
            let table = format!("{key}.");
            let is_shown = rows
                .iter()
                .any(|row| row.key == key || row.key.starts_with(&table));
            assert!(is_shown, "{key} of {kind} has no row in this file");
        }
    }

    #[test]
    fn every_known_key_is_shown() {
        let (smtp, retry) = (raw::Smtp::default(), raw::Retry::default());
        let hostname = Domain::parse("relay.example").unwrap();
        let smtp = rows(&smtp, &Values::of(&smtp, None), (&retry, &hostname));
        assert_complete("smtp", &smtp);
        assert_complete("graph", &graph(&raw::Graph::default(), &retry));
    }
}
