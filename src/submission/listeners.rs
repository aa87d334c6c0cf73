//! Ports being served, each by a task of its own.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::alert::{Alert, Kind};
use crate::panics::contain;

use super::arrival::{self, Arrival};
use super::binding::Bound;
use super::listener::Listener;
use super::parts::ServerParts;
use super::standing::Standing;

/// How many connections a port accepts before others have their turn.
const ACCEPTS: u64 = 16;

/// How long a port pauses when there are no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How often the log tells that connections cannot be accepted. Now and then one can, as soon as another is closed.
const TOLD_EVERY: Duration = Duration::from_mins(1);

/// When it was told last that connections cannot be accepted, on any port.
#[derive(Debug, Default)]
struct Shortage(Mutex<Option<Instant>>);

impl Shortage {
    /// Returns whether it is to be told now.
    fn note(&self, now: Instant) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = told.is_none_or(|at| now.saturating_duration_since(at) >= TOLD_EVERY);
        if is_due {
            *told = Some(now);
        }
        is_due
    }
}

/// The ports being served.
#[derive(Debug)]
pub struct Server {
    tasks: TaskTracker,
    stop: CancellationToken,
    break_off: CancellationToken,
}

impl Server {
    /// Serves the ports.
    ///
    /// # Errors
    /// A port cannot be registered with the runtime: there are too few file descriptors.
    pub fn start(bound: Vec<Bound>, parts: &Arc<ServerParts>) -> io::Result<Self> {
        let server = Self {
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            break_off: CancellationToken::new(),
        };
        let sessions = Arc::new(AtomicU64::new(0));
        let shortage = Arc::new(Shortage::default());
        for port in bound {
            let port = Port {
                socket: TcpListener::from_std(port.socket)?,
                number: port.address.port(),
                listener: port.listener,
                parts: Arc::clone(parts),
                tasks: server.tasks.clone(),
                stop: server.stop.clone(),
                break_off: server.break_off.clone(),
                sessions: Arc::clone(&sessions),
                shortage: Arc::clone(&shortage),
            };
            server.tasks.spawn(port.accept());
        }
        Ok(server)
    }

    /// Takes no more connections, lets messages in progress end within `grace`, then closes what is left.
    pub async fn stop(self, grace: Duration) {
        self.stop.cancel();
        self.tasks.close();
        if tokio::time::timeout(grace, self.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!(
                sessions = self.tasks.len(),
                "sessions broken off at shutdown"
            );
            self.break_off.cancel();
            self.tasks.wait().await;
        }
    }
}

struct Port {
    socket: TcpListener,
    number: u16,
    listener: Arc<Listener>,
    parts: Arc<ServerParts>,
    tasks: TaskTracker,
    stop: CancellationToken,
    break_off: CancellationToken,
    sessions: Arc<AtomicU64>,
    shortage: Arc<Shortage>,
}

impl Port {
    async fn accept(self) {
        let mut in_a_row = 0_u64;
        loop {
            in_a_row = in_a_row.wrapping_add(1);
            if in_a_row.is_multiple_of(ACCEPTS) {
                // Those who are connected already are served between floods of those who are not.
                tokio::task::yield_now().await;
            }
            let accepted = tokio::select! {
                accepted = self.socket.accept() => accepted,
                () = self.stop.cancelled() => return,
            };
            match accepted {
                // A port that a panic ended would be deaf for ever. The hook has told of it.
                Ok((stream, peer)) => {
                    let _begun = contain(|| self.begin(stream, peer));
                }
                Err(error) if is_of_connection(&error) => {}
                Err(error) => {
                    // Thousands of ports may say so at once; one of them is heard.
                    if self.shortage.note(self.parts.clock.instant()) {
                        let alert = Kind::SystemError;
                        tracing::error!(%alert, error = %error, "cannot accept connections");
                        let text = format!(
                            "Connections cannot be accepted: {error}. Clients wait or fail meanwhile."
                        );
                        self.parts.alerts.raise(Alert::new(alert, text));
                    }
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn begin(&self, stream: TcpStream, peer: SocketAddr) {
        let peer = peer.ip().to_canonical();
        let now = self.parts.clock.instant();
        let client = Some(peer).filter(|peer| !self.listener.is_balancer(*peer));
        let standing = Standing::of(client, &self.parts.authenticator);
        let gate = &self.parts.gate;
        let Some(passes) = self.listener.admit(gate, client, standing, now) else {
            return arrival::refuse(&stream, peer, self.number, &self.parts);
        };
        if passes.took_place()
            && let Some(closed) = self.parts.gate.made_room(now)
        {
            tracing::warn!(closed, "clients without a login make room");
        }
        let _unset = stream.set_nodelay(true);
        let (local_port, listener) = (self.number, Arc::clone(&self.listener));
        let session = self.sessions.fetch_add(1, Ordering::Relaxed);
        let (parts, stop) = (Arc::clone(&self.parts), self.stop.clone());
        let break_off = self.break_off.clone();
        let serve = move |stream| {
            let arrival = Arrival {
                stream,
                peer,
                local_port,
                session,
                listener,
                passes,
            };
            // On the heap before it is wrapped, since each wrapping would have room for it again.
            let serve = Box::pin(arrival.serve(parts, stop));
            async move {
                let _broken_off = break_off.run_until_cancelled(serve).await;
            }
        };
        match (standing, &self.parts.strangers) {
            (Standing::Stranger, Some(runtime)) => {
                // Its runtime takes it over by itself: this one waits for none of its locks.
                let stream = stream.into_std();
                let serve = async move {
                    // There may be no room for it at the kernel; the client sees it closed.
                    if let Ok(stream) = stream.and_then(TcpStream::from_std) {
                        serve(stream).await;
                    }
                };
                self.tasks.spawn_on(serve, runtime)
            }
            (Standing::Familiar, _) | (_, None) => self.tasks.spawn(serve(stream)),
        };
    }
}

/// Errors of one connection that failed while it waited; the port is well.
fn is_of_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionReset | Interrupted
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock as _, SystemClock};

    #[test]
    fn a_flood_that_takes_all_file_descriptors_does_not_flood_the_log() {
        let (shortage, now) = (Shortage::default(), SystemClock.instant());
        assert!(shortage.note(now));
        let soon = (1..600).map(|tenths| now + Duration::from_millis(100) * tenths);
        assert_eq!(soon.filter(|now| shortage.note(*now)).count(), 0);
        assert!(shortage.note(now + TOLD_EVERY));
    }
}
