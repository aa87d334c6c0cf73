//! `posthouse account`.

use serde_json::json;

use crate::program::{ACCOUNTS, Configured};

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
