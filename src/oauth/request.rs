//! What is sent to a token endpoint. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::Url;
use url::form_urlencoded::byte_serialize;
use zeroize::Zeroizing;

use super::error::TokenError;
use super::form::Form;
use super::jwt;
use super::keys::{KeyError, ServiceAccount};
use super::settings::{Authentication, ClientCredentials, Grant, RefreshToken, Settings};
use crate::clock::Timestamp;
use crate::http::Request;
use crate::http::header::{AUTHORIZATION, HeaderValue};
use crate::secret::Secret;

/// What makes an assertion one that was not seen before.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Moment {
    /// The civil time.
    pub now: Timestamp,
    /// Chance.
    pub nonce: [u8; 16],
}

impl Moment {
    /// Takes the time and draws the chance.
    ///
    /// # Errors
    /// [`TokenError::Temporary`] where the system gives no random numbers.
    pub fn new(now: Timestamp) -> Result<Self, TokenError> {
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce)
            .map_err(|_| TokenError::temporary("the system gives no random numbers"))?;
        Ok(Self { now, nonce })
    }
}

/// Makes the request for an access token. `refresh` is the newest refresh token, for the grant that needs one.
///
/// # Errors
/// [`KeyError`] where an assertion cannot be signed.
pub fn access_token(
    settings: &Settings,
    refresh: Option<&Secret>,
    moment: &Moment,
) -> Result<Request, KeyError> {
    let url = &settings.token_url;
    match &settings.grant {
        Grant::ClientCredentials(credentials) => client_credentials(url, credentials, moment),
        Grant::RefreshToken(grant) => refreshed(url, grant, refresh, moment),
        Grant::ServiceAccount {
            account,
            mailbox,
            scope,
        } => service_account(url, account, (mailbox, scope), moment),
    }
}

fn client_credentials(
    url: &Url,
    credentials: &ClientCredentials,
    moment: &Moment,
) -> Result<Request, KeyError> {
    let audience = &credentials.audience;
    let form = Form::new("grant_type", "client_credentials")
        .with_some("scope", audience.scope.as_deref())
        .with_some("audience", audience.audience.as_deref());
    let program = Program {
        client_id: &credentials.client_id,
        authentication: &credentials.authentication,
    };
    program.post(form, url, (url, moment))
}

/// RFC 6749 §6.
fn refreshed(
    url: &Url,
    grant: &RefreshToken,
    refresh: Option<&Secret>,
    moment: &Moment,
) -> Result<Request, KeyError> {
    let form = Form::new("grant_type", "refresh_token")
        .with_some("refresh_token", refresh.map(Secret::expose))
        .with_some("scope", grant.scope.as_deref());
    Program::of(grant).post(form, url, (url, moment))
}

/// RFC 7523 §2.1.
fn service_account(
    url: &Url,
    account: &ServiceAccount,
    (mailbox, scope): (&str, &str),
    moment: &Moment,
) -> Result<Request, KeyError> {
    let assertion = jwt::service_account_assertion(account, mailbox, scope, moment)?;
    let form = Form::new("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer");
    Ok(form.with("assertion", &assertion).post(url))
}

/// Who asks.
#[derive(Clone, Copy)]
pub(super) struct Program<'a> {
    pub(super) client_id: &'a str,
    pub(super) authentication: &'a Authentication,
}

impl<'a> Program<'a> {
    pub(super) fn of(grant: &'a RefreshToken) -> Self {
        Self {
            client_id: &grant.client_id,
            authentication: &grant.authentication,
        }
    }

    /// Posts a form to `url`, with what shows who asks. An assertion is for the token endpoint, wherever it is sent.
    pub(super) fn post(
        self,
        form: Form,
        url: &Url,
        (token_url, moment): (&Url, &Moment),
    ) -> Result<Request, KeyError> {
        let id = self.client_id;
        Ok(match self.authentication {
            Authentication::Basic(secret) => form.post(url).with(AUTHORIZATION, basic(id, secret)),
            Authentication::Certificate(certificate) => {
                let assertion = jwt::client_assertion(id, certificate, token_url, moment)?;
                form.with("client_id", id)
                    .with("client_assertion_type", ASSERTION)
                    .with("client_assertion", &assertion)
                    .post(url)
            }
            Authentication::None => form.with("client_id", id).post(url),
            Authentication::Post(secret) => form
                .with("client_id", id)
                .with("client_secret", secret.expose())
                .post(url),
        })
    }
}

const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// RFC 6749 §2.3.1: both parts are escaped before they are joined.
fn basic(id: &str, secret: &Secret) -> HeaderValue {
    let escaped = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    let secret = Zeroizing::new(escaped(secret.expose()));
    let joined = Zeroizing::new(format!("{}:{}", escaped(id), *secret));
    let text = Zeroizing::new(format!("Basic {}", STANDARD.encode(joined.as_bytes())));
    // Base64 is always a header value.
    let value = HeaderValue::from_str(&text);
    let mut value = value.unwrap_or_else(|_| HeaderValue::from_static("Basic"));
    value.set_sensitive(true);
    value
}

#[cfg(test)]
mod tests;
