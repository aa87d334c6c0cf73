//! The tokens of a structured field (RFC 5322 §3.2), with comments set aside.

use std::borrow::Cow;
use std::ops::Range;
use std::str::CharIndices;

use super::address_list::AddressListError;

/// How deep comments may be nested.
pub(super) const MAX_COMMENT_DEPTH: usize = 20;

/// One token of an address list.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    /// What stands between this token and the one before it.
    pub(super) gap: Gap,
    /// Where it stands in the text.
    pub(super) place: Range<usize>,
}

/// What a token is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// Letters, digits, `atext` and dots; anything outside ASCII.
    Atom,
    /// The end of the text.
    End,
    /// A domain literal with its brackets.
    Literal,
    /// A quoted string; the content without quotes and escapes.
    Quoted(String),
    /// One of `< > @ : ; ,`.
    Special(char),
}

/// What stands between two tokens.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Gap {
    /// Nothing.
    None,
    /// White space.
    Space,
    /// At least one comment.
    Comment,
}

/// The tokens of a text; the last is [`Kind::End`]. Comments stand apart, in their order.
pub(super) struct Tokens {
    pub(super) tokens: Vec<Token>,
    pub(super) comments: Vec<String>,
}

/// Unfolds a field's value and refuses the characters that have no place in an address list.
///
/// Refused are octets that are not UTF-8, control characters, line separators, and characters that change the
/// direction of what follows; a fold without text, and one behind a backslash.
pub(super) fn unfold(value: &[u8]) -> Result<Cow<'_, str>, AddressListError> {
    let text = str::from_utf8(value).map_err(|_| AddressListError::Character)?;
    if text
        .chars()
        .any(|c| !matches!(c, '\r' | '\n' | '\t') && is_refused(c))
    {
        return Err(AddressListError::Character);
    }
    if !text.contains(['\r', '\n']) {
        return Ok(Cow::Borrowed(text));
    }
    let mut unfolded = String::with_capacity(text.len());
    for (index, line) in text.split("\r\n").enumerate() {
        let is_continuation = index > 0;
        if line.contains(['\r', '\n']) {
            return Err(AddressListError::Character);
        }
        if is_continuation && (!line.starts_with([' ', '\t']) || line.trim().is_empty()) {
            return Err(AddressListError::Fold);
        }
        if is_continuation && unfolded.ends_with('\\') {
            return Err(AddressListError::Fold);
        }
        unfolded.push_str(line);
    }
    Ok(Cow::Owned(unfolded))
}

/// Splits unfolded text into tokens.
pub(super) fn tokens(text: &str) -> Result<Tokens, AddressListError> {
    let mut lexer = Lexer {
        text,
        characters: text.char_indices(),
        comments: Vec::new(),
    };
    let mut tokens = Vec::new();
    loop {
        let token = lexer.token()?;
        let is_end = token.kind == Kind::End;
        tokens.push(token);
        if is_end {
            let comments = lexer.comments;
            return Ok(Tokens { tokens, comments });
        }
    }
}

struct Lexer<'a> {
    text: &'a str,
    characters: CharIndices<'a>,
    comments: Vec<String>,
}

impl Lexer<'_> {
    fn token(&mut self) -> Result<Token, AddressListError> {
        let gap = self.gap()?;
        let start = self.offset();
        let kind = match self.characters.next().map(|(_, c)| c) {
            None => Kind::End,
            Some('"') => self.quoted_string()?,
            Some('[') => self.literal()?,
            Some(c @ ('<' | '>' | '@' | ':' | ';' | ',')) => Kind::Special(c),
            Some(c) if is_atom_character(c) => self.atom(),
            Some(_) => return Err(AddressListError::Character),
        };
        let place = start..self.offset();
        Ok(Token { kind, gap, place })
    }

    /// Passes white space and comments.
    fn gap(&mut self) -> Result<Gap, AddressListError> {
        let mut gap = Gap::None;
        loop {
            match self.peek() {
                Some(' ' | '\t') => {
                    self.characters.next();
                    gap = gap.max(Gap::Space);
                }
                Some('(') => {
                    self.characters.next();
                    let comment = self.comment()?;
                    self.comments.push(comment);
                    gap = Gap::Comment;
                }
                _ => return Ok(gap),
            }
        }
    }

    fn comment(&mut self) -> Result<String, AddressListError> {
        let mut content = String::new();
        let mut depth = 1;
        while let Some((_, c)) = self.characters.next() {
            match c {
                '\\' => content.push(self.escaped()?),
                '(' if depth == MAX_COMMENT_DEPTH => return Err(AddressListError::Comment),
                '(' => {
                    depth += 1;
                    content.push(c);
                }
                ')' if depth == 1 => return Ok(content),
                ')' => {
                    depth -= 1;
                    content.push(c);
                }
                _ => content.push(c),
            }
        }
        Err(AddressListError::Comment)
    }

    fn quoted_string(&mut self) -> Result<Kind, AddressListError> {
        let mut content = String::new();
        while let Some((_, c)) = self.characters.next() {
            match c {
                '"' => return Ok(Kind::Quoted(content)),
                '\\' => content.push(self.escaped()?),
                _ => content.push(c),
            }
        }
        Err(AddressListError::Quotes)
    }

    fn escaped(&mut self) -> Result<char, AddressListError> {
        let (_, c) = self.characters.next().ok_or(AddressListError::Quotes)?;
        Ok(c)
    }

    fn literal(&mut self) -> Result<Kind, AddressListError> {
        for (_, c) in self.characters.by_ref() {
            match c {
                ']' => return Ok(Kind::Literal),
                '[' | '\\' | ' ' | '\t' => break,
                _ => {}
            }
        }
        Err(AddressListError::Character)
    }

    fn atom(&mut self) -> Kind {
        while self.peek().is_some_and(is_atom_character) {
            self.characters.next();
        }
        Kind::Atom
    }

    fn peek(&self) -> Option<char> {
        self.characters.as_str().chars().next()
    }

    fn offset(&self) -> usize {
        self.text.len() - self.characters.as_str().len()
    }
}

/// `atext` of RFC 5322 §3.2.3 and RFC 6532 §3.2, and the dot.
fn is_atom_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c) || !c.is_ascii()
}

/// Control characters, line and paragraph separators, and the overrides of writing direction, with which an address
/// is shown as another one.
fn is_refused(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
