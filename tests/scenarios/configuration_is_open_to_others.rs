//! Whoever can write the configuration decides who may send as whom: that is said at a check, a start and a reload.

use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use rustix::process::Signal;

use crate::stage::{Server, Setup, binary, command};
use crate::support::process::write_file;

#[test]
fn others_can_write_it() {
    let upstream = Server::willing();
    let setup = Setup::to(&upstream);
    setup.write();
    let [config, accounts, secret] =
        ["posthouse.toml", "accounts.toml", "secret"].map(|name| setup.path().join(name));
    set_permissions(&config, Permissions::from_mode(0o602)).unwrap();
    set_permissions(&accounts, Permissions::from_mode(0o620)).unwrap();
    let checked = Command::new(binary()).arg("check").arg(&config).output();
    let told = String::from_utf8(checked.unwrap().stdout).unwrap();
    for part in [
        "posthouse.toml: warning: everybody can write this file (mode 602)",
        "accounts.toml: warning: its group can write this file (mode 620)",
        "chmod go-w",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let relay = setup.start_as_written();
    relay.wait_for_log(&[
        "WARN",
        "configuration",
        "posthouse.toml",
        "everybody can write",
    ]);
    relay.wait_for_log(&[
        "WARN",
        "configuration",
        "accounts.toml",
        "its group can write",
    ]);
    set_permissions(&config, Permissions::from_mode(0o600)).unwrap();
    relay.signal(Signal::HUP);
    relay.wait_for_log_times("its group can write", 2);
    assert_eq!(relay.count_in_log("everybody can write"), 1);
    relay.stop();

    // A secret that others can write is none: there is no start with it.
    write_file(&secret, b"hunter2").unwrap();
    set_permissions(&secret, Permissions::from_mode(0o620)).unwrap();
    let setup = setup
        .with("upstream.main.smtp.username", "\"user\"")
        .with("upstream.main.smtp.password", "{ file = \"secret\" }");
    let (status, said) = setup.fail_to_start();
    assert_eq!(status.code(), Some(78), "{said}");
    assert!(said.contains("others can write the secret file"), "{said}");
    let checked = command(&setup, &["account", "list"]);
    assert!(!String::from_utf8_lossy(&checked.stderr).contains("hunter2"));
}
