//! The command line as a whole.

use clap::{Parser, Subcommand};

use super::{
    account, alerts, auth, check, completions, dkim, explain, hash_password, listener, man, queue,
    reload, sender, serve, status, test_mail, tls, trace, trial, upstream,
};

/// posthouse is an SMTP relay: programs and mail clients hand it their mail, it checks that each may send as the
/// address it claims, keeps the mail safe, and passes it on to your mail server.
#[derive(Debug, Parser)]
#[command(name = "posthouse", version, max_term_width = 100, after_help = EXAMPLES)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
}

const EXAMPLES: &str = "\
To begin:
  posthouse try                                  a relay at once, with nothing configured
  posthouse check --defaults > posthouse.toml    a configuration with every key explained
  posthouse account add shop -c posthouse.toml   an account; prints its password
  posthouse serve -c posthouse.toml              the relay itself

Exit codes: 0 done, 64 wrong usage, 66 not found, 69 not available, 73 cannot create,
74 input or output failed, 77 not permitted, 78 configuration has errors.";

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Account(account::Arguments),
    Alerts(alerts::Arguments),
    Auth(auth::Arguments),
    Check(check::Arguments),
    Completions(completions::Arguments),
    Dkim(dkim::Arguments),
    Explain(explain::Arguments),
    HashPassword(hash_password::Arguments),
    Listener(listener::Arguments),
    Man(man::Arguments),
    Queue(queue::Arguments),
    Reload(reload::Arguments),
    Sender(sender::Arguments),
    Serve(serve::Arguments),
    Status(status::Arguments),
    TestMail(test_mail::Arguments),
    Tls(tls::Arguments),
    Trace(trace::Arguments),
    Try(trial::Arguments),
    Upstream(upstream::Arguments),
}
