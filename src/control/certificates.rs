//! The server's certificates as they cross the socket and as `--json` prints them.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::protocol::{Reason, Response};
use super::view::Time;

/// A certificate that clients are shown.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct CertificateView {
    /// Who gets it: the names that clients ask for.
    pub names: Vec<String>,
    /// Whether it is for everybody who asks for another name, or for none.
    pub is_default: bool,
    /// Where it comes from: `acme`, `files` or `self-signed`.
    pub source: String,
    /// The file.
    pub file: String,
    /// Who has issued it; `None` where there is none yet, and a self-signed one stands in.
    pub issuer: Option<String>,
    /// From when on it is valid.
    pub begins: Option<Time>,
    /// Until when it is valid.
    pub ends: Option<Time>,
    /// When it is tried to get or renew it; of `acme` alone.
    pub next: Option<Time>,
    /// How often in a row that has failed.
    pub failures: u32,
    /// Why it has failed last.
    pub last_error: Option<String>,
}

/// What can be asked about certificates.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum CertificateRequest {
    /// Lists all.
    List,
    /// Lets certificates be renewed now.
    Renew {
        /// Those with this name; all where it is missing.
        name: Option<String>,
    },
}

/// Why no certificate is renewed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct RenewError(pub String);

/// Who knows the certificates of a running server.
#[async_trait]
pub trait Certificates: Send + Sync {
    /// Returns all certificates, the one for everybody first.
    async fn certificates(&self) -> Vec<CertificateView>;

    /// Lets certificates be renewed now; does not wait for it.
    ///
    /// # Errors
    /// [`RenewError`]: there is none to renew.
    async fn renew(&self, name: Option<&str>) -> Result<(), RenewError>;
}

/// Answers what is asked about certificates.
pub(super) async fn answer(
    certificates: &(impl Certificates + ?Sized),
    request: CertificateRequest,
) -> Response {
    match request {
        CertificateRequest::List => Response::Certificates(certificates.certificates().await),
        CertificateRequest::Renew { name } => match certificates.renew(name.as_deref()).await {
            Ok(()) => Response::Done,
            Err(error) => Response::failed(Reason::Request, error.to_string()),
        },
    }
}
