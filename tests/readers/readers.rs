//! Five ways to find out who a message is from, each as some mail reader does it.

/// An address that a reader shows as the sender.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Shown {
    pub(crate) reader: &'static str,
    pub(crate) address: String,
}

/// The names of the readers.
pub(crate) const ALL: [&str; 5] = [
    "the first field",
    "the last field",
    "everybody",
    "decoded words",
    "comments",
];

/// Returns what all readers show.
pub(crate) fn shown(message: &[u8]) -> Vec<Shown> {
    let text = String::from_utf8_lossy(message);
    let mut all = Vec::new();
    let mut lists = vec![from_fields(&text, false), from_fields(&text, true)];
    // A line of white space alone ends the header for some.
    lists.dedup();
    for fields in lists {
        let [first, last, everybody, decoded, comments] = ALL;
        let mut add = |reader, addresses: Vec<String>| {
            all.extend(
                addresses
                    .into_iter()
                    .map(|address| Shown { reader, address }),
            );
        };
        if let Some(field) = fields.first() {
            add(first, first_address(field).into_iter().collect());
        }
        if let Some(field) = fields.last() {
            add(last, last_address(field).into_iter().collect());
        }
        for field in &fields {
            add(everybody, addresses(field));
            add(
                decoded,
                address_like(&decode_words(field).replace(['"', '\\'], "")),
            );
            let (kept, removed) = without_comments(field);
            add(comments, addresses(&kept));
            add(comments, address_like(&decode_words(&removed)));
        }
    }
    all
}

/// Returns whether an address is one of the domain, or the address.
pub(crate) fn is_of(address: &str, domain: &str, granted: &str) -> bool {
    let plain: String = address.trim().chars().map(narrow).collect();
    let plain = plain.to_ascii_lowercase();
    let is_of_domain = plain
        .rsplit_once('@')
        .is_some_and(|(local, of)| !local.is_empty() && of == domain);
    is_of_domain || plain == granted
}

/// Wide forms look like the others, and name the same domain.
fn narrow(c: char) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        '\u{3002}' | '\u{ff61}' => '.',
        '\u{fe6b}' => '@',
        _ => c,
    }
}

/// The values of all `From:`, unfolded. Every CR and every LF ends a line, and space around a name does not matter.
fn from_fields(text: &str, ends_at_blank: bool) -> Vec<String> {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut fields: Vec<String> = Vec::new();
    for line in text.split('\n') {
        if line.is_empty() || (ends_at_blank && line.trim().is_empty()) {
            break;
        }
        match fields.last_mut() {
            Some(field) if line.starts_with([' ', '\t']) => field.push_str(line),
            _ => fields.push(line.to_owned()),
        }
    }
    let values = fields.iter().filter_map(|field| {
        let (name, value) = field.split_once(':')?;
        let name: String = name.chars().filter(|c| *c != '\0').collect();
        name.trim()
            .eq_ignore_ascii_case("from")
            .then(|| value.to_owned())
    });
    values.collect()
}

/// The first reader: parses leniently and takes the first address.
fn first_address(field: &str) -> Option<String> {
    addresses(&without_comments(field).0).into_iter().next()
}

/// The second reader: whatever stands behind the last angle bracket, else the last word with an at sign.
fn last_address(field: &str) -> Option<String> {
    if let Some((_, behind)) = field.rsplit_once('<') {
        let inner = behind.split('>').next().unwrap_or(behind);
        return inner.contains('@').then(|| inner.to_owned());
    }
    words(field).pop()
}

/// The words that could be addresses to somebody who knows nothing of quotes and comments.
fn words(text: &str) -> Vec<String> {
    let text = decode_words(text);
    let words = text.split(|c: char| c.is_whitespace() || ",;()<>".contains(c));
    let words = words.map(|word| word.trim_matches(['"', '\'', '\\']));
    let is_address = |word: &&str| {
        let parts = word.rsplit_once('@');
        parts.is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty())
    };
    words.filter(is_address).map(str::to_owned).collect()
}

/// The third reader: all addresses of the list, in angle brackets or bare.
fn addresses(field: &str) -> Vec<String> {
    let mut found = Vec::new();
    for part in parts(field, &[',', ';']) {
        match part.split_once('<') {
            Some(_) if !angles(&part).is_empty() => found.extend(angles(&part)),
            _ => found.extend(words(part.rsplit(':').next().unwrap_or(&part))),
        }
    }
    found
}

/// What stands in angle brackets outside of quotes, without a source route.
fn angles(part: &str) -> Vec<String> {
    let (mut found, mut is_quoted, mut open) = (Vec::new(), false, None);
    let mut chars = part.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' if is_quoted => {
                chars.next();
            }
            '"' => is_quoted = !is_quoted,
            '<' if !is_quoted => open = Some(at + 1),
            '>' if !is_quoted => {
                if let Some(inner) = open.take().and_then(|from| part.get(from..at)) {
                    found.push(inner.to_owned());
                }
            }
            _ => {}
        }
    }
    if let Some(inner) = open.and_then(|from| part.get(from..)) {
        found.extend(words(inner));
    }
    let without_route = |inner: String| match inner.rsplit_once(':') {
        Some((route, rest)) if route.starts_with('@') => rest.to_owned(),
        _ => inner,
    };
    found.retain(|inner| inner.contains('@'));
    found.into_iter().map(without_route).collect()
}

/// Splits outside of quotes, angle brackets and comments; what never closes goes to the end.
fn parts(text: &str, separators: &[char]) -> Vec<String> {
    let (mut parts, mut part) = (Vec::new(), String::new());
    let (mut is_quoted, mut is_angle, mut depth) = (false, false, 0_usize);
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' if is_quoted || depth > 0 => {
                part.push(c);
                part.extend(chars.next());
                continue;
            }
            '"' if depth == 0 => is_quoted = !is_quoted,
            '(' if !is_quoted => depth += 1,
            ')' if !is_quoted => depth = depth.saturating_sub(1),
            '<' if !is_quoted && depth == 0 => is_angle = true,
            '>' if !is_quoted && depth == 0 => is_angle = false,
            _ if separators.contains(&c) && !is_quoted && !is_angle && depth == 0 => {
                parts.push(std::mem::take(&mut part));
                continue;
            }
            _ => {}
        }
        part.push(c);
    }
    parts.push(part);
    parts
}

/// The fifth reader: what is left without comments, glued together, and the comments.
fn without_comments(field: &str) -> (String, String) {
    let (mut kept, mut removed) = (String::new(), String::new());
    let (mut is_quoted, mut depth) = (false, 0_usize);
    let mut chars = field.chars();
    while let Some(c) = chars.next() {
        let to = if depth > 0 { &mut removed } else { &mut kept };
        match c {
            '\\' if is_quoted || depth > 0 => {
                to.push(c);
                to.extend(chars.next());
            }
            '"' if depth == 0 => {
                is_quoted = !is_quoted;
                to.push(c);
            }
            '(' if !is_quoted => {
                depth += 1;
                removed.push(' ');
            }
            ')' if !is_quoted && depth > 0 => {
                depth -= 1;
                removed.push(' ');
            }
            _ => to.push(c),
        }
    }
    (kept, removed)
}

/// The fourth reader: decodes encoded words wherever they stand, before it looks at anything else.
fn decode_words(field: &str) -> String {
    let (mut text, mut rest, mut is_behind_word) = (String::new(), field, false);
    while let Some((before, inner)) = rest.split_once("=?") {
        let Some((decoded, after)) = decode_word(inner) else {
            text.push_str(before);
            text.push_str("=?");
            (rest, is_behind_word) = (inner, false);
            continue;
        };
        if !(is_behind_word && before.trim().is_empty()) {
            text.push_str(before);
        }
        text.push_str(&decoded);
        (rest, is_behind_word) = (after, true);
    }
    text + rest
}

fn decode_word(inner: &str) -> Option<(String, &str)> {
    let (_, rest) = inner.split_once('?')?;
    let (encoding, rest) = rest.split_once('?')?;
    let (payload, after) = rest.split_once("?=")?;
    let octets = match encoding {
        "B" | "b" => from_base64(payload),
        "Q" | "q" => from_quoted(payload),
        _ => return None,
    };
    Some((String::from_utf8_lossy(&octets).into_owned(), after))
}

fn from_quoted(payload: &str) -> Vec<u8> {
    let (mut octets, mut rest) = (Vec::new(), payload.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        let code = after
            .get(..2)
            .and_then(|digits| str::from_utf8(digits).ok());
        let code = code.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        rest = match (first, code) {
            (b'=', Some(octet)) => {
                octets.push(octet);
                after.get(2..).unwrap_or_default()
            }
            (b'_', _) => {
                octets.push(b' ');
                after
            }
            _ => {
                octets.push(*first);
                after
            }
        };
    }
    octets
}

fn from_base64(payload: &str) -> Vec<u8> {
    const DIGITS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut octets, mut bits, mut count) = (Vec::new(), 0_u32, 0);
    for digit in payload.chars().filter_map(|c| DIGITS.find(c)) {
        bits = (bits << 6) | u32::try_from(digit).unwrap_or_default();
        count += 6;
        if count >= 8 {
            count -= 8;
            octets.extend(u8::try_from((bits >> count) & 0xff));
        }
    }
    octets
}

/// Whatever a program makes a link of: letters around an at sign, with a dot in the domain.
fn address_like(text: &str) -> Vec<String> {
    let text: Vec<char> = text.chars().map(narrow).collect();
    let mut found = Vec::new();
    for (at, _) in text.iter().enumerate().filter(|(_, c)| **c == '@') {
        let (before, behind) = text.split_at(at);
        let is_local = |c: &&char| c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(**c);
        let local: Vec<char> = before.iter().rev().take_while(is_local).copied().collect();
        let local: String = local.into_iter().rev().collect();
        let is_domain = |c: &&char| c.is_alphanumeric() || ".-".contains(**c);
        let domain: String = behind.iter().skip(1).take_while(is_domain).collect();
        let domain = domain.trim_end_matches(['.', '-']);
        let local = local.trim_start_matches(|c: char| !c.is_alphanumeric());
        if !local.is_empty() && domain.contains('.') && !domain.starts_with('.') {
            found.push(format!("{local}@{domain}"));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(reader: &str, header: &str) -> Vec<String> {
        let all = shown(header.as_bytes()).into_iter();
        let of = all.filter(|shown| shown.reader == reader);
        of.map(|shown| shown.address).collect()
    }

    #[test]
    fn each_reader_finds_what_deceives_it() {
        for (reader, header, expected) in [
            (
                ALL[0],
                "From: a@x.example\r\nFrom: b@y.example\r\n",
                "a@x.example",
            ),
            (
                ALL[0],
                "from : \"q <c@z.example>\" <a@x.example>\nX: y",
                "a@x.example",
            ),
            (ALL[0], "From: <@r.example:a@x.example>\r\n", "a@x.example"),
            (
                ALL[1],
                "From: a@x.example\r\nFrom: b@y.example\r\n",
                "b@y.example",
            ),
            (
                ALL[1],
                "From: <a@x.example> \"<b@y.example>\"\r\n",
                "b@y.example",
            ),
            (
                ALL[3],
                "From: =?utf-8?q?b=40y.example?= <a@>\r\n",
                "b@y.example",
            ),
            (
                ALL[3],
                "From: =?utf-8?B?YkB5LmV4YW1wbGU=?= <a>\r\n",
                "b@y.example",
            ),
            (ALL[4], "From: me (b@y.example)\r\n", "b@y.example"),
            (ALL[4], "From: a@x(c).example\r\n", "a@x.example"),
        ] {
            let found = of(reader, header);
            assert!(
                found.iter().any(|address| address == expected),
                "{header}: {found:?}"
            );
        }
        let everybody = of(ALL[2], "From: A <a@x.example>, \"B, C\" <b@y.example>;\r\n");
        assert_eq!(everybody, ["a@x.example", "b@y.example"]);
    }

    #[test]
    fn an_address_is_granted_by_its_domain_or_as_a_whole() {
        for address in [
            "a@own.example",
            "B@OWN.Example",
            "me@partner.example",
            "a＠own。example",
        ] {
            assert!(
                is_of(address, "own.example", "me@partner.example"),
                "{address}"
            );
        }
        for address in [
            "a@own.example.evil",
            "a@xown.example",
            "you@partner.example",
            "@own.example",
        ] {
            assert!(
                !is_of(address, "own.example", "me@partner.example"),
                "{address}"
            );
        }
    }
}
