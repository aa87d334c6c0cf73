//! A line into a command (RFC 5321 §4.1.1, and the extensions'). Strict, but for what real clients send: any
//! letter case, a space behind `FROM:` or `TO:`, spaces at the end.

use crate::mail::{AddressError, Domain, ForwardPath, Recipient, ReversePath};

use super::foreign::Foreign;
use super::parameter::{MailParameters, ParameterError, RcptParameters};

/// A command of a client.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Command<'a> {
    /// AUTH (RFC 4954).
    Auth {
        /// The mechanism's name, as given.
        mechanism: &'a str,
        /// The initial response, base64, if given; `=` stands for an empty one.
        initial: Option<&'a str>,
    },
    /// BDAT (RFC 3030).
    Bdat {
        /// Octets that follow.
        size: u64,
        /// Whether the message ends with them.
        end: ChunkEnd,
    },
    /// DATA.
    Data,
    /// EHLO with its argument.
    Ehlo(&'a str),
    /// EXPN.
    Expn,
    /// HELO with its argument.
    Helo(&'a str),
    /// HELP.
    Help,
    /// MAIL.
    Mail(ReversePath, MailParameters),
    /// NOOP.
    Noop,
    /// QUIT.
    Quit,
    /// RCPT.
    Rcpt(Recipient),
    /// RSET.
    Rset,
    /// STARTTLS (RFC 3207).
    StartTls,
    /// VRFY.
    Vrfy,
}

/// Whether a chunk is the message's last.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ChunkEnd {
    /// More chunks follow.
    More,
    /// BDAT … LAST.
    Last,
}

/// Why a line is no command.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CommandError {
    /// It belongs to another protocol.
    Foreign(Foreign),
    /// The verb is known, its arguments are not what it takes.
    Parameter(ParameterError),
    /// The forward-path is no address.
    Recipient(AddressError),
    /// The reverse-path is no address.
    Sender(AddressError),
    /// The verb is known, its arguments are missing or malformed.
    Syntax,
    /// The verb is not known.
    Unknown,
}

impl<'a> Command<'a> {
    /// Returns whether its reply may wait for those to the commands behind it (RFC 2920 §3.2).
    pub const fn may_be_grouped(&self) -> bool {
        match self {
            Self::Auth { .. }
            | Self::Bdat { .. }
            | Self::Mail(..)
            | Self::Rcpt(_)
            | Self::Rset
            | Self::StartTls => true,
            Self::Data
            | Self::Ehlo(_)
            | Self::Expn
            | Self::Helo(_)
            | Self::Help
            | Self::Noop
            | Self::Quit
            | Self::Vrfy => false,
        }
    }

    /// Parses a line without its CRLF. `here` is the domain of `<Postmaster>`.
    ///
    /// # Errors
    /// [`CommandError`] says which reply fits.
    pub fn parse(line: &'a [u8], here: &Domain) -> Result<Self, CommandError> {
        if let Some(foreign) = Foreign::of_line(line) {
            return Err(CommandError::Foreign(foreign));
        }
        let text = str::from_utf8(line).map_err(|_| CommandError::Syntax)?;
        if text.contains(|c: char| c.is_control()) {
            return Err(CommandError::Syntax);
        }
        let (verb, rest) = match text.split_once(' ') {
            Some((verb, rest)) => (verb, rest.trim_matches(' ')),
            None => (text, ""),
        };
        match verb.to_ascii_uppercase().as_str() {
            "AUTH" => auth(rest),
            "BDAT" => bdat(rest),
            "DATA" => alone(rest, Command::Data),
            "EHLO" => greeting(rest).map(Command::Ehlo),
            "EXPN" => Ok(Command::Expn),
            "HELO" => greeting(rest).map(Command::Helo),
            "HELP" => Ok(Command::Help),
            "MAIL" => mail(rest),
            "NOOP" => Ok(Command::Noop),
            "QUIT" => alone(rest, Command::Quit),
            "RCPT" => rcpt(rest, here),
            "RSET" => alone(rest, Command::Rset),
            "STARTTLS" => alone(rest, Command::StartTls),
            "VRFY" if rest.is_empty() => Err(CommandError::Syntax),
            "VRFY" => Ok(Command::Vrfy),
            _ => Err(CommandError::Unknown),
        }
    }
}

/// Returns whether a line that has begun to arrive is AUTH's, which may be longer than others (RFC 4954 §4).
pub fn begins_with_auth(input: &[u8]) -> bool {
    input
        .get(..5)
        .is_some_and(|verb| verb.eq_ignore_ascii_case(b"AUTH "))
}

fn alone<'a>(rest: &str, command: Command<'a>) -> Result<Command<'a>, CommandError> {
    if rest.is_empty() {
        Ok(command)
    } else {
        Err(CommandError::Syntax)
    }
}

/// Any printable word is taken as the client's name: printers send `NetBIOS` names, underscores, nothing useful.
fn greeting(rest: &str) -> Result<&str, CommandError> {
    let is_word = !rest.is_empty() && rest.len() <= 255 && !rest.contains(char::is_whitespace);
    if is_word {
        Ok(rest)
    } else {
        Err(CommandError::Syntax)
    }
}

fn auth(rest: &str) -> Result<Command<'_>, CommandError> {
    let (mechanism, initial) = match rest.split_once(' ') {
        Some((mechanism, initial)) => (mechanism, Some(initial.trim_start_matches(' '))),
        None => (rest, None),
    };
    let is_word = |word: &str| !word.is_empty() && !word.contains(' ');
    if !is_word(mechanism) || !initial.is_none_or(is_word) {
        return Err(CommandError::Syntax);
    }
    Ok(Command::Auth { mechanism, initial })
}

fn bdat(rest: &str) -> Result<Command<'_>, CommandError> {
    let (size, end) = match rest.split_once(' ') {
        Some((size, word)) if word.eq_ignore_ascii_case("LAST") => (size, ChunkEnd::Last),
        Some(_) => return Err(CommandError::Syntax),
        None => (rest, ChunkEnd::More),
    };
    let is_number =
        !size.is_empty() && size.len() <= 20 && size.bytes().all(|octet| octet.is_ascii_digit());
    if !is_number {
        return Err(CommandError::Syntax);
    }
    // A number beyond 64 bits must not wrap: it is larger than any limit.
    let size = size.parse().unwrap_or(u64::MAX);
    Ok(Command::Bdat { size, end })
}

fn mail(rest: &str) -> Result<Command<'_>, CommandError> {
    let path = behind(rest, "FROM:")?;
    let (reverse_path, parameters) = ReversePath::take(path).map_err(CommandError::Sender)?;
    let parameters = MailParameters::parse(parameters).map_err(CommandError::Parameter)?;
    Ok(Command::Mail(reverse_path, parameters))
}

fn rcpt<'a>(rest: &'a str, here: &Domain) -> Result<Command<'a>, CommandError> {
    let path = behind(rest, "TO:")?;
    let (forward_path, parameters) =
        ForwardPath::take(path, here).map_err(CommandError::Recipient)?;
    let parameters = RcptParameters::parse(parameters).map_err(CommandError::Parameter)?;
    Ok(Command::Rcpt(Recipient {
        forward_path,
        notify: parameters.notify,
        original: parameters.original,
    }))
}

fn behind<'a>(rest: &'a str, keyword: &str) -> Result<&'a str, CommandError> {
    match rest.split_at_checked(keyword.len()) {
        Some((head, path)) if head.eq_ignore_ascii_case(keyword) => {
            Ok(path.trim_start_matches(' '))
        }
        _ => Err(CommandError::Syntax),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn here() -> Domain {
        Domain::parse("relay.example").unwrap()
    }

    fn error(line: &str) -> CommandError {
        Command::parse(line.as_bytes(), &here()).expect_err(line)
    }

    #[test]
    fn verbs_are_read_in_any_case_with_spaces_behind() {
        let here = here();
        for (line, command) in [
            ("quit", Command::Quit),
            ("Rset  ", Command::Rset),
            ("NOOP anything at all", Command::Noop),
            ("vrfy someone", Command::Vrfy),
            ("ehlo [192.0.2.1]", Command::Ehlo("[192.0.2.1]")),
            ("HELO MY_PRINTER", Command::Helo("MY_PRINTER")),
        ] {
            assert_eq!(Command::parse(line.as_bytes(), &here), Ok(command));
        }
    }

    #[test]
    fn a_space_behind_the_colon_is_tolerated() {
        let here = here();
        let Ok(Command::Mail(path, parameters)) = Command::parse(b"mail from: <a@b> SIZE=7", &here)
        else {
            panic!("no MAIL");
        };
        assert_eq!(
            (path.to_string().as_str(), parameters.size),
            ("<a@b>", Some(7))
        );
    }

    #[test]
    fn a_parameter_inside_a_quoted_local_part_is_not_a_parameter() {
        let here = here();
        let line = br#"RCPT TO:<"foo@psres.net> ORCPT=rfc822;admin@admin.com"@test.com>"#;
        let Ok(Command::Rcpt(recipient)) = Command::parse(line, &here) else {
            panic!("no RCPT");
        };
        assert_eq!(recipient.original, None);
        assert_eq!(
            recipient.forward_path.mailbox().domain().as_given(),
            "test.com"
        );
    }

    #[test]
    fn the_initial_response_may_stand_behind_two_spaces() {
        let here = here();
        let expected = Command::Auth {
            mechanism: "PLAIN",
            initial: Some("AGEAYg=="),
        };
        assert_eq!(Command::parse(b"AUTH PLAIN  AGEAYg==", &here), Ok(expected));
    }

    #[test]
    fn a_chunk_size_beyond_64_bits_does_not_wrap() {
        let here = here();
        let expected = Command::Bdat {
            size: u64::MAX,
            end: ChunkEnd::Last,
        };
        assert_eq!(
            Command::parse(b"BDAT 18446744073709551617 last", &here),
            Ok(expected)
        );
        for line in [
            "BDAT",
            "BDAT -1",
            "BDAT 1 FIRST",
            "BDAT 1 LAST x",
            "BDAT 999999999999999999999",
        ] {
            assert_eq!(error(line), CommandError::Syntax, "{line}");
        }
    }

    #[test]
    fn malformed_commands_are_refused() {
        for line in [
            "DATA now",
            "EHLO",
            "EHLO a b",
            "MAIL",
            "MAIL FROM",
            "MAIL TO:<a@b>",
            "RCPT FROM:<a@b>",
            "QUIT\0",
            "NOOP \x08",
            "AUTH",
            "STARTTLS x",
            "VRFY",
            "MAIL FROM:<a@b>\rRCPT TO:<c@d>",
        ] {
            assert_eq!(error(line), CommandError::Syntax, "{line}");
        }
        assert!(matches!(
            error("MAIL FROM:<a@b>x"),
            CommandError::Parameter(_)
        ));
        assert!(matches!(error("MAIL FROM:a@b"), CommandError::Sender(_)));
        assert!(matches!(
            error("RCPT TO:<a@b@c>"),
            CommandError::Recipient(_)
        ));
        assert_eq!(error(""), CommandError::Unknown);
        assert_eq!(
            error("POST / HTTP/1.1"),
            CommandError::Foreign(Foreign::Http)
        );
    }

    proptest! {
        #[test]
        fn no_line_makes_the_parser_panic(line: Vec<u8>) {
            let _ = Command::parse(&line, &here());
        }
    }
}
