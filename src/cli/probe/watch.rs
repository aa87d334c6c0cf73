//! Somebody who reads along: shows what happens while it happens, or keeps it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::clock::Clock;
use crate::mail::Failure;
use crate::tls::client::PeerCertificate;
use crate::upstream::probe::Step;
use crate::upstream::smtp::{Line, Transcript};

use crate::cli::output::{Output, Style, printable};

use super::view::{StepView, step_of};
use super::words;

/// What is shown while it happens.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::cli) enum Show {
    /// Steps, and the lines of the dialogue.
    Dialogue,
    /// Nothing; all is kept.
    Nothing,
    /// Steps.
    Steps,
}

/// Reads along, so that whoever waits sees what for.
pub(in crate::cli) struct Watch {
    clock: Arc<dyn Clock>,
    show: Show,
    state: Mutex<State>,
}

struct State {
    output: Output,
    /// When the last line came.
    last_line: Instant,
    last_step: Instant,
    steps: Vec<StepView>,
    dialogue: Vec<String>,
}

/// Where the words of a step begin, in columns.
const INDENT: usize = 24;

impl Watch {
    pub(in crate::cli) fn new(clock: Arc<dyn Clock>, show: Show) -> Self {
        let now = clock.instant();
        Self {
            clock,
            show,
            state: Mutex::new(State {
                output: Output::standard(),
                last_line: now,
                last_step: now,
                steps: Vec::new(),
                dialogue: Vec::new(),
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what has been kept: the steps, and the lines of the dialogue.
    pub(in crate::cli) fn kept(&self) -> (Vec<StepView>, Vec<String>) {
        let mut state = self.state();
        let steps = std::mem::take(&mut state.steps);
        (steps, std::mem::take(&mut state.dialogue))
    }

    /// Shows the step at which it ended.
    pub(in crate::cli) fn failed(&self, failure: &Failure, shown: &[PeerCertificate]) {
        if self.show == Show::Nothing {
            return;
        }
        let mut lines = vec![failure.cause.to_string()];
        lines.extend(words::certificates(shown, self.clock.now()));
        let mut state = self.state();
        let took = self
            .clock
            .instant()
            .saturating_duration_since(state.last_step);
        state.print(Mark::Bad, step_of(failure.stage), took, &lines);
    }
}

/// How a step went.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Mark {
    Bad,
    Good,
}

impl State {
    /// Shows a step: a mark, its name, its time and the first line in columns, the others below. Each line has all of
    /// it where programs read.
    fn print(&mut self, mark: Mark, name: &str, took: Duration, lines: &[String]) {
        let took = took.as_millis();
        let (sign, word, style) = match mark {
            Mark::Bad => ("✗", "failed", Style::Red),
            Mark::Good => ("✓", "ok", Style::Green),
        };
        for (place, line) in lines.iter().enumerate() {
            let line = printable(line);
            let text = if !self.output.is_terminal {
                format!("{word}\t{name}\t{took} ms\t{line}\n")
            } else if place == 0 {
                let sign = self.output.paint(style, sign);
                let name = self.output.paint(Style::Bold, &format!("{name:<9}"));
                format!("{sign} {name} {took:>6} ms  {line}\n")
            } else {
                format!("{:INDENT$}{line}\n", "")
            };
            // The outcome is what counts; a pipe that has gone is noticed when it is printed.
            let _ = self.output.text(&text);
        }
    }
}

impl Transcript for Watch {
    fn line(&self, line: Line<'_>) {
        let now = self.clock.instant();
        let mut state = self.state();
        let took = now.saturating_duration_since(state.last_line).as_millis();
        state.last_line = now;
        match self.show {
            Show::Steps => {}
            Show::Nothing => state.dialogue.push(line.to_string()),
            Show::Dialogue => {
                let style = match line {
                    Line::Note(_) => Style::Yellow,
                    Line::Received(_) => Style::Green,
                    Line::Sent(_) => Style::Plain,
                };
                let text = state.output.paint(style, &printable(&line.to_string()));
                let _ = state.output.text(&format!("{took:>6} ms  {text}\n"));
            }
        }
    }

    fn step(&self, step: &Step) {
        let now = self.clock.instant();
        let mut state = self.state();
        state.last_step = now;
        match self.show {
            Show::Nothing => state.steps.push(StepView::from(step)),
            Show::Dialogue | Show::Steps => {
                let lines = words::lines(&step.passed, self.clock.now());
                let name = words::name(&step.passed);
                state.print(Mark::Good, name, step.took, &lines);
            }
        }
    }
}
