//! A message's octets, read in pieces on their way from the spool to an upstream.

use std::io;

use async_trait::async_trait;
use bytes::Bytes;

/// The octets of a stored message: header and body, lines ended by CRLF, dots not stuffed.
#[async_trait]
pub trait Body: Send {
    /// Returns the number of octets that [`Body::next`] gives in all.
    fn size(&self) -> u64;

    /// Returns the next piece, never empty, or `None` at the end.
    ///
    /// Cancel safe: a dropped call loses no octets.
    ///
    /// # Errors
    /// The store cannot be read, or what it holds is damaged. After an error the body gives nothing more.
    async fn next(&mut self) -> io::Result<Option<Bytes>>;

    /// Begins again: the next piece is the first one.
    ///
    /// # Errors
    /// The body has failed before; it stays at its end.
    fn rewind(&mut self) -> io::Result<()>;
}

/// A body that is in memory already.
#[derive(Debug)]
pub struct InMemory {
    octets: Bytes,
    is_read: bool,
}

impl InMemory {
    /// Makes a body of `octets`.
    pub fn new(octets: Bytes) -> Self {
        Self {
            octets,
            is_read: false,
        }
    }
}

#[async_trait]
impl Body for InMemory {
    fn size(&self) -> u64 {
        self.octets.len() as u64
    }

    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        let is_left = !self.is_read && !self.octets.is_empty();
        self.is_read = true;
        Ok(is_left.then(|| self.octets.clone()))
    }

    fn rewind(&mut self) -> io::Result<()> {
        self.is_read = false;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_in_memory_is_given_once() {
        let mut body = InMemory::new(Bytes::from_static(b"a\r\n"));
        assert_eq!(body.next().await.unwrap().unwrap(), "a\r\n");
        assert_eq!(body.next().await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_body_that_is_rewound_is_given_again() {
        let mut body = InMemory::new(Bytes::from_static(b"a\r\n"));
        body.rewind().unwrap();
        for _ in 0..2 {
            assert_eq!(body.next().await.unwrap().unwrap(), "a\r\n");
            assert_eq!(body.next().await.unwrap(), None);
            body.rewind().unwrap();
        }
    }
}
