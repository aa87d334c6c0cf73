//! Sessions that submit numbered messages until their connection breaks.

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
    acknowledged: Mutex<BTreeSet<u64>>,
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
            self.lock().insert(number);
        }
    }

    /// Returns the numbers that the relay has answered for.
    pub(crate) fn acknowledged(&self) -> BTreeSet<u64> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeSet<u64>> {
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
        let group = format!(
            "MAIL FROM:<load@sender.example>\r\nRCPT TO:<n{number}@sink.example>\r\nDATA\r\n"
        );
        self.output.write_all(group.as_bytes())?;
        for expected in ["250", "250", "354"] {
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
