//! `posthouse account setup`.

use serde_json::json;

use crate::program::Configured;

const CONFIGURATION: &str = "\
[server]
hostname = \"relay.example.com\"
data_dir = \"data\"

[[listener]]
name = \"submission\"
ports = [\"25\", \"587\", \"1025-5000\"]

[[listener]]
name = \"submissions\"
ports = [\"465\"]
tls = \"implicit\"

[[listener]]
name = \"printers\"
profile = \"device\"
address = [\"192.0.2.1\"]
ports = [\"8025\"]

[relay]
upstream = [\"main\"]

[upstream.main.smtp]
host = \"smtp.example.net\"

[accounts]
file = \"accounts.toml\"
";

const ACCOUNTS: &str = "\
[account.shop]
password = \"$argon2id$v=19$m=19456,t=2,p=1$AQEBAQEBAQEBAQEBAQEBAQ$AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE\"
aliases = [\"s1\"]
authorized_senders = \"orders@shop.example\"

[account.fax]
networks = [\"192.0.2.128/28\"]
authorized_domains = \"fax.example\"
";

fn configured() -> Configured {
    Configured::with(CONFIGURATION, ACCOUNTS)
}

#[test]
fn each_client_is_sent_to_the_port_that_suits_it() {
    let configured = configured();
    for (client, port, security, user) in [
        ("outlook", 465, "tls", "shop"),
        ("dotnet", 587, "starttls", "shop"),
        ("salesforce", 587, "starttls", "shop"),
        ("printer", 8025, "none", "s1"),
        ("wp-mail-smtp", 465, "tls", "shop"),
    ] {
        let told = configured.run(&["account", "setup", "shop", "--for", client, "--json"]);
        let told = told.exits(0).json();
        assert_eq!(told["host"], "relay.example.com", "{client}");
        assert_eq!(told["port"], port, "{client}");
        assert_eq!(told["security"], security, "{client}");
        assert_eq!(told["user"], user, "{client}");
        assert_eq!(told["sender"], "orders@shop.example");
        assert_eq!(told["may_send_as"], json!(["orders@shop.example"]));
        assert!(!told["sections"].as_array().unwrap().is_empty(), "{client}");
    }
}

#[test]
fn a_client_that_is_unknown_is_answered_with_those_that_are() {
    let configured = configured();
    let refused = configured.run(&["account", "setup", "shop", "--for", "pine"]);
    let refused = refused.exits(64);
    for client in ["outlook", "wordpress", "printer", "salesforce"] {
        assert!(refused.stderr.contains(client), "{refused:?}");
    }
    let listed = configured.run(&["account", "setup", "shop"]).exits(0);
    assert_eq!(listed.field("server"), "relay.example.com");
    assert!(listed.stdout.contains("thunderbird"), "{listed:?}");
}

#[test]
fn an_application_password_is_made_and_printed_once() {
    let configured = configured();
    let arguments = [
        "account",
        "setup",
        "shop",
        "--for",
        "wordpress",
        "--app-password",
        "blog",
    ];
    let told = configured.run(&arguments).exits(0);
    let password = told.field("password");
    assert_eq!(told.stdout.matches(&password).count(), 1, "{told:?}");
    assert!(
        told.stdout
            .contains("define( 'WPMS_SMTP_PASS', 'PASSWORD' );")
    );
    assert!(
        configured
            .accounts()
            .contains("[account.shop.app_password.blog]")
    );
    assert!(!configured.accounts().contains(&password));
    configured.run(&arguments).exits(73).says("blog");
    let again = [
        "account",
        "setup",
        "shop",
        "--app-password",
        "app",
        "--json",
    ];
    let told = configured.run(&again).exits(0).json();
    assert_eq!(told["password"].as_str().unwrap().len(), password.len());
}

#[test]
fn who_is_known_by_a_network_is_told_of_no_login() {
    let configured = configured();
    let told = configured.run(&["account", "setup", "fax", "--for", "printer", "--json"]);
    let told = told.exits(0).json();
    assert_eq!(told["user"], json!(null));
    assert_eq!(told["sender"], "you@fax.example");
    let notes = told["notes"].to_string();
    assert!(notes.contains("192.0.2.128/28"), "{notes}");
    assert!(notes.contains("any address at fax.example"), "{notes}");
}

#[test]
fn what_stands_before_the_server_has_another_name_and_port() {
    let configured = configured();
    let arguments = [
        "account",
        "setup",
        "shop",
        "--for",
        "curl",
        "--host",
        "mail.customer.example",
        "--port",
        "2465",
        "--listener",
        "submissions",
    ];
    let told = configured.run(&arguments).exits(0);
    let command = "curl smtps://mail.customer.example:2465 --user shop:\"$SMTP_PASSWORD\"";
    assert!(told.stdout.contains(command), "{told:?}");
    let other = ["account", "setup", "shop", "--from", "boss@shop.example"];
    configured
        .run(&other)
        .exits(77)
        .says("may not send as boss@shop.example");
    let none = ["account", "setup", "shop", "--listener", "web"];
    configured
        .run(&none)
        .exits(66)
        .says("there is no listener `web`");
}

#[test]
fn a_client_that_no_port_suits_is_refused_with_what_it_needs() {
    let configuration = CONFIGURATION.replace("\"25\", \"587\", ", "");
    let configured = Configured::with(&configuration, ACCOUNTS);
    let refused = configured.run(&["account", "setup", "shop", "--for", "salesforce"]);
    refused.exits(66).says("587, 25, 10025, 11025");
}
