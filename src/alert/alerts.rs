//! Where alerts are raised.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;

use super::raised::Alert;

/// The place where alerts are raised; cheap to clone.
#[derive(Clone, Debug)]
pub struct Alerts {
    to: Option<mpsc::Sender<Alert>>,
    lost: Arc<AtomicU64>,
}

impl Alerts {
    /// Makes the place and the end where they come out; `capacity` may wait there.
    pub fn new(capacity: usize) -> (Self, mpsc::Receiver<Alert>) {
        let (to, from) = mpsc::channel(capacity);
        let alerts = Self {
            to: Some(to),
            lost: Arc::default(),
        };
        (alerts, from)
    }

    /// Makes one that tells nobody.
    pub fn off() -> Self {
        Self {
            to: None,
            lost: Arc::default(),
        }
    }

    /// Raises an alert. Never waits; where too many wait already it is only counted. Logs nothing: whoever raises it has
    /// logged what happened, with `alert` and the name of the kind.
    pub fn raise(&self, alert: Alert) {
        let Some(to) = &self.to else { return };
        if to.try_send(alert).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns how many were only counted since this was asked last.
    pub fn take_lost(&self) -> u64 {
        self.lost.swap(0, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::Kind;

    #[test]
    fn what_does_not_fit_is_counted() {
        let (alerts, mut raised) = Alerts::new(1);
        for text in ["one", "two", "three"] {
            alerts.raise(Alert::new(Kind::SystemError, text));
        }
        assert_eq!(&*raised.try_recv().unwrap().text, "one");
        assert_eq!(alerts.take_lost(), 2);
        assert_eq!(alerts.take_lost(), 0);
    }
}
