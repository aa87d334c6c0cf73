//! A certificate that is shown to the upstream.

use std::fs::File;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use posthouse::mail::{Health, Stage};
use posthouse::upstream::smtp::{ClientCertificate, Settings, TlsPolicy, Verification};
use rcgen::{CertificateParams, DnType, KeyPair};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig, version};

use crate::fake_upstream::{FakeUpstream, Script};
use crate::support::{assert_deferred, assert_relayed, relay_one, settings, start};

/// TLS in front of a server of plain text, for clients with a certificate of one authority alone.
struct Gate {
    address: SocketAddr,
    certificate: String,
    _tasks: JoinSet<()>,
}

impl Gate {
    async fn start(server: SocketAddr, clients: &CertificateDer<'static>) -> Self {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(clients.clone()).unwrap();
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&version::TLS12, &version::TLS13])
            .unwrap()
            .with_client_cert_verifier(verifier.build().unwrap())
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, acceptor, server));
        Self {
            address,
            certificate: certificate.pem(),
            _tasks: tasks,
        }
    }
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, server: SocketAddr) {
    let mut sessions = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let acceptor = acceptor.clone();
        sessions.spawn(async move {
            let Ok(mut client) = acceptor.accept(stream).await else {
                return;
            };
            let mut server = TcpStream::connect(server).await.unwrap();
            let _ = copy_bidirectional(&mut client, &mut server).await;
        });
    }
}

fn write_file(path: &Path, text: &str) {
    let mut file = File::create(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// Makes a certificate that is its own authority; both files are in the folder.
fn certificate(
    folder: &tempfile::TempDir,
    name: &str,
) -> (ClientCertificate, CertificateDer<'static>) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new([format!("{name}.example")]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    let certificate = params.self_signed(&key).unwrap();
    let write = |kind: &str, text: String| -> PathBuf {
        let path = folder.path().join(format!("{name}.{kind}"));
        write_file(&path, &text);
        path
    };
    let files = ClientCertificate {
        certificate: write("pem", certificate.pem()),
        key: write("key", key.serialize_pem()),
    };
    (files, certificate.der().clone())
}

#[tokio::test]
async fn an_upstream_that_demands_a_certificate_gets_the_configured_one() {
    let folder = tempfile::tempdir().unwrap();
    let (own, root) = certificate(&folder, "relay");
    let (other, _) = certificate(&folder, "other");
    let server = FakeUpstream::start(Script::default()).await;
    let gate = Gate::start(server.address, &root).await;
    let authority = folder.path().join("gate.pem");
    write_file(&authority, &gate.certificate);
    let with = |client_certificate| Settings {
        port: gate.address.port(),
        tls: TlsPolicy::Implicit,
        verification: Verification::Authority(authority.clone()),
        client_certificate,
        ..settings(&server)
    };
    assert_relayed(&relay_one(&start(with(Some(own)))).await);
    assert_eq!(server.messages().len(), 1);
    for (wrong, words) in [
        (None, "it demands a client certificate"),
        (Some(other), "the client certificate"),
    ] {
        // In TLS 1.3 the client hears of the refusal only after its handshake is over.
        let attempt = relay_one(&start(with(wrong))).await;
        let text = assert_deferred(&attempt, Stage::Tls, &Health::Unusable);
        assert!(text.contains(words), "{text}");
    }
    assert_eq!(server.messages().len(), 1);
}
