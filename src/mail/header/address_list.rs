//! A strict reader of address lists: `From:`, `Sender:`, `To:` and their kin (RFC 5322 §3.4, RFC 6854, RFC 6532).

use std::borrow::Cow;
use std::ops::Range;

use super::encoded_word;
use super::token::{self, Gap, Kind, Token, Tokens};
use crate::mail::address::{AddressError, Mailbox};

/// Why a field's value is not an address list, or not one of senders.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AddressListError {
    /// An address is malformed.
    #[error("an address in it is malformed: {0}")]
    Address(AddressError),
    /// A name or comment is written so that some readers take an address in it for the sender.
    #[error("a name or comment in it can be mistaken for another address")]
    AddressInName,
    /// A character that has no place there: a control character, an octet that is not UTF-8, a lone bracket.
    #[error("it has a character that may not stand there")]
    Character,
    /// A comment does not end, is nested more than 20 deep, or stands inside an address.
    #[error("a comment in it does not end, is nested too deeply, or stands inside an address")]
    Comment,
    /// There is no address.
    #[error("it has no address")]
    Empty,
    /// A name has an encoded word that is broken, or in a character set that cannot be judged.
    #[error("a name in it has an encoded word that is broken or in an unknown character set")]
    EncodedWord,
    /// A continuation line has no text, or follows a backslash.
    #[error("it is folded at a place where it may not be")]
    Fold,
    /// A group does not end, has no name, is empty where a sender is needed, or holds a group.
    #[error("a group in it is malformed or empty")]
    Group,
    /// A local part needs quotes and holds characters that readers take for the end of an address.
    #[error("the local part of an address in it is ambiguous")]
    LocalPart,
    /// An angle bracket inside angle brackets, or one that does not close.
    #[error("its angle brackets do not match")]
    Nested,
    /// A quoted string does not end, or a word touches it.
    #[error("a quoted string in it does not end, or touches another word")]
    Quotes,
    /// A source route (RFC 5322 §4.4).
    #[error("an address in it has a source route")]
    Route,
    /// Text follows an address where a comma should stand, or white space stands inside an address.
    #[error("an address in it is followed or interrupted by text; is a comma missing?")]
    Separator,
    /// It has more than [`MAX_SENDERS`] addresses, in their places or in names.
    #[error("it has more than 100 addresses")]
    TooMany,
}

/// The most addresses that one field may name as senders.
pub const MAX_SENDERS: usize = 100;

impl From<AddressError> for AddressListError {
    fn from(error: AddressError) -> Self {
        Self::Address(error)
    }
}

/// The addresses of a field, in their order; members of groups among them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AddressList {
    mailboxes: Vec<Mailbox>,
    /// The name beside each mailbox as it is written, unfolded; empty where there is none or it has comments.
    names: Vec<String>,
    /// Names of mailboxes and groups, and comments: whatever a person sees beside the addresses.
    texts: Vec<String>,
    has_empty_group: bool,
    is_folded: bool,
}

impl AddressList {
    /// Parses the value of a field that holds an `address-list`.
    ///
    /// The grammar is RFC 5322 §3.4 without its obsolete forms, but for dots in names before `<`. Narrower than
    /// the RFC: no comment or fold inside an address or its angle brackets, no empty list elements.
    ///
    /// # Errors
    /// [`AddressListError`]; a value without any address and group is [`AddressListError::Empty`].
    pub fn parse(value: &[u8]) -> Result<Self, AddressListError> {
        Self::with_marks(value).map(|(list, _)| list)
    }

    /// Parses a value, and tells where its parts stand in the unfolded text.
    pub(super) fn with_marks(value: &[u8]) -> Result<(Self, Vec<Mark>), AddressListError> {
        let text = token::unfold(value)?;
        let Tokens { tokens, comments } = token::tokens(&text)?;
        let mut parser = Parser {
            text: &text,
            tokens: &tokens,
            at: 0,
            marks: Vec::new(),
            list: Self {
                mailboxes: Vec::new(),
                names: Vec::new(),
                texts: comments,
                has_empty_group: false,
                is_folded: matches!(text, Cow::Owned(_)),
            },
        };
        parser.address_list()?;
        Ok((parser.list, parser.marks))
    }

    /// Returns the addresses.
    pub fn mailboxes(&self) -> &[Mailbox] {
        &self.mailboxes
    }

    /// Returns the name beside the only address, as it is written but for folds: words, quoted strings, encoded words.
    /// `None` where there are several addresses, no name, or comments in it.
    pub fn only_name(&self) -> Option<&str> {
        match self.names.as_slice() {
            [name] => Some(name.as_str()).filter(|name| !name.is_empty()),
            _ => None,
        }
    }

    /// Returns whether all addresses print as ASCII.
    pub fn is_ascii(&self) -> bool {
        self.mailboxes.iter().all(Mailbox::is_ascii)
    }

    /// Reads the list as one of senders, with rules under which lenient and naive mail readers agree about them.
    ///
    /// # Errors
    /// - [`AddressListError::Empty`] and [`AddressListError::Group`]: a sender is missing, or a group is empty.
    /// - [`AddressListError::LocalPart`]: a quoted local part holds one of `@ < > ( ) [ ] , ; : \ "`, or any local
    ///   part something like an encoded word.
    /// - [`AddressListError::AddressInName`]: a name, group name or comment holds, after decoding, an address other
    ///   than those of the list beside one of `< > , ; : "` or in a folded field, where a reader that decodes or
    ///   splits too early finds another sender; or something that looks like an address and is none, such as one with
    ///   an invisible character in it.
    /// - [`AddressListError::EncodedWord`]: an encoded word is broken, touches other text, or is in a charset that
    ///   hides ASCII, so that readers see different names.
    /// - [`AddressListError::TooMany`]: more than [`MAX_SENDERS`].
    pub fn into_senders(self) -> Result<Senders, AddressListError> {
        if self.has_empty_group {
            return Err(AddressListError::Group);
        }
        if self.mailboxes.is_empty() {
            return Err(AddressListError::Empty);
        }
        if self.mailboxes.len() > MAX_SENDERS {
            return Err(AddressListError::TooMany);
        }
        if self.mailboxes.iter().any(is_ambiguous) {
            return Err(AddressListError::LocalPart);
        }
        let mut shown = Vec::new();
        for text in &self.texts {
            self.find_shown(text, &mut shown)?;
        }
        Ok(Senders {
            mailboxes: self.mailboxes,
            shown,
        })
    }

    fn find_shown(&self, text: &str, shown: &mut Vec<Mailbox>) -> Result<(), AddressListError> {
        let text = encoded_word::decode(text).map_err(|_| AddressListError::EncodedWord)?;
        let text = text.replace(['\u{ff20}', '\u{fe6b}'], "@");
        // Some readers, Python's among them, end a quoted string or a comment at a fold.
        let has_structure = self.is_folded || text.contains(is_structure);
        self.judge_shown(&text, has_structure, shown)?;
        // Some drop quotes and backslashes before they look for anything.
        if text.contains(['"', '\\']) {
            self.judge_shown(&text.replace(['"', '\\'], ""), has_structure, shown)?;
        }
        Ok(())
    }

    fn judge_shown(
        &self,
        text: &str,
        has_structure: bool,
        shown: &mut Vec<Mailbox>,
    ) -> Result<(), AddressListError> {
        if has_structure && has_odd_handle(text) {
            return Err(AddressListError::AddressInName);
        }
        for candidate in address_like(text) {
            let mailbox = Mailbox::parse(candidate).map_err(|_| AddressListError::AddressInName)?;
            if self.mailboxes.iter().any(|own| own.is_same_as(&mailbox)) {
                continue;
            }
            if has_structure {
                return Err(AddressListError::AddressInName);
            }
            if mailbox.domain().as_ascii().contains('.') {
                shown.push(mailbox);
            }
            if shown.len() > MAX_SENDERS {
                return Err(AddressListError::TooMany);
            }
        }
        Ok(())
    }
}

/// Who a field says a message is from.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Senders {
    /// The addresses; never empty where it comes from [`AddressList::into_senders`].
    pub mailboxes: Vec<Mailbox>,
    /// Other addresses that names or comments show to people, such as `"ceo@corp.example" <me@own.example>`.
    ///
    /// This is legal, and every mail reader finds the right sender; people may not.
    pub shown: Vec<Mailbox>,
}

/// Returns the words that people or programs could take for an address. A handle, such as `@acme`, is none.
fn address_like(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_separator)
        .map(|word| word.trim_matches(['.', '\'', '`', '!', '?', '*', '_', '@']))
        .map(|word| word.trim_end_matches(['-', '~', '–', '—', '…', '.', '®', '™']))
        .filter(|word| word.contains('@'))
}

/// Returns whether a handle stands behind a character that is punctuation to people and a local part to programs:
/// `/@corp.example`.
fn has_odd_handle(text: &str) -> bool {
    text.match_indices('@').any(|(at, _)| {
        let (before, after) = text.split_at(at);
        let is_punctuation = |c: char| {
            let is_foreign = is_separator(c) && !c.is_ascii() && !c.is_whitespace();
            is_foreign || "{}|/'`!?*_".contains(c)
        };
        before.ends_with(is_punctuation)
            && after
                .trim_start_matches('@')
                .starts_with(|c| c == '[' || !is_separator(c))
    })
}

/// Returns whether a character may lead a reader who decodes too early to take a part of a name for an address.
fn is_structure(c: char) -> bool {
    "<>,;:\"\u{ff1c}\u{ff1e}\u{fe64}\u{fe65}".contains(c)
}

/// Returns whether people see that an address cannot go on at a character. Full stops in other scripts (`。`) are not
/// among them: programs read them as dots (UTS 46).
fn is_separator(c: char) -> bool {
    const ASCII: &str = "<>()[]{}|/,;:\"\\";
    const QUOTES: &str = "‘’‚‛“”„‟«»‹›";
    const FULL_WIDTH: &str = "（）［］｛｝｜／，、；：＜＞﹤﹥＂「」『』【】《》〈〉〔〕";
    c.is_whitespace()
        || [ASCII, QUOTES, FULL_WIDTH]
            .iter()
            .any(|set| set.contains(c))
}

/// Returns whether naive readers could find another address in this one.
fn is_ambiguous(mailbox: &Mailbox) -> bool {
    let local_part = mailbox.local_part().as_unquoted();
    local_part.contains(misleads) || local_part.contains("=?")
}

/// Structure of an address, and the wide, small and half-wide forms that some readers fold to ASCII first.
fn misleads(c: char) -> bool {
    "@<>()[],;:\\\"".contains(c)
        || matches!(c, '\u{3002}' | '\u{fe50}'..='\u{fe6f}' | '\u{ff01}'..='\u{ff5e}' | '\u{ff61}')
}

/// What stands at a place of an address list, in its order. Places are those of the unfolded text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Mark {
    /// The next address: local part, `@`, domain.
    Address(Range<usize>),
    /// A comma between two elements of the list or of a group.
    Comma(usize),
    /// The semicolon that ends a group.
    GroupEnd(usize),
    /// The colon behind the name of a group.
    GroupStart(usize),
}

struct Parser<'a> {
    text: &'a str,
    tokens: &'a [Token],
    /// Where the token begins that was taken last.
    at: usize,
    marks: Vec<Mark>,
    list: AddressList,
}

impl<'a> Parser<'a> {
    fn address_list(&mut self) -> Result<(), AddressListError> {
        loop {
            self.address()?;
            match self.next().kind {
                Kind::End => return Ok(()),
                Kind::Special(',') => self.marks.push(Mark::Comma(self.at)),
                Kind::Atom | Kind::Literal | Kind::Quoted(_) | Kind::Special(_) => {
                    return Err(AddressListError::Separator);
                }
            }
        }
    }

    fn address(&mut self) -> Result<(), AddressListError> {
        let words = self.words();
        if self.takes(':') {
            self.marks.push(Mark::GroupStart(self.at));
            self.group(words)?;
            self.marks.push(Mark::GroupEnd(self.at));
            return Ok(());
        }
        self.mailbox(words)
    }

    fn group(&mut self, name: &'a [Token]) -> Result<(), AddressListError> {
        self.phrase(name)?;
        if name.is_empty() {
            return Err(AddressListError::Group);
        }
        if self.takes(';') {
            self.list.has_empty_group = true;
            return Ok(());
        }
        loop {
            let words = self.words();
            self.mailbox(words)?;
            match self.next().kind {
                Kind::Special(',') => self.marks.push(Mark::Comma(self.at)),
                Kind::Special(';') => return Ok(()),
                Kind::Special(':') | Kind::End => return Err(AddressListError::Group),
                Kind::Atom | Kind::Literal | Kind::Quoted(_) | Kind::Special(_) => {
                    return Err(AddressListError::Separator);
                }
            }
        }
    }

    fn mailbox(&mut self, words: &'a [Token]) -> Result<(), AddressListError> {
        if self.takes('<') {
            let name = self.as_written(words);
            self.list.names.push(name);
            self.phrase(words)?;
            return self.angle_address();
        }
        self.list.names.push(String::new());
        match words {
            _ if self.is_at(':') => Err(AddressListError::Group),
            [] if self.is_at('@') => Err(AddressListError::Route),
            [] => Err(AddressListError::Empty),
            [local_part] if self.is_at('@') => self.address_spec(local_part),
            _ if self.is_at('@') => Err(AddressListError::Separator),
            [_] => Err(AddressListError::Address(AddressError::NoAt)),
            _ => Err(AddressListError::Separator),
        }
    }

    fn angle_address(&mut self) -> Result<(), AddressListError> {
        let local_part = self.next();
        if local_part.gap == Gap::Comment {
            return Err(AddressListError::Comment);
        }
        match local_part.kind {
            Kind::Atom | Kind::Quoted(_) => self.address_spec(local_part)?,
            Kind::Special('@') => return Err(AddressListError::Route),
            Kind::Special('<') => return Err(AddressListError::Nested),
            Kind::End | Kind::Literal | Kind::Special(_) => {
                return Err(AddressListError::Address(AddressError::LocalPart));
            }
        }
        let end = self.next();
        match (&end.kind, end.gap) {
            (Kind::Special('>'), Gap::None | Gap::Space) => Ok(()),
            (_, Gap::Comment) => Err(AddressListError::Comment),
            (Kind::Special('@'), _) => Err(AddressListError::Address(AddressError::Trailing)),
            (Kind::Special(',' | ':'), _) => Err(AddressListError::Route),
            (Kind::Special(_) | Kind::End, _) => Err(AddressListError::Nested),
            (Kind::Atom | Kind::Literal | Kind::Quoted(_), _) => Err(AddressListError::Separator),
        }
    }

    /// Reads `@` and the domain behind a local part. Nothing may stand between the three.
    fn address_spec(&mut self, local_part: &Token) -> Result<(), AddressListError> {
        let at = self.next();
        if at.kind != Kind::Special('@') {
            return Err(AddressListError::Address(AddressError::NoAt));
        }
        let domain = self.next();
        if !matches!(domain.kind, Kind::Atom | Kind::Literal) {
            return Err(AddressListError::Address(AddressError::Domain));
        }
        match at.gap.max(domain.gap) {
            Gap::None => {}
            Gap::Space => return Err(AddressListError::Separator),
            Gap::Comment => return Err(AddressListError::Comment),
        }
        let place = local_part.place.start..domain.place.end;
        let mailbox = Mailbox::parse(self.text.get(place.clone()).unwrap_or_default())?;
        self.list.mailboxes.push(mailbox);
        self.marks.push(Mark::Address(place));
        if self.is_at('@') {
            return Err(AddressListError::Address(AddressError::Trailing));
        }
        Ok(())
    }

    /// Takes the words up to the next special character.
    fn words(&mut self) -> &'a [Token] {
        let is_word = |token: &Token| matches!(token.kind, Kind::Atom | Kind::Quoted(_));
        let count = self
            .tokens
            .iter()
            .take_while(|token| is_word(token))
            .count();
        let (words, rest) = self.tokens.split_at_checked(count).unwrap_or_default();
        self.tokens = rest;
        words
    }

    fn as_written(&self, words: &[Token]) -> String {
        let is_plain = words.iter().all(|word| word.gap != Gap::Comment);
        let (Some(first), Some(last), true) = (words.first(), words.last(), is_plain) else {
            return String::new();
        };
        let place = first.place.start..last.place.end;
        self.text.get(place).unwrap_or_default().to_owned()
    }

    /// Keeps the text of a name. Dots are those of `obs-phrase`, which a following `<` or `:` makes unambiguous.
    fn phrase(&mut self, words: &[Token]) -> Result<(), AddressListError> {
        let mut text = String::new();
        for word in words {
            match (word.gap, text.is_empty()) {
                (_, true) => {}
                (Gap::None, false) => return Err(AddressListError::Quotes),
                (Gap::Space | Gap::Comment, false) => text.push(' '),
            }
            match &word.kind {
                Kind::Quoted(content) => text.push_str(content),
                Kind::Atom | Kind::End | Kind::Literal | Kind::Special(_) => {
                    text.push_str(self.text.get(word.place.clone()).unwrap_or_default());
                }
            }
        }
        let begins_with_dot = words
            .first()
            .is_some_and(|word| word.kind == Kind::Atom && text.starts_with('.'));
        if begins_with_dot {
            return Err(AddressListError::Character);
        }
        if !text.is_empty() {
            self.list.texts.push(text);
        }
        Ok(())
    }

    fn is_at(&self, special: char) -> bool {
        self.tokens
            .first()
            .is_some_and(|token| token.kind == Kind::Special(special))
    }

    fn takes(&mut self, special: char) -> bool {
        let is_there = self.is_at(special);
        if is_there {
            self.next();
        }
        is_there
    }

    /// Takes one token. The end is never passed.
    fn next(&mut self) -> &'a Token {
        const END: &Token = &Token {
            kind: Kind::End,
            gap: Gap::None,
            place: 0..0,
        };
        match self.tokens.split_first() {
            Some((token, rest)) => {
                self.tokens = rest;
                self.at = token.place.start;
                token
            }
            None => END,
        }
    }
}

#[cfg(test)]
mod tests;
