//! The dialogue as it goes on, each line with the time since the one before.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::clock::Clock;
use crate::upstream::smtp::{Line, Transcript};

use crate::cli::output::{Output, Style, printable};

/// Prints a dialogue while it happens, so that whoever waits sees what for.
pub(super) struct Dialogue {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

struct State {
    output: Output,
    last: Instant,
}

impl Dialogue {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        let last = clock.instant();
        let output = Output::standard();
        Self {
            clock,
            state: Mutex::new(State { output, last }),
        }
    }
}

impl Transcript for Dialogue {
    fn line(&self, line: Line<'_>) {
        let now = self.clock.instant();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let took = now.saturating_duration_since(state.last).as_millis();
        state.last = now;
        let style = match line {
            Line::Note(_) => Style::Yellow,
            Line::Received(_) => Style::Green,
            Line::Sent(_) => Style::Plain,
        };
        let text = state.output.paint(style, &printable(&line.to_string()));
        // The outcome is what counts; a pipe that has gone is noticed when it is printed.
        let _ = state.output.text(&format!("{took:>6} ms  {text}\n"));
    }
}
