//! Plain text and TLS in turn.

use std::io;

use crate::common::report;
use crate::common::run::Measurement;
use crate::options::Shape;
use crate::series::Series;

/// The most handshakes that 10,000 messages may take.
const HANDSHAKES: usize = 25;

/// The least share of the plain rate that will do.
const LEAST: f64 = 0.85;

/// Prints both rates, their ratio and the handshakes. Fails where an aim is missed.
///
/// # Errors
/// What a run fails with, or the aim that was missed.
pub(crate) fn measure(shape: &Shape) -> io::Result<()> {
    let mut plain = Series::start(shape, false, "tls = \"disabled\"")?;
    let keys = "tls = \"implicit\"\nca_file = \"DIRECTORY/sink.pem\"";
    let mut encrypted = Series::start(shape, true, keys)?;
    let mut handshakes = Vec::new();
    for series in [&mut plain, &mut encrypted] {
        series.run(shape, shape.warm_up())?;
    }
    for pair in 0..shape.runs {
        let before = encrypted.connections();
        let mut both = [&mut plain, &mut encrypted];
        // Neither always comes first: a machine slows down and recovers.
        if pair % 2 == 1 {
            both.reverse();
        }
        for series in both {
            let run = series.run(shape, shape.count)?;
            series.runs.push(run);
        }
        handshakes.push(encrypted.connections() - before);
    }
    let all = encrypted.connections();
    let (plain, encrypted) = (plain.finish()?, encrypted.finish()?);
    report::head();
    report::row("plain", shape.sessions, shape.size, &plain);
    report::row("TLS", shape.sessions, shape.size, &encrypted);
    let ratio = ratio(&encrypted, &plain);
    println!(
        "TLS : plain, median of pairs: {ratio:.2}; handshakes of each run {handshakes:?}, {all} in all"
    );
    if handshakes.iter().any(|count| *count >= HANDSHAKES) {
        let text = format!("a run took {HANDSHAKES} handshakes or more");
        return Err(io::Error::other(text));
    }
    if ratio < LEAST {
        return Err(io::Error::other("TLS costs more than 15 % of the rate"));
    }
    Ok(())
}

/// The median of the ratios of runs that followed each other.
fn ratio(encrypted: &[Measurement], plain: &[Measurement]) -> f64 {
    let pairs = encrypted.iter().zip(plain);
    let mut ratios: Vec<f64> = pairs
        .map(|(encrypted, plain)| encrypted.arrived_rate / plain.arrived_rate)
        .collect();
    ratios.sort_by(f64::total_cmp);
    ratios[ratios.len() / 2]
}
