//! `posthouse explain`: the decisions of a server, told without one.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use crate::program::{Configured, run};

const CONFIGURATION: &str = "\
[server]
hostname = \"relay.example.com\"
data_dir = \"data\"

[relay]
upstream = [\"main\", \"spare\"]

[upstream.main.smtp]
host = \"smtp.example.net\"

[upstream.spare.smtp]
host = \"spare.example.net\"

[upstream.fax.smtp]
host = \"fax.example.net\"

[tenant.provider]
upstream = [\"spare\"]
messages = \"100/m\"

[tenant.acme]
parent = \"provider\"

[[route]]
name = \"fax machines\"
recipients = [\"*@fax.example.com\"]
upstream = \"fax\"

[[route]]
recipients = [\"internal.example\"]
upstream = [\"fax\", \"main\"]
tenants = [\"acme\"]

[accounts]
file = \"accounts.toml\"
";

const ACCOUNTS: &str = "\
[account.shop]
networks = [\"192.0.2.1\"]
authorized_domains = [\"shop.example\"]

[account.branch]
networks = [\"192.0.2.2\"]
authorized_domains = [\"branch.example\"]
tenant = \"acme\"
on_unauthorized = \"rewrite\"
default_sender = \"web@branch.example\"
max_priority = 2

[account.old]
networks = [\"192.0.2.3\"]
authorized_domains = [\"old.example\"]
active = false
";

fn write(path: &Path, text: &str) {
    let mut file = File::create(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

fn configured() -> Configured {
    Configured::with(CONFIGURATION, ACCOUNTS)
}

#[test]
fn each_recipient_has_a_route_and_a_reason() {
    let shown = configured()
        .run(&[
            "explain",
            "--account",
            "shop",
            "--from",
            "a@shop.example",
            "--to",
            "1@fax.example.com",
            "--to",
            "b@internal.example",
        ])
        .exits(0);
    assert_eq!(
        shown.stdout,
        "account\tshop\n\
         sender\tallowed\n\
         why\tMAIL FROM a@shop.example: granted by shop.example\n\
         why\tFrom a@shop.example: granted by shop.example\n\
         priority\t3\n\
         to\t1@fax.example.com by fax: [[route]] 1 (fax machines) for *@fax.example.com\n\
         to\tb@internal.example by main, then spare: of [relay]\n\
         messages\t2, one for each route\n"
    );
}

#[test]
fn a_refused_sender_exits_with_77_and_says_what_the_client_hears() {
    let refused = configured()
        .run(&["explain", "--account", "shop", "--from", "ceo@bank.example"])
        .exits(77);
    assert_eq!(
        refused.stdout,
        "account\tshop\n\
         sender\trefused\n\
         why\tceo@bank.example in MAIL FROM is not allowed; this account may send as shop.example\n\
         client hears\t550 5.7.1 sender not authorized: ceo@bank.example in MAIL FROM is not allowed; \
         this account may send as shop.example\n\
         priority\t3\n\
         decided by\ton_unauthorized of accounts.defaults\n\
         route\t[[route]] 1 (fax machines): *@fax.example.com by fax\n\
         upstreams\tmain, then spare: of [relay]\n"
    );
    assert!(
        refused.stderr.contains("this message would be refused"),
        "{refused:?}"
    );
    configured()
        .run(&["explain", "--account", "old", "--from", "a@old.example"])
        .exits(77);
    configured()
        .run(&["explain", "--account", "nobody", "--from", "a@old.example"])
        .exits(66);
    run(&["explain", "--account", "shop"]).exits(64);
}

#[test]
fn the_header_of_a_message_is_judged_and_rewritten_as_a_server_would() {
    let configured = configured();
    let path = configured.path("form.eml");
    let message =
        "Subject: x\nFrom: Visitor <v@mail.example>\nX-Priority: 1\n\nFrom: not this one\n";
    write(&path, message);
    let path = path.display().to_string();
    let shown = configured
        .run(&[
            "explain",
            "--account",
            "branch",
            "--from",
            "www@host.example",
            "--message",
            &path,
            "--to",
            "b@internal.example",
        ])
        .exits(0);
    assert_eq!(
        shown.stdout,
        "account\tbranch\n\
         tenant\tacme\n\
         sender\tnot allowed, and rewritten (on_unauthorized = \"rewrite\")\n\
         why\twww@host.example in MAIL FROM is not allowed; this account may send as branch.example\n\
         rewritten\tMAIL FROM: www@host.example became web@branch.example\n\
         rewritten\tFrom: v@mail.example became web@branch.example\n\
         priority\t2; the message asks for 1\n\
         decided by\ton_unauthorized of account\n\
         limits\t100 messages a minute of tenant provider\n\
         over them\trefuse\n\
         to\tb@internal.example by fax, then main: [[route]] 2 for *@internal.example\n"
    );
    let twice = "From: v@mail.example\nFrom: a@branch.example\n\n";
    write(&configured.path("form.eml"), twice);
    let refused = configured
        .run(&[
            "explain",
            "--account",
            "branch",
            "--from",
            "a@branch.example",
            "--message",
            &path,
        ])
        .exits(77);
    assert!(
        refused.stdout.contains("client hears\t554 5.6.0 "),
        "{refused:?}"
    );
}

#[test]
fn everything_is_told_as_json() {
    let shown = configured()
        .run(&[
            "explain",
            "--account",
            "branch",
            "--from",
            "a@branch.example",
            "--to",
            "x@y.example",
            "--json",
        ])
        .exits(0);
    let told: serde_json::Value = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!(told["accepted"], true);
    assert_eq!(told["sender"]["outcome"], "allowed");
    assert_eq!(told["recipients"][0]["upstreams"]["by"], "tenant");
    assert_eq!(told["recipients"][0]["upstreams"]["tenant"], "provider");
    assert_eq!(told["routes"].as_array().unwrap().len(), 2);
}

#[test]
fn the_null_reverse_path_needs_a_message() {
    configured()
        .run(&["explain", "--account", "shop", "--from", "<>"])
        .exits(64);
    let bounce = configured().run_with_input(
        &[
            "explain",
            "--account",
            "shop",
            "--from",
            "<>",
            "--message",
            "-",
        ],
        "From: a@shop.example\r\n\r\n",
    );
    assert_eq!(
        bounce.exits(0).stdout.lines().nth(1),
        Some("sender\tallowed")
    );
}
