//! Clients show a certificate in the handshake and log in with it, without a password, as long as it counts.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer,
    KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion, version};

use crate::stage::{
    ACCOUNT, PASSWORD, QUEUED, RECIPIENT, Relay, SENDER, Server, Setup, command, field, message,
    says, toml_text,
};
use crate::support::dialogue::{Dialogue, HOSTNAME};
use crate::support::process::write_file;

/// A certificate with its key.
struct Shown {
    certificate: CertificateDer<'static>,
    key: KeyPair,
    pem: String,
}

impl Shown {
    fn fingerprint(&self) -> String {
        let digest = digest(&SHA256, &self.certificate);
        let mut text = String::new();
        for octet in digest.as_ref() {
            write!(text, "{octet:02x}").unwrap();
        }
        text
    }
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.serial_number = Some(SerialNumber::from(7));
    params
}

fn self_signed(name: &str) -> Shown {
    let key = KeyPair::generate().unwrap();
    let certificate = params(name).self_signed(&key).unwrap();
    Shown {
        certificate: certificate.der().clone(),
        pem: certificate.pem(),
        key,
    }
}

/// An authority of our own.
struct Ca {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Ca {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, "Clients of Example");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            issuer: Issuer::new(params, key),
            pem,
        }
    }

    fn issue(&self, name: &str) -> Shown {
        let key = KeyPair::generate().unwrap();
        let certificate = params(name).signed_by(&key, &self.issuer).unwrap();
        Shown {
            certificate: certificate.der().clone(),
            pem: certificate.pem(),
            key,
        }
    }

    /// Revokes what has the serial number of all clients.
    fn revoke(&self) -> String {
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: date_time_ymd(2100, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: vec![RevokedCertParams {
                serial_number: SerialNumber::from(7),
                revocation_time: date_time_ymd(2020, 1, 1),
                reason_code: None,
                invalidity_date: None,
            }],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).unwrap().pem().unwrap()
    }
}

fn put(setup: &Setup, name: &str, text: &str) -> PathBuf {
    let path = setup.path().join(name);
    write_file(&path, text.as_bytes()).unwrap();
    path
}

/// What a client does in handshakes; it resumes its sessions.
fn client(
    trusted: &Path,
    shown: Option<&Shown>,
    version: &'static SupportedProtocolVersion,
) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(trusted).unwrap())
        .unwrap();
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots);
    Arc::new(match shown {
        Some(shown) => {
            let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(shown.key.serialize_der()));
            let chain = vec![shown.certificate.clone()];
            config.with_client_auth_cert(chain, key).unwrap()
        }
        None => config.with_no_client_auth(),
    })
}

/// Begins a session inside TLS at a listener; returns also which logins are offered, or the whole reply where none is.
fn begin(relay: &Relay, listener: &str, config: &Arc<ClientConfig>) -> (Dialogue, String) {
    let mut client = Dialogue::connect([127, 0, 0, 1], relay.address(listener));
    client.handshake_as(HOSTNAME, Arc::clone(config));
    client.must_reply("220");
    let offer = client.say("EHLO client.example");
    let mechanisms = mechanisms(&offer);
    (client, mechanisms.unwrap_or(offer))
}

/// Returns the line with the mechanisms that are offered.
fn mechanisms(offer: &str) -> Option<String> {
    let mut words = offer.lines().filter_map(|line| line.get(4..));
    words
        .find(|words| words.starts_with("AUTH "))
        .map(str::to_owned)
}

const ASKS: &str = "ports = [\"0\"]\nclient_certificate = \"requested\"";
const EXTERNAL: &str = "AUTH LOGIN PLAIN EXTERNAL";

fn as_account(name: &str) -> String {
    format!("AUTH EXTERNAL {}", STANDARD.encode(name))
}

/// Pins a certificate by command; returns its fingerprint.
fn pin(setup: &Setup, own: &Shown) -> String {
    let file = put(setup, "printer.pem", &own.pem);
    let file = file.to_str().unwrap();
    let add = ["account", "certificate", "add", ACCOUNT, "--file", file];
    let (told, pinned) = (says(setup, &add), own.fingerprint());
    assert!(told.contains(&pinned), "{told}");
    assert!(told.contains("from now on"), "{told}");
    pinned
}

#[test]
fn one_that_is_pinned_needs_no_authority() {
    let upstream = Server::willing();
    let setup = Setup::to(&upstream).listener("asks", "implicit", ASKS);
    let (own, other) = (self_signed("printer"), self_signed("printer"));
    let relay = setup.start();
    let pinned = pin(&setup, &own);
    assert!(says(&setup, &["account", "show", ACCOUNT]).contains(&pinned));

    let trusted = relay.certificate();
    for version in [&version::TLS12, &version::TLS13] {
        let config = client(&trusted, Some(&own), version);
        for line in ["AUTH EXTERNAL =", &as_account(ACCOUNT), &as_account("SHOP")] {
            let (mut client, offer) = begin(&relay, "asks", &config);
            assert_eq!(offer, EXTERNAL);
            client.must(line, "235 2.7.0");
            let reply = client.submit(SENDER, &[RECIPIENT], &message("by certificate"));
            assert!(reply.starts_with(QUEUED), "{reply}");
        }
        let (mut client, _) = begin(&relay, "asks", &config);
        client.must("AUTH EXTERNAL", "334");
        client.must("", "235 2.7.0");
        let (mut client, _) = begin(&relay, "asks", &config);
        client.must(&as_account("another"), "535 5.7.8");
        client.must("MAIL FROM:<orders@shop.example>", "530");
    }
    let received = upstream.wait_for(6);
    assert!(
        field(&received[0].octets, "Received")
            .unwrap()
            .contains("ESMTPSA")
    );
    relay.wait_for_log(&[
        "INFO",
        "authenticated",
        &format!("account={ACCOUNT} "),
        &pinned,
    ]);
    relay.wait_for_log(&["INFO", "client certificate refused", "names"]);
    relay.wait_for_log(&["WARN", "authentication failed", "another"]);

    // Another certificate of the same name, none, and a listener that does not ask.
    let strange = client(&trusted, Some(&other), &version::TLS13);
    let none = client(&trusted, None, &version::TLS13);
    let config = client(&trusted, Some(&own), &version::TLS13);
    for (listener, config) in [("asks", strange), ("asks", none), ("submissions", config)] {
        let (mut client, offer) = begin(&relay, listener, &config);
        assert_eq!(offer, "AUTH LOGIN PLAIN");
        client.must("AUTH EXTERNAL =", "504");
        assert!(client.log_in(ACCOUNT, PASSWORD).starts_with("235"));
    }
    relay.wait_for_log(&[
        "INFO",
        "client certificate is nobody's",
        &other.fingerprint(),
    ]);
    relay.stop();
}

#[test]
fn a_name_counts_where_our_authority_vouches_for_it() {
    let (upstream, ca) = (Server::willing(), Ca::new());
    let setup = Setup::to(&upstream);
    let file = put(&setup, "client-ca.pem", &ca.pem);
    let relay = setup
        .with("tls.client_ca", &toml_text(&file))
        .with("account.shop.certificates", "[\"Printer.example\"]")
        .listener("asks", "starttls", ASKS)
        .start();
    let trusted = relay.certificate();
    for (shown, offered) in [
        (ca.issue("printer.example"), true),
        (ca.issue("printer.example.com"), false),
        (Ca::new().issue("printer.example"), false),
        (self_signed("printer.example"), false),
    ] {
        let mut session = Dialogue::begin(relay.address("asks"));
        session.must("EHLO client.example", "250");
        session.must("AUTH EXTERNAL =", "538");
        session.must("STARTTLS", "220");
        session.handshake_as(HOSTNAME, client(&trusted, Some(&shown), &version::TLS13));
        let offer = session.must("EHLO client.example", "250");
        let is_offered = mechanisms(&offer).as_deref() == Some(EXTERNAL);
        assert_eq!(is_offered, offered, "{offer}");
        let expected = if offered { "235" } else { "504" };
        session.must("AUTH EXTERNAL =", expected);
    }
    relay.stop();
}

#[test]
fn no_session_outlives_the_certificate_not_even_a_resumed_one() {
    for version in [&version::TLS12, &version::TLS13] {
        let (upstream, ca) = (Server::willing(), Ca::new());
        let setup = Setup::to(&upstream);
        let authority = put(&setup, "client-ca.pem", &ca.pem);
        let revoked = put(&setup, "client-ca.crl", &ca.revoke());
        let setup = setup
            .with("tls.client_ca", &toml_text(&authority))
            .with("account.shop.certificates", "[\"printer.example\"]")
            .listener("asks", "implicit", ASKS);
        let relay = setup.start();
        let own = ca.issue("printer.example");
        let config = client(&relay.certificate(), Some(&own), version);
        let log_in = || {
            let (mut client, offer) = begin(&relay, "asks", &config);
            assert_eq!(offer, EXTERNAL);
            client.must("AUTH EXTERNAL =", "235");
            client
        };
        let is_shut_out = |open: &mut Dialogue| {
            open.must("MAIL FROM:<orders@shop.example>", "530");
            open.must("AUTH EXTERNAL =", "535");
            let (mut client, offer) = begin(&relay, "asks", &config);
            assert!(client.is_resumed());
            assert_eq!(offer, "AUTH LOGIN PLAIN");
            client.must("AUTH EXTERNAL =", "504");
        };
        log_in();
        let mut open = log_in();
        assert!(open.is_resumed());
        open.must("MAIL FROM:<orders@shop.example>", "250");
        open.must("RSET", "250");

        // It is revoked.
        let setup = setup.with("tls.client_crl", &toml_text(&revoked));
        relay.reload(&setup);
        is_shut_out(&mut open);
        let setup = setup.without("tls.client_crl");
        relay.reload(&setup);
        let mut open = log_in();

        // The authority goes.
        let setup = setup.without("tls.client_ca");
        relay.reload(&setup);
        is_shut_out(&mut open);
        let setup = setup.with("tls.client_ca", &toml_text(&authority));
        relay.reload(&setup);
        let mut open = log_in();

        // The account has it no more.
        let edit = |verb| ["account", "certificate", verb, ACCOUNT, "printer.example"];
        says(&setup, &edit("remove"));
        is_shut_out(&mut open);
        says(&setup, &edit("add"));
        let mut open = log_in();
        says(&setup, &["account", "disable", ACCOUNT]);
        is_shut_out(&mut open);
        relay.stop();
    }
}

#[test]
fn where_one_is_required_nothing_is_done_for_others() {
    let (upstream, ca) = (Server::willing(), Ca::new());
    let setup = Setup::to(&upstream);
    let file = put(&setup, "client-ca.pem", &ca.pem);
    let relay = setup
        .with("tls.client_ca", &toml_text(&file))
        .listener(
            "requires",
            "implicit",
            "ports = [\"0\"]\nclient_certificate = \"required\"",
        )
        .start();
    let trusted = relay.certificate();
    for shown in [None, Some(self_signed("anybody"))] {
        let config = client(&trusted, shown.as_ref(), &version::TLS13);
        let (mut client, reply) = begin(&relay, "requires", &config);
        assert!(reply.starts_with("554 5.7.0"), "{reply}");
        assert!(client.log_in(ACCOUNT, PASSWORD).starts_with("554 5.7.0"));
        client.must("QUIT", "221");
    }
    relay.wait_for_log(&["INFO", "client shows no certificate where one is required"]);
    // One that no account is known by lets its client in, and says nothing of who it is.
    let config = client(&trusted, Some(&ca.issue("somebody")), &version::TLS13);
    let (mut client, offer) = begin(&relay, "requires", &config);
    assert_eq!(offer, "AUTH LOGIN PLAIN");
    client.must("MAIL FROM:<orders@shop.example>", "530");
    assert!(client.log_in(ACCOUNT, PASSWORD).starts_with("235"));
    let reply = client.submit(SENDER, &[RECIPIENT], &message("with both"));
    assert!(reply.starts_with(QUEUED), "{reply}");
    relay.stop();
}

#[test]
fn a_certificate_belongs_to_one_account() {
    let upstream = Server::willing();
    let setup = Setup::to(&upstream)
        .with("account.shop.certificates", "[\"CN=printer 3\"]")
        .listener("asks", "implicit", ASKS);
    setup.write();
    let added = says(
        &setup,
        &[
            "account",
            "add",
            "hall",
            "--sender",
            "hall@shop.example",
            "--certificate",
            "hall@shop.example",
        ],
    );
    assert!(!added.contains("password"), "{added}");
    assert!(says(&setup, &["account", "show", "hall"]).contains("state\tactive\n"));
    let taken = command(
        &setup,
        &["account", "certificate", "add", "hall", "CN=printer 3"],
    );
    let told = String::from_utf8_lossy(&taken.stderr);
    assert!(!taken.status.success(), "{told}");
    assert!(told.contains("belongs to account `shop`"), "{told}");
    let twice = command(
        &setup,
        &["account", "certificate", "add", "hall", "hall@SHOP.example"],
    );
    assert!(
        String::from_utf8_lossy(&twice.stderr).contains("already"),
        "{twice:?}"
    );
    let wrong = command(&setup, &["account", "certificate", "add", "hall", "AB:CD"]);
    assert!(
        String::from_utf8_lossy(&wrong.stderr).contains("64 hexadecimal digits"),
        "{wrong:?}"
    );
}
