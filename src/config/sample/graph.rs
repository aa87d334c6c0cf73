//! Microsoft 365 through Graph.

use super::{Sample, raw, text};

pub(super) fn graph(sample: &mut Sample, graph: &raw::Graph) {
    sample.shown_table(
        "[upstream.office.graph]",
        "Microsoft 365 through Graph (sendMail), with the permissions of an application: Mail.Send, and SMTP.SendAsApp for large\n\
         messages. Graph knows no envelope: whoever is a recipient gets into To, Cc or Bcc, and nobody else (example).",
    );
    sample.shown(
        "tenant_id",
        text("00000000-0000-0000-0000-000000000000"),
        "The Directory (tenant) ID that Entra shows for the application (example; no default).",
    );
    sample.shown(
        "client_id",
        text("00000000-0000-0000-0000-000000000000"),
        "Its Application (client) ID (example; no default).",
    );
    sample.shown(
        "client_secret",
        "{ file = \"secrets/office\" }",
        "The value of its client secret, not the secret's ID; or `certificate` and `key` instead (example).",
    );
    sample.shown(
        "certificate",
        text("office.pem"),
        "PEM file with the certificate that was uploaded for the application (example).",
    );
    sample.shown(
        "key",
        text("office.key"),
        "PEM file of mode 600 with its private key, RSA (example).",
    );
    sample.shown(
        "cloud",
        text(graph.cloud),
        "\"global\", \"us_gov\" (GCC High), \"us_dod\", \"china\" (21Vianet): where tokens, Graph and SMTP are.",
    );
    sample.shown(
        "mailbox",
        text("relay@example.com"),
        "The mailbox that sends everything (example; by default that of each message's sender). It keeps a copy of each\n\
         message in Sent Items: give it a retention policy.",
    );
    limits(sample, graph);
    addresses(sample, graph);
}

fn limits(sample: &mut Sample, graph: &raw::Graph) {
    sample.shown(
        "message_size",
        text(graph.message_size.get_ref()),
        "Larger messages do not go by Graph, 64 KiB to 3 MB: it takes 4 MB of base64, and some tenants take less.",
    );
    sample.shown(
        "large",
        text(graph.large),
        "What becomes of them: \"smtp\" submits them by SMTP, logged in as the same mailbox with a token of the same\n\
         application; \"refuse\" returns them with 5.3.4.",
    );
    sample.shown(
        "foreign_recipients",
        text(graph.foreign_recipients.get_ref()),
        "What becomes of addresses in To and Cc that are no recipients: \"rewrite\" takes them out, and X-Header-To and\n\
         X-Header-Cc show what was there; \"smtp\" submits such a message by SMTP, as it is.",
    );
    sample.shown(
        "connections",
        graph.connections,
        "Messages in progress, 1 to 1000; never more than 4 requests at once to one mailbox, which is what Graph allows.",
    );
    sample.shown(
        "reserved_connections",
        1,
        "How many of them only mail of priority 1 and 2 may use (by default 1, or 0 where there is one).",
    );
    sample.shown(
        "rate",
        "[\"30/m\"]",
        "Messages that may be sent in a time, as above; Exchange allows a mailbox 30 in a minute and 10000 recipients in a day\n\
         (example; by default there is no limit).",
    );
    sample.shown(
        "recipients_per_message",
        graph.recipients_per_message,
        "Recipients of one request, 1 to 1000; a message with more takes several. Exchange allows a mailbox 500 unless told\n\
         otherwise.",
    );
    sample.shown(
        "timeout",
        text(graph.timeout),
        "For a request: connection, upload and answer. A message without an answer is sent again: recipients may get copies.",
    );
}

fn addresses(sample: &mut Sample, graph: &raw::Graph) {
    sample.shown(
        "endpoint",
        text("https://graph.microsoft.com"),
        "The address of Graph (example; by default that of `cloud`).",
    );
    sample.shown(
        "authority",
        text("https://login.microsoftonline.com"),
        "Where tokens are issued (example; by default that of `cloud`).",
    );
    sample.shown(
        "smtp_host",
        text("smtp.office365.com"),
        "The SMTP server for what does not go by Graph, with STARTTLS (example; by default that of `cloud`).",
    );
    sample.shown("smtp_port", graph.smtp_port, "Its port.");
    sample.shown(
        "ca_file",
        text("../certs/proxy-ca.pem"),
        "PEM file with the authorities to trust for all of these instead of the system's (example).",
    );
    sample.shown(
        "retry",
        "{ first = \"1m\", longest = \"1h\", lifetime = \"5d\", warn_after = \"4h\" }",
        "As above (example).",
    );
}
