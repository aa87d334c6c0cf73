use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::body::InMemory;
use crate::dkim::verify::verify;
use crate::dkim::{Algorithm, Canonicalization, Key, KeyRecord, Selector, Signer, Subdomains};
use crate::mail::{Domain, ReversePath};

use super::*;

const NOW: Timestamp = Timestamp::from_unix_millis(1_800_000_000_000);

/// A body in pieces that counts how often one is read.
struct Pieces {
    octets: Bytes,
    next: usize,
    size: usize,
    reads: Arc<AtomicUsize>,
    fails_at: Option<usize>,
}

#[async_trait]
impl Body for Pieces {
    fn size(&self) -> u64 {
        self.octets.len() as u64
    }

    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        let reads = self.reads.fetch_add(1, Ordering::Relaxed);
        if Some(reads) == self.fails_at {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let end = (self.next + self.size).min(self.octets.len());
        let piece = self.octets.slice(self.next..end);
        self.next = end;
        Ok(Some(piece).filter(|piece| !piece.is_empty()))
    }

    fn rewind(&mut self) -> io::Result<()> {
        self.next = 0;
        Ok(())
    }
}

/// What leaves, and how often a piece was read before it did.
struct Left {
    octets: Vec<u8>,
    reads: usize,
    is_as_stored: bool,
}

struct Fixture {
    envelope: Envelope,
    offer: Extensions,
    signers: Signers,
    eight_bit: Unfit,
    long_lines: Unfit,
}

impl Fixture {
    fn new(offer: &[&str]) -> Self {
        let lines: Vec<&str> = [&["fake.example"], offer].concat();
        Self {
            envelope: Envelope::new(ReversePath::Null),
            offer: Extensions::parse(&lines),
            signers: Signers::default(),
            eight_bit: Unfit::Convert,
            long_lines: Unfit::Convert,
        }
    }

    fn known(mut self, body: BodyType, lines: Lines) -> Self {
        self.envelope.body = body;
        self.envelope.lines = lines;
        self
    }

    fn signed_by(mut self, algorithms: &[Algorithm]) -> Self {
        let signer = |algorithm: &Algorithm| Signer {
            name: "test".into(),
            domain: Domain::parse("example.com").unwrap(),
            selector: Selector::parse(algorithm.key_type()).unwrap(),
            key: Key::generate(*algorithm).unwrap(),
            subdomains: Subdomains::Signed,
            canonicalization: Canonicalization::default(),
            valid_for: None,
            expires: None,
        };
        self.signers = algorithms.iter().map(signer).collect();
        self
    }

    fn rules(&self) -> Rules<'_> {
        Rules {
            eight_bit: self.eight_bit,
            long_lines: self.long_lines,
            signers: &self.signers,
        }
    }

    async fn run(&self, message: &mut Message, reads: &AtomicUsize) -> Left {
        let prepared = message.prepare(&self.envelope, &self.offer, self.rules(), NOW);
        match prepared.await.unwrap() {
            Outgoing::Whole(octets) => Left {
                is_as_stored: matches!(octets, Cow::Borrowed(_)),
                octets: octets.into_owned(),
                reads: 0,
            },
            Outgoing::Streamed(mut body) => {
                let before = reads.load(Ordering::Relaxed);
                let mut octets = Vec::new();
                while let Some(piece) = body.next().await.unwrap() {
                    assert!(!piece.is_empty());
                    octets.extend_from_slice(&piece);
                }
                assert_eq!(body.size(), octets.len() as u64);
                Left {
                    is_as_stored: body.rewind().is_ok(),
                    octets,
                    reads: before,
                }
            }
        }
    }

    /// Prepares a message that is in memory.
    async fn whole(&self, message: &[u8]) -> Left {
        let body = Box::new(InMemory::new(Bytes::copy_from_slice(message)));
        let mut message = Message::load(body).await.unwrap();
        assert!(matches!(message, Message::Whole(_)));
        self.run(&mut message, &AtomicUsize::new(0)).await
    }

    /// Prepares it as if it were large.
    async fn streamed(&self, message: &[u8], size: usize) -> Left {
        let reads = Arc::new(AtomicUsize::new(0));
        let mut message = Message::Streamed(Box::new(Pieces {
            octets: Bytes::copy_from_slice(message),
            next: 0,
            size,
            reads: Arc::clone(&reads),
            fails_at: None,
        }));
        let left = self.run(&mut message, &reads).await;
        // What one connection did to it, another does again.
        let again = self.run(&mut message, &reads).await;
        assert_eq!(left.octets.len(), again.octets.len());
        left
    }
}

const EIGHT_BIT: &str = "From: a@example.com\r\nMIME-Version: 1.0\r\n\
                         Content-Type: text/plain; charset=utf-8\r\n\
                         Content-Transfer-Encoding: 8bit\r\n\r\nf\u{fc}r\r\n";

#[tokio::test]
async fn what_needs_nothing_leaves_as_it_is_stored_without_a_look_at_it() {
    let plain = b"From: a@example.com\r\n\r\nplain\r\n";
    let fixture = Fixture::new(&[]).known(BodyType::SevenBit, Lines::Short);
    let left = fixture.whole(plain).await;
    assert!(left.is_as_stored && left.octets == plain);
    let left = fixture.streamed(plain, 5).await;
    assert!(left.is_as_stored && left.octets == plain);
    assert_eq!(left.reads, 0);
    let fixture = Fixture::new(&["8BITMIME"]).known(BodyType::EightBitMime, Lines::Short);
    let left = fixture.streamed(EIGHT_BIT.as_bytes(), 5).await;
    assert!(left.is_as_stored && left.octets == EIGHT_BIT.as_bytes());
    assert_eq!(left.reads, 0);
}

#[tokio::test]
async fn octets_above_127_are_encoded_where_8bitmime_is_missing_and_that_is_asked_for() {
    let fixture = Fixture::new(&[]);
    let encoded = fixture.whole(EIGHT_BIT.as_bytes()).await.octets;
    assert!(encoded.is_ascii() && encoded.ends_with(b"quoted-printable\r\n\r\nf=C3=BCr\r\n"));
    for size in [1, 7, 1000] {
        assert_eq!(
            fixture.streamed(EIGHT_BIT.as_bytes(), size).await.octets,
            encoded
        );
    }
    let fixture = Fixture {
        eight_bit: Unfit::Send,
        ..fixture
    };
    assert!(fixture.whole(EIGHT_BIT.as_bytes()).await.is_as_stored);
    assert!(fixture.streamed(EIGHT_BIT.as_bytes(), 7).await.is_as_stored);
}

#[tokio::test]
async fn long_lines_are_encoded_whatever_is_offered() {
    let long = format!("From: a@example.com\r\n\r\n{}\r\n", "x".repeat(3000));
    let fixture = Fixture::new(&["8BITMIME"]).known(BodyType::SevenBit, Lines::Long);
    let left = fixture.whole(long.as_bytes()).await;
    assert!(!Gauge::of(&left.octets).has_long_lines);
    assert_eq!(
        fixture.streamed(long.as_bytes(), 100).await.octets,
        left.octets
    );
    let fixture = Fixture {
        long_lines: Unfit::Send,
        ..fixture
    };
    assert!(fixture.whole(long.as_bytes()).await.is_as_stored);
    assert!(fixture.streamed(long.as_bytes(), 100).await.is_as_stored);
}

/// What was stored before anybody looked, or made by this relay itself.
#[tokio::test]
async fn a_large_message_of_which_nothing_is_known_is_looked_at() {
    let fixture = Fixture::new(&[]);
    let left = fixture
        .streamed(b"From: a@example.com\r\n\r\nplain\r\n", 5)
        .await;
    assert!(left.is_as_stored && left.reads > 0);
    let fixture = Fixture {
        eight_bit: Unfit::Send,
        long_lines: Unfit::Send,
        ..Fixture::new(&[])
    };
    let left = fixture.streamed(EIGHT_BIT.as_bytes(), 5).await;
    assert!(left.is_as_stored && left.reads == 0);
}

#[tokio::test]
async fn what_must_not_change_leaves_whole_after_it_has_been_looked_at() {
    let signed = format!("DKIM-Signature: v=1\r\n{EIGHT_BIT}");
    for lines in [Lines::Short, Lines::Unknown] {
        let fixture = Fixture::new(&[]).known(BodyType::EightBitMime, lines);
        for message in [&*signed, "no header \u{fc}\r\n"] {
            let left = fixture.whole(message.as_bytes()).await;
            assert!(left.is_as_stored && left.octets == message.as_bytes());
            let left = fixture.streamed(message.as_bytes(), 7).await;
            assert!(left.is_as_stored && left.octets == message.as_bytes());
            assert!(left.reads > 0);
        }
    }
}

#[tokio::test]
async fn signatures_cover_what_leaves() {
    let fixture = Fixture::new(&[]).signed_by(&[Algorithm::Rsa, Algorithm::Ed25519]);
    let without_end = EIGHT_BIT.strip_suffix("\r\n").unwrap();
    for message in [
        EIGHT_BIT,
        without_end,
        "From: a@example.com\r\n\r\nplain \r\n\r\n",
    ] {
        let whole = fixture.whole(message.as_bytes()).await.octets;
        let streamed = fixture.streamed(message.as_bytes(), 7).await.octets;
        for left in [whole, streamed] {
            let mut left = String::from_utf8(left).unwrap();
            assert!(left.is_ascii());
            if !left.ends_with("\r\n") {
                left += "\r\n";
            }
            for (place, signer) in fixture.signers.all().iter().enumerate() {
                let record = KeyRecord::of(&signer.key);
                assert_eq!(verify(&left, place, record.as_str()), Ok(()), "{left}");
            }
        }
    }
}

#[tokio::test]
async fn mail_of_other_domains_is_not_signed() {
    let fixture = Fixture::new(&["8BITMIME"])
        .known(BodyType::SevenBit, Lines::Short)
        .signed_by(&[Algorithm::Ed25519]);
    let message = format!("From: a@example.net\r\n\r\n{}", "x\r\n".repeat(1000));
    assert!(fixture.whole(message.as_bytes()).await.is_as_stored);
    let left = fixture.streamed(message.as_bytes(), 100).await;
    assert!(left.is_as_stored && left.octets == message.as_bytes());
    assert_eq!(left.reads, 1, "the body does not matter");
}

#[tokio::test]
async fn what_cannot_be_read_is_an_error_wherever_it_ends() {
    let fixture = Fixture::new(&[]).signed_by(&[Algorithm::Ed25519]);
    // The look, the survey, the pass for the signature; each has four reads here.
    for fails_at in [1, 5, 10] {
        let mut message = Message::Streamed(Box::new(Pieces {
            octets: Bytes::from_static(EIGHT_BIT.as_bytes()),
            next: 0,
            size: EIGHT_BIT.len() / 3 + 1,
            reads: Arc::default(),
            fails_at: Some(fails_at),
        }));
        let prepared = message
            .prepare(&fixture.envelope, &fixture.offer, fixture.rules(), NOW)
            .await;
        assert!(prepared.is_err(), "{fails_at}");
    }
}
