//! A password from standard input, not shown while it is typed.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::secret::Secret;

use super::failure::{Code, Failure};

/// The longest password, in octets.
const LONGEST: u64 = 4096;

/// Reads one line. On a terminal it is asked for twice, and not shown.
pub(super) fn read() -> Result<Secret, Failure> {
    if !io::stdin().is_terminal() {
        return line();
    }
    let first = typed("Password: ")?;
    let second = typed("Once more: ")?;
    if first != second {
        return Err(Failure::new(Code::Usage, "the two passwords differ")
            .with_hint("type the same one twice"));
    }
    Ok(first)
}

/// Ends the silence of the terminal, whatever happens.
struct Silence(Termios);

impl Silence {
    fn begin() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Flush, &silent)?;
        Ok(Self(before))
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        // There is nothing to be done about a terminal that has gone.
        let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &self.0);
    }
}

fn typed(prompt: &str) -> Result<Secret, Failure> {
    let failed = |error| Failure::output(&error);
    let mut terminal = io::stderr();
    terminal.write_all(prompt.as_bytes()).map_err(failed)?;
    let silence = Silence::begin().map_err(failed)?;
    let password = line();
    drop(silence);
    terminal.write_all(b"\n").map_err(failed)?;
    password
}

fn line() -> Result<Secret, Failure> {
    let mut text = String::new();
    let mut input = io::stdin().lock().take(LONGEST + 1);
    let read = input.read_line(&mut text);
    // Taken in at once, so that the text is overwritten whatever follows.
    let text = Secret::new(text);
    read.map_err(|error| Failure::new(Code::Io, format!("cannot read the password: {error}")))?;
    let password = text.expose();
    let password = password.strip_suffix('\n').unwrap_or(password);
    let password = password.strip_suffix('\r').unwrap_or(password);
    if password.is_empty() {
        return Err(
            Failure::new(Code::NoInput, "there is no password on standard input")
                .with_hint("for example: printf '%s' \"$PASSWORD\" | posthouse hash-password"),
        );
    }
    if password.len() as u64 > LONGEST {
        let message = format!("a password has at most {LONGEST} octets");
        return Err(Failure::new(Code::Usage, message));
    }
    Ok(Secret::new(password.to_owned()))
}
