//! The server's end of the socket.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream as StdStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::alert::Stored;
use crate::identity::{AccountName, UpstreamName};
use crate::journal::Journal;
use crate::mail::Mailbox;
use crate::spool::SpoolAdmin;
use crate::telemetry;

use super::certificates::{self, Certificates};
use super::protocol::{
    AlertFilter, BlockView, Call, MAX_REQUEST, MAX_RESPONSE, Reason, Request, Response, SOCKET,
    Submitted, VERSION,
};
use super::queue::{self, Configured, Desk};
use super::senders::{SenderRequest, SenderView};
use super::trace;
use super::view::{ServerView, StatusView};

/// How long a client may take for a request, and for reading the response.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long requests that are being answered may go on after the stop.
const GRACE: Duration = Duration::from_secs(5);

/// Clients at once. Further ones wait.
const MAX_CLIENTS: usize = 32;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 32;

/// What only the running server can do.
#[async_trait]
pub trait Operator: Configured + Certificates {
    /// Reads the configuration again and puts it in force; returns its warnings.
    ///
    /// # Errors
    /// [`ReloadError`]: the old configuration stays.
    async fn reload(&self) -> Result<Vec<String>, ReloadError>;

    /// Lets an upstream get no new attempts until [`Operator::end_drain`], also after a restart. `to` takes its place in
    /// routes meanwhile.
    ///
    /// # Errors
    /// [`RegisterError`]: nothing has changed.
    async fn drain(
        &self,
        upstream: UpstreamName,
        to: Option<UpstreamName>,
    ) -> Result<(), RegisterError>;

    /// Lets a drained upstream get attempts again.
    ///
    /// # Errors
    /// [`RegisterError`]: nothing has changed.
    async fn end_drain(&self, upstream: &str) -> Result<(), RegisterError>;

    /// Parks an upstream until [`Operator::resume`], also after a restart.
    ///
    /// # Errors
    /// [`RegisterError`]: nothing has changed.
    async fn park(
        &self,
        upstream: UpstreamName,
        reason: Option<String>,
    ) -> Result<(), RegisterError>;

    /// Ends the parking of an upstream by an operator, and any pause it is in: the next attempt is made at once.
    ///
    /// # Errors
    /// [`RegisterError`]: nothing has changed.
    async fn resume(&self, upstream: UpstreamName) -> Result<(), RegisterError>;

    /// Sends a message as an account, on the way that its clients' messages take.
    ///
    /// # Errors
    /// [`SubmitError`]: nothing was sent.
    async fn submit(&self, mail: OperatorMail) -> Result<Submitted, SubmitError>;

    /// Lists stored alerts, the oldest first.
    fn alerts(&self, filter: &AlertFilter) -> Vec<Stored>;

    /// Raises an alert that says nothing; returns to whom it goes, in words.
    ///
    /// # Errors
    /// [`SubmitError`]: there is no such account.
    fn test_alert(&self, account: Option<AccountName>) -> Result<Vec<String>, SubmitError>;

    /// Returns whose logins are refused since too many have failed.
    fn blocked(&self) -> Vec<BlockView>;

    /// Forgets the failed logins of an account or an address; returns how many blocks have ended.
    fn forgive(&self, who: &str) -> usize;
    /// Does what is asked about verified senders; changes are durable and in force when it returns.
    ///
    /// # Errors
    /// [`SenderError`]: nothing has changed.
    async fn senders(&self, request: SenderRequest) -> Result<Vec<SenderView>, SenderError>;

    /// Describes the server.
    fn describe(&self) -> ServerView;
}

/// Why a configuration was not put in force: all diagnostics, as they are printed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct ReloadError(pub String);

/// Why a message was not even looked at.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct SubmitError(pub String);

/// Why upstreams are drained and parked as they were.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// The upstream is not drained.
    #[error("upstream `{0}` is not drained")]
    NotDrained(String),
    /// The upstream is neither parked nor paused.
    #[error("upstream `{0}` is not parked; `posthouse upstream list` shows how it fares")]
    NotParked(String),
    /// The file of upstreams cannot be written.
    #[error("cannot write the file of upstreams")]
    Write(#[source] io::Error),
}

/// Why nothing was done about a sender.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SenderError {
    /// There is no such account.
    #[error("there is no account `{0}`")]
    Account(String),
    /// It cannot be done, in words.
    #[error("{0}")]
    Refused(String),
    /// A file cannot be written, or the spool takes nothing.
    #[error("{0}")]
    Store(String),
    /// It cannot be done now.
    #[error("{0}")]
    Temporary(String),
}

/// Why the socket cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another server answers on it.
    #[error("another server answers on {}", path.display())]
    InUse {
        /// The socket.
        path: PathBuf,
    },
    /// A file cannot be made or removed.
    #[error("cannot make the control socket {}", path.display())]
    Io {
        /// The socket.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// The socket, bound.
#[derive(Debug)]
pub struct Server {
    listener: UnixListener,
    path: PathBuf,
}

/// What requests are answered from.
struct Services {
    spool: Arc<dyn SpoolAdmin>,
    journal: Arc<Journal>,
    operator: Arc<dyn Operator>,
}

impl Server {
    /// Makes the socket `control` in the data directory, for the user of this process alone. A socket that a crash
    /// has left is removed. Must be called inside a runtime.
    ///
    /// # Errors
    /// [`BindError`].
    pub fn bind(data_dir: &Path) -> Result<Self, BindError> {
        let path = data_dir.join(SOCKET);
        let failed = |source| BindError::Io {
            path: path.clone(),
            source,
        };
        if is_socket(&path) {
            if StdStream::connect(&path).is_ok() {
                return Err(BindError::InUse { path });
            }
            fs::remove_file(&path).map_err(failed)?;
        }
        let listener = listen(&path).map_err(failed)?;
        Ok(Self { listener, path })
    }

    /// Answers until `stop`; requests that are being answered then may end. Removes the socket.
    pub async fn run(
        &self,
        (spool, journal): (Arc<dyn SpoolAdmin>, Arc<Journal>),
        operator: Arc<dyn Operator>,
        stop: CancellationToken,
    ) {
        let services = Arc::new(Services {
            spool,
            journal,
            operator,
        });
        let mut clients = JoinSet::new();
        loop {
            let has_room = clients.len() < MAX_CLIENTS;
            tokio::select! {
                () = stop.cancelled() => break,
                Some(ended) = clients.join_next() => report(ended),
                accepted = self.listener.accept(), if has_room => match accepted {
                    Ok((stream, _)) => {
                        let session = serve(stream, Arc::clone(&services), stop.clone());
                        clients.spawn(session);
                    }
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept on the control socket");
                        // Out of file descriptors: trying again at once would only burn CPU.
                        tokio::time::sleep(Duration::from_secs(1)).await;
                    }
                },
            }
        }
        let all_ended = async { while clients.join_next().await.is_some() {} };
        if timeout(GRACE, all_ended).await.is_err() {
            clients.shutdown().await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A socket that stays is removed by the next start.
        let _ = fs::remove_file(&self.path);
    }
}

fn is_socket(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket())
}

/// Makes the socket. Nobody can connect before `listen`, so the mode counts from the beginning.
fn listen(path: &Path) -> io::Result<UnixListener> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    UnixListener::from_std(socket.into())
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a control connection broke off");
    }
}

/// Answers the requests of one client.
async fn serve(stream: UnixStream, services: Arc<Services>, stop: CancellationToken) {
    let by = match stream.peer_cred() {
        Ok(peer) => format!("uid {}", peer.uid()),
        Err(_) => "an unknown user".to_owned(),
    };
    let mut stream = BufReader::new(stream);
    loop {
        let line = tokio::select! {
            () = stop.cancelled() => return,
            line = timeout(PATIENCE, read_line(&mut stream)) => line,
        };
        let Ok(Ok(Some(line))) = line else { return };
        let response = services.answer(&line, &by).await;
        let written = timeout(PATIENCE, stream.write_all(&encode(&response))).await;
        let is_over = line.len() >= MAX_REQUEST || !matches!(written, Ok(Ok(())));
        if is_over {
            return;
        }
    }
}

/// Reads a line with its end, or [`MAX_REQUEST`] octets of a longer one; `None` at the end.
async fn read_line(stream: &mut BufReader<UnixStream>) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let mut limited = stream.take(MAX_REQUEST as u64);
    limited.read_until(b'\n', &mut line).await?;
    let is_whole = line.ends_with(b"\n") || line.len() >= MAX_REQUEST;
    Ok(is_whole.then_some(line))
}

impl Services {
    async fn answer(&self, line: &[u8], by: &str) -> Response {
        let request = match parse(line) {
            Ok(request) => request,
            Err(response) => return response,
        };
        let desk = Desk {
            spool: self.spool.as_ref(),
            journal: &self.journal,
            configured: &*self.operator,
            by: by.to_owned(),
        };
        match request {
            Request::Certificates(request) => certificates::answer(&*self.operator, request).await,
            Request::Alerts { filter } => Response::Alerts {
                alerts: self.operator.alerts(&filter),
            },
            Request::Blocked => Response::Blocked {
                blocks: self.operator.blocked(),
            },
            Request::Forgive { who } => Response::Forgiven {
                blocks: self.operator.forgive(&who),
            },
            Request::Drain { upstream, to } => self.drain(&upstream, to.as_deref()).await,
            Request::EndDrain { upstream } => registered(self.operator.end_drain(&upstream).await),
            Request::Park { upstream, reason } => self.park(&upstream, reason).await,
            Request::Queue(request) => queue::answer(&desk, request).await,
            Request::Reload => reloaded(self.operator.reload().await),
            Request::Resume { upstream } => self.resume(&upstream).await,
            Request::Submit {
                account,
                sender,
                recipient,
                content,
            } => {
                let mail = local_mail((&account, &sender, &recipient), content);
                self.submit(mail).await
            }
            Request::Senders(request) => answered(self.operator.senders(request).await),
            Request::Status => self.status().await,
            Request::TestAlert { account } => self.test_alert(account.as_deref()),
            Request::Trace { id } => trace::answer(&desk, id.0).await,
        }
    }

    async fn submit(&self, mail: Result<OperatorMail, String>) -> Response {
        match mail {
            Ok(mail) => submitted(self.operator.submit(mail).await),
            Err(message) => Response::failed(Reason::Request, message),
        }
    }

    async fn status(&self) -> Response {
        Response::Status(Box::new(StatusView {
            server: self.operator.describe(),
            queue: self.spool.stats().await.into(),
        }))
    }

    fn test_alert(&self, account: Option<&str>) -> Response {
        let account = account.map(AccountName::parse).transpose();
        match account.map(|account| self.operator.test_alert(account)) {
            Ok(Ok(to)) => Response::AlertRaised { to },
            Ok(Err(error)) => Response::failed(Reason::Account, error.to_string()),
            Err(error) => Response::failed(Reason::Request, error.to_string()),
        }
    }

    async fn drain(&self, upstream: &str, to: Option<&str>) -> Response {
        let known = self.operator.upstreams();
        let find = |name: &str| queue::find_upstream(&known, name);
        let found = find(upstream).and_then(|upstream| Ok((upstream, to.map(find).transpose()?)));
        match found {
            Ok((upstream, Some(to))) if upstream == to => {
                let message = "an upstream cannot take its own place";
                Response::failed(Reason::Request, message)
            }
            Ok((upstream, to)) => registered(self.operator.drain(upstream, to).await),
            Err(response) => response,
        }
    }

    async fn park(&self, upstream: &str, reason: Option<String>) -> Response {
        match queue::find_upstream(&self.operator.upstreams(), upstream) {
            Ok(upstream) => registered(self.operator.park(upstream, reason).await),
            Err(response) => response,
        }
    }

    async fn resume(&self, upstream: &str) -> Response {
        match queue::find_upstream(&self.operator.upstreams(), upstream) {
            Ok(upstream) => registered(self.operator.resume(upstream).await),
            Err(response) => response,
        }
    }
}

/// A message that an operator wants to send as an account.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OperatorMail {
    /// Whose mail it counts as.
    pub account: AccountName,
    /// The reverse-path.
    pub sender: Mailbox,
    /// The recipient.
    pub recipient: Mailbox,
    /// Header and body, with CRLF line ends.
    pub content: Vec<u8>,
}

fn local_mail(
    (account, sender, recipient): (&str, &str, &str),
    content: String,
) -> Result<OperatorMail, String> {
    let mailbox = |text: &str| Mailbox::parse(text).map_err(|error| error.to_string());
    Ok(OperatorMail {
        account: AccountName::parse(account).map_err(|error| error.to_string())?,
        sender: mailbox(sender)?,
        recipient: mailbox(recipient)?,
        content: content.into_bytes(),
    })
}

fn submitted(result: Result<Submitted, SubmitError>) -> Response {
    match result {
        Ok(submitted) => Response::Submitted(submitted),
        Err(error) => Response::failed(Reason::Account, error.to_string()),
    }
}

fn reloaded(result: Result<Vec<String>, ReloadError>) -> Response {
    match result {
        Ok(warnings) => Response::Reloaded { warnings },
        Err(error) => Response::failed(Reason::Configuration, error.to_string()),
    }
}

fn answered(result: Result<Vec<SenderView>, SenderError>) -> Response {
    let error = match result {
        Ok(senders) => return Response::Senders(senders),
        Err(error) => error,
    };
    let reason = match error {
        SenderError::Account(_) => Reason::Account,
        SenderError::Refused(_) => Reason::Sender,
        SenderError::Store(_) => Reason::Spool,
        SenderError::Temporary(_) => Reason::Temporary,
    };
    Response::failed(reason, error.to_string())
}

fn registered(result: Result<(), RegisterError>) -> Response {
    match result {
        Ok(()) => Response::Done,
        Err(error @ (RegisterError::NotDrained(_) | RegisterError::NotParked(_))) => {
            Response::failed(Reason::Upstream, error.to_string())
        }
        Err(error @ RegisterError::Write(_)) => {
            Response::failed(Reason::Spool, telemetry::chain(&error))
        }
    }
}

fn parse(line: &[u8]) -> Result<Request, Response> {
    let refused = |message: String| Response::failed(Reason::Request, message);
    let call: serde_json::Value = serde_json::from_slice(line).map_err(|error| {
        refused(format!(
            "the request is no JSON object in one line: {error}"
        ))
    })?;
    let version = call.get("version").and_then(serde_json::Value::as_u64);
    if version != Some(u64::from(VERSION)) {
        let message = format!("the server speaks version {VERSION} of the control protocol");
        return Err(Response::failed(Reason::Version, message));
    }
    serde_json::from_value(call)
        .map(|call: Call| call.request)
        .map_err(|error| refused(format!("the request is not understood: {error}")))
}

fn encode(response: &Response) -> Vec<u8> {
    let mut line = serde_json::to_vec(response).unwrap_or_default();
    if line.is_empty() || line.len() >= MAX_RESPONSE {
        let response = Response::failed(Reason::Request, "the answer would be too long");
        line = serde_json::to_vec(&response).unwrap_or_default();
    }
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests;
