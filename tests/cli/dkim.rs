//! `posthouse dkim`.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;

use crate::program::{Configured, run};

/// A configuration, and what keygen said of a key in its folder.
fn with_key(kind: &str) -> (Configured, serde_json::Value) {
    let configured = Configured::new();
    let file = configured.path("key.pem");
    let arguments = [
        "dkim",
        "keygen",
        "--domain",
        "b\u{fc}cher.example",
        "--selector",
        "2026a",
        "--type",
        kind,
        "--json",
        "--out",
        file.to_str().unwrap(),
    ];
    let made = run(&arguments).exits(0).json();
    (configured, made)
}

#[test]
fn a_key_is_written_for_its_owner_alone_and_never_over_another() {
    let (configured, key) = with_key("rsa");
    let file = configured.path("key.pem");
    let permissions = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(permissions & 0o777, 0o600);
    let before = fs::read(&file).unwrap();
    assert_eq!(key["name"], "2026a._domainkey.xn--bcher-kva.example");
    let arguments = [
        "dkim",
        "keygen",
        "--domain",
        "example.com",
        "--selector",
        "s",
        "--out",
        file.to_str().unwrap(),
    ];
    run(&arguments).exits(73).says("is there already");
    assert_eq!(fs::read(&file).unwrap(), before);
}

#[test]
fn what_keygen_says_for_the_configuration_is_accepted() {
    for kind in ["rsa", "ed25519"] {
        let (configured, made) = with_key(kind);
        let strings: Vec<&str> = made["strings"]
            .as_array()
            .unwrap()
            .iter()
            .map(|text| text.as_str().unwrap())
            .collect();
        assert_eq!(strings.concat(), made["value"].as_str().unwrap());
        assert!(strings.iter().all(|text| text.len() <= 255));
        let config = configured.path("posthouse.toml");
        let mut file = OpenOptions::new().append(true).open(&config).unwrap();
        file.write_all(made["configuration"].as_str().unwrap().as_bytes())
            .unwrap();
        run(&["check", config.to_str().unwrap()]).exits(0);
        configured
            .run(&["dkim", "check", "example.org"])
            .exits(66)
            .says("no key for example.org");
    }
}

#[test]
fn the_record_is_shown_for_people() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("k.pem");
    let arguments = [
        "dkim",
        "keygen",
        "--domain",
        "example.com",
        "--selector",
        "s",
        "--type",
        "ed25519",
        "--out",
        file.to_str().unwrap(),
    ];
    let shown = run(&arguments).exits(0);
    assert_eq!(shown.field("name"), "s._domainkey.example.com");
    assert!(shown.field("value").starts_with("v=DKIM1; k=ed25519; p="));
    assert!(
        shown
            .stdout
            .contains("s._domainkey.example.com. IN TXT ( \"v=DKIM1;")
    );
    assert!(
        shown
            .stdout
            .contains("[dkim.example-com-s]\ndomain = \"example.com\"\n")
    );
}

#[test]
fn a_domain_and_a_selector_are_what_dns_takes() {
    run(&[
        "dkim",
        "keygen",
        "--domain",
        "[192.0.2.1]",
        "--selector",
        "s",
    ])
    .exits(64);
    run(&[
        "dkim",
        "keygen",
        "--domain",
        "example.com",
        "--selector",
        "a b",
    ])
    .exits(64);
}
