//! A connection as replies and writes: deadlines, bounded reading, and nothing of the protocol's sense.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::timeout;

use crate::mail::Via;
use crate::smtp::reply::{ReceivedReply, ReplyParser};
use crate::tls::late_refusal;
use crate::upstream::classify::Break;

use super::login::SecretLine;
use super::pacing::Pace;
use super::transcript::Observer;

/// A stream that replies are read from and octets written to.
pub(super) trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Socket for T {}

/// A connection of any kind: plain, TLS, or in memory.
pub(super) type AnySocket = Box<dyn Socket>;

/// One connection to an upstream.
pub(super) struct Wire<S> {
    stream: S,
    /// Where it leads, and how it is encrypted.
    pub(super) via: Via,
    parser: ReplyParser,
    input: Box<[u8; READ]>,
    pub(super) observer: Observer,
}

/// The most octets read at once; replies are short.
const READ: usize = 4096;

impl<S: Socket> Wire<S> {
    pub(super) fn new(stream: S, via: Via, observer: Observer) -> Self {
        Self {
            stream,
            via,
            parser: ReplyParser::default(),
            input: Box::new([0; READ]),
            observer,
        }
    }

    /// Receives one reply. The limit is for the whole reply, however slowly it drips.
    ///
    /// Cancel safe: octets that have arrived are kept.
    pub(super) async fn reply(&mut self, limit: Duration) -> Result<ReceivedReply, Break> {
        let reply = self.unobserved(limit).await?;
        self.observer.received(&reply);
        Ok(reply)
    }

    async fn unobserved(&mut self, limit: Duration) -> Result<ReceivedReply, Break> {
        match self.parser.poll()? {
            Some(reply) => Ok(reply),
            None => timeout(limit, self.read_reply())
                .await
                .unwrap_or(Err(Break::Timeout)),
        }
    }

    async fn read_reply(&mut self) -> Result<ReceivedReply, Break> {
        loop {
            let read = self.stream.read(&mut self.input[..]).await;
            let length = read.map_err(|error| closed(&error))?;
            if length == 0 {
                return Err(Break::Closed("the upstream closed the connection".into()));
            }
            self.parser
                .receive(self.input.get(..length).unwrap_or_default());
            if let Some(reply) = self.parser.poll()? {
                return Ok(reply);
            }
        }
    }

    /// Writes a flight: so many octets of commands, then content. The limit is for any progress.
    pub(super) async fn write(
        &mut self,
        octets: &[u8],
        commands: usize,
        limit: Duration,
    ) -> Result<(), Break> {
        let shown = octets.get(..commands).unwrap_or(octets);
        self.observer
            .sent(shown, octets.len().saturating_sub(commands));
        self.write_all(octets, limit).await
    }

    /// Does what [`Wire::write`] does, where the bandwidth is limited: the content waits for its turns, the commands do
    /// not. The limit is for any progress of a turn; waiting for it has its own.
    pub(super) async fn write_paced(
        &mut self,
        octets: &[u8],
        commands: usize,
        limit: Duration,
        pace: Option<&mut Pace>,
    ) -> Result<(), Break> {
        let Some(pace) = pace else {
            return self.write(octets, commands, limit).await;
        };
        let (commands, mut content) = octets.split_at_checked(commands).unwrap_or((octets, &[]));
        self.observer.sent(commands, content.len());
        if !commands.is_empty() {
            pace.count(commands.len());
            self.write_all(commands, limit).await?;
        }
        while !content.is_empty() {
            let turn = pace.turn(content.len()).await;
            let (piece, rest) = content.split_at_checked(turn).unwrap_or((content, &[]));
            self.write_all(piece, limit).await?;
            content = rest;
        }
        Ok(())
    }

    /// Sends a command and receives its reply.
    pub(super) async fn command(
        &mut self,
        line: &str,
        limit: Duration,
    ) -> Result<ReceivedReply, Break> {
        self.write(line.as_bytes(), line.len(), limit).await?;
        self.reply(limit).await
    }

    /// Sends a line that holds a secret, shown to observers as `shown`, and receives its reply, which observers do not
    /// get: it may repeat the secret.
    pub(super) async fn secret(
        &mut self,
        line: SecretLine,
        shown: &str,
        limit: Duration,
    ) -> Result<ReceivedReply, Break> {
        self.observer.sent_secret(format_args!("{shown}"));
        self.write_all(&line, limit).await?;
        self.unobserved(limit).await
    }

    async fn write_all(&mut self, mut octets: &[u8], limit: Duration) -> Result<(), Break> {
        while !octets.is_empty() {
            let written = timeout(limit, self.stream.write(octets)).await;
            let length = written
                .map_err(|_| Break::Timeout)?
                .map_err(|error| closed(&error))?;
            if length == 0 {
                return Err(closed(&io::Error::from(io::ErrorKind::WriteZero)));
            }
            octets = octets.get(length..).unwrap_or_default();
        }
        let flushed = timeout(limit, self.stream.flush()).await;
        flushed
            .map_err(|_| Break::Timeout)?
            .map_err(|error| closed(&error))
    }

    /// Returns whether no octet has been received that belongs to no reply yet taken.
    pub(super) fn is_quiet(&self) -> bool {
        self.parser.is_empty()
    }

    /// Returns whether an unused connection is still good: open, and silent. Does not wait.
    pub(super) async fn is_idle(&mut self) -> bool {
        let (stream, mut buffer) = (&mut self.stream, [0; 1]);
        let is_pending = poll_fn(|context| {
            let mut octet = ReadBuf::new(&mut buffer);
            // Whatever comes, an end, an error or a farewell: nothing was asked, so the connection is over.
            Poll::Ready(
                Pin::new(&mut *stream)
                    .poll_read(context, &mut octet)
                    .is_pending(),
            )
        });
        self.parser.is_empty() && is_pending.await
    }

    /// Says QUIT and ends the connection; waits no longer than `limit` and ignores what goes wrong.
    pub(super) async fn quit(&mut self, limit: Duration, reply: ReplyWanted) {
        let parting = async {
            self.write(b"QUIT\r\n", 6, limit).await?;
            if reply == ReplyWanted::Yes {
                self.reply(limit).await?;
            }
            self.stream.shutdown().await.map_err(|error| closed(&error))
        };
        // The mail is where it belongs; a server that does not take leave is no news.
        let _ = timeout(limit, parting).await;
    }

    /// Takes the stream out. Octets received and not yet taken are lost; see [`Wire::is_quiet`].
    pub(super) fn into_stream(self) -> S {
        self.stream
    }
}

/// Whether the reply to QUIT is awaited.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum ReplyWanted {
    No,
    Yes,
}

impl<S: Socket + 'static> Wire<S> {
    /// Forgets what kind of stream it is.
    pub(super) fn into_any(self) -> Wire<AnySocket> {
        Wire {
            stream: Box::new(self.stream),
            via: self.via,
            parser: self.parser,
            input: self.input,
            observer: self.observer,
        }
    }
}

/// Says what the system said, in words without an error number.
fn closed(error: &io::Error) -> Break {
    if let Some(refusal) = late_refusal(error) {
        return Break::Distrusted(refusal);
    }
    Break::Closed(format!("the connection broke: {error}").into())
}
