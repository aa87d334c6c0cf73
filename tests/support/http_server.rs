//! An HTTP server on loopback, with a thread of its own: what scripted web services stand on.

#![allow(
    clippy::unwrap_used,
    reason = "test code, of which each test binary uses a part"
)]

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::sync::oneshot;

/// What a request is answered with.
pub(crate) type Answer = Result<Response<Full<Bytes>>, Infallible>;

/// A running server. It ends when it is dropped.
pub(crate) struct HttpServer {
    /// 127.0.0.1, at a port of the system's choice.
    pub(crate) address: SocketAddr,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl HttpServer {
    /// Starts a server that answers each request from what `state` makes, knowing the address; returns that too.
    pub(crate) fn start<S, A>(
        state: impl FnOnce(SocketAddr) -> S,
        answer: fn(Arc<S>, Request<Incoming>) -> A,
    ) -> (Self, Arc<S>)
    where
        S: Send + Sync + 'static,
        A: Future<Output = Answer> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(state(address));
        let (end, ended) = oneshot::channel();
        let serving = Arc::clone(&state);
        let thread = std::thread::spawn(move || serve(listener, &serving, answer, ended));
        let server = Self {
            address,
            end: Some(end),
            thread: Some(thread),
        };
        (server, state)
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the server has been printed.
            let _ = thread.join();
        }
    }
}

fn serve<S, A>(
    listener: TcpListener,
    state: &Arc<S>,
    answer: fn(Arc<S>, Request<Incoming>) -> A,
    mut ended: oneshot::Receiver<()>,
) where
    S: Send + Sync + 'static,
    A: Future<Output = Answer> + Send + 'static,
{
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let mut connections = tokio::task::JoinSet::new();
        loop {
            let stream = tokio::select! {
                _ = &mut ended => return,
                accepted = listener.accept() => accepted.unwrap().0,
            };
            let state = Arc::clone(state);
            connections.spawn(async move {
                let service = service_fn(move |request| answer(Arc::clone(&state), request));
                let http = hyper::server::conn::http1::Builder::new();
                // A client that goes away is nothing to tell.
                let _ = http.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
}
