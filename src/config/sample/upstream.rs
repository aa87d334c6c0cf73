//! The upstreams.

use super::{Sample, raw, text};
use crate::upstream::profile::Profile;

pub(super) fn upstream(sample: &mut Sample, smtp: &raw::Smtp) {
    let defaults = raw::SmtpDefaults::default();
    sample.table(
        "[upstream.main.smtp]",
        "A server that takes mail over, here called \"main\". There may be any number: [upstream.NAME.smtp].",
    );
    sample.shown(
        "profile",
        text("microsoft365"),
        &format!(
            "What is known of a provider: its host, port, TLS, limits, and what its answers mean. Every key below overrides it.\n\
             {} (example; by default none).\n\
             `posthouse upstream show main` prints what is in force and where it comes from.",
            profiles()
        ),
    );
    sample.set(
        "host",
        text("smtp.example.net"),
        "Host name or IP address. FILL IN.",
    );
    sample.set(
        "username",
        text("relay@example.com"),
        "The login; leave both out where the server needs none. FILL IN.",
    );
    sample.set(
        "password",
        "{ inline = \"change me\" }",
        "Better than inline: { file = \"secrets/main\" }, a file of mode 600, or { env = \"MAIN_PASSWORD\" }. FILL IN.",
    );
    sample.shown(
        "tls",
        text(defaults.tls),
        "\"required\": STARTTLS or nothing. \"implicit\": TLS from the beginning (SMTPS). \"opportunistic\": STARTTLS where it\n\
         is offered, else plain text. \"disabled\": plain text.",
    );
    sample.shown(
        "port",
        587,
        "By default 465 where tls is \"implicit\", 25 where mx is true, else 587 (example).",
    );
    sample.shown(
        "mx",
        smtp.mx.get_ref(),
        "Whether `host` is a domain whose MX records name the servers.",
    );
    upstream_trust(sample, smtp);
    upstream_bounds(sample, smtp, &defaults);
}

/// The names of the profiles, in lines that are not too long.
fn profiles() -> String {
    let names: Vec<String> = Profile::all().map(|profile| text(profile.name)).collect();
    let middle = names.len() / 2;
    let (first, rest) = names.split_at_checked(middle).unwrap_or_default();
    format!("{},\n{}", first.join(", "), rest.join(", "))
}

fn upstream_trust(sample: &mut Sample, smtp: &raw::Smtp) {
    sample.shown(
        "verify",
        smtp.verify.get_ref(),
        "Whether the certificate is checked: by the authorities the system trusts, or by one of the next two keys.",
    );
    sample.shown(
        "ca_file",
        text("../certs/upstream-ca.pem"),
        "PEM file with the authorities to trust instead (example).",
    );
    sample.shown(
        "fingerprint",
        text("00".repeat(32)),
        "SHA-256 of the one certificate to trust; names and dates do not count then (example).",
    );
    sample.shown(
        "dane",
        true,
        "Whether the zones of the servers are asked which certificates they show (DANE: TLSA records that DNSSEC proves).\n\
         Where there are any, TLS is required and they decide. By default they are asked where mx is true and the system's\n\
         authorities judge, as long as the name servers pass signatures on; with true, mail waits where they do not (example).",
    );
    sample.shown(
        "mta_sts",
        true,
        "Whether the domain is asked for its policy (MTA-STS): which servers take its mail, and that they must prove it over\n\
         TLS. Only where mx is true, and then by default where the system's authorities judge (example).",
    );
    sample.shown(
        "plain_text_login",
        smtp.plain_text_login.get_ref(),
        "Whether the password may be sent without TLS. Dangerous.",
    );
}

fn envelope_sender(sample: &mut Sample) {
    sample.shown(
        "envelope_sender",
        text("bounces@example.com"),
        "The sender in the envelope of all mail to this upstream, in the place of each message's own (example; by default\n\
         that of the message). From: stays, and so does the null sender of reports. Reports of servers behind go there;\n\
         those of posthouse itself go to the message's own sender.",
    );
}

fn upstream_bounds(sample: &mut Sample, smtp: &raw::Smtp, defaults: &raw::SmtpDefaults) {
    envelope_sender(sample);
    sample.shown(
        "helo",
        text("relay.example.com"),
        "The name in EHLO (example; by default `hostname` of [server]).",
    );
    sample.shown(
        "local_address",
        text("192.0.2.25"),
        "The address connections come from (example; by default the system chooses).",
    );
    sample.shown(
        "connections",
        defaults.connections,
        "Connections at once, 1 to 10000. There are fewer while the upstream strains.",
    );
    sample.shown(
        "reserved_connections",
        1,
        "How many of them only mail of priority 1 and 2 may use (by default 1, or 0 where there is one connection).",
    );
    sample.shown(
        "rate",
        "[\"10/s\", \"5000/h\"]",
        "Messages that may be sent in a time, in every second, minute, hour, day; a twentieth of each is kept for priority 1\n\
         and 2. A message to many recipients counts once for each batch (example; by default there is no limit).",
    );
    sample.shown(
        "bandwidth",
        text("10 Mbit/s"),
        "What all connections together may send in a second: kbit/s, Mbit/s, Gbit/s, or octets, KiB/s, MiB/s. Urgent mail has\n\
         all of it; other mail pauses in the middle of its body meanwhile (example; by default there is no limit).",
    );
    sample.shown(
        "messages_per_connection",
        defaults.messages_per_connection,
        "Messages after which a connection is closed.",
    );
    sample.shown(
        "recipients_per_message",
        defaults.recipients_per_message,
        "Recipients of one transaction, 1 to 65535; a message with more takes several.",
    );
    sample.shown(
        "keep_idle",
        text(defaults.keep_idle),
        "How long an unused connection is kept; \"0s\" closes it at once.",
    );
    upstream_content(sample, smtp);
    sample.shown(
        "retry",
        "{ first = \"1m\", longest = \"1h\", lifetime = \"5d\", warn_after = \"4h\" }",
        "A retry plan of its own; what is left out comes from [relay.retry] (example).",
    );
}

fn upstream_content(sample: &mut Sample, smtp: &raw::Smtp) {
    sample.shown(
        "smtputf8",
        text(smtp.smtputf8.get_ref()),
        "International addresses (RFC 6531): \"auto\" where offered, \"on\", \"off\".",
    );
    sample.shown(
        "eight_bit",
        text(smtp.eight_bit),
        "Octets above 127 in a message where the upstream does not offer 8BITMIME: \"convert\" encodes them (quoted-printable,\n\
         base64) in parts that are neither signed nor encrypted, \"send\" sends them as they are.",
    );
    sample.shown(
        "long_lines",
        text(smtp.long_lines),
        "Lines of more than 998 octets: \"convert\" encodes such parts in the same way and folds such fields, \"send\" sends\n\
         them as they are.",
    );
    sample.shown(
        "dkim",
        smtp.dkim,
        "Whether mail is signed with the keys of [dkim.NAME]; false where the upstream signs for you.",
    );
}

pub(super) fn timeouts(sample: &mut Sample, timeouts: &raw::TimeoutDefaults) {
    sample.table(
        "[upstream.main.smtp.timeout]",
        "How long an attempt waits (RFC 5321 section 4.5.3.2).",
    );
    sample.shown(
        "connect",
        text(timeouts.connect),
        "For the connection, and as long again for the TLS handshake.",
    );
    sample.shown(
        "command",
        text(timeouts.command),
        "For the greeting, and for the reply to a command.",
    );
    sample.shown(
        "data",
        text(timeouts.data),
        "For progress while the message is sent.",
    );
    sample.shown(
        "final",
        text(timeouts.final_reply),
        "For the reply after the message. Less than 10 minutes means that recipients get copies.",
    );
}

pub(super) fn maildir(sample: &mut Sample) {
    sample.shown_table(
        "[upstream.local.maildir]",
        "An upstream that keeps mail in a local folder instead of sending it: for trials and staging (example).",
    );
    sample.shown(
        "directory",
        text("mail"),
        "The folder, a Maildir; made where it is missing (example; no default).",
    );
    sample.shown(
        "retry",
        "{ first = \"1m\", longest = \"1h\", lifetime = \"5d\", warn_after = \"4h\" }",
        "As above (example).",
    );
}
