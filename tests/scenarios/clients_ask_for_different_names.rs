//! Each client gets the certificate of the name that it asks for, also after a reload.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rcgen::{CertificateParams, KeyPair};

use crate::stage::{Server, Setup, says, toml_text};
use crate::support::dialogue::HOSTNAME;
use crate::support::process::write_file;

/// Makes a certificate, signed by itself, with its key beside it.
fn issue(setup: &Setup, stem: &str, names: &[&str]) -> PathBuf {
    let key_pair = KeyPair::generate().unwrap();
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let params = CertificateParams::new(names).unwrap();
    let pem = params.self_signed(&key_pair).unwrap().pem();
    let certificate = setup.path().join(format!("{stem}.pem"));
    let key = certificate.with_extension("key");
    write_file(&certificate, pem.as_bytes()).unwrap();
    write_file(&key, key_pair.serialize_pem().as_bytes()).unwrap();
    fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    certificate
}

fn table(header: &str, names: &str, certificate: &Path) -> String {
    let key = certificate.with_extension("key");
    let (certificate, key) = (toml_text(certificate), toml_text(&key));
    format!("{header}\n{names}\ncertificate = {certificate}\nkey = {key}\n")
}

fn write(setup: &Setup, tables: &[String]) {
    setup.write();
    let file = setup.path().join("posthouse.toml");
    let text = fs::read_to_string(&file).unwrap();
    write_file(&file, format!("{text}\n{}", tables.concat()).as_bytes()).unwrap();
}

#[test]
fn by_sni_and_a_reload_adds_a_name() {
    let upstream = Server::willing();
    let setup = Setup::to(&upstream).without("tls.self_signed");
    let default = issue(&setup, "default", &[HOSTNAME]);
    let setup = setup
        .with("tls.certificate", &toml_text(&default))
        .with("tls.key", &toml_text(&default.with_extension("key")));
    let own = issue(&setup, "own", &["mail.customer.example"]);
    let wild = issue(&setup, "wild", &["*.customer.example", "other.example"]);
    let mut tables = vec![
        table("[[tls.name]]", "names = [\"Mail.Customer.example\"]", &own),
        table("[[tls.name]]", "names = [\"*.customer.example\"]", &wild),
    ];
    write(&setup, &tables);
    let relay = setup.start_as_written();
    let ask = |name: &'static str, trusted: &Path| {
        let mut client = relay.stranger();
        client.must("STARTTLS", "220");
        client.handshake_with(name, trusted);
        client.must("EHLO client.example", "250");
        client
    };
    // The client refuses any other certificate than the one it trusts.
    ask(HOSTNAME, &default);
    let mut open = ask("mail.customer.example", &own);
    ask("smtp.customer.example", &wild);

    tables.push(table("[[tls.name]]", "names = [\"other.example\"]", &wild));
    write(&setup, &tables);
    assert!(says(&setup, &["reload"]).contains("in force"));
    ask("other.example", &wild);
    open.must("NOOP", "250");
    let listed = says(&setup, &["tls", "list"]);
    let lines: Vec<_> = listed.lines().collect();
    assert!(
        lines[0].starts_with(&format!("{HOSTNAME} (default)\tfiles\t")),
        "{listed}"
    );
    assert!(lines[3].starts_with("other.example\tfiles\t"), "{listed}");
    relay.stop();
}
