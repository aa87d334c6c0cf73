//! TCP to one address of an upstream.

use std::net::SocketAddr;

use mail_send::SmtpClient;
use tokio::net::TcpStream;

use crate::mail::Stage;
use crate::schedule::Bandwidth;
use crate::upstream::classify::{self, Break, Judgement};
use crate::upstream::probe::Passed;
use crate::upstream::smtp::tls_problem;
use crate::upstream::smtp::transcript::Observer;

use super::Connector;

/// A connection that nothing has been said on yet.
pub(super) struct Dialed {
    pub(super) client: SmtpClient<TcpStream>,
    pub(super) address: SocketAddr,
}

impl Connector {
    pub(super) async fn tcp(
        &self,
        address: SocketAddr,
        observer: &Observer,
    ) -> Result<Dialed, Judgement> {
        let limit = self.settings.timeouts.connect;
        let connected = match self.settings.local_address {
            Some(local) => SmtpClient::connect_using(local, address, limit).await,
            None => SmtpClient::connect(address, limit).await,
        };
        let client = connected.map_err(|error| {
            let end = if matches!(error, mail_send::Error::Timeout) {
                Break::Timeout
            } else {
                Break::Closed(tls_problem::words(&error))
            };
            classify::broken(Stage::Connect, end)
        })?;
        // Without it a small write behind another waits for the peer's delayed acknowledgement. Where the system
        // refuses, mail is slower and no less safe.
        let _ = client.stream.set_nodelay(true);
        if let Some(bandwidth) = self.settings.bandwidth {
            keep_little_unsent(&client.stream, bandwidth);
        }
        observer.note(format_args!("connected to {address}"));
        observer.passed(|| Passed::Connected { address });
        Ok(Dialed { client, address })
    }
}

/// Makes the system take no more than a piece that it cannot send yet.
///
/// Otherwise a transfer that pauses would go on for as long as its send buffer lasts, which is megabytes where the way to
/// the upstream is slower than `bandwidth`. What is in flight is not bounded by this, as it would be by a small send
/// buffer, so that a long way costs no speed. Where the system refuses, pauses begin later.
#[cfg(any(target_os = "android", target_os = "linux"))]
fn keep_little_unsent(stream: &TcpStream, bandwidth: Bandwidth) {
    let piece = u32::try_from(bandwidth.piece()).unwrap_or(u32::MAX);
    let _ = socket2::SockRef::from(stream).set_tcp_notsent_lowat(piece);
}

/// No such option is known to be there.
#[cfg(not(any(target_os = "android", target_os = "linux")))]
fn keep_little_unsent(_: &TcpStream, _: Bandwidth) {}
