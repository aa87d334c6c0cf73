//! Logins by token: where the token comes from, and what becomes of a refused one.

use std::sync::Arc;

use crate::clock::Clock;
use crate::dns::Resolver;
use crate::http::Direct;
use crate::mail::{Cause, Outcome, Response, Stage};
use crate::oauth::{self, AccessToken, TokenSource, Tokens};
use crate::tls::client::ClientTlsError;
use crate::upstream::classify::{self, Judgement};
use crate::upstream::smtp::settings::{Credential, Settings};

use super::Connector;

/// Makes the source of tokens, where the login is by token. Asks for nothing yet.
///
/// # Errors
/// [`ClientTlsError`] where the certificate authorities for the token endpoint cannot be read.
pub(super) fn source(
    settings: &Settings,
    resolver: &Arc<dyn Resolver>,
    clock: &Arc<dyn Clock>,
) -> Result<Option<Arc<dyn TokenSource>>, ClientTlsError> {
    let credential = settings.login.as_ref().map(|login| &login.credential);
    let wanted = match credential {
        Some(Credential::Token(wanted)) => wanted.as_ref().clone(),
        Some(Credential::Password(_)) | None => return Ok(None),
    };
    let dialer = Arc::new(Direct::new(Arc::clone(resolver), settings.local_address));
    let client = oauth::client(&wanted, dialer)?;
    let tokens = Tokens::new(wanted, client, Arc::clone(clock));
    Ok(Some(Arc::new(tokens)))
}

impl Connector {
    /// Takes tokens from this source from now on.
    pub(in crate::upstream::smtp) fn share_tokens(&mut self, tokens: Arc<dyn TokenSource>) {
        self.tokens = Some(tokens);
    }

    /// Returns the token to log in with, where the login is by token.
    pub(super) async fn token(&self) -> Result<Option<AccessToken>, Judgement> {
        let Some(tokens) = &self.tokens else {
            return Ok(None);
        };
        tokens.token().await.map(Some).map_err(classify::no_token)
    }

    /// Returns the token that is kept, without asking for one.
    pub(super) fn kept_token(&self) -> Option<AccessToken> {
        self.tokens.as_ref().and_then(|tokens| tokens.kept())
    }

    /// Lets go of a token that the upstream does not take, so that another one is asked for.
    pub(super) fn reject(&self, token: Option<&AccessToken>, reply: &Response) {
        if let (Some(tokens), Some(token)) = (&self.tokens, token)
            && reply.code >= 500
        {
            tokens.reject(token);
        }
    }

    /// Returns whether the login was refused and the token that was `kept` before it has been let go for that.
    pub(super) fn is_token_dropped(
        &self,
        kept: Option<&AccessToken>,
        judgement: &Judgement,
    ) -> bool {
        let Outcome::Deferred(failure) = &judgement.outcome else {
            return false;
        };
        let is_refused = match &failure.cause {
            Cause::Response(response) => {
                failure.stage == Stage::Authenticate && response.code >= 500
            }
            Cause::Broken(_)
            | Cause::Capability(_)
            | Cause::Expired
            | Cause::Timeout
            | Cause::Unusable(_) => false,
        };
        is_refused && kept.is_some() && kept != self.kept_token().as_ref()
    }
}
