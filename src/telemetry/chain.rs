//! An error with its causes, joined once, at the edge.

use std::error::Error;

/// Returns an error and all its sources as one line: `cannot open x: permission denied`.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Some libraries print their source as their own text; once is enough.
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::spool::SpoolError;

    #[test]
    fn the_cause_stands_behind_the_error_once() {
        let error = SpoolError::Unavailable(io::Error::other("disk on fire"));
        assert_eq!(chain(&error), "the spool is not available: disk on fire");
    }
}
