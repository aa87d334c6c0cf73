//! THREATS: somebody takes the server over. It has no capability, cannot win any, and reads and writes its own files only.

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Output;

use rustix::process::Signal;

use crate::stage::{ACCOUNT, Relay, Server, Setup, command, says, subjects, toml_text};
use crate::support::process::write_file;

#[test]
fn every_thread_has_given_up_what_it_does_not_need() {
    let upstream = Server::willing();
    let relay = Setup::to(&upstream).start();
    relay.submit("works all the same");
    assert_eq!(subjects(&upstream.wait_for(1)), ["works all the same"]);
    let threads = std::fs::read_dir(format!("/proc/{}/task", relay.process.id())).unwrap();
    let mut count = 0;
    for thread in threads {
        let path = thread.unwrap().path().join("status");
        let Ok(status) = std::fs::read_to_string(path) else {
            // It has ended meanwhile.
            continue;
        };
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap().trim().to_owned()
        };
        let set = |name: &str| u64::from_str_radix(&field(name), 16).unwrap();
        assert_eq!(field("NoNewPrivs:"), "1");
        assert_eq!((set("CapInh:"), set("CapAmb:")), (0, 0));
        // Whoever starts as root and stays root keeps the power over files: CHOWN, DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER.
        assert_eq!((set("CapEff:") | set("CapPrm:")) & !0b1111, 0, "{status}");
        count += 1;
    }
    assert!(count >= 4, "{count}");
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", relay.process.id())).unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"));
    assert_eq!(core.unwrap().split_ascii_whitespace().nth(4), Some("0"));
    relay.stop();
}

/// Starts a relay in the sandbox; `None` where the kernel has none, which it says.
fn sandboxed(setup: &Setup) -> Option<Relay> {
    let relay = setup.start();
    let line = relay.wait_for_log(&["sandboxed"]);
    if line.contains("not sandboxed") {
        eprintln!("SKIPPED: the kernel has no Landlock");
        relay.stop();
        return None;
    }
    Some(relay)
}

fn reload(setup: &Setup) -> (Output, String) {
    setup.write();
    let output = command(setup, &["reload"]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    (output, text)
}

#[test]
fn a_reload_that_leaves_the_sandbox_is_told_to_restart() {
    let upstream = Server::willing();
    let setup = Setup::to(&upstream);
    let Some(relay) = sandboxed(&setup) else {
        return;
    };
    let elsewhere = tempfile::tempdir().unwrap();
    let maildir = toml_text(&elsewhere.path().join("mail"));
    let (output, told) = reload(&setup.with("upstream.kept.maildir.directory", &maildir));
    assert!(!output.status.success());
    assert!(
        told.contains("sandbox") && told.contains("restart"),
        "{told}"
    );
    assert!(!elsewhere.path().join("mail").exists());
    relay.submit("all the same");
    assert_eq!(subjects(&upstream.wait_for(1)), ["all the same"]);
    relay.stop();
}

#[test]
fn a_hook_that_may_not_be_run_is_told_to_restart() {
    let upstream = Server::willing();
    let setup = Setup::to(&upstream);
    let Some(relay) = sandboxed(&setup) else {
        return;
    };
    let hook = setup
        .without("tls.self_signed")
        .with("tls.acme.agree_to_terms", "true")
        .with("tls.acme.challenge", "\"dns-01\"")
        .with("tls.acme.dns_hook", "\"/bin/true\"");
    let (output, told) = reload(&hook);
    assert!(!output.status.success());
    assert!(
        told.contains("sandbox") && told.contains("restart"),
        "{told}"
    );
    relay.stop();
}

#[test]
fn a_secret_in_another_folder_is_out_of_reach_until_a_restart() {
    let upstream = Server::willing();
    let setup = Setup::to(&upstream);
    let Some(relay) = sandboxed(&setup) else {
        return;
    };
    let elsewhere = tempfile::tempdir().unwrap();
    let file = |folder: &Path| -> PathBuf {
        let file = folder.join("secret");
        write_file(&file, b"hunter2\n").unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&file, mode).unwrap();
        file
    };
    let secret = |file: &Path| format!("{{ file = {} }}", toml_text(file));
    let setup = setup
        .with("upstream.main.smtp.username", "\"relay\"")
        .with("upstream.main.smtp.plain_text_login", "true");
    let password = "upstream.main.smtp.password";
    let outside = secret(&file(elsewhere.path()));
    let setup = setup.with(password, &outside);
    let (output, told) = reload(&setup);
    assert!(!output.status.success());
    assert!(
        told.contains("Permission denied") && told.contains("restart it"),
        "{told}"
    );
    let inside = secret(&file(setup.path()));
    let (output, told) = reload(&setup.with(password, &inside));
    assert!(output.status.success(), "{told}");
    relay.stop();
}

/// A configuration that is started as root and run as somebody else; `None` where this is not root.
fn run_as_nobody(upstream: &Server) -> Option<Setup> {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: only root becomes another user");
        return None;
    }
    let setup = Setup::to(upstream).with("server.run_as", "\"nobody\"");
    std::fs::set_permissions(setup.path(), Permissions::from_mode(0o711)).unwrap();
    Some(setup)
}

#[test]
fn nothing_of_root_is_left_to_who_is_run_as_another_user() {
    let upstream = Server::willing();
    let Some(setup) = run_as_nobody(&upstream) else {
        return;
    };
    let relay = setup.start();
    relay.submit("as nobody");
    assert_eq!(subjects(&upstream.wait_for(1)), ["as nobody"]);
    let status = std::fs::read_to_string(format!("/proc/{}/status", relay.process.id())).unwrap();
    let field = |name: &str| -> Vec<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let numbers = line.unwrap().split_ascii_whitespace();
        numbers.map(|number| number.parse().unwrap()).collect()
    };
    let data = std::fs::metadata(setup.path().join("data/spool")).unwrap();
    let (user, group) = (u64::from(data.uid()), u64::from(data.gid()));
    assert!(user != 0 && group != 0, "{user}, {group}");
    assert_eq!(field("Uid:"), [user; 4]);
    assert_eq!(field("Gid:"), [group; 4]);
    assert!(!field("Groups:").contains(&0), "{status}");
    assert!(status.contains("CapPrm:\t0000000000000000"), "{status}");
    assert!(status.contains("CapBnd:\t0000000000000000"), "{status}");
    relay.stop();
}

#[test]
fn a_start_as_root_gives_nothing_away_through_a_link_in_the_data_directory() {
    let upstream = Server::willing();
    let Some(setup) = run_as_nobody(&upstream) else {
        return;
    };
    let elsewhere = tempfile::tempdir().unwrap();
    write_file(&elsewhere.path().join("shadow"), b"root:!\n").unwrap();
    let data = setup.path().join("data");
    std::fs::create_dir_all(&data).unwrap();
    std::os::unix::fs::symlink(elsewhere.path(), data.join(posthouse::oauth::FOLDER)).unwrap();
    let (status, log) = setup.fail_to_start();
    assert!(!status.success());
    assert!(log.contains("cannot run as user `nobody`"), "{log}");
    for path in [elsewhere.path().to_owned(), elsewhere.path().join("shadow")] {
        let owner = std::fs::metadata(&path).unwrap().uid();
        assert_eq!(owner, 0, "{}", path.display());
    }
}

#[test]
fn everything_in_the_data_directory_is_for_its_owner_alone() {
    let upstream = Server::willing();
    let setup = Setup::to(&upstream);
    let data = setup.path().join("data");
    let mode = |path: &Path| {
        std::fs::symlink_metadata(path)
            .unwrap()
            .permissions()
            .mode()
            & 0o777
    };
    std::fs::create_dir_all(&data).unwrap();
    std::fs::set_permissions(&data, Permissions::from_mode(0o755)).unwrap();
    let relay = setup.start();
    // The owner's group may have been let in on purpose.
    assert_eq!(mode(&data), 0o750);
    relay.submit("stored");
    upstream.wait_for(1);
    let verify = [
        "sender",
        "verify",
        "me@elsewhere.example",
        "--account",
        ACCOUNT,
    ];
    says(&setup, &verify);
    says(&setup, &["upstream", "park", "main"]);
    relay.signal(Signal::KILL);
    drop(relay);
    let mut folders = vec![data];
    let mut open = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if mode(&path) & 0o077 != 0 {
                open.push((path.clone(), mode(&path)));
            }
            if path.is_dir() {
                folders.push(path);
            }
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn it_can_be_switched_off() {
    let upstream = Server::willing();
    let relay = Setup::to(&upstream)
        .with("server.sandbox", "\"off\"")
        .start();
    relay.wait_for_log(&["WARN", "not sandboxed", "the configuration says so"]);
    relay.stop();
}
