//! `posthouse listener`.

use std::fs;
use std::io::Write as _;

use crate::program::run;

const LISTENERS: &str = "\
[server]
hostname = \"relay.example.com\"

[[listener]]
name = \"devices\"
profile = \"device\"
ports = [\"10025\"]
auth_equals = false
limits = { errors = 3 }

[[listener.network]]
networks = [\"192.0.2.0/28\"]
auth = \"always\"

[session.timeouts]
handshake = \"20s\"
data = \"1m\"

[relay]
enabled = false
";

#[test]
fn every_setting_is_shown_with_its_origin() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("posthouse.toml");
    let mut file = fs::File::create(&path).unwrap();
    file.write_all(LISTENERS.as_bytes()).unwrap();
    let config = path.to_str().unwrap();
    let shown = run(&["listener", "show", "devices", "--config", config]).exits(0);
    for line in [
        "tls\toff\tprofile device".to_owned(),
        format!("auth_equals\tfalse\t{config}:8"),
        format!("limits.errors\t3\t{config}:9"),
        "limits.recipients\t1000\tdefault".to_owned(),
        "timeouts.data\t10m\tprofile device".to_owned(),
        format!("timeouts.handshake\t20s\t{config}:16"),
        format!("network.1.auth\talways\t{config}:13"),
        "proxy_protocol\tnone\tdefault".to_owned(),
    ] {
        let is_there = shown.stdout.lines().any(|one| one == line);
        assert!(is_there, "{line} is missing in\n{}", shown.stdout);
    }
    let listed = run(&["listener", "list", "--json", "--config", config]).exits(0);
    let listed = listed.json();
    assert_eq!(listed[0]["profile"], "device");
    assert_eq!(listed[0]["ports"], "10025");
    run(&["listener", "show", "devises", "--config", config])
        .exits(66)
        .says("there is no listener `devises`");
}
