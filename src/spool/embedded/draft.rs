//! Messages while they are received: small ones in memory, larger ones in a file that no record names yet.

use std::any::Any;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};

use crate::mail::QueueId;
use crate::spool::{Draft, SpoolError};

use super::disk::DiskFile;
use super::message::{BodyPlace, CHUNK};
use super::queue::{Chore, Fault};
use super::read::body_path;
use super::shared::Shared;

/// The octets of a message that has no file of its own, at most.
pub(super) const LARGEST_INLINE: usize = 256 << 10;

/// What a file of a message that is being received is called beyond the message's id.
pub(super) const TEMPORARY: &str = ".tmp";

/// The directory of the messages' files.
pub(super) const BODIES: &str = "bodies";

/// A message that is being received.
pub(super) struct EmbeddedDraft {
    id: QueueId,
    size: u64,
    shared: Arc<Shared>,
    content: Content,
    counted: Counted,
}

/// What of a draft is counted as memory, until this is dropped.
pub(super) struct Counted {
    shared: Arc<Shared>,
    octets: usize,
}

impl Counted {
    fn set(&mut self, octets: usize) {
        let drafts = &self.shared.gauge.drafts;
        drafts.fetch_add(octets, Ordering::Relaxed);
        drafts.fetch_sub(self.octets, Ordering::Relaxed);
        self.octets = octets;
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.set(0);
    }
}

enum Content {
    File(BodyWriter),
    /// A write has failed or was given up.
    Lost,
    Memory(BytesMut),
}

/// The octets of a message that is complete.
pub(super) enum Complete {
    File(BodyFile),
    Memory(Bytes),
}

/// A message's own file, durable under its last name; removed unless [`BodyFile::keep`] says otherwise.
pub(super) struct BodyFile {
    pub(super) crcs: Vec<u32>,
    guard: FileGuard,
}

impl BodyFile {
    /// Returns where the octets are.
    pub(super) fn place(&self) -> BodyPlace {
        BodyPlace::File {
            crcs: self.crcs.clone(),
        }
    }

    /// Leaves the file to the committer: a record will name it.
    pub(super) fn keep(mut self) {
        self.guard.path.clear();
    }
}

impl EmbeddedDraft {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            id: shared.next_id(),
            size: 0,
            counted: Counted {
                shared: Arc::clone(&shared),
                octets: 0,
            },
            shared,
            content: Content::Memory(BytesMut::new()),
        }
    }

    /// Returns id, size and content of a complete draft, a file of which is durable then, and what keeps its memory
    /// counted.
    pub(super) async fn complete(
        mut self,
    ) -> Result<((QueueId, u64), Complete, Counted), SpoolError> {
        let complete = match std::mem::replace(&mut self.content, Content::Lost) {
            Content::File(writer) => {
                let id = self.id;
                let finished = self.shared.blocking(move || writer.finish(id)).await;
                self.counted.set(0);
                Complete::File(finished.map_err(|error| Fault::from(&error))?)
            }
            Content::Memory(octets) => {
                let octets = compact(octets);
                self.counted.set(octets.len());
                Complete::Memory(octets)
            }
            Content::Lost => return Err(lost()),
        };
        Ok(((self.id, self.size), complete, self.counted))
    }

    /// Returns how many octets may stay in memory.
    fn limit(&self) -> usize {
        let drafts = self.shared.gauge.drafts.load(Ordering::Relaxed);
        if drafts > self.shared.settings.memory_budget {
            CHUNK
        } else {
            LARGEST_INLINE
        }
    }

    /// Writes to the draft's file, which is made where there is none yet.
    async fn write_to_file(
        &mut self,
        writer: Option<BodyWriter>,
        pieces: [Bytes; 2],
    ) -> Result<(), SpoolError> {
        let (shared, id) = (Arc::clone(&self.shared), self.id);
        let written = self
            .shared
            .blocking(move || {
                let mut writer = match writer {
                    Some(writer) => writer,
                    None => BodyWriter::create(shared, id)?,
                };
                for piece in pieces {
                    writer.write(piece)?;
                }
                Ok(writer)
            })
            .await;
        self.content = Content::File(written.map_err(|error| Fault::from(&error))?);
        self.counted.set(CHUNK);
        Ok(())
    }
}

#[async_trait]
impl Draft for EmbeddedDraft {
    fn id(&self) -> QueueId {
        self.id
    }

    fn size(&self) -> u64 {
        self.size
    }

    async fn write(&mut self, octets: Bytes) -> Result<(), SpoolError> {
        self.size += octets.len() as u64;
        match std::mem::replace(&mut self.content, Content::Lost) {
            Content::Lost => Err(lost()),
            Content::Memory(mut memory) if memory.len() + octets.len() <= self.limit() => {
                memory.extend_from_slice(&octets);
                self.counted.set(memory.capacity());
                self.content = Content::Memory(memory);
                Ok(())
            }
            Content::Memory(memory) => self.write_to_file(None, [memory.freeze(), octets]).await,
            Content::File(mut writer) if writer.chunk.len() + octets.len() < CHUNK => {
                writer.chunk.extend_from_slice(&octets);
                self.content = Content::File(writer);
                Ok(())
            }
            Content::File(writer) => {
                self.write_to_file(Some(writer), [octets, Bytes::new()])
                    .await
            }
        }
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}

/// Gives back what growing has taken too much; the octets may stay in the cache for long.
fn compact(octets: BytesMut) -> Bytes {
    if octets.capacity() > octets.len() + octets.len() / 4 {
        return Bytes::copy_from_slice(&octets);
    }
    octets.freeze()
}

fn lost() -> SpoolError {
    let kind = io::ErrorKind::InvalidInput;
    SpoolError::Unavailable(io::Error::new(kind, "an earlier write of the draft failed"))
}

/// A message's own file while it is written.
pub(super) struct BodyWriter {
    file: Box<dyn DiskFile>,
    guard: FileGuard,
    chunk: BytesMut,
    crcs: Vec<u32>,
}

impl BodyWriter {
    /// Makes the file. Blocks.
    pub(super) fn create(shared: Arc<Shared>, id: QueueId) -> io::Result<Self> {
        let path = format!("{}{TEMPORARY}", body_path(id));
        let file = shared.disk.create(&path, 0)?;
        Ok(Self {
            file,
            guard: FileGuard { shared, path },
            chunk: BytesMut::with_capacity(CHUNK),
            crcs: Vec::new(),
        })
    }

    /// Adds octets. Blocks.
    pub(super) fn write(&mut self, octets: Bytes) -> io::Result<()> {
        let mut octets = octets;
        while self.chunk.len() + octets.len() >= CHUNK {
            let part = octets.split_to(CHUNK - self.chunk.len());
            self.chunk.extend_from_slice(&part);
            self.flush()?;
        }
        self.chunk.extend_from_slice(&octets);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.append(&mut [IoSlice::new(&self.chunk)])?;
        self.crcs.push(crc32c::crc32c(&self.chunk));
        self.chunk.clear();
        Ok(())
    }

    /// Makes the file durable under its last name. Blocks.
    pub(super) fn finish(mut self, id: QueueId) -> io::Result<BodyFile> {
        if !self.chunk.is_empty() {
            self.flush()?;
        }
        self.file.sync()?;
        let path = body_path(id);
        let disk = Arc::clone(&self.guard.shared.disk);
        disk.rename(&self.guard.path, &path)?;
        self.guard.path = path;
        disk.sync_dir(BODIES)?;
        Ok(BodyFile {
            crcs: self.crcs,
            guard: self.guard,
        })
    }
}

/// A file that is to be removed when this is dropped, unless the path is empty.
struct FileGuard {
    shared: Arc<Shared>,
    path: String,
}

impl Drop for FileGuard {
    fn drop(&mut self) {
        if !self.path.is_empty() {
            let path = std::mem::take(&mut self.path);
            self.shared.queue.leave(Chore::Remove(path));
        }
    }
}
