//! What a message goes through last, once it is known what the upstream takes.
//!
//! First what the upstream cannot take is encoded, then the message is signed: nothing may change behind a signature. A small
//! message is changed in memory. A large one is read several times: for what it needs, for its size and the hash of its body,
//! and to be sent; never more than a piece of it is in memory. One that needs nothing is not looked at.

use std::borrow::Cow;
use std::io;

use async_trait::async_trait;
use bytes::Bytes;

use crate::body::Body;
use crate::clock::Timestamp;
use crate::dkim::{Reader, Signers, Unsigned};
use crate::mail::{BodyType, Cause, Envelope, Failure, Lines, Outcome, RecipientIndex, Stage};
use crate::mime::{AsIs, Demands, Gauge, Plan, Recoder, Shape, Survey, Verdict};
use crate::smtp::extension::Extensions;

use super::framing::{Encoder, Framing};
use super::settings::{Settings, Unfit};

/// A message as it is stored.
pub(super) enum Message {
    /// Read piece by piece.
    Streamed(Box<dyn Body>),
    /// In memory, with CRLF line ends.
    Whole(Vec<u8>),
}

/// A message as it leaves.
pub(super) enum Outgoing<'m> {
    /// Read piece by piece.
    Streamed(Box<dyn Body + 'm>),
    /// In memory, with CRLF line ends.
    Whole(Cow<'m, [u8]>),
}

/// What becomes of messages before they leave.
#[derive(Clone, Copy)]
pub(super) struct Rules<'a> {
    pub(super) eight_bit: Unfit,
    pub(super) long_lines: Unfit,
    pub(super) signers: &'a Signers,
}

/// The largest message that is held in memory and may leave in one write with its envelope, in octets.
pub(super) const WHOLE: u64 = 64 << 10;

impl<'a> Rules<'a> {
    pub(super) fn of(settings: &'a Settings) -> Self {
        Self {
            eight_bit: settings.eight_bit,
            long_lines: settings.long_lines,
            signers: &settings.signers,
        }
    }

    fn demands(self, offer: &Extensions) -> Demands {
        Demands {
            seven_bit: self.eight_bit == Unfit::Convert && !offer.eight_bit_mime,
            short_lines: self.long_lines == Unfit::Convert,
        }
    }
}

impl Message {
    /// Takes a body; reads it whole if it is small.
    ///
    /// # Errors
    /// The body cannot be read.
    pub(super) async fn load(mut body: Box<dyn Body>) -> io::Result<Self> {
        if body.size() > WHOLE {
            return Ok(Self::Streamed(body));
        }
        let size = usize::try_from(body.size()).unwrap_or_default();
        let mut octets = Vec::with_capacity(size + size / 32 + 16);
        let mut encoder = Encoder::new(Framing::Counted);
        while let Some(piece) = body.next().await? {
            encoder.encode(&piece, &mut octets);
        }
        encoder.finish(&mut octets);
        Ok(Self::Whole(octets))
    }

    /// Returns the message as it leaves for an upstream that offers this.
    ///
    /// # Errors
    /// The body cannot be read, or a signature cannot be made.
    pub(super) async fn prepare<'m>(
        &'m mut self,
        envelope: &Envelope,
        offer: &Extensions,
        rules: Rules<'_>,
        now: Timestamp,
    ) -> io::Result<Outgoing<'m>> {
        let demands = rules.demands(offer);
        match self {
            Self::Whole(octets) => {
                let octets = whole(octets, demands)?;
                let mut reader = Reader::new(rules.signers);
                reader.push(&octets);
                let octets = match reader.finish() {
                    Some(unsigned) => Cow::Owned([&sign(unsigned, now).await?, &*octets].concat()),
                    None => octets,
                };
                Ok(Outgoing::Whole(octets))
            }
            Self::Streamed(body) => {
                body.rewind()?;
                let known = known(envelope);
                let body = streamed(&mut **body, known, demands, (rules.signers, now)).await?;
                Ok(Outgoing::Streamed(body))
            }
        }
    }
}

/// Encodes what the upstream cannot take in a message that is in memory.
fn whole(octets: &[u8], demands: Demands) -> io::Result<Cow<'_, [u8]>> {
    if !is_unfit(Gauge::of(octets), demands) {
        return Ok(Cow::Borrowed(octets));
    }
    let mut survey = Survey::new(demands);
    survey.push(octets);
    let Some(plan) = plan(survey.finish()) else {
        return Ok(Cow::Borrowed(octets));
    };
    let mut out = Vec::with_capacity(octets.len() + octets.len() / 2);
    let mut recoder = Recoder::new(plan);
    recoder.push(octets, &mut out).map_err(io::Error::other)?;
    recoder.finish(&mut out).map_err(io::Error::other)?;
    Ok(Cow::Owned(out))
}

/// Encodes what the upstream cannot take in a message that is read piece by piece, and signs it.
async fn streamed<'m>(
    body: &'m mut dyn Body,
    known: Option<Shape>,
    demands: Demands,
    (signers, now): (&Signers, Timestamp),
) -> io::Result<Box<dyn Body + 'm>> {
    let shape = match known {
        Some(shape) => shape,
        None if demands == NONE => Shape::default(),
        None => gauge(body).await?,
    };
    let plan = if is_unfit(shape, demands) {
        survey(body, demands).await?
    } else {
        None
    };
    let mut reader = Reader::new(signers);
    if plan.is_none() && !reader.is_needed() {
        return as_stored(body);
    }
    let mut pass = Pass::new(body, plan.clone())?;
    let (mut size, mut out) = (0, Vec::new());
    while pass.next(&mut out).await? {
        size += out.len() as u64;
        reader.push(&out);
        if plan.is_none() && !reader.is_needed() {
            // Nobody signs it; it goes as it is.
            break;
        }
        out.clear();
    }
    let body = pass.into_body();
    let signatures = match reader.finish() {
        Some(unsigned) => sign(unsigned, now).await?,
        None if plan.is_none() => return as_stored(body),
        None => Vec::new(),
    };
    Ok(Box::new(Changed {
        size: size + signatures.len() as u64,
        front: Some(Bytes::from(signatures)),
        pass: Pass::new(body, plan)?,
    }))
}

const NONE: Demands = Demands {
    seven_bit: false,
    short_lines: false,
};

/// What is known of a message without a look at it.
fn known(envelope: &Envelope) -> Option<Shape> {
    let has_long_lines = match envelope.lines {
        Lines::Long => true,
        Lines::Short => false,
        Lines::Unknown => return None,
    };
    Some(Shape {
        is_eight_bit: envelope.body != BodyType::SevenBit,
        has_long_lines,
    })
}

fn is_unfit(shape: Shape, demands: Demands) -> bool {
    (demands.seven_bit && shape.is_eight_bit) || (demands.short_lines && shape.has_long_lines)
}

async fn gauge(body: &mut dyn Body) -> io::Result<Shape> {
    let mut gauge = Gauge::default();
    while let Some(piece) = body.next().await? {
        gauge.push(&piece);
    }
    body.rewind()?;
    Ok(gauge.shape())
}

async fn survey(body: &mut dyn Body, demands: Demands) -> io::Result<Option<Plan>> {
    let mut survey = Survey::new(demands);
    let (mut pass, mut out) = (Pass::new(body, None)?, Vec::new());
    while pass.next(&mut out).await? {
        survey.push(&out);
        out.clear();
    }
    Ok(plan(survey.finish()))
}

fn plan(verdict: Verdict) -> Option<Plan> {
    match verdict {
        Verdict::AsIs(AsIs::Fits) => None,
        Verdict::AsIs(reason) => {
            let reason = reason.as_str();
            tracing::debug!(reason, "sent as it is, which the upstream may not take");
            None
        }
        Verdict::Recode(plan) => {
            tracing::debug!("encoded for the upstream");
            Some(plan)
        }
    }
}

/// Makes the signatures. RSA takes a millisecond or so, too long for a thread that serves connections.
async fn sign(unsigned: Unsigned, now: Timestamp) -> io::Result<Vec<u8>> {
    tracing::debug!(keys = %unsigned.names(), "signed");
    let signed = if unsigned.is_costly() {
        let signing = tokio::task::spawn_blocking(move || unsigned.sign(now));
        signing.await.map_err(io::Error::other)?
    } else {
        unsigned.sign(now)
    };
    signed.map_err(io::Error::other)
}

/// What becomes of recipients whose message cannot be read or signed.
pub(super) fn unreadable(
    recipients: &[RecipientIndex],
    error: &io::Error,
) -> Vec<(RecipientIndex, Outcome)> {
    let text = format!("the stored message cannot be read: {error}");
    let failure = Failure::new(Stage::Content, Cause::Broken(text.into()));
    let outcome = |&index| (index, Outcome::Deferred(failure.clone()));
    recipients.iter().map(outcome).collect()
}

/// One way through a message, from its first octet on, as a plan says.
struct Pass<'m> {
    body: &'m mut dyn Body,
    encoder: Option<Encoder>,
    recoder: Option<Recoder>,
    /// A piece with CRLF line ends, on its way into the recoder.
    piece: Vec<u8>,
}

impl<'m> Pass<'m> {
    fn new(body: &'m mut dyn Body, plan: Option<Plan>) -> io::Result<Self> {
        body.rewind()?;
        Ok(Self {
            body,
            encoder: Some(Encoder::new(Framing::Counted)),
            recoder: plan.map(Recoder::new),
            piece: Vec::new(),
        })
    }

    fn into_body(self) -> &'m mut dyn Body {
        self.body
    }

    /// Appends what comes next; returns whether there may be more.
    async fn next(&mut self, out: &mut Vec<u8>) -> io::Result<bool> {
        let Some(encoder) = &mut self.encoder else {
            return Ok(false);
        };
        let piece = self.body.next().await?;
        self.piece.clear();
        match &piece {
            Some(piece) => encoder.encode(piece, &mut self.piece),
            None => encoder.finish(&mut self.piece),
        }
        match &mut self.recoder {
            None => out.extend_from_slice(&self.piece),
            Some(recoder) => recoder.push(&self.piece, out).map_err(io::Error::other)?,
        }
        if piece.is_none() {
            self.encoder = None;
            if let Some(recoder) = self.recoder.take() {
                recoder.finish(out).map_err(io::Error::other)?;
            }
        }
        Ok(true)
    }
}

/// A message with signatures in front, or written anew.
struct Changed<'m> {
    size: u64,
    front: Option<Bytes>,
    pass: Pass<'m>,
}

#[async_trait]
impl Body for Changed<'_> {
    fn size(&self) -> u64 {
        self.size
    }

    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        if let Some(front) = self.front.take()
            && !front.is_empty()
        {
            return Ok(Some(front));
        }
        let mut out = Vec::new();
        while out.is_empty() && self.pass.next(&mut out).await? {}
        Ok(Some(out).filter(|out| !out.is_empty()).map(Bytes::from))
    }

    fn rewind(&mut self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Gives a body out as it is, from its first octet on: it may have been looked at.
fn as_stored(body: &mut dyn Body) -> io::Result<Box<dyn Body + '_>> {
    body.rewind()?;
    Ok(Box::new(AsStored(body)))
}

/// A message as it is stored.
struct AsStored<'m>(&'m mut dyn Body);

#[async_trait]
impl Body for AsStored<'_> {
    fn size(&self) -> u64 {
        self.0.size()
    }

    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        self.0.next().await
    }

    fn rewind(&mut self) -> io::Result<()> {
        self.0.rewind()
    }
}

#[cfg(test)]
mod tests;
