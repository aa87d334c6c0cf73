//! The tables `[[listener]]` and below.

use super::{Sample, list, text};
use crate::config::raw;

pub(super) fn listeners(sample: &mut Sample, root: &raw::Root) {
    for (index, listener) in root.listener.iter().map(toml::Spanned::get_ref).enumerate() {
        let prose = match index {
            0 => {
                "Where clients connect. Without any [[listener]] there are these two. Ports below 1024 may be bound by root\n\
                 alone (see run_as), or by a program with the capability CAP_NET_BIND_SERVICE. `posthouse listener show`\n\
                 prints what is in force."
            }
            _ => "Implicit TLS, today's standard for mail clients (RFC 8314).",
        };
        sample.table("[[listener]]", prose);
        let (name, ports) = (&listener.name, &listener.ports);
        if let (Some(name), Some(ports)) = (name, ports) {
            let shown = |first: &'static str| if index == 0 { first } else { "" };
            sample.set("name", text(name.get_ref()), shown("For the log."));
            sample.set(
                "ports",
                list(ports.get_ref()),
                shown("Single ports and ranges, 1 to 65535."),
            );
            sample.set(
                "tls",
                text(listener.tls.unwrap_or_default()),
                shown("\"starttls\" offers it, \"implicit\" begins with it, \"off\" has none."),
            );
        }
        if index == 0 {
            of_place(sample);
            of_devices(sample);
            of_balancers(sample);
            below(sample);
        }
    }
}

fn of_place(sample: &mut Sample) {
    let default = raw::Listener::default();
    sample.shown(
        "address",
        list(default.address.get_ref()),
        "IP addresses. \"[::]\" is every address of the machine, IPv4 too.",
    );
    sample.shown(
        "auth",
        text(raw::AuthRule::default()),
        "When a client may log in: \"after-tls\", \"always\" (also in plain text: dangerous), \"off\" (only accounts known\n\
         by their `networks` can send).",
    );
    sample.shown(
        "mechanisms",
        "[\"LOGIN\", \"PLAIN\"]",
        "The mechanisms of AUTH in the order of the offer (by default these, with [login.oauth] \"XOAUTH2\" and\n\
         \"OAUTHBEARER\", and with client_certificate \"EXTERNAL\"). \"SCRAM-SHA-256\" and \"SCRAM-SHA-256-PLUS\" can be offered\n\
         where every account has `scram`.",
    );
    sample.shown(
        "client_certificate",
        text(raw::ClientCertificates::default()),
        "Whether clients are asked for a certificate, to log in with (EXTERNAL): \"off\", \"requested\" (those without one\n\
         log in as ever), \"required\" (nothing is done for those without one that client_ca has issued or an account\n\
         is known by).",
    );
    sample.shown(
        "on_port_in_use",
        text(raw::OnPortInUse::Skip),
        "When another program has a port: \"fail\" does not start, \"skip\" leaves it out with a warning (example; by\n\
         default a single port fails and a port of a range is skipped).",
    );
}

fn of_devices(sample: &mut Sample) {
    sample.shown(
        "profile",
        text(raw::ListenerProfile::Device),
        "Values below what is written here. \"device\" is for old printers and scanners: tls = \"off\", plain-text AUTH from\n\
         private networks, AUTH= beside AUTH, nothing new in EHLO, longer timeouts (example; none by default).",
    );
    sample.shown(
        "plain_text_auth_networks",
        "[\"192.0.2.64/28\"]",
        "Clients here may log in without TLS, as with auth = \"always\"; others hear 538, encryption required (example;\n\
         none by default).",
    );
    sample.shown(
        "auth_equals",
        false,
        "Whether EHLO says AUTH= beside AUTH, which Outlook Express 4 and some devices look for.",
    );
    sample.shown(
        "discard_keywords",
        "[\"STARTTLS\", \"CHUNKING\"]",
        "What EHLO does not offer, for devices that choke on it. A client that uses it all the same may (example; none by\n\
         default).",
    );
    sample.shown(
        "bare_newlines",
        text(raw::BareNewlines::default()),
        "As in [session], for this listener.",
    );
}

fn of_balancers(sample: &mut Sample) {
    sample.shown(
        "proxy_protocol",
        "[\"192.0.2.1\"]",
        "Balancers: every connection from here must begin with a PROXY header (version 1 or 2), before TLS, and the client\n\
         that it names counts as connected. From elsewhere none is taken (example; none by default).",
    );
    sample.shown(
        "connections",
        1000,
        "Clients connected at once to this listener, besides the bounds of [server] (example; no more bounds by default).",
    );
    sample.shown(
        "connections_per_address",
        50,
        "Likewise, from one IPv4 address or one IPv6 network of 64 bits (example).",
    );
}

fn below(sample: &mut Sample) {
    sample.shown_table(
        "[listener.limits]",
        "Bounds of its sessions, in the place of [session.limits]; any of those keys (examples; those by default).",
    );
    let limits = raw::Limits::default();
    let mut shown = |key, value: String| sample.shown(key, value, "");
    shown("message_size", text(limits.message_size));
    shown("recipients", limits.recipients.to_string());
    shown("command_line", text(limits.command_line));
    shown("auth_line", text(limits.auth_line));
    shown("data_line", text(limits.data_line));
    shown("errors", limits.errors.to_string());
    shown("auth_failures", limits.auth_failures.to_string());
    shown("idle_commands", limits.idle_commands.to_string());
    shown("messages", limits.messages.to_string());
    shown("future_release", text(limits.future_release));
    shown("deliver_by_min", text(limits.deliver_by_min));
    sample.shown_table(
        "[listener.timeouts]",
        "Likewise, in the place of [session.timeouts] (examples; those by default).",
    );
    let timeouts = raw::Timeouts::default();
    let mut shown = |key, value: String| sample.shown(key, value, "");
    shown("before_auth", text(timeouts.before_auth));
    shown("command", text(timeouts.command));
    shown("data", text(timeouts.data));
    shown("handshake", text(timeouts.handshake));
    network(sample);
}

fn network(sample: &mut Sample) {
    sample.shown_table(
        "[[listener.network]]",
        "What clients in some networks are told instead; any number, the most specific network counts (example).",
    );
    sample.shown(
        "networks",
        "[\"192.0.2.64/28\"]",
        "Networks and addresses (no default).",
    );
    sample.shown(
        "auth",
        text(raw::AuthRule::Always),
        "These and the keys below are those of the listener (examples; what the listener has by default).",
    );
    sample.shown("auth_equals", true, "");
    sample.shown("discard_keywords", "[\"PIPELINING\"]", "");
    sample.shown("bare_newlines", text(raw::BareNewlines::default()), "");
    sample.shown("limits", "{ message_size = \"100 MiB\" }", "");
    sample.shown("timeouts", "{ data = \"10m\" }", "");
}
