//! Plain text, STARTTLS, and the TLS handshake.

use std::net::SocketAddr;

use mail_send::SmtpClient;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::mail::{Channel, Defect, Stage, Unusable, Via};
use crate::tls::client::PeerCertificate;
use crate::upstream::classify::{self, Break, Judgement};
use crate::upstream::probe::Passed;
use crate::upstream::smtp::connection::Connection;
use crate::upstream::smtp::login::Privacy;
use crate::upstream::smtp::settings::TlsPolicy;
use crate::upstream::smtp::tls_problem::{self, TlsProblem};
use crate::upstream::smtp::transcript::Observer;
use crate::upstream::smtp::wire::{Socket, Wire};

use super::Connector;
use super::dial::Dialed;
use super::security::Security;

/// Why STARTTLS did not lead to a connection.
pub(super) struct StartTlsFailure {
    pub(super) judgement: Judgement,
    /// Whether policy *opportunistic* goes on in plain text after it.
    pub(super) is_harmless: bool,
}

impl From<Judgement> for StartTlsFailure {
    fn from(judgement: Judgement) -> Self {
        Self {
            judgement,
            is_harmless: false,
        }
    }
}

impl Connector {
    pub(super) async fn handshake(
        &self,
        tls: &TlsConnector,
        name: &str,
        client: SmtpClient<TcpStream>,
        observer: &Observer,
    ) -> Result<TlsStream<TcpStream>, TlsProblem> {
        let done = client.into_tls(tls, name).await;
        let client = done.map_err(TlsProblem::from)?;
        let connection = client.tls_connection();
        observer.note(format_args!("{}", tls_problem::facts(connection)));
        let chain =
            PeerCertificate::parse_chain(connection.peer_certificates().unwrap_or_default());
        observer.certificates(&chain);
        observer.passed(|| Passed::Secured {
            tls: tls_problem::agreed(connection),
            chain: chain.clone(),
        });
        self.shown(chain);
        Ok(client.stream)
    }

    pub(super) async fn plain(
        &self,
        tcp: Dialed,
        observer: &Observer,
    ) -> Result<Connection, Judgement> {
        let via = in_plain_text(tcp.address);
        let mut wire = Wire::new(tcp.client.stream, via, observer.clone());
        self.greet(&mut wire).await?;
        let extensions = self.hello(&mut wire).await?;
        self.log_in(wire, extensions, Privacy::Open).await
    }

    pub(super) async fn start_tls(
        &self,
        tls: &TlsConnector,
        security: &Security<'_>,
        tcp: Dialed,
        observer: &Observer,
    ) -> Result<Connection, StartTlsFailure> {
        let address = tcp.address;
        let via = in_plain_text(address);
        let mut wire = Wire::new(tcp.client.stream, via, observer.clone());
        self.greet(&mut wire).await?;
        let extensions = self.hello(&mut wire).await?;
        if !extensions.starttls {
            if self.settings.tls == TlsPolicy::Required || security.must_encrypt() {
                let text = "the upstream does not offer STARTTLS, which is required";
                let unusable = Unusable::new(Defect::StartTls, text);
                return Err(classify::unusable(Stage::Tls, unusable).into());
            }
            return Ok(self.log_in(wire, extensions, Privacy::Open).await?);
        }
        let harmless = |judgement| StartTlsFailure {
            judgement,
            is_harmless: true,
        };
        let limit = self.settings.timeouts.command;
        let reply = wire.command("STARTTLS\r\n", limit).await;
        let reply = reply.map_err(|end| harmless(classify::broken(Stage::Tls, end)))?;
        if reply.response.code != 220 {
            return Err(harmless(self.judge(Stage::Tls, reply.response)));
        }
        if !wire.is_quiet() {
            let text = "octets were slipped in before the TLS handshake";
            return Err(classify::broken(Stage::Tls, Break::Nonsense(text.into())).into());
        }
        let client = SmtpClient {
            stream: wire.into_stream(),
            timeout: self.settings.timeouts.connect,
        };
        let stream = self.handshake(tls, security.name, client, observer).await;
        let stream = stream.map_err(|problem| StartTlsFailure {
            is_harmless: !problem.is_about_certificate(),
            judgement: problem.judgement(),
        })?;
        let via = encrypted(&stream, address);
        let wire = Wire::new(stream, via, observer.clone());
        Ok(self.enter(wire).await?)
    }

    /// EHLO and login inside TLS. What was offered before TLS counts no more (RFC 3207 §4.2).
    pub(super) async fn enter<S: Socket + 'static>(
        &self,
        mut wire: Wire<S>,
    ) -> Result<Connection, Judgement> {
        let extensions = self.hello(&mut wire).await?;
        self.log_in(wire, extensions, Privacy::Private).await
    }
}

fn in_plain_text(address: SocketAddr) -> Via {
    Via {
        address,
        channel: Channel::Plain,
    }
}

pub(super) fn encrypted(stream: &TlsStream<TcpStream>, address: SocketAddr) -> Via {
    let channel = Channel::Tls(tls_problem::agreed(stream.get_ref().1));
    Via { address, channel }
}
