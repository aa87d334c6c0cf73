//! Secrets, keys and certificates that come to an end: operators are warned 30, 14, 7, 3 and 1 days before, and each day
//! afterwards.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::time::Duration;

use crate::alert::{Alert, Kind};
use crate::clock::Timestamp;
use crate::config::{Checked, Expiry};

use super::reload::Reloader;

/// How often it is looked.
pub(super) const LOOK_EVERY: Duration = Duration::from_hours(1);

const DAY: Duration = Duration::from_hours(24);

/// How many days before the end operators are warned.
const NOTICES: [u32; 5] = [1, 3, 7, 14, 30];

/// What the field `alert` says of a line that tells of an end.
const EXPIRY_NEAR: &str = Kind::ExpiryNear.as_str();

/// Something that comes to an end.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ending {
    /// What it is.
    pub what: String,
    /// Where it stands.
    pub place: String,
    /// When it ends.
    pub ends: Timestamp,
    /// What a person must do.
    pub repair: String,
}

/// How near an end is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Nearness {
    /// Nobody need know yet.
    Far,
    /// No more than so many days are left.
    Within(u32),
    /// It is over.
    Over,
}

/// Remembers what operators have been told.
#[derive(Debug, Default)]
pub(super) struct Watch {
    told: BTreeMap<(String, String), Told>,
}

#[derive(Clone, Copy, Debug)]
struct Told {
    ends: Timestamp,
    nearness: Nearness,
    at: Timestamp,
}

impl Watch {
    /// Returns what operators are to be told now.
    pub(super) fn look(&mut self, endings: Vec<Ending>, now: Timestamp) -> Vec<Ending> {
        let key = |ending: &Ending| (ending.what.clone(), ending.place.clone());
        let known: Vec<_> = endings.iter().map(key).collect();
        self.told.retain(|told, _| known.contains(told));
        let is_news = |ending: &Ending| self.is_news(key(ending), ending.ends, now);
        endings.into_iter().filter(is_news).collect()
    }

    /// Returns whether operators are to be told, and takes it that they are.
    fn is_news(&mut self, key: (String, String), ends: Timestamp, now: Timestamp) -> bool {
        let nearness = nearness(ends, now);
        let before = self.told.get(&key).filter(|told| told.ends == ends);
        let is_known = match (nearness, before) {
            (Nearness::Far, _) => true,
            (_, None) => false,
            (Nearness::Over, Some(told)) => {
                told.nearness == Nearness::Over && now < told.at.after(DAY)
            }
            (Nearness::Within(_), Some(told)) => told.nearness == nearness,
        };
        if !is_known {
            let at = now;
            self.told.insert(key, Told { ends, nearness, at });
        }
        !is_known
    }
}

/// Returns what of a configuration ends within 30 days or has ended, each with what is to be said of it.
pub fn warnings(config: &Checked, now: Timestamp) -> Vec<(&Expiry, String)> {
    let expiries = config.expiries.iter();
    let near = expiries.filter(|expiry| nearness(expiry.ends, now) != Nearness::Far);
    near.map(|expiry| (expiry, words(expiry.ends, now)))
        .collect()
}

/// Returns whether something ends within 30 days or has ended.
pub fn is_near(ends: Timestamp, now: Timestamp) -> bool {
    nearness(ends, now) != Nearness::Far
}

/// Says when something ends: `expires on 2027-05-01, in 12 days`, `has expired on 2027-05-01`.
pub fn words(ends: Timestamp, now: Timestamp) -> String {
    let day = ends.to_string().chars().take(10).collect::<String>();
    let left = ends.since(now).as_secs() / DAY.as_secs();
    match left {
        _ if ends <= now => format!("has expired on {day}"),
        0 => format!("expires on {day}, within a day"),
        1 => format!("expires on {day}, in 1 day"),
        left => format!("expires on {day}, in {left} days"),
    }
}

fn nearness(ends: Timestamp, now: Timestamp) -> Nearness {
    if ends <= now {
        return Nearness::Over;
    }
    let left = ends.since(now);
    let mut reached = NOTICES.into_iter().filter(|days| left <= DAY * *days);
    reached.next().map_or(Nearness::Far, Nearness::Within)
}

impl Reloader {
    /// Tells operators what ends soon, as far as they do not know.
    pub(super) fn watch_expiries(&self) {
        let now = self.clock.now();
        let endings = self.endings();
        let news = {
            let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
            watch.look(endings, now)
        };
        for ending in news {
            log(&ending, now);
            self.alerts.alerts.raise(alert(&ending, now));
        }
    }

    /// Returns everything whose end is known.
    pub(super) fn endings(&self) -> Vec<Ending> {
        let kept = self.kept();
        let configured = kept.expiries.iter().map(|expiry| Ending {
            what: expiry.what.clone(),
            place: expiry.place(),
            ends: expiry.ends,
            repair: expiry.repair.to_owned(),
        });
        let mut endings: Vec<_> = configured.collect();
        for standing in self.relay.upstreams() {
            let way = kept.ways.get(&standing.name);
            let way = way.filter(|way| way.is_certificate_judged);
            if let Some((way, ends)) = way.zip(standing.certificate_ends) {
                endings.push(Ending {
                    what: format!("the certificate that upstream {} shows", standing.name),
                    place: way.place.clone(),
                    ends,
                    repair: "Whoever runs the upstream must renew it: tell them.".to_owned(),
                });
            }
        }
        drop(kept);
        endings.extend(self.acme_endings());
        endings
    }
}

fn alert(ending: &Ending, now: Timestamp) -> Alert {
    let Ending {
        what,
        place,
        ends,
        repair,
    } = ending;
    let text = format!("{what} ({place}) {}. {repair}", words(*ends, now));
    Alert::new(Kind::ExpiryNear, text)
}

fn log(ending: &Ending, now: Timestamp) {
    let Ending {
        what,
        place,
        ends,
        repair,
    } = ending;
    if *ends <= now {
        tracing::error!(alert = EXPIRY_NEAR, what, place, %ends, repair, "a secret, key or certificate has expired");
    } else {
        let days = ends.since(now).as_secs() / DAY.as_secs();
        tracing::warn!(alert = EXPIRY_NEAR, what, place, %ends, days, repair, "a secret, key or certificate expires soon");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENDS: Timestamp = Timestamp::from_unix_millis(1_800_000_000_000);

    fn ending(what: &str, ends: Timestamp) -> Ending {
        Ending {
            what: what.to_owned(),
            place: "posthouse.toml:3:1".to_owned(),
            ends,
            repair: String::new(),
        }
    }

    fn before(days: u32) -> Timestamp {
        ENDS.before(DAY * days)
    }

    #[test]
    fn operators_are_told_30_14_7_3_and_1_days_before_and_each_day_when_it_is_over() {
        let (mut watch, mut told) = (Watch::default(), Vec::new());
        let mut now = before(60);
        while now < ENDS.after(3 * DAY) {
            for _ in watch.look(vec![ending("secret", ENDS)], now) {
                told.push(ENDS.since(now).as_secs() / 3600);
            }
            now = now.after(LOOK_EVERY);
        }
        let hours = [30, 14, 7, 3, 1].map(|days| days * 24);
        assert_eq!(told[..5], hours);
        assert_eq!(told[5..], [0; 3]);
    }

    #[test]
    fn who_starts_late_is_told_at_once_and_once() {
        let mut watch = Watch::default();
        let endings = || vec![ending("near", ENDS), ending("far", ENDS.after(100 * DAY))];
        let told = watch.look(endings(), before(10));
        assert_eq!(told, [ending("near", ENDS)]);
        assert_eq!(watch.look(endings(), before(9)), []);
        assert_eq!(watch.look(endings(), before(7)).len(), 1);
    }

    #[test]
    fn what_has_been_renewed_is_told_of_anew() {
        let mut watch = Watch::default();
        assert_eq!(watch.look(vec![ending("secret", ENDS)], before(3)).len(), 1);
        let renewed = ENDS.after(5 * DAY);
        assert_eq!(
            watch.look(vec![ending("secret", renewed)], before(3)).len(),
            1
        );
        assert_eq!(watch.look(Vec::new(), before(2)), []);
        assert_eq!(
            watch.look(vec![ending("secret", renewed)], before(2)).len(),
            1
        );
    }

    #[test]
    fn an_end_is_told_with_its_day() {
        assert_eq!(words(ENDS, before(12)), "expires on 2027-01-15, in 12 days");
        assert_eq!(words(ENDS, before(1)), "expires on 2027-01-15, in 1 day");
        let hours = ENDS.before(DAY / 2);
        assert_eq!(words(ENDS, hours), "expires on 2027-01-15, within a day");
        assert_eq!(words(ENDS, ENDS), "has expired on 2027-01-15");
    }
}
