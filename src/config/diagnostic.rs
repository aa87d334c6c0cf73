//! What is wrong with a configuration file: where, what, and what to do.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use toml::de::{DeTable, DeValue};

pub(super) use crate::identity::nearest;

/// A file and its text. `Debug` does not show the text, since it may hold passwords.
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) text: String,
    /// Where passwords stand; found out when the first diagnostic is shown.
    hidden: OnceLock<Vec<Range<usize>>>,
}

impl Source {
    pub(super) fn new(path: &Path, text: String) -> Arc<Self> {
        Arc::new(Self {
            path: path.to_owned(),
            text,
            hidden: OnceLock::new(),
        })
    }

    fn hidden(&self) -> &[Range<usize>] {
        self.hidden.get_or_init(|| {
            let (table, _) = DeTable::parse_recoverable(&self.text);
            let mut places = Vec::new();
            secrets_in_table(table.get_ref(), &mut places);
            places.extend(logins(&self.text));
            places
        })
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.path, f)
    }
}

impl PartialEq for Source {
    fn eq(&self, other: &Self) -> bool {
        (&self.path, &self.text) == (&other.path, &other.text)
    }
}

impl Eq for Source {}

fn secrets_in_table(table: &DeTable<'_>, places: &mut Vec<Range<usize>>) {
    for (key, value) in table {
        let is_secret = SECRET_KEYS.contains(&&**key.get_ref());
        match value.get_ref() {
            DeValue::Table(table) => secrets_in_table(table, places),
            DeValue::Array(array) => {
                for value in array {
                    if let DeValue::Table(table) = value.get_ref() {
                        secrets_in_table(table, places);
                    }
                }
                places.extend(is_secret.then(|| value.span()));
            }
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_) => places.extend(is_secret.then(|| value.span())),
        }
    }
}

/// Returns where addresses have a login in them, as `scheme://name:password@host`: the password.
fn logins(text: &str) -> impl Iterator<Item = Range<usize>> {
    text.match_indices("://").filter_map(|(at, separator)| {
        let start = at + separator.len();
        let rest = text.get(start..)?;
        let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\''));
        let login = rest.get(..end.unwrap_or(rest.len()))?.rsplit_once('@')?.0;
        let (name, _) = login.split_once(':')?;
        Some(start + name.len() + 1..start + login.len())
    })
}

/// The keys whose values are not shown, unless they are tables.
const SECRET_KEYS: [&str; 4] = ["inline", "password", "prefix", "scram"];

/// How bad it is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Severity {
    /// The file cannot be used.
    Error,
    /// It can, but somebody should look.
    Warning,
}

/// One fault, or one thing to look at, in a configuration file.
///
/// `Display` writes file, line and column (counted in characters, from 1), the message, the line itself with carets
/// under the place, and a hint. Passwords in the line are not shown.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Diagnostic {
    pub(super) severity: Severity,
    source: Arc<Source>,
    /// Where in the text; `None` where the file as a whole is meant.
    span: Option<Range<usize>>,
    message: String,
    hint: Option<String>,
}

impl Diagnostic {
    pub(super) fn new(
        severity: Severity,
        source: &Arc<Source>,
        span: Option<Range<usize>>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            severity,
            source: Arc::clone(source),
            span,
            message: message.into(),
            hint: None,
        }
    }

    #[must_use]
    pub(super) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Returns whether it is an error or a warning.
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// Returns the file.
    pub fn path(&self) -> &Path {
        &self.source.path
    }

    /// Returns what is wrong, in one line without the place.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Returns what to do about it, where that is known.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// Returns line and column, both from 1, where the diagnostic has a place.
    pub fn position(&self) -> Option<(usize, usize)> {
        let place = self.place()?;
        Some((place.line, place.before.chars().count() + 1))
    }

    /// Returns place, message and hint in one line, for the log.
    pub fn summary(&self) -> String {
        let place = match self.position() {
            Some((line, column)) => format!("{}:{line}:{column}", self.path().display()),
            None => self.path().display().to_string(),
        };
        let hint = self
            .hint
            .as_ref()
            .map_or_else(String::new, |hint| format!(" (hint: {hint})"));
        printable(&format!("{place}: {}{hint}", self.message))
    }

    fn place(&self) -> Option<Place<'_>> {
        let span = self.span.clone()?;
        let text = &self.source.text;
        let start = floor_boundary(text, span.start);
        let (before, after) = text.split_at_checked(start)?;
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let rest_of_line = after.split('\n').next().unwrap_or_default();
        let rest_of_line = rest_of_line.strip_suffix('\r').unwrap_or(rest_of_line);
        let end = floor_boundary(text, span.end.clamp(start, start + rest_of_line.len()));
        Some(Place {
            line: before.matches('\n').count() + 1,
            start: line_start,
            hidden: self.source.hidden(),
            before: text.get(line_start..start)?,
            marked: text.get(start..end)?,
            after: text.get(end..start + rest_of_line.len())?,
        })
    }

    pub(super) fn order(&self) -> (PathBuf, usize, Severity) {
        let start = self.span.as_ref().map_or(0, |span| span.start);
        (self.source.path.clone(), start, self.severity)
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.source.path.display())?;
        let place = self.place();
        if let Some(place) = &place {
            write!(f, ":{}:{}", place.line, place.before.chars().count() + 1)?;
        }
        let label = match self.severity {
            Severity::Error => "",
            Severity::Warning => "warning: ",
        };
        write!(f, ": {label}{}", printable(&self.message))?;
        if let Some(place) = place {
            place.masked().fmt(f)?;
        }
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {}", printable(hint)),
            None => Ok(()),
        }
    }
}

/// A line, cut at the marked place.
struct Place<'a> {
    line: usize,
    /// Where the line begins in the text.
    start: usize,
    /// Where passwords stand in the text.
    hidden: &'a [Range<usize>],
    before: &'a str,
    marked: &'a str,
    after: &'a str,
}

/// The same, fit to be shown.
struct Excerpt {
    line: usize,
    before: String,
    marked: String,
    after: String,
}

impl Place<'_> {
    /// Returns whether the character at that place of the text belongs to a password; the quotes around it do not.
    fn is_hidden(&self, at: usize, c: char) -> bool {
        let is_quote = matches!(c, '"' | '\'');
        self.hidden.iter().any(|place| {
            let is_border = at == place.start || at + 1 == place.end;
            place.contains(&at) && !(is_quote && is_border)
        })
    }

    /// Hides the characters of passwords; stars stand where they stood, so that the carets fit.
    fn masked(&self) -> Excerpt {
        let line = [self.before, self.marked, self.after].concat();
        let guessed = secret_part(&line);
        let mut at = 0;
        let mut shown = |part: &str| {
            let characters = part.char_indices().map(|(index, c)| {
                let is_secret =
                    guessed.contains(&(at + index)) || self.is_hidden(self.start + at + index, c);
                if is_secret { '*' } else { shown_character(c) }
            });
            let shown = characters.collect::<String>();
            at += part.len();
            shown
        };
        Excerpt {
            line: self.line,
            before: shown(self.before),
            marked: shown(self.marked),
            after: shown(self.after),
        }
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.line.to_string();
        let margin = " ".repeat(number.len() + 1);
        let is_tab = |c| if c == '\t' { '\t' } else { ' ' };
        let indent = self.before.chars().map(is_tab).collect::<String>();
        let carets = "^".repeat(self.marked.chars().count().max(1));
        let line = [&*self.before, &self.marked, &self.after].concat();
        write!(
            f,
            "\n{margin}|\n{number} | {}\n{margin}| {indent}{carets}",
            line.trim_end()
        )
    }
}

/// All that was found, when a configuration cannot be used.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Report {
    diagnostics: Vec<Diagnostic>,
    advice: Option<&'static str>,
}

impl Report {
    /// Takes the diagnostics in the order of their places.
    pub(super) fn new(diagnostics: Vec<Diagnostic>) -> Self {
        Self {
            diagnostics,
            advice: None,
        }
    }

    /// Adds what to do about the whole of it.
    #[must_use]
    pub fn with_advice(mut self, advice: &'static str) -> Self {
        self.advice = Some(advice);
        self
    }

    /// Returns what to do about the whole of it, where that is known.
    pub fn advice(&self) -> Option<&'static str> {
        self.advice
    }

    /// Returns errors and warnings in the order of the files.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }
}

impl fmt::Display for Report {
    /// Writes all diagnostics and the advice with an empty line between them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.diagnostics.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n\n" };
            write!(f, "{separator}{diagnostic}")?;
        }
        match self.advice {
            Some(advice) => write!(f, "\n\nhint: {advice}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Report {}

/// Writes a list as `` `a`, `b` ``.
pub(super) fn quoted<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<_> = words.into_iter().map(|word| format!("`{word}`")).collect();
    words.join(", ")
}

/// Guesses what must not be shown of a line that may not be TOML: the text after the keys of secrets.
fn secret_part(line: &str) -> Range<usize> {
    let is_secret_key = |key: &&str| {
        let after = line.split_once(key).map(|(_, after)| after.trim_start());
        let value = after.and_then(|after| after.strip_prefix(['=', '"', '\'']));
        value.is_some_and(|value| value.trim_start().starts_with(['"', '\'', '=']))
    };
    let Some(key) = SECRET_KEYS.into_iter().find(is_secret_key) else {
        return 0..0;
    };
    let start = line.find(key).map_or(0, |at| at + key.len());
    let value = line.get(start..).unwrap_or_default();
    let Some(equals) = value.find('=') else {
        return 0..0;
    };
    let Some(quote_at) = value.get(equals..).and_then(|rest| rest.find(['"', '\''])) else {
        return 0..0;
    };
    let open = equals + quote_at;
    let quote = value.get(open..=open).unwrap_or("\"");
    let content = value.get(open + 1..).unwrap_or_default();
    let closed = content.rfind(quote).unwrap_or(content.len());
    let first = start + open + 1;
    first..first + closed
}

fn printable(text: &str) -> String {
    text.chars().map(shown_character).collect()
}

fn shown_character(c: char) -> char {
    if c.is_control() && c != '\t' {
        '\u{fffd}'
    } else {
        c
    }
}

fn floor_boundary(text: &str, at: usize) -> usize {
    text.floor_char_boundary(at.min(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diagnostic(text: &str, marked: &str, message: &str) -> Diagnostic {
        let source = Source::new(Path::new("posthouse.toml"), text.to_owned());
        let start = text.find(marked).unwrap();
        let span = start..start + marked.len();
        Diagnostic::new(Severity::Error, &source, Some(span), message)
    }

    #[test]
    fn a_password_in_an_address_is_hidden() {
        let text = "url = \"socks5://relay:hunter2@proxy.example:1080\"";
        let shown = diagnostic(text, "socks5", "bad").to_string();
        assert!(
            shown.contains("socks5://relay:*******@proxy.example:1080"),
            "{shown}"
        );
        let broken = "url = \"socks5://relay:hunter2@proxy.example:1080";
        let shown = diagnostic(broken, "socks5", "bad").to_string();
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn a_diagnostic_shows_the_place_and_a_hint() {
        let text = format!("{}upstream = \"smart\"\n", "\n".repeat(13));
        let shown = diagnostic(&text, "\"smart\"", "unknown upstream `smart`")
            .with_hint("upstreams defined here: `smarthost`, `graph`")
            .to_string();
        let expected = "\
posthouse.toml:14:12: unknown upstream `smart`
   |
14 | upstream = \"smart\"
   |            ^^^^^^^
hint: upstreams defined here: `smarthost`, `graph`";
        assert_eq!(shown, expected);
    }

    #[test]
    fn columns_are_characters_not_octets() {
        let shown = diagnostic("\"ä\" = x", "x", "m");
        assert_eq!(shown.position(), Some((1, 7)));
        assert!(shown.to_string().ends_with("\n  |       ^"));
    }

    #[test]
    fn a_place_at_the_end_of_the_text_has_a_caret() {
        let source = Source::new(Path::new("f"), "a = ".to_owned());
        let shown = Diagnostic::new(Severity::Error, &source, Some(4..4), "m").to_string();
        assert_eq!(shown, "f:1:5: m\n  |\n1 | a =\n  |     ^");
    }

    #[test]
    fn only_the_first_line_of_a_long_place_is_marked() {
        let shown = diagnostic("a = [\n1,\n2]", "[\n1,\n2]", "m").to_string();
        assert!(shown.ends_with("1 | a = [\n  |     ^"), "{shown}");
    }

    #[test]
    fn a_password_in_the_line_is_not_shown() {
        for line in [
            "password = \"hunter2\" # why",
            "  password = { inline = \"hunter2\" }",
            "password = { inline = 'hunter2', x = 1 }",
            "inline = \"hunter2",
            "\"password\" = \"hunter2\"",
            "password=\"hunter2\"",
            "password = { inline =\n \"hunter2\" }",
            "password = \"\"\"\nhunter2\"\"\"",
            "scram = \"hunter2\"",
            "prefix = \"hunter2\"",
        ] {
            let shown = diagnostic(line, "hunter2", "m").to_string();
            assert!(!shown.contains("hunter2"), "{shown}");
            assert!(shown.contains("*******"), "{shown}");
        }
    }

    #[test]
    fn the_debug_form_does_not_show_the_file() {
        let shown = format!("{:?}", diagnostic("password = \"hunter2\"", "=", "m"));
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn the_place_of_a_secret_is_shown() {
        let shown = diagnostic("password = { file = \"a/b\" }", "a/b", "m").to_string();
        assert!(shown.contains("a/b"), "{shown}");
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        let shown = diagnostic("a = \x1b[31m", "=", "bad \x1b[31m").to_string();
        assert!(!shown.contains('\x1b'));
    }
}
