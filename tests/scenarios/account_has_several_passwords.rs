//! Application passwords: each opens the account, is named in the log, and ends without the others.

use crate::stage::{
    ACCOUNT, PASSWORD, QUEUED, RECIPIENT, SENDER, Server, Setup, json, message, says,
};

#[test]
fn an_application_password_is_used_listed_and_revoked() {
    let upstream = Server::willing();
    let setup = Setup::to(&upstream);
    let relay = setup.start();
    let phone = add(&setup, "phone");
    let desk = add(&setup, "desk");

    let mut client = relay.secured_stranger();
    let reply = client.log_in(ACCOUNT, &phone);
    assert!(reply.starts_with("235"), "{reply}");
    relay.wait_for_log(&["authenticated", "account=shop", "app_password=phone"]);
    let reply = client.submit(SENDER, &[RECIPIENT], &message("from the phone"));
    let id = reply.trim().strip_prefix(QUEUED).expect(&reply);
    let trace = says(&setup, &["trace", id]);
    assert!(
        trace.contains("known by its application password phone"),
        "{trace}"
    );

    says(
        &setup,
        &["account", "app-password", "revoke", ACCOUNT, "phone"],
    );
    client.must(&format!("MAIL FROM:<{SENDER}>"), "530 5.7.0");
    let mut client = relay.secured_stranger();
    let reply = client.log_in(ACCOUNT, &phone);
    assert!(reply.starts_with("535 5.7.8"), "{reply}");
    for password in [PASSWORD, &desk] {
        let reply = relay.secured_stranger().log_in(ACCOUNT, password);
        assert!(reply.starts_with("235"), "{reply}");
    }
    upstream.wait_for(1);
    relay.stop();

    let listed = json(
        &setup,
        &["account", "app-password", "list", ACCOUNT, "--json"],
    );
    assert_eq!(listed.as_array().unwrap().len(), 1, "{listed}");
    let desk = &listed[0];
    assert_eq!(
        (&desk["label"], &desk["state"]),
        (&"desk".into(), &"active".into())
    );
    assert_eq!(desk["last_used_from"], "127.0.0.1");
    assert!(desk["last_used"].is_string(), "{listed}");
}

#[test]
fn an_expired_application_password_is_refused() {
    let upstream = Server::willing();
    let setup = Setup::to(&upstream);
    let relay = setup.start();
    let arguments = [
        "account",
        "app-password",
        "add",
        ACCOUNT,
        "old",
        "--expires",
        "2020-01-01",
    ];
    let password = password(&says(&setup, &arguments));
    let reply = relay.secured_stranger().log_in(ACCOUNT, &password);
    assert!(reply.starts_with("535 5.7.8"), "{reply}");
    relay.stop();
}

/// Makes an application password.
fn add(setup: &Setup, label: &str) -> String {
    password(&says(
        setup,
        &["account", "app-password", "add", ACCOUNT, label],
    ))
}

fn password(printed: &str) -> String {
    let mut lines = printed.lines();
    let line = lines.find_map(|line| line.strip_prefix("password\t"));
    line.expect("the password is printed").to_owned()
}
