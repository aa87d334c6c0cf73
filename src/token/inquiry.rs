//! Asking an issuer about an opaque token (RFC 7662).

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::Semaphore;
use url::Url;

use super::answers::{Answers, Known};
use super::claims;
use super::jwt::Claims;
use super::keyring::LIMIT;
use super::refusal::Refusal;
use super::settings::Settings;
use crate::clock::Clock;
use crate::http::{Answer, Client, HttpError};
use crate::oauth::request::Moment;
use crate::oauth::{self, Authentication, KeyError, TokenError};
use crate::secret::Secret;

/// Questions under way at once; more logins are told to come again.
const AT_ONCE: usize = 64;

/// How long a refusal counts: shorter than an acceptance, since a token may be seen before the issuer knows it.
const REMEMBER_REFUSAL: Duration = Duration::from_secs(10);

/// Why an issuer could not be asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum InquiryError {
    /// Too many questions are under way.
    #[error("too many questions to the issuer are under way")]
    Busy,
    /// An answer that is not understood.
    #[error("the issuer's answer is not understood")]
    Content,
    /// No answer.
    #[error("the issuer does not answer")]
    Http(#[source] HttpError),
    /// The question could not be signed.
    #[error("cannot sign the question")]
    Key(#[source] KeyError),
    /// There are no random numbers.
    #[error("cannot make the question")]
    Moment(#[source] TokenError),
    /// An answer that is a failure. 401 says that this server's own name or secret is wrong.
    #[error("the issuer answers with status {0}")]
    Status(u16),
}

/// Who asks.
pub(super) struct Inquiry {
    endpoint: Endpoint,
    client: Client,
    clock: Arc<dyn Clock>,
    answers: Answers,
    room: Semaphore,
}

/// Where is asked, and how.
pub(super) struct Endpoint {
    pub(super) url: Url,
    pub(super) client_id: String,
    pub(super) authentication: Authentication,
    pub(super) remember: Duration,
}

impl Inquiry {
    pub(super) fn new(endpoint: Endpoint, client: Client, clock: Arc<dyn Clock>) -> Self {
        Self {
            endpoint,
            client,
            clock,
            answers: Answers::default(),
            room: Semaphore::new(AT_ONCE),
        }
    }

    /// Returns what is known of a token: what was said a short time ago, or what is said now.
    ///
    /// # Errors
    /// [`InquiryError`] where the issuer could not be asked. Cancel safe.
    pub(super) async fn judge(
        &self,
        token: &Secret,
        settings: &Settings,
    ) -> Result<Known, InquiryError> {
        let digest = Answers::digest(token.expose());
        if let Some(known) = self.answers.get(&digest, self.clock.instant()) {
            return Ok(self.still(known));
        }
        let answer = self.ask(token).await?;
        let known = self.read(&answer, settings)?;
        let remember = match &known {
            Ok(_) => self.endpoint.remember,
            Err(_) => REMEMBER_REFUSAL.min(self.endpoint.remember),
        };
        let until = self.clock.instant() + remember;
        self.answers.put(digest, known.clone(), until);
        Ok(known)
    }

    /// What was said before is over where the token is.
    fn still(&self, known: Known) -> Known {
        let bearer = known?;
        let now = self.clock.now();
        if bearer.until.is_some_and(|until| until <= now) {
            return Err(Refusal::Expired);
        }
        Ok(bearer)
    }

    async fn ask(&self, token: &Secret) -> Result<Answer, InquiryError> {
        let _room = self.room.try_acquire().map_err(|_| InquiryError::Busy)?;
        let Endpoint {
            url,
            client_id,
            authentication,
            ..
        } = &self.endpoint;
        let moment = Moment::new(self.clock.now()).map_err(InquiryError::Moment)?;
        let program = (client_id.as_str(), authentication);
        let request = oauth::introspection(url, program, token.expose(), &moment);
        let request = request.map_err(InquiryError::Key)?;
        let answer = self.client.send(request, LIMIT).await;
        answer.map_err(InquiryError::Http)
    }

    fn read(&self, answer: &Answer, settings: &Settings) -> Result<Known, InquiryError> {
        if !answer.is_success() {
            return Err(InquiryError::Status(answer.status));
        }
        let claims: Claims =
            serde_json::from_slice(&answer.body).map_err(|_| InquiryError::Content)?;
        match claims.get("active") {
            Some(Value::Bool(true)) => Ok(claims::judge(&claims, settings, self.clock.now())),
            Some(Value::Bool(false)) => Ok(Err(Refusal::Inactive)),
            Some(_) | None => Err(InquiryError::Content),
        }
    }
}
