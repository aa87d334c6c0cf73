//! The answer to a login with a token.

use std::sync::Arc;
use std::time::Duration;

use super::issuer::Issuer;
use super::jwt::Jwt;
use super::refusal::Refusal;
use super::settings::Settings;
use crate::clock::{Clock, Timestamp};
use crate::http::Dial;
use crate::identity::AccountName;
use crate::secret::Secret;
use crate::telemetry::chain;
use crate::tls::client::ClientTlsError;

/// How long a login counts by a token that does not say when it ends.
const UNTOLD: Duration = Duration::from_hours(1);

/// What a token gives.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Grant {
    /// The issuer, and what was demanded of the token.
    pub issuer: Arc<Settings>,
    /// The person or program, as the issuer names it.
    pub subject: Box<str>,
    /// The account it is for. Whether there is such an account is not known here.
    pub account: AccountName,
    /// When it ends.
    pub until: Timestamp,
}

/// What becomes of a login with a token.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// The token counts.
    Accepted(Grant),
    /// It does not.
    Refused(Refusal),
    /// Its issuer does not answer. The text is for the log.
    Unavailable(String),
}

/// Judges tokens. Shared by all sessions.
pub struct Verifier {
    issuers: Vec<Arc<Issuer>>,
    clock: Arc<dyn Clock>,
}

impl Verifier {
    /// Makes one that accepts no token.
    pub fn none(clock: Arc<dyn Clock>) -> Self {
        Self {
            issuers: Vec::new(),
            clock,
        }
    }

    /// Makes one for these issuers, with what this one knows of those that have not changed: a reload needs no keys
    /// anew. Reads certificate authorities, connects to nothing.
    ///
    /// # Errors
    /// [`ClientTlsError`] where the authorities cannot be read.
    pub fn renewed(
        &self,
        settings: Vec<Settings>,
        dialer: &Arc<dyn Dial>,
    ) -> Result<Self, ClientTlsError> {
        let issuer = |settings: Settings| {
            let known = self.issuers.iter();
            match known.clone().find(|issuer| *issuer.settings == settings) {
                Some(issuer) => Ok(Arc::clone(issuer)),
                None => {
                    Issuer::new(settings, Arc::clone(dialer), Arc::clone(&self.clock)).map(Arc::new)
                }
            }
        };
        Ok(Self {
            issuers: settings.into_iter().map(issuer).collect::<Result<_, _>>()?,
            clock: Arc::clone(&self.clock),
        })
    }

    /// Returns whether the issuer of a grant is still one, and judged as it was then. Where anything has changed, such as its
    /// keys' place or what is demanded, the token must be judged anew.
    pub fn knows(&self, grant: &Grant) -> bool {
        let mut issuers = self.issuers.iter();
        issuers.any(|issuer| issuer.settings == grant.issuer)
    }

    /// Judges a token. A JWT goes to the issuer that it names, all else to the one that is asked: so no token is shown to
    /// somebody it does not come from, where its issuer is known.
    ///
    /// Takes less than a millisecond of CPU, and up to 20 seconds where the issuer must be asked. Cancel safe.
    pub async fn verify(&self, token: &Secret) -> Verdict {
        let said = Jwt::issuer_of(token.expose()).unwrap_or_default();
        let mut issuers = self.issuers.iter();
        let signer = issuers.clone().find(|issuer| issuer.has_signed(&said));
        let Some(issuer) = signer.or_else(|| issuers.find(|issuer| issuer.is_asked())) else {
            return Verdict::Refused(Refusal::Issuer(Refusal::words(&said)));
        };
        let bearer = match issuer.judge(token).await {
            Ok(Ok(bearer)) => bearer,
            Ok(Err(refusal)) => return Verdict::Refused(refusal),
            Err(silence) => return Verdict::Unavailable(chain(&silence)),
        };
        Verdict::Accepted(Grant {
            issuer: Arc::clone(&issuer.settings),
            subject: bearer.subject,
            account: bearer.account,
            until: bearer.until.unwrap_or(self.clock.now().after(UNTOLD)),
        })
    }
}
