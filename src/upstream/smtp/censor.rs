//! Cutting secrets out of what an upstream says. Some repeat the line they do not like.

use zeroize::Zeroizing;

/// A shorter secret is found only where it is a word of its own: otherwise it would be found in half of all words.
const DISTINCT: usize = 6;

/// A piece of a secret as long as this does not stand in a text by chance.
const PIECE: usize = 8;

/// Returns the text with `***` for each secret in it, and for each word that is a long piece of one: replies are cut
/// and folded on their way.
pub(super) fn without(text: &str, secrets: &[Zeroizing<String>]) -> String {
    let mut text = text.to_owned();
    for secret in secrets.iter().filter(|secret| secret.len() >= DISTINCT) {
        text = text.replace(secret.as_str(), "***");
    }
    let words: Vec<_> = text
        .split(' ')
        .map(|word| censored(word, secrets))
        .collect();
    words.join(" ")
}

/// Returns a word with `***` for what stands between its punctuation, if that is a secret.
fn censored(word: &str, secrets: &[Zeroizing<String>]) -> String {
    // What base64 ends in belongs to it.
    let is_around = |c: char| c.is_ascii_punctuation() && !matches!(c, '+' | '/' | '=');
    let inner = word.trim_matches(is_around);
    let is_secret = |secret: &Zeroizing<String>| {
        let is_piece = inner.len() >= PIECE && secret.contains(inner);
        !secret.is_empty() && (is_piece || [inner, word].contains(&secret.as_str()))
    };
    match secrets.iter().any(is_secret) {
        true if inner.is_empty() => "***".to_owned(),
        true => word.replacen(inner, "***", 1),
        false => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn without(text: &str, secrets: &[&str]) -> String {
        let secrets: Vec<_> = secrets
            .iter()
            .map(|secret| Zeroizing::new((*secret).to_owned()))
            .collect();
        super::without(text, &secrets)
    }

    #[test]
    fn a_secret_is_cut_wherever_it_stands() {
        assert_eq!(without("x=hunter2; no", &["hunter2"]), "x=***; no");
        assert_eq!(without("abcd efgh no", &["abcd efgh"]), "*** no");
    }

    #[test]
    fn a_short_secret_is_cut_where_it_is_a_word() {
        assert_eq!(without("no (a) at all", &["a"]), "no (***) at all");
        assert_eq!(without("a! !", &["!"]), "a! ***");
    }

    #[test]
    fn a_piece_of_a_secret_is_cut() {
        let secret = "AHRpbQB0YW5zdGFhZnRhbnN0YWFm";
        assert_eq!(
            without("AUTH PLAIN AHRpbQB0YW5z", &[secret]),
            "AUTH PLAIN ***"
        );
    }

    #[test]
    fn other_text_stays() {
        assert_eq!(
            without("535 wrong  password", &["", "hunter2"]),
            "535 wrong  password"
        );
    }
}
