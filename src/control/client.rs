//! The command line's end of the socket. Blocks.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::protocol::{Call, MAX_RESPONSE, Request, Response, SOCKET, VERSION};

/// How long a response is awaited. A reload that reads very many accounts takes seconds.
const PATIENCE: Duration = Duration::from_mins(2);

/// Why a server could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The socket belongs to another user.
    #[error("the control socket {} belongs to another user", path.display())]
    Denied {
        /// The socket.
        path: PathBuf,
    },
    /// The connection broke, or no answer came in time.
    #[error("the server does not answer on {}", path.display())]
    Io {
        /// The socket.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// No server runs with this data directory.
    #[error("no server answers on {}", path.display())]
    NotRunning {
        /// The socket.
        path: PathBuf,
    },
    /// The answer is not understood.
    #[error("the server's answer on {} is not understood", path.display())]
    Protocol {
        /// The socket.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

/// A connection to a running server.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<UnixStream>,
    path: PathBuf,
}

impl Client {
    /// Connects to the server with this data directory.
    ///
    /// # Errors
    /// [`ClientError::NotRunning`] where there is none, [`ClientError::Denied`], [`ClientError::Io`].
    pub fn connect(data_dir: &Path) -> Result<Self, ClientError> {
        let path = data_dir.join(SOCKET);
        let connected = UnixStream::connect(&path).and_then(|stream| {
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            Ok(stream)
        });
        match connected {
            Ok(stream) => Ok(Self {
                stream: BufReader::new(stream),
                path,
            }),
            Err(source) => Err(Self::refused(path, source)),
        }
    }

    /// Asks, and waits for the answer, two minutes at most.
    ///
    /// # Errors
    /// [`ClientError::Io`], [`ClientError::Protocol`]. The connection is of no use then.
    pub fn call(&mut self, request: Request) -> Result<Response, ClientError> {
        let version = VERSION;
        let line = self.exchange(&Call { version, request });
        let line = line.map_err(|source| ClientError::Io {
            path: self.path.clone(),
            source,
        })?;
        serde_json::from_slice(&line).map_err(|source| ClientError::Protocol {
            path: self.path.clone(),
            source,
        })
    }

    fn refused(path: PathBuf, source: io::Error) -> ClientError {
        let kind = source.kind();
        if matches!(
            kind,
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
        ) {
            ClientError::NotRunning { path }
        } else if kind == io::ErrorKind::PermissionDenied {
            ClientError::Denied { path }
        } else {
            ClientError::Io { path, source }
        }
    }

    fn exchange(&mut self, call: &Call) -> io::Result<Vec<u8>> {
        let mut request = serde_json::to_vec(call)?;
        request.push(b'\n');
        self.stream.get_mut().write_all(&request)?;
        let mut line = Vec::new();
        let mut limited = self.stream.by_ref().take(MAX_RESPONSE as u64);
        limited.read_until(b'\n', &mut line)?;
        if line.ends_with(b"\n") {
            Ok(line)
        } else {
            Err(io::ErrorKind::UnexpectedEof.into())
        }
    }
}
