//! Where a session stands. Each state owns what exists in it, and nothing else.

use crate::clock::Timestamp;
use crate::mail::Envelope;
use crate::smtp::command::ChunkEnd;
use crate::smtp::data::DataDecoder;
use crate::smtp::reply::Reply;
use crate::smtp::sasl::Exchange;

/// The state of a session.
#[derive(Debug)]
pub(super) enum State {
    /// A question has been asked and not answered.
    Asking,
    /// In the middle of AUTH.
    Authenticating(Exchange),
    /// The last reply has been written.
    Closing,
    /// Connected; the greeting has not been written.
    Connected,
    /// Octets of a refused chunk are skipped; then the reply is due that refused it.
    Skipping(Skipping),
    /// STARTTLS was accepted; the handshake follows.
    Handshake,
    /// Between messages.
    Ready,
    /// The octets of a message come in.
    Receiving(Receiving),
    /// Between MAIL and the message.
    Transaction(Transaction),
}

/// What has been said of a message before it comes: one value, dropped whole by RSET.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Transaction {
    /// Reverse-path, recipients, parameters. Its MT-PRIORITY is what the client asked for.
    pub envelope: Envelope,
    /// When the message may first be relayed, where it is to be held (RFC 4865).
    pub release: Option<Timestamp>,
}

/// A message whose octets come in.
#[derive(Debug)]
pub(super) struct Receiving {
    pub(super) decoder: DataDecoder,
    pub(super) part: Part,
}

/// What of a message is being read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Part {
    /// Between two chunks: commands are read, BDAT above all.
    BetweenChunks,
    /// A chunk that others follow; so many of its octets are still to come.
    Chunk(u64),
    /// Lines, up to the dot.
    Dots,
    /// The last chunk; so many of its octets are still to come.
    LastChunk(u64),
}

/// Octets that are read and thrown away, and what is said then.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Skipping {
    pub(super) octets: u64,
    pub(super) reply: Reply,
}

/// How a message begins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Start {
    /// With BDAT.
    Chunk { size: u64, end: ChunkEnd },
    /// With DATA.
    Data,
}

impl Part {
    /// Returns the part that a BDAT command announces.
    pub(super) fn of_chunk(size: u64, end: ChunkEnd) -> Self {
        match end {
            ChunkEnd::More => Self::Chunk(size),
            ChunkEnd::Last => Self::LastChunk(size),
        }
    }
}
