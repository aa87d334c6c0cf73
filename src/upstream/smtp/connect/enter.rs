//! Greeting, EHLO and login.

use crate::mail::{Defect, Response, Stage, Unusable};
use crate::smtp::extension::Extensions;
use crate::smtp::reply::ReceivedReply;
use crate::upstream::classify::{self, Judgement};
use crate::upstream::smtp::connection::Connection;
use crate::upstream::smtp::login::{Answer, Exchange, Mechanism, Privacy};
use crate::upstream::smtp::settings::{Login, PlainTextLogin, Smtputf8};
use crate::upstream::smtp::wire::{Socket, Wire};

use super::Connector;

impl Connector {
    pub(super) async fn greet<S: Socket>(&self, wire: &mut Wire<S>) -> Result<(), Judgement> {
        let greeting = wire.reply(self.settings.timeouts.command).await;
        let greeting = greeting.map_err(|end| classify::broken(Stage::Greeting, end))?;
        self.expect(Stage::Greeting, 220, greeting).map(drop)
    }

    /// Says EHLO, or HELO to servers that do not know it (RFC 5321 §3.2).
    pub(super) async fn hello<S: Socket>(
        &self,
        wire: &mut Wire<S>,
    ) -> Result<Extensions, Judgement> {
        let (limit, name) = (
            self.settings.timeouts.command,
            self.settings.helo.as_ascii(),
        );
        let broken = |end| classify::broken(Stage::Greeting, end);
        let reply = wire.command(&format!("EHLO {name}\r\n"), limit).await;
        let reply = reply.map_err(broken)?;
        let mut extensions = if reply.response.code >= 500 {
            let reply = wire.command(&format!("HELO {name}\r\n"), limit).await;
            self.expect(Stage::Greeting, 250, reply.map_err(broken)?)?;
            Extensions::default()
        } else {
            Extensions::parse(&self.expect(Stage::Greeting, 250, reply)?.lines)
        };
        match self.settings.smtputf8 {
            Smtputf8::Auto => {}
            Smtputf8::Off => extensions.smtputf8 = false,
            Smtputf8::On => extensions.smtputf8 = true,
        }
        Ok(extensions)
    }

    pub(super) async fn log_in<S: Socket + 'static>(
        &self,
        mut wire: Wire<S>,
        extensions: Extensions,
        privacy: Privacy,
    ) -> Result<Connection, Judgement> {
        if let Some(login) = &self.settings.login {
            self.authenticate(&mut wire, &extensions, privacy, login)
                .await?;
        }
        let (timeouts, now) = (self.settings.timeouts.clone(), self.clock.instant());
        let pacing = self.pacing.clone();
        Ok(Connection::new(
            wire.into_any(),
            extensions,
            timeouts,
            pacing,
            now,
        ))
    }

    async fn authenticate<S: Socket>(
        &self,
        wire: &mut Wire<S>,
        extensions: &Extensions,
        privacy: Privacy,
        login: &Login,
    ) -> Result<(), Judgement> {
        let unusable = |defect, text: &str| {
            let unusable = Unusable::new(defect, text);
            Err(classify::unusable(Stage::Authenticate, unusable))
        };
        if privacy == Privacy::Open && login.over_plain_text == PlainTextLogin::Forbidden {
            let text = "the connection is not encrypted, and the login may not go over it";
            return unusable(Defect::PlainTextLogin, text);
        }
        let mut refusal = None;
        for mechanism in Mechanism::in_order(extensions.auth, privacy) {
            match self.try_mechanism(wire, login, mechanism).await? {
                Answer::Done => return Ok(()),
                Answer::Unknown(reply) => refusal = Some(reply),
                Answer::Refused(reply) => {
                    return Err(self.judge(Stage::Authenticate, reply));
                }
                Answer::Send(_) => return unusable(Defect::Other, "the login did not end"),
            }
        }
        match refusal {
            Some(reply) => Err(self.judge(Stage::Authenticate, reply)),
            None => unusable(
                Defect::Mechanism,
                "the upstream offers none of the logins PLAIN, LOGIN and CRAM-MD5",
            ),
        }
    }

    /// Runs one mechanism to its end; never returns [`Answer::Send`].
    async fn try_mechanism<S: Socket>(
        &self,
        wire: &mut Wire<S>,
        login: &Login,
        mechanism: Mechanism,
    ) -> Result<Answer, Judgement> {
        let limit = self.settings.timeouts.command;
        let (mut exchange, mut line) = Exchange::begin(login, mechanism);
        let mut shown = match mechanism {
            Mechanism::CramMd5 | Mechanism::Login => format!("AUTH {}", mechanism.name()),
            Mechanism::Plain => "AUTH PLAIN ***".to_owned(),
        };
        loop {
            let reply = wire.secret(line, &shown, limit).await;
            let reply = reply.map_err(|end| classify::broken(Stage::Authenticate, end))?;
            wire.observer.received(&exchange.shown(&reply));
            match exchange.receive(reply.response) {
                Answer::Send(next) => line = next,
                answer @ (Answer::Done | Answer::Refused(_) | Answer::Unknown(_)) => {
                    return Ok(answer);
                }
            }
            "***".clone_into(&mut shown);
        }
    }

    fn expect(
        &self,
        stage: Stage,
        code: u16,
        reply: ReceivedReply,
    ) -> Result<ReceivedReply, Judgement> {
        if reply.response.code == code {
            Ok(reply)
        } else {
            Err(self.judge(stage, reply.response))
        }
    }

    pub(super) fn judge(&self, stage: Stage, reply: Response) -> Judgement {
        classify::reply(stage, reply, self.settings.known())
    }
}
