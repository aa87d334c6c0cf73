//! What a transaction makes of the replies.

use crate::mail::{Cause, Duty, Failure, Handover, Health, Outcome, Response, Stage};
use crate::upstream::classify::{self, Break};

use super::{After, Command, Exchange, Fate, Next};

/// What is answered.
impl Exchange<'_> {
    pub(super) fn reset_answered(&mut self, reply: Response) {
        if !is_done(&reply) {
            let judgement = classify::reply(Stage::Sender, reply, self.task.known);
            self.close(&judgement.outcome, Health::Unreachable);
        }
    }

    pub(super) fn sender_answered(&mut self, reply: Response) {
        if is_done(&reply) {
            return;
        }
        if is_intermediate(&reply) {
            return self.confused(Stage::Sender);
        }
        let judgement = classify::reply(Stage::Sender, reply, self.task.known);
        self.health = judgement.health;
        self.settle_all(&judgement.outcome);
        self.next = Next::Nothing;
    }

    pub(super) fn recipient_answered(&mut self, place: usize, reply: Response) {
        let Some(fate @ Fate::Waiting) = self.fates.get_mut(place) else {
            // The sender was refused already; this reply only follows from that.
            return;
        };
        if is_done(&reply) {
            *fate = Fate::Accepted;
            return;
        }
        if is_intermediate(&reply) {
            return self.confused(Stage::Recipient);
        }
        let judgement = classify::reply(Stage::Recipient, reply, self.task.known);
        self.health = classify::worse(self.health.clone(), judgement.health);
        if let Some(fate) = self.fates.get_mut(place) {
            *fate = Fate::Settled(judgement.outcome);
        }
    }

    pub(super) fn data_answered(&mut self, reply: Response) {
        if is_intermediate(&reply) {
            self.next = if self.is_wanted() {
                Next::Message
            } else {
                Next::NoMessage
            };
        } else if self.is_wanted() {
            if is_done(&reply) {
                // 250 to DATA: whatever it has taken, it was not this message.
                self.after = After::Close;
            }
            self.refused(Stage::Content, reply);
        }
    }

    pub(super) fn chunk_answered(&mut self, reply: Response) {
        if !self.is_wanted() {
            if is_done(&reply) {
                // It took a message for nobody; where it stands now is unclear.
                self.after = After::Close;
            }
            return;
        }
        if is_done(&reply) {
            self.after = After::Clean;
            self.relayed(&reply);
        } else if matches!(reply.code, 500 | 502 | 503) {
            // It offers CHUNKING and does not know BDAT. That is not the message's fault.
            self.after = After::Close;
            self.refused(Stage::Content, reply);
        } else {
            self.final_answered(reply);
        }
    }

    pub(super) fn dot_answered(&mut self, reply: Response) {
        self.after = After::Clean;
        if is_done(&reply) {
            self.relayed(&reply);
        } else {
            self.final_answered(reply);
        }
    }

    fn final_answered(&mut self, reply: Response) {
        if is_intermediate(&reply) {
            let failure = Failure::new(Stage::Final, Cause::Response(reply));
            self.close(&Outcome::Unknown(failure), Health::Unreachable);
        } else {
            self.refused(Stage::Final, reply);
        }
    }

    fn relayed(&mut self, reply: &Response) {
        let handover = Handover::Onward {
            dsn: Duty::passed_where(self.passes_dsn()),
            deliver_by: Duty::passed_where(self.offer.deliver_by.is_some()),
        };
        self.settle_all(&Outcome::Relayed(reply.clone(), handover));
    }

    pub(super) fn refused(&mut self, stage: Stage, reply: Response) {
        let judgement = classify::reply(stage, reply, self.task.known);
        self.health = classify::worse(self.health.clone(), judgement.health);
        self.settle_all(&judgement.outcome);
    }

    /// 421: the upstream closes the connection (RFC 5321 §3.8). Nothing more is asked, and who has no outcome waits.
    pub(super) fn closing(&mut self, command: Command, reply: Response) {
        let judgement = classify::reply(command.stage(), reply, self.task.known);
        let health = classify::worse(self.health.clone(), judgement.health);
        self.close(&judgement.outcome, health);
    }

    /// A reply that asks for more where there is no more: what follows cannot be matched with what was asked.
    pub(super) fn confused(&mut self, stage: Stage) {
        let text = "the upstream sent a reply that does not fit the command";
        self.fail_at(stage, Break::Nonsense(text.into()));
    }

    pub(super) fn close(&mut self, outcome: &Outcome, health: Health) {
        self.settle_all(outcome);
        self.health = health;
        self.after = After::Close;
        self.asked.clear();
        self.next = Next::Nothing;
    }

    fn settle_all(&mut self, outcome: &Outcome) {
        for fate in &mut self.fates {
            if matches!(fate, Fate::Accepted | Fate::Waiting) {
                *fate = Fate::Settled(outcome.clone());
            }
        }
    }
}

const fn is_done(reply: &Response) -> bool {
    reply.code / 100 == 2
}

const fn is_intermediate(reply: &Response) -> bool {
    reply.code / 100 == 3
}
