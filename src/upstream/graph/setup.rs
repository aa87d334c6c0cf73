//! From settings to an upstream.

use std::sync::Arc;

use crate::clock::Clock;
use crate::dns::Resolver;
use crate::http::{self, Client, Direct};
use crate::oauth::{self, TokenSource, Tokens};
use crate::tls::client::ClientTlsError;
use crate::upstream::smtp::{self, Credential, Login, SmtpUpstream};

use super::settings::Settings;
use super::submission::Submission;
use super::upstream::{GraphUpstream, Parts};

/// All that is configured of a Graph upstream.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Setup {
    /// How messages are sent.
    pub settings: Settings,
    /// How tokens for Graph are got.
    pub tokens: oauth::Settings,
    /// How what Graph does not take is submitted by SMTP, with a login by token; the user name is that of each message's
    /// mailbox. `None` where it is refused.
    pub submission: Option<Box<smtp::Settings>>,
}

impl Setup {
    /// Makes the upstream. Reads certificate authorities, connects to nothing.
    ///
    /// # Errors
    /// [`ClientTlsError`] where the certificate authorities cannot be read.
    pub fn start(
        self,
        resolver: &Arc<dyn Resolver>,
        clock: &Arc<dyn Clock>,
    ) -> Result<GraphUpstream, ClientTlsError> {
        let source = |settings: oauth::Settings| -> Result<_, ClientTlsError> {
            let client = client(&settings, resolver)?;
            let tokens = Tokens::new(settings, client.clone(), Arc::clone(clock));
            Ok((client, Arc::new(tokens) as Arc<dyn TokenSource>))
        };
        let (client, tokens) = source(self.tokens)?;
        let submission = match self.submission {
            None => None,
            Some(settings) => {
                let tokens = match settings.login.as_ref().map(|login| &login.credential) {
                    Some(Credential::Token(oauth)) => Some(source(oauth.as_ref().clone())?.1),
                    Some(Credential::Password(_)) | None => None,
                };
                Some(submission(*settings, tokens, resolver, clock))
            }
        };
        let parts = Parts {
            client,
            tokens,
            submission,
            clock: Arc::clone(clock),
        };
        Ok(GraphUpstream::new(self.settings, parts))
    }
}

fn client(
    settings: &oauth::Settings,
    resolver: &Arc<dyn Resolver>,
) -> Result<Client, ClientTlsError> {
    let settings = http::Settings {
        trust: settings.trust.clone(),
        ..http::Settings::default()
    };
    Client::new(&settings, Arc::new(Direct::new(Arc::clone(resolver), None)))
}

/// Makes the other way: the same login for each mailbox, but for its name, with tokens from one source.
fn submission(
    settings: smtp::Settings,
    tokens: Option<Arc<dyn TokenSource>>,
    resolver: &Arc<dyn Resolver>,
    clock: &Arc<dyn Clock>,
) -> Submission {
    let (resolver, own_clock) = (Arc::clone(resolver), Arc::clone(clock));
    let make = move |mailbox: &crate::mail::Mailbox| {
        let login = settings.login.clone().map(|login| Login {
            username: mailbox.to_string(),
            ..login
        });
        let settings = smtp::Settings {
            login,
            ..settings.clone()
        };
        let made = SmtpUpstream::new(settings, Arc::clone(&resolver), Arc::clone(&own_clock))?;
        Ok(match &tokens {
            Some(tokens) => made.with_tokens(Arc::clone(tokens)),
            None => made,
        })
    };
    Submission::new(make, Arc::clone(clock))
}
