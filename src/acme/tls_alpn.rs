//! The port that answers challenges by certificates (RFC 8737), and does nothing else.

use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::answers::Answers;

/// The protocol that authorities ask for.
const PROTOCOL: &[u8] = b"acme-tls/1";

/// For one handshake.
const LIMIT: Duration = Duration::from_secs(10);

/// The most handshakes at once; authorities look from a few places.
const MAX_HANDSHAKES: usize = 64;

/// How long is waited after a connection could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves a port until it is told to stop. Whoever does not ask for `acme-tls/1` and a name whose challenge is open
/// gets no handshake.
///
/// # Errors
/// The TLS library refuses its own settings.
pub async fn serve_tls_alpn(
    listener: TcpListener,
    answers: Answers,
    stop: CancellationToken,
) -> Result<(), rustls::Error> {
    let acceptor = TlsAcceptor::from(Arc::new(config(answers)?));
    let (places, tasks) = (Arc::new(Semaphore::new(MAX_HANDSHAKES)), TaskTracker::new());
    let accepting = async {
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                return;
            };
            match listener.accept().await {
                Ok((stream, _)) => {
                    let acceptor = acceptor.clone();
                    tasks.spawn(async move {
                        let _place = place;
                        // Who is refused or slow learns it from the connection's end.
                        let _ended = timeout(LIMIT, shake_hands(acceptor, stream)).await;
                    });
                }
                Err(_) => sleep(ACCEPT_PAUSE).await,
            }
        }
    };
    tokio::select! {
        () = accepting => {}
        () = stop.cancelled() => {}
    }
    tasks.close();
    tasks.wait().await;
    Ok(())
}

async fn shake_hands(acceptor: TlsAcceptor, stream: TcpStream) -> std::io::Result<()> {
    let mut stream = acceptor.accept(stream).await?;
    // The authority has seen what it wanted (RFC 8737 §3).
    stream.shutdown().await
}

fn config(answers: Answers) -> Result<ServerConfig, rustls::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Resolver(answers)));
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    // Each look is one of its own.
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    Ok(config)
}

#[derive(Debug)]
struct Resolver(Answers);

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let mut protocols = hello.alpn()?;
        let is_authority = protocols.any(|protocol| protocol == PROTOCOL);
        is_authority.then(|| self.0.certificate(hello.server_name()?))?
    }
}
