//! The octets of a message: from the decoder to whoever stores them, and what is said at their end.

use crate::smtp::data::{DataFault, Framing, Progress};
use crate::smtp::replies;

use super::question::{AskCommit, Question};
use super::session::{Session, Step};
use super::state::{Part, Receiving, State};

impl Session {
    /// Returns whether all octets of the present chunk have been taken.
    pub(super) fn is_chunk_complete(&self) -> bool {
        matches!(
            &self.state,
            State::Receiving(Receiving {
                part: Part::Chunk(0) | Part::LastChunk(0),
                ..
            })
        )
    }

    /// Takes octets of the message from the input.
    pub(super) fn body_octets(&mut self) {
        let State::Receiving(mut receiving) = std::mem::replace(&mut self.state, State::Ready)
        else {
            return;
        };
        match receiving.part {
            Part::BetweenChunks => self.state = State::Receiving(receiving),
            Part::Dots => match self.decode(&mut receiving, u64::MAX) {
                (_, Progress::More) => self.state = State::Receiving(receiving),
                (_, Progress::End) => self.end_of_message(receiving),
            },
            Part::Chunk(left) => match left - self.decode(&mut receiving, left).0 {
                0 => self.end_of_chunk(receiving),
                left => {
                    self.state = State::Receiving(Receiving {
                        part: Part::Chunk(left),
                        ..receiving
                    });
                }
            },
            Part::LastChunk(left) => match left - self.decode(&mut receiving, left).0 {
                0 => self.end_of_message(receiving),
                left => {
                    self.state = State::Receiving(Receiving {
                        part: Part::LastChunk(left),
                        ..receiving
                    });
                }
            },
        }
    }

    /// Decodes at most `at_most` octets; returns how many were taken and whether the dot was among them.
    fn decode(&mut self, receiving: &mut Receiving, at_most: u64) -> (u64, Progress) {
        let mut pieces = std::mem::take(&mut self.body);
        let at_most = usize::try_from(at_most).unwrap_or(usize::MAX);
        let before = self.input().len();
        let progress = receiving
            .decoder
            .decode(self.input(), at_most, |piece| pieces.push_back(piece));
        let taken = before - self.input().len();
        self.body = pieces;
        (taken as u64, progress)
    }

    fn end_of_chunk(&mut self, receiving: Receiving) {
        if let Some(fault) = receiving.decoder.fault() {
            self.refuse_message(fault);
        } else {
            let state = State::Receiving(Receiving {
                part: Part::BetweenChunks,
                ..receiving
            });
            self.answer(state, &replies::CHUNK_RECEIVED, "");
        }
    }

    fn end_of_message(&mut self, mut receiving: Receiving) {
        if receiving.decoder.framing() == Framing::Counted {
            let mut pieces = std::mem::take(&mut self.body);
            receiving.decoder.finish(|piece| pieces.push_back(piece));
            self.body = pieces;
        }
        match receiving.decoder.fault() {
            Some(fault) => self.refuse_message(fault),
            None => self.ask(Question::Commit(AskCommit { _answered_once: () })),
        }
    }

    fn refuse_message(&mut self, fault: DataFault) {
        self.steps.push_back(Step::Discard);
        self.state = State::Ready;
        match fault {
            DataFault::BareNewline => self.reply(&replies::BARE_NEWLINE, ""),
            DataFault::LineTooLong => self.reply(&replies::MESSAGE_MALFORMED, "a line is too long"),
            DataFault::Nul => self.reply(&replies::MESSAGE_MALFORMED, "it holds a NUL"),
            DataFault::TooLarge => self.refuse_size(),
        }
    }

    pub(super) fn committed(&mut self, queue_id: &str) {
        self.counts.messages += 1;
        self.counts.idle_commands = 0;
        self.counts.errors = 0;
        self.answer(
            State::Ready,
            &replies::QUEUED,
            &format!("queued as {queue_id}"),
        );
    }
}
