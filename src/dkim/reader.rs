//! A message on its way out, read for its signatures.

use std::sync::Arc;

use memchr::memmem;

use crate::clock::Timestamp;
use crate::mail::header::MAX_HEADER;
use crate::mail::{AddressList, Domain, Header};

use super::body::BodyHash;
use super::canonical::Form;
use super::key::Algorithm;
use super::signature::{SigningError, signature};
use super::signers::{Signer, Signers};

/// Reads a message that comes in pieces.
pub struct Reader<'s> {
    signers: &'s Signers,
    stage: Stage,
}

enum Stage {
    Body(Body),
    /// The header so far, and how far it has been searched for its end.
    Header {
        gathered: Vec<u8>,
        searched: usize,
    },
    /// Nobody signs it.
    Unneeded,
}

struct Body {
    header: Vec<u8>,
    signers: Vec<Arc<Signer>>,
    /// One for each form that is asked for.
    hashes: Vec<BodyHash>,
}

/// A message that has been read to its end and has its signers.
pub struct Unsigned(Body);

/// Room above the largest header that is taken in, for what is added on the way.
const ROOM: usize = 16 << 10;

impl<'s> Reader<'s> {
    /// Begins a message.
    pub fn new(signers: &'s Signers) -> Self {
        let stage = if signers.is_empty() {
            Stage::Unneeded
        } else {
            Stage::Header {
                gathered: Vec::new(),
                searched: 0,
            }
        };
        Self { signers, stage }
    }

    /// Returns whether the rest of the message matters.
    pub fn is_needed(&self) -> bool {
        !matches!(self.stage, Stage::Unneeded)
    }

    /// Takes the next octets.
    pub fn push(&mut self, octets: &[u8]) {
        match &mut self.stage {
            Stage::Unneeded => {}
            Stage::Body(body) => body.push(octets),
            Stage::Header { gathered, searched } => {
                gathered.extend_from_slice(octets);
                let end = header_end(gathered, *searched);
                *searched = gathered.len().saturating_sub(3);
                if end.is_none() && gathered.len() > MAX_HEADER + ROOM {
                    self.stage = Stage::Unneeded;
                }
                if let Some(end) = end {
                    self.header_ends(end);
                }
            }
        }
    }

    /// Ends the message; returns it where somebody signs it.
    pub fn finish(mut self) -> Option<Unsigned> {
        if let Stage::Header { gathered, .. } = &self.stage {
            // Without an empty line all of it is header.
            let end = gathered.len();
            self.header_ends(end);
        }
        match self.stage {
            Stage::Body(body) => Some(Unsigned(body)),
            Stage::Header { .. } | Stage::Unneeded => None,
        }
    }

    fn header_ends(&mut self, end: usize) {
        let Stage::Header { gathered, .. } = &mut self.stage else {
            return;
        };
        let mut header = std::mem::take(gathered);
        let rest = header.split_off(end.min(header.len()));
        let signers = sender(&header).map(|domain| self.signers.of(&domain));
        self.stage = match signers {
            Some(signers) if !signers.is_empty() => {
                let mut body = Body::new(header, signers);
                body.push(rest.strip_prefix(b"\r\n").unwrap_or(&rest));
                Stage::Body(body)
            }
            Some(_) | None => Stage::Unneeded,
        };
    }
}

impl Body {
    fn new(header: Vec<u8>, signers: Vec<Arc<Signer>>) -> Self {
        let is_used = |form: &Form| {
            let mut forms = signers.iter().map(|signer| signer.canonicalization.body);
            forms.any(|used| used == *form)
        };
        let forms = [Form::Relaxed, Form::Simple].into_iter().filter(is_used);
        let hashes = forms.map(BodyHash::new).collect();
        Self {
            header,
            signers,
            hashes,
        }
    }

    fn push(&mut self, octets: &[u8]) {
        for hash in &mut self.hashes {
            hash.push(octets);
        }
    }
}

impl Unsigned {
    /// Returns whether signing takes a millisecond rather than some microseconds.
    pub fn is_costly(&self) -> bool {
        let is_costly = |signer: &Arc<Signer>| signer.key.algorithm() == Algorithm::Rsa;
        self.0.signers.iter().any(is_costly)
    }

    /// Returns the configured names of the keys, for the log.
    pub fn names(&self) -> String {
        let names: Vec<_> = self.0.signers.iter().map(|signer| &*signer.name).collect();
        names.join(", ")
    }

    /// Makes the fields that go in front of the message, each with its CRLF. RSA takes about a millisecond.
    ///
    /// # Errors
    /// [`SigningError`].
    pub fn sign(self, now: Timestamp) -> Result<Vec<u8>, SigningError> {
        let Body {
            header,
            signers,
            hashes,
        } = self.0;
        let header = Header::parse(&header).map_err(|_| SigningError)?;
        let hashes: Vec<_> = hashes
            .into_iter()
            .map(|hash| (hash.form(), hash.finish()))
            .collect();
        let mut signatures = Vec::new();
        for signer in signers {
            let form = signer.canonicalization.body;
            let hash = hashes.iter().find(|(hashed, _)| *hashed == form);
            let (_, hash) = hash.ok_or(SigningError)?;
            let field = signature(&signer, &header, hash, now)?;
            signatures.extend_from_slice(field.as_bytes());
        }
        Ok(signatures)
    }
}

/// Returns where the empty line begins.
fn header_end(octets: &[u8], from: usize) -> Option<usize> {
    if octets.starts_with(b"\r\n") {
        return Some(0);
    }
    let place = memmem::find(octets.get(from..)?, b"\r\n\r\n")?;
    Some(from + place + 2)
}

/// Returns the domain of the author: the first mailbox of the only `From:`.
fn sender(header: &[u8]) -> Option<Domain> {
    let header = Header::parse(header).ok()?;
    let mut fields = header.find("From");
    let (Some(from), None) = (fields.next(), fields.next()) else {
        return None;
    };
    let list = AddressList::parse(from.value()).ok()?;
    let first = list.mailboxes().first()?;
    Some(first.domain().clone())
}

#[cfg(test)]
mod tests;
