//! Help, version, mistakes at the keyboard, passwords from standard input.

use posthouse::auth::PasswordHash;

use crate::program::{run, run_with_input};

#[test]
fn the_version_is_printed() {
    let printed = run(&["--version"]).exits(0).stdout;
    assert_eq!(
        printed,
        format!("posthouse {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn help_has_examples_and_exit_codes() {
    let help = run(&["--help"]).exits(0).stdout;
    assert!(
        help.contains("posthouse try") && help.contains("Exit codes:"),
        "{help}"
    );
}

#[test]
fn every_command_has_help() {
    let help = run(&["--help"]).stdout;
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let commands = commands.take_while(|line| !line.is_empty());
    let names: Vec<_> = commands
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(
        names.contains(&"serve") && names.contains(&"test-mail"),
        "{names:?}"
    );
    for name in names {
        let help = run(&["help", name]);
        assert!(
            help.code == 0 && help.stdout.contains("Usage:"),
            "{name}: {help:?}"
        );
    }
}

#[test]
fn wrong_usage_exits_with_64() {
    for arguments in [
        &["dance"][..],
        &[],
        &["serve", "--fast"],
        &["queue", "retry"],
        &["queue", "show", "not-an-id"],
        &["account", "add", "two words"],
        &["account", "add", "shop", "--priority", "6"],
        &[
            "test-mail",
            "--from",
            "a@example.com",
            "--to",
            "b@example.com",
        ],
        &[
            "test-mail",
            "--upstream",
            "main",
            "--from",
            "nobody",
            "--to",
            "b@example.com",
        ],
        &["try", "--upstream", "https://mail.example"],
        &["check", "--defaults", "--json"],
    ] {
        run(arguments).exits(64);
    }
}

#[test]
fn a_filter_does_not_choose_messages_silently() {
    let id = "038FX65ZSR000";
    run(&["queue", "delete", id, "--account", "shop"])
        .exits(64)
        .says("exclude each other");
}

#[test]
fn a_wrong_url_is_refused_without_showing_its_password() {
    let refused = run(&["try", "--upstream", "smtp://ann:hunter2@mail.example:x"]).exits(64);
    assert!(
        refused.stderr.contains("the port is a number"),
        "{refused:?}"
    );
    assert!(!refused.stderr.contains("hunter2"), "{refused:?}");
}

#[test]
fn a_hashed_password_can_be_used() {
    for input in ["hunter2", "hunter2\n", "hunter2\r\n"] {
        let printed = run_with_input(&["hash-password"], input).exits(0).stdout;
        assert!(PasswordHash::parse(printed.trim_end()).is_ok(), "{printed}");
    }
}

#[test]
fn no_password_is_no_input() {
    run_with_input(&["hash-password"], "")
        .exits(66)
        .says("there is no password");
    run_with_input(&["hash-password"], "\n").exits(66);
}

#[test]
fn completions_and_manual_pages_are_generated() {
    for shell in ["bash", "zsh", "fish"] {
        let script = run(&["completions", shell]).exits(0).stdout;
        assert!(script.contains("hash-password"), "{shell}");
    }
    let page = run(&["man"]).exits(0).stdout;
    assert!(page.contains(".SH SUBCOMMANDS"), "{page}");
    let folder = tempfile::tempdir().unwrap();
    run(&["man", "--directory", folder.path().to_str().unwrap()]).exits(0);
    assert!(folder.path().join("posthouse-account-add.1").exists());
}
