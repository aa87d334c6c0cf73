//! OAuth 2.0 access tokens for upstreams: how they are asked for, kept and renewed.
//!
//! A [`TokenSource`] gives the token that an upstream's login or request carries. [`Tokens`] is the one that asks a token
//! endpoint, with one of the grants of [`Grant`]:
//!
//! - client credentials (RFC 6749 §4.4), with a secret or with an assertion signed by a certificate's key (RFC 7523 §2.2);
//! - a refresh token (RFC 6749 §6), which `posthouse upstream login` gets by the device flow (RFC 8628);
//! - a Google service account's signed assertion (RFC 7523 §2.1).
//!
//! What is sent and what an answer means is pure ([`request`], [`answer`], [`device`]); [`Tokens`] keeps what it got;
//! [`DeviceFlow`] leads a person to the permission.
//! Tokens are never logged; what holds one prints `***`.

pub mod answer;
mod cloud;
pub mod device;
mod error;
mod form;
mod introspection;
mod jwt;
mod keys;
mod login;
mod refusal;
pub mod request;
mod settings;
mod store;
mod token;
mod tokens;

pub use cloud::Cloud;
pub use error::TokenError;
pub use introspection::introspection;
pub use keys::{CertificateKey, KeyError, ServiceAccount, SigningKey};
pub use login::DeviceFlow;
pub use settings::{
    Audience, Authentication, ClientCredentials, DeviceLogin, Grant, RefreshToken, Settings,
};
pub use store::{FOLDER, Store, StoreError, Stored, token_file};
pub use token::AccessToken;
pub use tokens::Tokens;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::http::{self, Client, Dial};
use crate::tls::client::ClientTlsError;

/// Makes the client that asks a token endpoint. Reads certificate authorities, connects to nothing.
///
/// # Errors
/// [`ClientTlsError`] where the authorities cannot be read.
pub fn client(settings: &Settings, dialer: Arc<dyn Dial>) -> Result<Client, ClientTlsError> {
    let settings = http::Settings {
        trust: settings.trust.clone(),
        ..http::Settings::default()
    };
    Client::new(&settings, dialer)
}

/// Gives access tokens.
#[async_trait]
pub trait TokenSource: Send + Sync {
    /// Returns a token that is valid for some time yet: a kept one, or a new one that is asked for now.
    ///
    /// However many ask at once, one request is made. After a failure the same failure is returned for some seconds
    /// without another request. Cancel safe.
    ///
    /// # Errors
    /// [`TokenError`] says whether a person must repair something.
    async fn token(&self) -> Result<AccessToken, TokenError>;

    /// Says that a server refused a token, so that the next call of [`TokenSource::token`] asks for another one.
    ///
    /// A token that is younger than a minute stays: another one would be refused too. So does one that is no longer the
    /// kept one.
    fn reject(&self, token: &AccessToken);

    /// Returns the kept token, without asking for one.
    fn kept(&self) -> Option<AccessToken>;

    /// Returns for how long the kept token will be used yet; `None` where that is not known.
    fn remaining(&self) -> Option<Duration> {
        None
    }
}
