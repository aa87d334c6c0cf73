//! It refuses and names the first, which goes on undisturbed.

use crate::stage::{Server, Setup, subjects};

#[test]
fn the_second_refuses_and_names_the_first() {
    let upstream = Server::willing();
    let first = Setup::to(&upstream);
    let relay = first.start();
    let data = first.path().join("data");
    let second = Setup::to(&upstream).with("server.data_dir", &crate::stage::toml_text(&data));
    let (status, said) = second.fail_to_start();
    assert_eq!(status.code(), Some(69), "{said}");
    assert!(said.contains(&relay.process.id().to_string()), "{said}");
    relay.submit("undisturbed");
    assert_eq!(subjects(&upstream.wait_for(1)), ["undisturbed"]);
    // The operator's commands still reach the first.
    let mut command = std::process::Command::new(crate::stage::binary());
    command
        .args(["status", "--config"])
        .arg(first.path().join("posthouse.toml"));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    relay.stop();
}
