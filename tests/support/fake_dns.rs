//! A name server on UDP that answers for TXT records what a test tells it to, and knows nothing else.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};

/// What it answers for a name.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// The name exists, and has no record of the kind.
    Empty,
    /// SERVFAIL.
    Failure,
    /// Nothing at all.
    Silence,
    /// Records, each of these strings.
    Texts(Vec<Vec<String>>),
}

/// A running name server; its thread ends with the process.
pub(crate) struct FakeDns {
    answers: Arc<Mutex<HashMap<String, Answer>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl FakeDns {
    /// Starts one at this address.
    pub(crate) fn start(address: SocketAddr) -> io::Result<Self> {
        let socket = UdpSocket::bind(address)?;
        let dns = Self {
            answers: Arc::default(),
            asked: Arc::default(),
        };
        let (answers, asked) = (Arc::clone(&dns.answers), Arc::clone(&dns.asked));
        std::thread::spawn(move || {
            let mut query = [0; 1500];
            while let Ok((count, client)) = socket.recv_from(&mut query) {
                let Some((name, kind, end)) = question(&query[..count]) else {
                    continue;
                };
                asked.lock().unwrap().push(name.clone());
                let known = answers.lock().unwrap().get(&name).cloned();
                if let Some(reply) = reply(&query[..end], kind, known) {
                    let _gone = socket.send_to(&reply, client);
                }
            }
        });
        Ok(dns)
    }

    /// Says what is answered for a name from now on; every other name does not exist.
    pub(crate) fn set(&self, name: &str, answer: Answer) {
        let mut answers = self.answers.lock().unwrap();
        answers.insert(name.to_owned(), answer);
    }

    /// Returns how often it was asked for a name.
    pub(crate) fn count(&self, name: &str) -> usize {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|asked| *asked == name).count()
    }
}

const TXT: u16 = 16;
const SOA: u16 = 6;

/// An hour, in seconds: whoever keeps answers keeps these for the whole test.
const KEPT: [u8; 4] = 3600_u32.to_be_bytes();

/// Returns name and type of a query, and where its question ends (RFC 1035 §4.1).
fn question(query: &[u8]) -> Option<(String, u16, usize)> {
    let mut labels = Vec::new();
    let mut at = 12;
    loop {
        let length = usize::from(*query.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        let label = query.get(at..at + length)?;
        labels.push(String::from_utf8_lossy(label).to_ascii_lowercase());
        at += length;
    }
    let kind = query.get(at..at + 2)?;
    Some((
        labels.join("."),
        u16::from_be_bytes([kind[0], kind[1]]),
        at + 4,
    ))
}

fn reply(query: &[u8], kind: u16, known: Option<Answer>) -> Option<Vec<u8>> {
    let (code, texts) = match known {
        None => (3, Vec::new()),
        Some(Answer::Failure) => (2, Vec::new()),
        Some(Answer::Silence) => return None,
        Some(Answer::Texts(texts)) if kind == TXT => (0, texts),
        Some(Answer::Empty | Answer::Texts(_)) => (0, Vec::new()),
    };
    let count = u16::try_from(texts.len()).unwrap();
    let says_no = u16::from(texts.is_empty() && code != 2);
    let mut reply = query.get(..2)?.to_vec();
    reply.extend([0x85, 0x80 | code, 0, 1]);
    reply.extend(count.to_be_bytes());
    reply.extend(says_no.to_be_bytes());
    reply.extend([0, 0]);
    reply.extend(query.get(12..)?);
    for strings in texts {
        let mut data = Vec::new();
        for string in strings {
            data.push(u8::try_from(string.len()).unwrap());
            data.extend(string.as_bytes());
        }
        // The name is that of the question.
        reply.extend([0xc0, 12]);
        put(&mut reply, TXT, &data);
    }
    if says_no > 0 {
        // For the root, with the time for which the denial may be kept in its last field (RFC 2308 §5).
        let data = [&[0, 0][..], &[0; 16], &KEPT].concat();
        reply.push(0);
        put(&mut reply, SOA, &data);
    }
    Some(reply)
}

fn put(reply: &mut Vec<u8>, kind: u16, data: &[u8]) {
    reply.extend(kind.to_be_bytes());
    reply.extend([0, 1]);
    reply.extend(KEPT);
    reply.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
    reply.extend(data);
}
