//! Standard output: lines, fields, JSON; colours on a terminal only.

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write};
use std::time::Duration;

use serde::Serialize;

use super::failure::Failure;

/// Where results are written.
pub(super) struct Output {
    writer: Box<dyn Write + Send>,
    /// Whether people read it, so that tables and colours help.
    pub(super) is_terminal: bool,
    has_colours: bool,
}

/// How a word is set off from others.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Style {
    /// Not at all.
    Plain,
    /// Headings, names.
    Bold,
    /// Things that went well.
    Green,
    /// Things to look at.
    Yellow,
    /// Things that went wrong.
    Red,
}

/// What a person says to a question.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Answer {
    No,
    /// There is no terminal to ask on.
    Nobody,
    Yes,
}

impl Output {
    /// Writes to standard output.
    pub(super) fn standard() -> Self {
        let is_terminal = io::stdout().is_terminal();
        let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        Self {
            writer: Box::new(io::stdout()),
            is_terminal,
            has_colours: is_terminal && !is_set("NO_COLOR") && !is_dumb,
        }
    }

    /// Writes a line. Control characters, which a peer may have sent, are not passed on.
    pub(super) fn line(&mut self, line: impl Display) -> Result<(), Failure> {
        let line = printable(&line.to_string());
        writeln!(self.writer, "{line}").map_err(|error| Failure::output(&error))
    }

    /// Writes a line in a style.
    pub(super) fn styled(&mut self, style: Style, line: impl Display) -> Result<(), Failure> {
        let line = printable(&line.to_string());
        let line = self.paint(style, &line);
        writeln!(self.writer, "{line}").map_err(|error| Failure::output(&error))
    }

    /// Writes a name and a value in columns.
    pub(super) fn field(&mut self, name: &str, value: impl Display) -> Result<(), Failure> {
        if !self.is_terminal {
            return self.line(format_args!("{name}\t{value}"));
        }
        let value = printable(&value.to_string());
        let name = self.paint(Style::Bold, &format!("{name:<14}"));
        writeln!(self.writer, "{name}  {value}").map_err(|error| Failure::output(&error))
    }

    /// Writes text as it is.
    pub(super) fn text(&mut self, text: &str) -> Result<(), Failure> {
        let written = self.writer.write_all(text.as_bytes());
        written.map_err(|error| Failure::output(&error))
    }

    /// Writes a value as JSON, with line breaks on a terminal.
    pub(super) fn json(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        let json = if self.is_terminal {
            serde_json::to_string_pretty(value)
        } else {
            serde_json::to_string(value)
        };
        // Fails only where a map has keys that are no text; what is printed here has none.
        self.text(&(json.unwrap_or_default() + "\n"))
    }

    /// Shows how far something has come, in the place of what was shown before. On a terminal only.
    pub(super) fn progress(&mut self, text: impl Display) -> Result<(), Failure> {
        if !self.is_terminal {
            return Ok(());
        }
        let written = write!(self.writer, "\r{text}\u{1b}[K\r").and_then(|()| self.writer.flush());
        written.map_err(|error| Failure::output(&error))
    }

    /// Puts a word into a style, where there are colours.
    pub(super) fn paint(&self, style: Style, word: &str) -> String {
        let number = match style {
            Style::Plain => return word.to_owned(),
            Style::Bold => 1,
            Style::Green => 32,
            Style::Yellow => 33,
            Style::Red => 31,
        };
        if self.has_colours {
            format!("\u{1b}[{number}m{word}\u{1b}[0m")
        } else {
            word.to_owned()
        }
    }
}

/// Asks a person, on standard error, since standard output may go elsewhere.
pub(super) fn ask(question: &str) -> Result<Answer, Failure> {
    if !io::stdin().is_terminal() {
        return Ok(Answer::Nobody);
    }
    let failed = |error: io::Error| Failure::output(&error);
    let mut error = io::stderr();
    let shown = write!(error, "{question} [y/N] ").and_then(|()| error.flush());
    shown.map_err(failed)?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).map_err(failed)?;
    let is_yes = matches!(answer.trim(), "y" | "Y" | "yes" | "Yes");
    Ok(if is_yes { Answer::Yes } else { Answer::No })
}

/// Replaces control characters, so that no text from elsewhere commands the terminal.
pub(super) fn printable(text: &str) -> String {
    let is_harmless = |c: char| !c.is_control() || matches!(c, '\t');
    text.chars()
        .map(|c| if is_harmless(c) { c } else { '\u{fffd}' })
        .collect()
}

/// Writes octets in units of 1024: `4.0 KiB`.
pub(super) fn octets(count: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    // Tenths, so that no floating point is needed.
    let mut tenths = u128::from(count) * 10 / 1024;
    let mut units = UNITS.iter();
    let mut unit = units.next().copied().unwrap_or_default();
    for larger in units {
        if tenths < 10_240 {
            break;
        }
        tenths /= 1024;
        unit = larger;
    }
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

/// Writes a count with its word: `1,234 messages`.
pub(super) fn messages(count: usize) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} message{plural}", thousands(count as u64))
}

/// Writes a number in groups of three digits: `1,234`.
pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Writes a length of time in its largest unit: `3 min`.
pub(super) fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_are_written_in_the_largest_unit() {
        let written = [0, 1023, 1024, 1_572_864, 1 << 40, 1 << 50].map(octets);
        assert_eq!(
            written,
            [
                "0 B",
                "1023 B",
                "1.0 KiB",
                "1.5 MiB",
                "1.0 TiB",
                "1024.0 TiB"
            ]
        );
    }

    #[test]
    fn a_number_is_written_in_groups() {
        let written = [0, 12, 999, 1000, 1_234_567].map(thousands);
        assert_eq!(written, ["0", "12", "999", "1,000", "1,234,567"]);
        assert_eq!(messages(1), "1 message");
        assert_eq!(messages(1234), "1,234 messages");
    }

    #[test]
    fn a_span_is_written_in_the_largest_unit() {
        let written = [59, 60, 7200, 172_800].map(|seconds| span(Duration::from_secs(seconds)));
        assert_eq!(written, ["59 s", "1 min", "2 h", "2 d"]);
    }

    #[test]
    fn an_escape_sequence_does_not_reach_the_terminal() {
        assert_eq!(
            printable("a\u{1b}[2Jb\r\n"),
            "a\u{fffd}[2Jb\u{fffd}\u{fffd}"
        );
    }
}
