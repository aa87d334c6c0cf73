//! From which routes messages have been moved, and to which.

use crate::identity::Route;

/// Moves that nobody has asked for yet, each once.
#[derive(Debug, Default)]
pub(super) struct Moves(Vec<(Route, Route)>);

/// The most moves that are remembered. There are few routes, and whoever wants to know asks often.
const MOST: usize = 1000;

impl Moves {
    /// Notes that a message has been moved.
    pub(super) fn note(&mut self, from: &Route, to: &Route) {
        let is_known =
            |(known_from, known_to): &(Route, Route)| known_from == from && known_to == to;
        // Messages are moved route by route: mostly it is the last one again.
        if from != to && !self.0.iter().rev().any(is_known) && self.0.len() < MOST {
            self.0.push((from.clone(), to.clone()));
        }
    }

    /// Gives them out.
    pub(super) fn take(&mut self) -> Vec<(Route, Route)> {
        std::mem::take(&mut self.0)
    }
}
