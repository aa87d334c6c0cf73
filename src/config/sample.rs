//! The complete sample: every key with its meaning, its unit and its default.
//!
//! `config/posthouse.toml` is this text; a test compares them. The defaults are taken from the raw shape, so the
//! sample cannot say anything else than what happens.

mod alerts;
mod auth;
mod dkim;
mod graph;
mod http;
mod journal;
mod limits;
mod listeners;
mod login;
mod oauth;
mod routes;
mod session;
mod spool;
mod tls;
mod upstream;

use std::fmt::{Display, Write as _};

use super::raw;

use listeners::listeners;
use oauth::oauth;
use session::session;
use upstream::{maildir, timeouts, upstream};

/// Returns the sample configuration, which is also what `posthouse check --defaults` prints.
///
/// A key behind `#` without a space has its default, or an example where the text says so; every other comment is
/// prose.
pub fn defaults_toml() -> String {
    let root = raw::Root::default();
    let mut sample = Sample(INTRODUCTION.to_owned());
    server(&mut sample, &root);
    listeners(&mut sample, &root);
    tls::tls(&mut sample, &raw::Acme::default());
    relay(&mut sample, &root.relay);
    routes::routes(&mut sample);
    upstream(&mut sample, &raw::Smtp::default());
    timeouts(&mut sample, &raw::TimeoutDefaults::default());
    oauth(&mut sample);
    graph::graph(&mut sample, &raw::Graph::default());
    maildir(&mut sample);
    dkim::dkim(&mut sample, &raw::Dkim::default());
    tenant(&mut sample);
    accounts(&mut sample, &root.accounts);
    auth::auth(&mut sample, &root.auth);
    login::login(&mut sample);
    session(&mut sample, &root.session);
    spool::spool(&mut sample, &root.spool);
    journal::journal(&mut sample, &root.journal);
    system_mail(&mut sample, &root.system_mail);
    alerts::alerts(&mut sample, &root.alerts);
    http::public(&mut sample, &raw::Public::default());
    account(&mut sample, &raw::Account::default());
    sample.0
}

const INTRODUCTION: &str = "\
# posthouse: the complete configuration. Every key is here.
#
# To begin, fill in three values: host, username and password under [upstream.main.smtp]. Then make an account
# and start:
#
#   posthouse account add alice --domain example.com --config config/posthouse.toml
#   posthouse serve --config config/posthouse.toml
#
# A key behind a # without a space, such as `#shutdown_grace = \"30s\"`, is shown with its default: take the # away to
# change it. Where the text says \"example\" there is no default, or it depends on other keys.
#
# Lengths of time have a unit: \"500ms\", \"30s\", \"5m\", \"4h\", \"5d\", \"1h 30m\". So have sizes: \"64 KiB\" (1024 octets each),
# \"25 MB\" (1000 each). Lists are arrays, [\"a\", \"b\"], or one text with semicolons, \"a;b\". Relative paths start at the
# folder of this file. `posthouse check` tells what is wrong with a file, and where.
";

/// The text so far.
struct Sample(String);

impl Sample {
    /// A table that is in force.
    fn table(&mut self, header: &str, prose: &str) {
        self.0.push('\n');
        self.prose(prose);
        self.line(header);
    }

    /// A table that is only shown.
    fn shown_table(&mut self, header: &str, prose: &str) {
        self.0.push('\n');
        self.prose(prose);
        self.line(&format!("#{header}"));
    }

    /// A key that is in force.
    fn set(&mut self, key: &str, value: impl Display, prose: &str) {
        self.prose(prose);
        self.line(&format!("{key} = {value}"));
    }

    /// A key with its default, or an example.
    fn shown(&mut self, key: &str, value: impl Display, prose: &str) {
        self.prose(prose);
        self.line(&format!("#{key} = {value}"));
    }

    fn prose(&mut self, prose: &str) {
        for line in prose.lines() {
            self.line(&format!("# {line}"));
        }
    }

    fn line(&mut self, line: &str) {
        // Writing to a string cannot fail.
        let _written = writeln!(self.0, "{}", line.trim_end());
    }
}

/// Puts a value in quotes.
fn text(value: impl Display) -> String {
    format!("\"{value}\"")
}

/// Writes a list of texts.
fn list_of(entries: &[&str]) -> String {
    let entries: Vec<_> = entries.iter().map(text).collect();
    format!("[{}]", entries.join(", "))
}

fn list(list: &raw::List) -> String {
    match list {
        raw::List::Array(entries) => {
            let entries: Vec<_> = entries.iter().map(|entry| text(entry.get_ref())).collect();
            format!("[{}]", entries.join(", "))
        }
        raw::List::Text(entries) => text(entries),
    }
}

fn server(sample: &mut Sample, root: &raw::Root) {
    let (server, log) = (&root.server, &root.log);
    sample.table("[server]", "");
    sample.shown(
        "hostname",
        text("relay.example.com"),
        "The name in greeting, EHLO, Received: and the self-signed certificate (example; by default the name of the\n\
         machine). It should be a full domain name, since some upstreams refuse others.",
    );
    sample.shown(
        "data_dir",
        text(server.data_dir.get_ref().display()),
        "Where the spool and the self-signed certificate are kept. A service of the system takes \"/var/lib/posthouse\".",
    );
    sample.shown(
        "run_as",
        text("posthouse"),
        "The user to become after the ports are bound, when started as root (example; by default posthouse stays who\n\
         it is). That user must be able to read this file, the accounts, secrets and certificates, for reloads.",
    );
    sample.shown(
        "shutdown_grace",
        text(server.shutdown_grace),
        "How long transactions that run may go on after SIGTERM; \"0s\" ends them at once. Nothing accepted is lost.",
    );
    sample.shown(
        "connections",
        server.connections,
        "Clients connected at once, over all listeners, as far as the limit on open files allows. When there are so many, a\n\
         new one takes the place of who has not logged in for the longest time; where all have, it hears 421.",
    );
    sample.shown(
        "connections_per_address",
        server.connections_per_address,
        "Clients connected at once from one IPv4 address, or one IPv6 network of 64 bits. More hear 421.",
    );
    sample.shown(
        "connections_per_prefix",
        server.connections_per_prefix,
        "Clients connected at once from one IPv4 network of 24 bits, or one IPv6 network of 48 bits. More hear 421.",
    );
    sample.shown(
        "sandbox",
        text(server.sandbox),
        "\"auto\": the kernel keeps the server inside the folders that it uses, where it can (Landlock, Linux 5.13); \"required\":\n\
         or posthouse does not start; \"off\": not. A reload that names files in other folders needs a restart.",
    );
    sample.table("[log]", "");
    sample.shown(
        "level",
        text(log.level),
        "\"error\", \"warn\", \"info\", \"debug\" or \"trace\".",
    );
    sample.shown(
        "format",
        text(log.format),
        "\"text\", or \"json\" for one object each line.",
    );
}

fn relay(sample: &mut Sample, relay: &raw::Relay) {
    sample.table("[relay]", "");
    sample.shown(
        "enabled",
        relay.enabled,
        "The master switch. With `false` nothing is accepted: 451 4.3.2.",
    );
    sample.set(
        "upstream",
        "[\"main\"]",
        "The upstreams of accounts and tenants that name none; a list is failover order (no default).",
    );
    sample.shown(
        "ageing",
        text(relay.ageing),
        "How long mail of priority 4 waits before it counts as priority 3, mail of priority 5 twice as long; \"0s\": for\n\
         ever.",
    );
    sample.table(
        "[relay.retry]",
        "When deferred mail is tried again: after `first`, then after twice as long each time up to `longest`, with some\n\
         spread, until `lifetime` is over and the sender gets a report. A sender whose message still waits after\n\
         `warn_after` is told so once; \"0s\" switches that off.",
    );
    sample.shown("first", text(relay.retry.first.get_ref()), "");
    sample.shown("longest", text(relay.retry.longest.get_ref()), "");
    sample.shown("lifetime", text(relay.retry.lifetime.get_ref()), "");
    sample.shown("warn_after", text(relay.retry.warn_after.get_ref()), "");
}

fn tenant(sample: &mut Sample) {
    sample.shown_table(
        "[tenant.acme]",
        "A customer with accounts and perhaps an upstream of its own; any number, [tenant.NAME] (example).",
    );
    sample.shown(
        "parent",
        text("provider"),
        "Another tenant, whose upstream counts where this one has none (example; none by default).",
    );
    sample.shown(
        "upstream",
        "[\"acme\"]",
        "Upstreams in failover order (example; those of the parent by default).",
    );
    sample.shown(
        "on_unauthorized",
        text("hold"),
        "What counts for its accounts, and those of tenants below, that do not say otherwise, in the place of\n\
         [accounts.defaults] (example; those of the parent by default). Likewise the next four.",
    );
    sample.shown("verified_senders", text("required"), "");
    sample.shown("default_sender", text("shop@example.com"), "");
    sample.shown("check_header_from", "true", "");
    sample.shown("plus_addressing", "false", "");
    limits::of_tenants(sample);
    alerts::of_tenants(sample);
}

fn accounts(sample: &mut Sample, accounts: &raw::Accounts) {
    sample.table("[accounts]", "");
    sample.shown(
        "file",
        text(accounts.file.get_ref().display()),
        "The file of the accounts, described at the end. `posthouse account` edits it.",
    );
    let defaults = &accounts.defaults;
    sample.table(
        "[accounts.defaults]",
        "What counts for accounts that do not say otherwise.",
    );
    how_urgent(sample, defaults);
    how_judged(sample, defaults);
    sample.shown(
        "added_fields",
        "{}",
        "Fields that every message gets, such as { \"X-Authenticated-User\" = \"{account}\" }. What the client wrote under\n\
         these names is removed. Placeholders: {account}, {tenant}, {client_address}, {queue_id}.",
    );
    limits::of_accounts(sample, defaults);
}

fn how_urgent(sample: &mut Sample, defaults: &raw::AccountDefaults) {
    sample.shown(
        "priority",
        defaults.priority,
        "1 very high, 2 high, 3 normal, 4 low, 5 very low. A message can claim a higher one.",
    );
    sample.shown(
        "max_priority",
        defaults.max_priority,
        "The highest priority that a message can claim, 1 to 5.",
    );
    sample.shown(
        "priority_header",
        text(defaults.priority_header),
        "What recipients see of it: \"keep\" what the client wrote, \"set\" X-Priority and Importance, \"strip\" them.\nMT-Priority, which servers write for servers (RFC 6758), says what was decided, unless it is stripped.",
    );
}

fn how_judged(sample: &mut Sample, defaults: &raw::AccountDefaults) {
    sample.shown(
        "strict_addresses",
        defaults.strict_addresses,
        "Whether a message is refused whose address fields are not RFC 5322.",
    );
    sample.shown(
        "check_header_from",
        defaults.check_header_from,
        "Whether From:, Sender: and Resent-* are judged like the envelope.",
    );
    sample.shown(
        "plus_addressing",
        defaults.plus_addressing,
        "Whether info+x@example.com counts as info@example.com.",
    );
    sample.shown(
        "on_unauthorized",
        text(defaults.on_unauthorized),
        "When the sender is not authorized: \"reject\" (550 5.7.1), \"alert\" (relayed, and logged as a warning), \"hold\" (accepted;\n\
         waits until `posthouse queue release` sends it), or \"rewrite\": what is not authorized in the envelope and in From:\n\
         becomes `default_sender`, the old From: becomes Reply-To: where there is none, and its display name stays.",
    );
    sample.shown(
        "verified_senders",
        text(defaults.verified_senders),
        "What `posthouse sender` has verified: may be used \"additional\" to what the account lists, does not count\n\
         (\"off\"), or alone counts (\"required\": entries of the account's lists wait until they are verified).",
    );
    sample.shown(
        "default_sender",
        text("shop@example.com"),
        "The sender that unauthorized ones become; the account must be allowed to use it (example; none by default).",
    );
}

fn system_mail(sample: &mut Sample, system_mail: &raw::SystemMail) {
    sample.table(
        "[system_mail]",
        "Mail of posthouse itself, such as reports of what could not be relayed.",
    );
    sample.shown(
        "sender",
        text("mailer-daemon@relay.example.com"),
        "The address in From: (example; by default mailer-daemon at the hostname).",
    );
    sample.shown(
        "name",
        text(system_mail.name.get_ref()),
        "The name beside it.",
    );
}

fn account(sample: &mut Sample, account: &raw::Account) {
    sample.0.push('\n');
    sample.prose(
        "----------------------------------------------------------------------------------------------------------------\n\
         accounts.toml, a file of its own (mode 600), has one table for each account:\n\
         \n  [account.alice]\n\
         \x20 password           = \"$argon2id$v=19$…\"        posthouse account passwd alice; none by default\n\
         \x20 scram              = \"SCRAM-SHA-256$…\"          posthouse account passwd alice --scram; none by default\n\
         \x20 app_password                                  further passwords, in tables below; none by default",
    );
    sample.prose(&format!(
        "  active             = {}                       may it be used?\n\
         \x20 note               = \"web shop\"                 for people\n\
         \x20 tenant             = \"acme\"                     none by default\n\
         \x20 upstream           = [\"main\"]                   by default that of the tenant, else of [relay]\n\
         \x20 networks           = [\"192.0.2.0/28\"]           clients here need no password (printers); none by default\n\
         \x20 certificates       = [\"CN=printer-3\"]          of its clients: SHA-256 fingerprint, or name if by client_ca; none by default\n\
         \x20 aliases            = [\"p1\"]                     other names to log in with, for devices with short ones; none by default\n\
         \x20 authorized_domains = \"example.com;*.example.com\" may send as these domains; `*.` is every subdomain\n\
         \x20 authorized_senders = \"john@partner.example\"     and as these addresses; both lists empty: as anyone\n\
         \x20 alert_mail         = \"alice@example.com\"        who is told of alerts about it; nobody by default\n\
         \n\
         and, in the place of [accounts.defaults]: priority, max_priority, priority_header, strict_addresses,\n\
         check_header_from, plus_addressing, on_unauthorized, verified_senders, default_sender, added_fields, messages,\n\
         recipients, size, sessions, over_quota.\n\
         \n\
         A further password, for one program or device (posthouse account app-password add alice phone):\n\
         \n  [account.alice.app_password.phone]\n\
         \x20 password = \"$argon2id$v=19$…\"    what the program gives, as a hash\n\
         \x20 prefix   = \"abcde\"              its first five letters, which say that it is meant\n\
         \x20 active   = true                 may it be used?\n\
         \x20 created  = \"2026-11-25\"         for people\n\
         \x20 expires  = \"2027-11-25\"         refused from this day on (UTC); never by default",
        account.active
    ));
}

#[cfg(test)]
mod tests;
