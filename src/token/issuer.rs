//! One issuer whose tokens count, with what is kept of it.

use std::sync::Arc;

use super::answers::Known;
use super::inquiry::{Endpoint, Inquiry, InquiryError};
use super::judge::judge;
use super::jwt::Jwt;
use super::keyring::{Keyring, KeyringError};
use super::refusal::Refusal;
use super::settings::{Check, Settings};
use crate::clock::Clock;
use crate::http::{self, Client, Dial};
use crate::secret::Secret;
use crate::tls::client::ClientTlsError;

/// An issuer.
pub(super) struct Issuer {
    pub(super) settings: Arc<Settings>,
    way: Way,
    clock: Arc<dyn Clock>,
}

enum Way {
    Asked(Inquiry),
    Signed { issuer: String, keyring: Keyring },
}

/// Why an issuer says nothing of a token.
#[derive(Debug, thiserror::Error)]
pub(super) enum Silence {
    /// It could not be asked.
    #[error(transparent)]
    Inquiry(#[from] InquiryError),
    /// Its keys could not be fetched.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
}

impl Issuer {
    /// Makes one. Reads certificate authorities, connects to nothing.
    pub(super) fn new(
        settings: Settings,
        dialer: Arc<dyn Dial>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ClientTlsError> {
        let trust = settings.trust.clone();
        let client = http::Settings {
            trust,
            ..http::Settings::default()
        };
        let client = Client::new(&client, dialer)?;
        let own_clock = Arc::clone(&clock);
        let way = match &settings.check {
            Check::Introspection {
                url,
                client_id,
                authentication,
                remember,
            } => {
                let endpoint = Endpoint {
                    url: url.clone(),
                    client_id: client_id.clone(),
                    authentication: authentication.clone(),
                    remember: *remember,
                };
                Way::Asked(Inquiry::new(endpoint, client, own_clock))
            }
            Check::Jwt { issuer, keys } => {
                let names = (settings.name.as_str(), issuer.as_str());
                Way::Signed {
                    keyring: Keyring::new(names, keys.clone(), client, own_clock),
                    issuer: issuer.clone(),
                }
            }
        };
        Ok(Self {
            settings: Arc::new(settings),
            way,
            clock,
        })
    }

    /// Returns whether a token that says `issuer` is for this one to judge. One that is asked judges what no other does.
    pub(super) fn is_asked(&self) -> bool {
        matches!(self.way, Way::Asked(_))
    }

    pub(super) fn has_signed(&self, said: &str) -> bool {
        matches!(&self.way, Way::Signed { issuer, .. } if issuer == said)
    }

    /// Judges a token.
    ///
    /// # Errors
    /// [`Silence`] where the issuer does not say anything now. Cancel safe.
    pub(super) async fn judge(&self, token: &Secret) -> Result<Known, Silence> {
        match &self.way {
            Way::Asked(inquiry) => Ok(inquiry.judge(token, &self.settings).await?),
            Way::Signed { issuer, keyring } => {
                let jwt = match Jwt::read(token.expose()) {
                    Ok(jwt) => jwt,
                    Err(refusal) => return Ok(Err(refusal)),
                };
                let now = self.clock.now();
                let keys = keyring.keys().await?;
                let known = judge(&jwt, (issuer, &keys), &self.settings, now);
                if known != Err(Refusal::Key) {
                    return Ok(known);
                }
                // The issuer may have a new key since.
                match keyring.others(&keys).await? {
                    Some(keys) => Ok(judge(&jwt, (issuer, &keys), &self.settings, now)),
                    None => Ok(known),
                }
            }
        }
    }
}
