//! Figures, a line each, with what they are to be.

/// Sorted times, in milliseconds.
pub(crate) struct Times(Vec<f64>);

impl Times {
    /// Takes over sorted nanoseconds.
    pub(crate) fn from_nanos(sorted: &[u64]) -> Self {
        let times = sorted.iter();
        Self(times.map(|nanos| decimal(*nanos) / 1e6).collect())
    }

    /// Takes over milliseconds in any order.
    pub(crate) fn from_millis(times: &[f64]) -> Self {
        Self(sorted(times))
    }

    pub(crate) fn median(&self) -> f64 {
        self.at(0.5)
    }

    pub(crate) fn at_99(&self) -> f64 {
        self.at(0.99)
    }

    /// Returns the time that this share of them does not exceed.
    pub(crate) fn at(&self, share: f64) -> f64 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an index into a list that fits in memory"
        )]
        let index = (decimal(self.0.len().saturating_sub(1) as u64) * share) as usize;
        self.0.get(index).copied().unwrap_or(f64::NAN)
    }

    /// Prints median, percentiles and range.
    pub(crate) fn print(&self, what: &str, verdict: &str) {
        println!(
            "{what}: ms median {:.1}, 90 % {:.1}, 99 % {:.1}, range {:.1}–{:.1}, of {}{verdict}",
            self.median(),
            self.at(0.9),
            self.at_99(),
            self.at(0.0),
            self.at(1.0),
            self.0.len(),
        );
    }
}

/// Says whether a figure is as it is to be: at most `target`.
pub(crate) fn at_most(value: f64, target: f64, what: &str) -> String {
    let word = if value <= target { "met" } else { "MISSED" };
    format!("; {what} at most {target}: {word}")
}

/// Says whether a figure is as it is to be: at least `target`.
pub(crate) fn at_least(value: f64, target: f64, what: &str) -> String {
    let word = if value >= target { "met" } else { "MISSED" };
    format!("; {what} at least {target}: {word}")
}

/// `median (least–most)`.
pub(crate) fn spread(values: &[f64], digits: usize) -> String {
    let sorted = sorted(values);
    let (least, most) = (sorted.first().copied(), sorted.last().copied());
    format!(
        "{:.digits$} ({:.digits$}–{:.digits$})",
        median(values),
        least.unwrap_or(f64::NAN),
        most.unwrap_or(f64::NAN)
    )
}

pub(crate) fn median(values: &[f64]) -> f64 {
    let sorted = sorted(values);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts, octets and times here are far below 2^52"
)]
pub(crate) fn decimal(number: u64) -> f64 {
    number as f64
}

/// Octets as mebibytes.
pub(crate) fn mebibytes(octets: u64) -> f64 {
    decimal(octets) / decimal(1 << 20)
}
