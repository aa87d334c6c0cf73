//! Structure of messages: cut in pieces of any size the verdict is the same, and what is written anew needs
//! no second change.
#![no_main]

use libfuzzer_sys::fuzz_target;
use posthouse::mime::{Demands, Recoder, Survey, Verdict};

fn survey(octets: &[u8], demands: Demands, cut: usize) -> Verdict {
    let mut survey = Survey::new(demands);
    for piece in octets.chunks(cut) {
        survey.push(piece);
    }
    survey.finish()
}

fn recode(octets: &[u8], verdict: &Verdict, cut: usize) -> Option<Vec<u8>> {
    let Verdict::Recode(plan) = verdict else {
        return None;
    };
    let (mut recoder, mut out) = (Recoder::new(plan.clone()), Vec::new());
    for piece in octets.chunks(cut) {
        recoder
            .push(piece, &mut out)
            .expect("it is the message that was looked at");
    }
    recoder
        .finish(&mut out)
        .expect("it is the message that was looked at");
    Some(out)
}

fuzz_target!(|octets: &[u8]| {
    let [flags, cut, octets @ ..] = octets else {
        return;
    };
    let demands = Demands {
        seven_bit: flags & 1 != 0,
        short_lines: flags & 2 != 0,
    };
    // What is stored has CRLF at every line end.
    let message = String::from_utf8_lossy(octets)
        .replace('\r', "")
        .replace('\n', "\r\n");
    let message = if flags & 4 == 0 {
        message.into_bytes()
    } else {
        crlf(octets)
    };
    let whole = survey(&message, demands, usize::MAX);
    let cut = usize::from(*cut).max(1);
    assert_eq!(whole, survey(&message, demands, cut));
    let written = recode(&message, &whole, usize::MAX);
    assert_eq!(written, recode(&message, &whole, cut));
    let Some(written) = written else { return };
    let is_bare = |window: &[u8]| matches!(window, [before, b'\n'] if *before != b'\r');
    assert!(
        !written.windows(2).any(is_bare),
        "a bare newline was written"
    );
    // Parts that may not be encoded stay as they are; all others have been.
    assert!(!matches!(
        survey(&written, demands, usize::MAX),
        Verdict::Recode(_)
    ));
});

/// The octets, 8-bit ones among them, with CRLF at every line end.
fn crlf(octets: &[u8]) -> Vec<u8> {
    let lines = octets.split(|octet| *octet == b'\n');
    let clean = lines.map(|line| {
        line.iter()
            .copied()
            .filter(|octet| *octet != b'\r')
            .collect::<Vec<u8>>()
    });
    clean.collect::<Vec<_>>().join(&b"\r\n"[..])
}
