//! Greeting, EHLO and login.

use crate::mail::{Channel, Defect, Response, Stage, Unusable};
use crate::smtp::extension::Extensions;
use crate::smtp::reply::ReceivedReply;
use crate::upstream::classify::{self, Judgement};
use crate::upstream::probe::Passed;
use crate::upstream::smtp::connection::Connection;
use crate::upstream::smtp::login::{Answer, Exchange, Mechanism, Pass, Privacy, Proof};
use crate::upstream::smtp::settings::{Credential, Login, PlainTextLogin, Smtputf8};
use crate::upstream::smtp::wire::{Socket, Wire};

use super::Connector;

impl Connector {
    pub(super) async fn greet<S: Socket>(&self, wire: &mut Wire<S>) -> Result<(), Judgement> {
        let greeting = wire.reply(self.settings.timeouts.command).await;
        let greeting = greeting.map_err(|end| classify::broken(Stage::Greeting, end))?;
        let greeting = self.expect(Stage::Greeting, 220, greeting)?;
        wire.observer.passed(|| Passed::Greeted {
            text: greeting.lines.join(" ").into(),
        });
        Ok(())
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
        let (mut extensions, lines) = if reply.response.code >= 500 {
            let reply = wire.command(&format!("HELO {name}\r\n"), limit).await;
            self.expect(Stage::Greeting, 250, reply.map_err(broken)?)?;
            (Extensions::default(), Vec::new())
        } else {
            let lines = self.expect(Stage::Greeting, 250, reply)?.lines;
            (Extensions::parse(&lines), lines)
        };
        match self.settings.smtputf8 {
            Smtputf8::Auto => {}
            Smtputf8::Off => extensions.smtputf8 = false,
            Smtputf8::On => extensions.smtputf8 = true,
        }
        let is_encrypted = matches!(wire.via.channel, Channel::Tls(_));
        wire.observer.passed(|| Passed::Introduced {
            keywords: lines.into_iter().skip(1).collect(),
            extensions: Box::new(extensions.clone()),
            is_encrypted,
        });
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
        let token = self.token().await?;
        let proof = match (&login.credential, &token) {
            (Credential::Password(password), _) => Proof::Password(password),
            (Credential::Token(_), Some(token)) => Proof::Token {
                token,
                server: (&self.settings.host, self.settings.port),
            },
            (Credential::Token(_), None) => {
                return unusable(Defect::Other, "there is no source of tokens");
            }
        };
        let pass = Pass {
            username: &login.username,
            proof,
        };
        let mut refusal = None;
        for mechanism in Mechanism::in_order(extensions.auth, proof, privacy) {
            match self.try_mechanism(wire, pass, mechanism).await? {
                Answer::Done => {
                    wire.observer.passed(|| Passed::LoggedIn {
                        mechanism: mechanism.name().into(),
                        name: login.username.as_str().into(),
                    });
                    return Ok(());
                }
                Answer::Unknown(reply) => refusal = Some(reply),
                Answer::Refused(reply) => {
                    self.reject(token.as_ref(), &reply);
                    return Err(self.judge(Stage::Authenticate, reply));
                }
                Answer::Send(_) => return unusable(Defect::Other, "the login did not end"),
            }
        }
        match refusal {
            Some(reply) => Err(self.judge(Stage::Authenticate, reply)),
            None => unusable(Defect::Mechanism, proof.not_offered()),
        }
    }

    /// Runs one mechanism to its end; never returns [`Answer::Send`].
    async fn try_mechanism<S: Socket>(
        &self,
        wire: &mut Wire<S>,
        pass: Pass<'_>,
        mechanism: Mechanism,
    ) -> Result<Answer, Judgement> {
        let limit = self.settings.timeouts.command;
        let (mut exchange, mut line) = Exchange::begin(pass, mechanism);
        let mut shown = exchange.first_line_shown();
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
