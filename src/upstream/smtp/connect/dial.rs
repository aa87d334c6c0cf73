//! TCP to an upstream, on one way.

use std::io;
use std::net::SocketAddr;

use mail_send::SmtpClient;
use tokio::net::TcpStream;

use crate::dial::DialError;
use crate::mail::{Defect, Stage, Unusable};
use crate::schedule::Bandwidth;
use crate::upstream::classify::{self, Break, Judgement};
use crate::upstream::probe::Passed;
use crate::upstream::smtp::transcript::Observer;

use super::Connector;
use super::servers::Way;

/// A connection that nothing has been said on yet.
pub(super) struct Dialed {
    pub(super) client: SmtpClient<TcpStream>,
    /// The upstream's; that of the proxy where that alone knows it.
    pub(super) address: SocketAddr,
}

impl Connector {
    pub(super) async fn tcp(&self, way: Way<'_>, observer: &Observer) -> Result<Dialed, Judgement> {
        let limit = self.settings.timeouts.connect;
        let opened = match way {
            Way::Address(address) => self.dialer.to_address(address, limit).await,
            Way::Name(name, port) => self.dialer.to_name(name, port, limit).await,
        };
        let stream = opened.map_err(|error| judgement(&error))?;
        let address = match way {
            Way::Address(address) => address,
            Way::Name(..) => stream.peer_addr().map_err(|error| lost(&error))?,
        };
        if let Some(bandwidth) = self.settings.bandwidth {
            keep_little_unsent(&stream, bandwidth);
        }
        match &self.settings.proxy {
            None => observer.note(format_args!("connected to {way}")),
            Some(proxy) => observer.note(format_args!("connected to {way} through {proxy}")),
        }
        observer.passed(|| Passed::Connected { address });
        let client = SmtpClient {
            stream,
            timeout: limit,
        };
        Ok(Dialed { client, address })
    }
}

/// Judges that there is no connection.
fn judgement(error: &DialError) -> Judgement {
    if error.is_lasting() {
        let unusable = Unusable::new(Defect::Proxy, error.to_string());
        return classify::unusable(Stage::Connect, unusable);
    }
    let end = match error {
        DialError::Timeout => Break::Timeout,
        DialError::Proxy { .. } | DialError::Resolve(_) | DialError::Unreachable(_) => {
            Break::Closed(error.to_string().into())
        }
    };
    classify::broken(Stage::Connect, end)
}

/// The connection was gone before anything was said.
fn lost(error: &io::Error) -> Judgement {
    classify::broken(Stage::Connect, Break::Closed(error.to_string().into()))
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
