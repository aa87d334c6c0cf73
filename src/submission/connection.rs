//! One connection: moves octets between the socket and its session, keeps the session's deadlines, and fetches the
//! answers to its questions.

use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use crate::smtp::server::{Began, CertificateRule, Session, Settings, Step, TlsFacts, TlsMode};

use super::decide::Decider;
use super::handshake::hint;
use super::listener::Passes;
use super::mistakes::{Mistake, Topic};
use super::parts::ServerParts;
use super::standing::Standing;
use super::stream::Stream;
use super::turns::Turn;

/// The longest time that a client may take to read a reply.
const WRITE: std::time::Duration = std::time::Duration::from_mins(2);

/// A connection that has been accepted.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) stream: TcpStream,
    /// The client's address, IPv4 as such; that of a balancer which does not name the client.
    pub(super) address: IpAddr,
    /// The client's address, where that is known: who is trusted for it is.
    pub(super) known: Option<IpAddr>,
    /// The number of its session, for the log and for refusals.
    pub(super) session: u64,
    /// Its place among the connections.
    pub(super) passes: Passes,
}

/// Serves one connection to its end.
pub(super) async fn serve(
    client: Accepted,
    settings: Arc<Settings>,
    parts: Arc<ServerParts>,
    stop: CancellationToken,
) {
    let Accepted {
        stream,
        address,
        known,
        session,
        passes,
    } = client;
    let accounts = parts.authenticator.accounts();
    let neighbour = known.and_then(|address| accounts.of_network(address));
    let label = format!("session {session}");
    let began = Began {
        instant: parts.clock.instant(),
        civil: parts.clock.now(),
    };
    let decider = Decider::new(Arc::clone(&parts), (address, known), session);
    let session = Session::new(Arc::clone(&settings), neighbour, &label, began);
    let standing = Standing::of(known, &parts.authenticator);
    // On the heap: a future that moves what it holds has room for it twice.
    let mut connection = Box::new(Connection {
        session,
        settings,
        parts,
        decider,
        passes,
        is_known: false,
        standing,
        turn: None,
        stop,
    });
    match connection.run(Stream::Plain(stream)).await {
        Ok(()) => tracing::debug!("session closed"),
        Err(error) => tracing::debug!(error = %error, "session broken"),
    }
}

struct Connection {
    session: Session,
    settings: Arc<Settings>,
    parts: Arc<ServerParts>,
    decider: Decider,
    passes: Passes,
    /// Whether the client has shown who it is, so that nobody else gets its place.
    is_known: bool,
    standing: Standing,
    /// A stranger's turn to have something computed.
    turn: Option<Turn>,
    stop: CancellationToken,
}

impl Connection {
    /// Most of the time a session waits, and thousands do at once. What it does seldom has its room on the heap while it
    /// lasts, so that waiting takes none.
    async fn run(&mut self, mut stream: Stream) -> io::Result<()> {
        if self.settings.tls == TlsMode::Implicit {
            if let Some(mistake) = self.mistake_before_tls(&stream).await? {
                return self.turn_away(mistake, stream).await;
            }
            stream = Box::pin(self.handshake(stream)).await?;
        }
        self.note_identity();
        self.take_turn().await?;
        loop {
            match self.session.poll(self.parts.clock.instant()) {
                Step::Ask(question) => {
                    self.turn = None;
                    let client = Some(&stream);
                    Box::pin(self.decider.answer(question, &mut self.session, client)).await;
                    self.note_identity();
                }
                Step::Body(octets) => Box::pin(self.decider.body(octets)).await,
                Step::Close => {
                    self.turn = None;
                    if let Some(foreign) = self.session.foreign() {
                        self.note(Mistake::Foreign(foreign));
                    }
                    let _unread = self.in_time(stream.close()).await;
                    return Ok(());
                }
                Step::Discard => self.decider.discard(),
                Step::Read { deadline } => {
                    self.turn = None;
                    self.read(&mut stream, deadline).await?;
                    self.take_turn().await?;
                }
                Step::StartTls => {
                    self.turn = None;
                    stream = Box::pin(self.handshake(stream)).await?;
                }
                Step::Write(octets) => self.write(&mut stream, &octets).await?,
            }
        }
    }

    fn note_identity(&mut self) {
        if !self.is_known && self.session.identity().is_some() {
            self.is_known = true;
            self.passes.keep();
        }
    }

    /// Waits for a stranger's turn, unless another client needs its place first.
    async fn take_turn(&mut self) -> io::Result<()> {
        if self.is_known || self.standing == Standing::Familiar {
            return Ok(());
        }
        tokio::select! {
            biased;
            turn = self.parts.turns.next() => self.turn = turn,
            () = self.passes.lost() => return Err(io::ErrorKind::ConnectionAborted.into()),
        }
        Ok(())
    }

    /// Writes. Who does not read what is written loses its turn.
    async fn write(&mut self, stream: &mut Stream, octets: &[u8]) -> io::Result<()> {
        let mut turn = self.turn.take();
        let written = {
            let mut write = pin!(self.in_time(stream.write(octets)));
            match poll_fn(|context| Poll::Ready(write.as_mut().poll(context))).await {
                Poll::Ready(written) => written?,
                Poll::Pending => {
                    turn = None;
                    write.await?
                }
            }
        };
        self.turn = turn;
        written
    }

    /// Gives a client time to take what is written; none, once another has its place.
    async fn in_time<T>(&self, write: impl Future<Output = T>) -> io::Result<T> {
        tokio::select! {
            biased;
            written = tokio::time::timeout(WRITE, write) => {
                written.map_err(|_| io::ErrorKind::TimedOut.into())
            }
            () = self.passes.lost() => Err(io::ErrorKind::ConnectionAborted.into()),
        }
    }

    /// Reads once, unless the deadline passes, the server stops or another client needs the place first.
    async fn read(&mut self, stream: &mut Stream, deadline: std::time::Instant) -> io::Result<()> {
        let is_stopping = self.session.is_stopping();
        let read = stream.read_into(&mut self.session);
        tokio::select! {
            biased;
            read = read => match read? {
                0 => Err(io::ErrorKind::UnexpectedEof.into()),
                _ => Ok(()),
            },
            // The session looks at the time itself when it is polled.
            () = tokio::time::sleep_until(deadline.into()) => Ok(()),
            () = self.stop.cancelled(), if !is_stopping => {
                self.session.stop();
                Ok(())
            }
            () = self.passes.lost(), if !is_stopping => {
                self.session.make_room();
                Ok(())
            }
        }
    }

    /// Looks at how the client begins where TLS comes first; returns what it does instead.
    async fn mistake_before_tls(&self, stream: &Stream) -> io::Result<Option<Mistake>> {
        let opening = tokio::time::timeout(self.settings.timeouts.handshake, stream.opening());
        let opening = tokio::select! {
            opening = opening => opening,
            () = self.stop.cancelled() => return Err(io::ErrorKind::ConnectionAborted.into()),
            () = self.passes.lost() => return Err(io::ErrorKind::ConnectionAborted.into()),
        };
        match opening {
            Ok(Ok(opening)) if opening.is_empty() => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(Ok(opening)) => Ok(Mistake::before_tls(&opening)),
            Ok(Err(error)) => Err(error),
            Err(_) => Ok(Some(Mistake::Silent)),
        }
    }

    /// Answers a client that does not begin with TLS where that comes first, in plain text as it speaks itself.
    async fn turn_away(&self, mistake: Mistake, mut stream: Stream) -> io::Result<()> {
        self.note(mistake);
        if let Some(reply) = mistake.reply() {
            stream.drain();
            let told = async {
                let _unread = stream.write(&reply.line()).await;
                stream.close().await;
            };
            let _unread = self.in_time(told).await;
        }
        Ok(())
    }

    fn note(&self, mistake: Mistake) {
        let now = self.parts.clock.instant();
        let topic = Topic::Mistake(mistake);
        let Some(times) = self.parts.mistakes.note(self.decider.peer, topic, now) else {
            return;
        };
        let hint = mistake.hint();
        match mistake {
            Mistake::Foreign(protocol) => {
                tracing::info!(%protocol, times, hint, "client speaks another protocol");
            }
            Mistake::PlainText => tracing::info!(
                times,
                hint,
                "client speaks plain text where TLS comes first"
            ),
            Mistake::Silent => {
                tracing::info!(times, hint, "client is silent where TLS comes first");
            }
        }
    }

    async fn handshake(&mut self, stream: Stream) -> io::Result<Stream> {
        let tls = self.parts.tls.as_ref();
        let tls = tls.ok_or_else(|| io::Error::other("no certificate"))?;
        let rule = self.settings.certificates;
        let config = match rule {
            CertificateRule::Off => tls.current(),
            CertificateRule::Requested | CertificateRule::Required => tls.asking(),
        };
        let handshake = stream.start_tls(config, (&self.parts.handshakes, self.standing));
        let handshake = tokio::time::timeout(self.settings.timeouts.handshake, handshake);
        let stream = tokio::select! {
            stream = handshake => stream.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?,
            // Nobody is inside a message yet.
            () = self.stop.cancelled() => return Err(io::ErrorKind::ConnectionAborted.into()),
            () = self.passes.lost() => return Err(io::ErrorKind::ConnectionAborted.into()),
        };
        let stream = stream.inspect_err(
            |error| tracing::info!(error = %error, hint = hint(error), "TLS handshake failed"),
        )?;
        if let Some(facts) = stream.tls_facts(&self.settings.mechanisms) {
            let certificate = self.decider.shown(stream.client_certificates(), rule);
            self.session.tls_started(TlsFacts {
                certificate,
                ..facts
            });
        }
        Ok(stream)
    }
}

#[cfg(test)]
mod tests {
    use std::mem::size_of;

    use super::*;

    /// Returns the size of the future that a function gives.
    fn size_of_future<A, B, C, D, F>(_: fn(A, B, C, D) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn a_waiting_connection_takes_less_than_four_kibibytes() {
        let octets = size_of_future(serve) + size_of::<Connection>();
        assert!(octets < 4096, "{octets}");
    }
}
