//! `posthouse account`.

use serde_json::json;

use crate::program::{ACCOUNTS, CONFIGURATION, Configured};

fn account(configured: &Configured, name: &str) -> serde_json::Value {
    configured
        .run(&["account", "show", name, "--json"])
        .exits(0)
        .json()
}

#[test]
fn the_password_of_an_added_account_is_printed_and_stored_as_a_hash() {
    let configured = Configured::new();
    let added = configured
        .run(&["account", "add", "shop", "--domain", "example.com"])
        .exits(0);
    let password = added.field("password");
    assert_eq!(password.split('-').count(), 4, "{password}");
    assert_eq!(added.field("user name"), "shop");
    assert_eq!(account(&configured, "shop")["has_password"], true);
    // The password itself is kept nowhere.
    assert!(!configured.accounts().contains(&password));
}

#[test]
fn an_added_account_has_what_was_asked_for() {
    let configured = Configured::new();
    let arguments = [
        "account",
        "add",
        "scan@example.com",
        "--sender",
        "scan@example.com",
        "--domain",
        "*.example.net",
        "--tenant",
        "acme",
        "--priority",
        "4",
        "--note",
        "3rd floor",
    ];
    configured.run(&arguments).exits(0);
    let account = account(&configured, "scan@example.com");
    assert_eq!(
        account["authorized"],
        json!(["*.example.net", "scan@example.com"])
    );
    assert_eq!(account["tenant"], "acme");
    assert_eq!(account["priority"], 4);
    assert_eq!(account["note"], "3rd floor");
    assert_eq!(account["route"], json!(["main"]));
}

#[test]
fn comments_and_order_of_the_file_stay() {
    let configured = Configured::new();
    configured.run(&["account", "add", "shop"]).exits(0);
    assert!(configured.accounts().starts_with(ACCOUNTS));
}

#[test]
fn an_account_that_would_be_wrong_is_not_added() {
    let configured = Configured::new();
    let arguments = ["account", "add", "shop", "--domain", "a.example, b.example"];
    let refused = configured
        .run(&arguments)
        .exits(64)
        .says("has not been added");
    assert!(refused.stderr.contains("accounts.toml:"), "{refused:?}");
    assert_eq!(configured.accounts(), ACCOUNTS);
    assert_eq!(refused.stdout, "");
}

#[test]
fn an_account_is_not_added_twice() {
    let configured = Configured::new();
    configured
        .run(&["account", "add", "BOB"])
        .exits(73)
        .says("there is an account `bob` already");
}

#[test]
fn a_given_password_is_not_printed() {
    let configured = Configured::new();
    let arguments = ["account", "add", "shop", "--password-stdin"];
    let added = configured.run_with_input(&arguments, "hunter2\n").exits(0);
    assert!(
        !added.stdout.contains("hunter2") && !added.stdout.contains("password"),
        "{added:?}"
    );
    assert_eq!(account(&configured, "shop")["has_password"], true);
}

#[test]
fn a_new_password_changes_that_and_nothing_else() {
    let configured = Configured::new();
    configured
        .run(&["account", "passwd", "bob"])
        .exits(0)
        .field("password");
    let without_password = |text: &str| {
        let lines: Vec<_> = text
            .lines()
            .filter(|line| !line.starts_with("password"))
            .collect();
        lines.join("\n")
    };
    assert_ne!(configured.accounts(), ACCOUNTS);
    assert_eq!(
        without_password(&configured.accounts()),
        without_password(ACCOUNTS)
    );
}

#[test]
fn a_disabled_account_can_be_enabled_again() {
    let configured = Configured::new();
    configured.run(&["account", "disable", "bob"]).exits(0);
    assert_eq!(account(&configured, "bob")["active"], false);
    configured.run(&["account", "enable", "bob"]).exits(0);
    assert_eq!(configured.accounts(), ACCOUNTS);
}

#[test]
fn a_deleted_account_is_gone() {
    let configured = Configured::new();
    configured.run(&["account", "delete", "bob"]).exits(0);
    assert_eq!(
        configured
            .run(&["account", "list", "--json"])
            .exits(0)
            .json(),
        json!([])
    );
}

#[test]
fn an_edit_says_that_no_server_runs() {
    let configured = Configured::new();
    let edited = configured.run(&["account", "disable", "bob"]).exits(0);
    assert!(edited.stdout.contains("No server runs"), "{edited:?}");
}

#[test]
fn an_unknown_account_is_no_input() {
    let configured = Configured::new();
    for verb in ["show", "passwd", "enable", "disable", "delete"] {
        configured
            .run(&["account", verb, "eve"])
            .exits(66)
            .says("there is no account `eve`");
    }
}

#[test]
fn a_list_has_one_line_for_each_account_and_no_headings_in_a_pipe() {
    let configured = Configured::new();
    let listed = configured.run(&["account", "list"]).exits(0).stdout;
    assert_eq!(listed, "bob\tyes\t-\t3\texample.com, *.example.com\t\n");
}

#[test]
fn an_account_is_not_added_under_a_name_that_logs_in_elsewhere() {
    let accounts = format!("{ACCOUNTS}aliases = [\"p1\"]\n");
    let configured = Configured::with(CONFIGURATION, &accounts);
    for arguments in [
        &["account", "add", "P1"][..],
        &["account", "add", "shop", "--alias", "p1"],
    ] {
        let refused = configured.run(arguments).exits(73);
        refused.says("is an alias of account `bob` already");
    }
    let named = configured.run(&["account", "add", "shop", "--alias", "Bob"]);
    named.exits(73).says("there is an account `bob` already");
    assert_eq!(configured.accounts(), accounts);
    configured
        .run(&["account", "add", "shop", "--alias", "s1"])
        .exits(0);
    let taken = configured.run(&["account", "edit", "bob", "--alias", "s1"]);
    taken
        .exits(73)
        .says("is an alias of account `shop` already");
    configured
        .run(&["account", "edit", "bob", "--alias", "p1", "--alias", "p2"])
        .exits(0);
    assert_eq!(account(&configured, "bob")["aliases"], json!(["p1", "p2"]));
}

/// An edit of every key.
const EVERYTHING: &[&str] = &[
    "account",
    "edit",
    "BOB",
    "--domain",
    "example.org",
    "--tenant",
    "acme",
    "--upstream",
    "main",
    "--network",
    "192.0.2.0/28",
    "--priority",
    "4",
    "--max-priority",
    "2",
    "--priority-header",
    "strip",
    "--strict-addresses",
    "false",
    "--check-header-from",
    "false",
    "--plus-addressing",
    "true",
    "--on-unauthorized",
    "rewrite",
    "--default-sender",
    "bob@example.org",
    "--verified-senders",
    "off",
    "--added-field",
    "X-Account: {account}",
    "--messages",
    "100/h",
    "--recipients",
    "200/h",
    "--size",
    "1 GiB/d",
    "--sessions",
    "3",
    "--over-quota",
    "refuse",
    "--alert-mail",
    "boss@example.org",
    "--note",
    "the boss",
];

/// What `account show` says then.
fn shown_keys() -> [(&'static str, serde_json::Value); 17] {
    [
        ("authorized", json!(["example.org"])),
        ("tenant", json!("acme")),
        ("route", json!(["main"])),
        ("networks", json!(["192.0.2.0/28"])),
        ("priority", json!(4)),
        ("max_priority", json!(2)),
        ("priority_header", json!("strip")),
        ("strict_addresses", json!(false)),
        ("check_header_from", json!(false)),
        ("plus_addressing", json!(true)),
        ("on_unauthorized", json!("rewrite")),
        ("default_sender", json!("bob@example.org")),
        ("verified_senders", json!("off")),
        ("added_fields", json!(["X-Account"])),
        ("over_quota", json!("refuse")),
        ("alert_mail", json!(["boss@example.org"])),
        ("note", json!("the boss")),
    ]
}

#[test]
fn each_key_is_edited_and_shown() {
    let configured = Configured::new();
    configured.run(EVERYTHING).exits(0);
    let shown = account(&configured, "bob");
    for (key, value) in shown_keys() {
        assert_eq!(shown[key], value, "{key}: {shown}");
    }
    assert_eq!(shown["limits"].as_array().unwrap().len(), 4, "{shown}");
    assert!(
        configured
            .accounts()
            .starts_with("# Ask Bob first.\n\n[account.bob] # the boss\npassword")
    );
}

#[test]
fn a_key_that_is_taken_out_has_its_default_again() {
    let configured = Configured::new();
    configured
        .run(&[
            "account",
            "edit",
            "bob",
            "--alert-mail",
            "a@example.com",
            "--note",
            "x",
        ])
        .exits(0);
    configured
        .run(&[
            "account",
            "edit",
            "bob",
            "--unset",
            "alert_mail",
            "--unset",
            "note",
        ])
        .exits(0);
    assert_eq!(configured.accounts(), ACCOUNTS);
    configured
        .run(&["account", "edit", "bob"])
        .exits(64)
        .says("nothing is to be changed");
}

#[test]
fn an_edit_that_would_be_wrong_is_not_made() {
    let configured = Configured::new();
    for (option, value) in [
        ("--alert-mail", "boss"),
        ("--tenant", "nobody"),
        ("--messages", "many"),
    ] {
        let refused = configured.run(&["account", "edit", "bob", "--note", "x", option, value]);
        let refused = refused
            .exits(64)
            .says("the account `bob` has not been changed");
        assert!(refused.stderr.contains("accounts.toml:"), "{refused:?}");
        assert_eq!(configured.accounts(), ACCOUNTS);
    }
}

#[test]
fn the_table_that_decides_about_verified_senders_is_told() {
    let configuration = CONFIGURATION.replace(
        "[tenant.acme]",
        "[tenant.provider]\nverified_senders = \"required\"\n\n[tenant.acme]\nparent = \"provider\"",
    );
    let configured = Configured::with(&configuration, &format!("{ACCOUNTS}tenant = \"acme\"\n"));
    let shown = configured.run(&["account", "show", "bob"]).exits(0);
    assert_eq!(
        shown.field("verified senders"),
        "required (of tenant.provider)"
    );
    assert_eq!(shown.field("may send as"), "");
    let explained = ["explain", "--account", "bob", "--from", "bob@example.com"];
    let explained = configured.run(&explained).exits(77);
    assert_eq!(
        explained.field("verified senders"),
        "required (of tenant.provider)"
    );
    configured
        .run(&["account", "edit", "bob", "--verified-senders", "additional"])
        .exits(0);
    let shown = configured.run(&["account", "show", "bob"]).exits(0);
    assert_eq!(shown.field("verified senders"), "additional (of account)");
}
