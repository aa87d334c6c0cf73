//! Sessions that submit numbered messages until their connection breaks. Some have recipients of two routes, so that the
//! relay splits them.

use std::collections::BTreeSet;
use std::io;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// All sessions of all lives.
#[derive(Default)]
pub(crate) struct Clients {
    next: AtomicU64,
    acknowledged: Mutex<BTreeSet<Part>>,
}

/// What one recipient is to get: the number of the message, and the domain.
pub(crate) type Part = (u64, &'static str);

/// The domain that every message goes to.
pub(crate) const SINK: &str = "sink.example";

/// The domain that some messages go to besides, by another upstream.
pub(crate) const SIDE: &str = "side.example";

/// Returns where a message goes.
pub(crate) fn parts(number: u64) -> &'static [&'static str] {
    if number % 7 == 6 {
        &[SINK, SIDE]
    } else {
        &[SINK]
    }
}

impl Clients {
    /// Submits one message after the other in one session. A message counts as acknowledged when its 250 has been read
    /// to the end of the line.
    ///
    /// # Panics
    ///
    /// The relay refuses a message: nothing here gives it a reason.
    pub(crate) fn submit_until_it_breaks(&self, address: SocketAddr) {
        // The kill breaks the session; how is of no interest.
        let Ok(mut session) = Session::open(address) else {
            return;
        };
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let Ok(reply) = session.submit(number) else {
                return;
            };
            assert!(reply.starts_with("250 "), "message {number}: {reply}");
            let parts = parts(number).iter().map(|domain| (number, *domain));
            self.lock().extend(parts);
        }
    }

    /// Returns what the relay has answered for.
    pub(crate) fn acknowledged(&self) -> BTreeSet<Part> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeSet<Part>> {
        self.acknowledged
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

struct Session {
    input: BufReader<TcpStream>,
    output: TcpStream,
}

impl Session {
    fn open(address: SocketAddr) -> io::Result<Self> {
        let output = TcpStream::connect(address)?;
        output.set_nodelay(true)?;
        output.set_read_timeout(Some(Duration::from_secs(30)))?;
        let mut session = Self {
            input: BufReader::new(output.try_clone()?),
            output,
        };
        session.reply()?;
        session.output.write_all(b"EHLO load.example\r\n")?;
        session.reply()?;
        Ok(session)
    }

    fn submit(&mut self, number: u64) -> io::Result<String> {
        let recipients = parts(number).iter();
        let recipients: Vec<_> = recipients
            .map(|domain| format!("RCPT TO:<n{number}@{domain}>\r\n"))
            .collect();
        let recipients = recipients.concat();
        let group = format!("MAIL FROM:<load@sender.example>\r\n{recipients}DATA\r\n");
        self.output.write_all(group.as_bytes())?;
        let accepted = vec!["250"; 1 + parts(number).len()];
        for expected in accepted.into_iter().chain(["354"]) {
            let reply = self.reply()?;
            if !reply.starts_with(expected) {
                return Ok(reply);
            }
        }
        // Most are small; some are larger than what a relay keeps in memory.
        let lines = if number % 61 == 60 { 8000 } else { 12 };
        let body = "These are the times that try men's souls.\r\n".repeat(lines);
        let content = format!(
            "From: <load@sender.example>\r\nTo: <n{number}@sink.example>\r\n\
             Date: Sat, 21 Nov 2026 07:00:00 +0000\r\nMessage-ID: <{number}@load.example>\r\n\
             X-Number: {number}\r\n\r\n{body}.\r\n"
        );
        self.output.write_all(content.as_bytes())?;
        self.reply()
    }

    /// Reads a reply and returns its last line.
    fn reply(&mut self) -> io::Result<String> {
        loop {
            let mut line = String::new();
            self.input.read_line(&mut line)?;
            if !line.ends_with('\n') {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(line);
            }
        }
    }
}
