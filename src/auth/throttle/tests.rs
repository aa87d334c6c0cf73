use super::table::CAPACITY;
use super::*;
use crate::clock::{Clock, SystemClock};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Fails as often as is allowed, at most `times`; returns how often that was.
fn guess(throttle: &Throttle, name: &str, peer: &str, now: Instant, times: usize) -> usize {
    (0..times)
        .take_while(|_| match throttle.admit(name, ip(peer), now) {
            Ok(leave) => {
                leave.failed(now);
                true
            }
            Err(_) => false,
        })
        .count()
}

/// Returns how many counters there are.
fn counters(throttle: &Throttle) -> usize {
    let tables = [Standing::Known, Standing::Stranger];
    tables
        .map(|standing| throttle.table(standing).len())
        .iter()
        .sum()
}

fn log_in(throttle: &Throttle, name: &str, peer: &str, now: Instant) -> bool {
    let leave = throttle.admit(name, ip(peer), now);
    leave.map(|leave| leave.succeeded(now)).is_ok()
}

#[test]
fn five_failures_of_an_account_from_one_address_make_it_wait() {
    let (throttle, now) = (Throttle::new(), SystemClock.instant());
    assert_eq!(guess(&throttle, "alice", "192.0.2.1", now, 100), 5);
    let wait = throttle.admit("alice", ip("192.0.2.1"), now).unwrap_err();
    assert_eq!(wait, Duration::from_secs(30));
    assert!(log_in(&throttle, "alice", "192.0.2.1", now + wait));
}

#[test]
fn ten_failures_of_an_address_make_it_wait_whatever_the_names() {
    let (throttle, now) = (Throttle::new(), SystemClock.instant());
    let tried = (0..100)
        .filter(|n| guess(&throttle, &format!("user{n}"), "192.0.2.1", now, 1) == 1)
        .count();
    assert_eq!(tried, 10);
    let minute_later = now + Duration::from_mins(1);
    assert!(log_in(&throttle, "user99", "192.0.2.1", minute_later));
}

#[test]
fn an_ipv6_network_counts_as_one_address() {
    let (throttle, now) = (Throttle::new(), SystemClock.instant());
    let tried = (0..100)
        .filter(|n| {
            let peer = format!("2001:db8::{n}");
            guess(&throttle, &format!("user{n}"), &peer, now, 1) == 1
        })
        .count();
    assert_eq!(tried, 10);
    assert!(log_in(&throttle, "user99", "2001:db8:0:1::1", now));
}

#[test]
fn guesses_from_everywhere_are_slowed_down() {
    let (throttle, now) = (Throttle::new(), SystemClock.instant());
    let tried = (0..200)
        .filter(|n| guess(&throttle, "alice", &format!("198.51.100.{n}"), now, 1) == 1)
        .count();
    assert_eq!(tried, 60);
}

#[test]
fn a_network_is_familiar_once_somebody_has_logged_in_from_it() {
    let (throttle, now) = (Throttle::new(), SystemClock.instant());
    guess(&throttle, "alice", "192.0.2.1", now, 1);
    assert!(!throttle.is_familiar(ip("192.0.2.1"), now));
    assert!(log_in(&throttle, "alice", "2001:db8::1", now));
    assert!(throttle.is_familiar(ip("2001:db8::2"), now));
    assert!(!throttle.is_familiar(ip("2001:db8:0:1::1"), now));
    let much_later = now + Duration::from_hours(7 * 24);
    assert!(!throttle.is_familiar(ip("2001:db8::1"), much_later));
}

#[test]
fn who_is_known_waits_for_no_stranger_who_is_put_aside_with_a_lock() {
    let (throttle, now) = (Throttle::new(), SystemClock.instant());
    assert!(log_in(&throttle, "alice", "192.0.2.1", now));
    let held = throttle.table(Standing::Stranger);
    let (done, is_done) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let is_familiar = throttle.is_familiar(ip("192.0.2.1"), now);
            let is_in = log_in(&throttle, "alice", "192.0.2.1", now);
            done.send((is_familiar, is_in))
        });
        let answers = is_done.recv_timeout(Duration::from_secs(30));
        drop(held);
        assert_eq!(answers, Ok((true, true)));
    });
}

#[test]
fn an_account_comes_first_from_where_it_is_known() {
    let (throttle, now) = (Throttle::new(), SystemClock.instant());
    assert!(log_in(&throttle, "alice", "192.0.2.1", now));
    let turn = |name, peer| {
        throttle
            .admit(name, ip(peer), now)
            .map(|leave| leave.turn())
    };
    assert_eq!(turn("alice", "192.0.2.1"), Ok(Turn::First));
    assert_eq!(turn("bob", "192.0.2.1"), Ok(Turn::Last));
    assert_eq!(turn("alice", "192.0.2.2"), Ok(Turn::Last));
}

#[test]
fn a_guesser_does_not_lock_out_a_user_who_is_known() {
    let (throttle, now) = (Throttle::new(), SystemClock.instant());
    assert!(log_in(&throttle, "alice", "192.0.2.1", now));
    for n in 0..200 {
        guess(&throttle, "alice", &format!("198.51.100.{n}"), now, 1);
    }
    assert!(log_in(&throttle, "alice", "192.0.2.1", now));
}

#[test]
fn a_device_with_a_wrong_password_does_not_lock_out_its_office() {
    let (throttle, now) = (Throttle::new(), SystemClock.instant());
    assert!(log_in(&throttle, "alice", "192.0.2.1", now));
    for n in 0..20 {
        guess(&throttle, &format!("printer{n}"), "192.0.2.1", now, 1);
    }
    assert!(log_in(&throttle, "alice", "192.0.2.1", now));
    assert!(!log_in(&throttle, "bob", "192.0.2.1", now));
}

#[test]
fn a_success_does_not_pay_for_failures_with_other_names() {
    let (throttle, now) = (Throttle::new(), SystemClock.instant());
    let tried = (0..100)
        .filter(|n| {
            log_in(&throttle, "mallory", "192.0.2.1", now);
            guess(&throttle, &format!("user{n}"), "192.0.2.1", now, 1) == 1
        })
        .count();
    assert_eq!(tried, 10);
}

#[test]
fn unknown_names_are_made_to_wait_like_known_ones() {
    let (throttle, now) = (Throttle::new(), SystemClock.instant());
    assert_eq!(guess(&throttle, "nobody", "192.0.2.1", now, 100), 5);
    assert_eq!(guess(&throttle, "NoBody", "192.0.2.1", now, 100), 0);
}

#[test]
fn checks_under_way_are_bounded_and_overdraw() {
    let (throttle, now) = (Throttle::new(), SystemClock.instant());
    let leaves: Vec<_> = (0..200)
        .filter_map(|n| {
            throttle
                .admit(&format!("user{n}"), ip("192.0.2.1"), now)
                .ok()
        })
        .collect();
    assert_eq!(leaves.len(), 128);
    for leave in leaves {
        leave.failed(now);
    }
    let wait = throttle.admit("user0", ip("192.0.2.1"), now).unwrap_err();
    assert!(wait > Duration::from_mins(1), "{wait:?}");
    assert!(log_in(&throttle, "user0", "192.0.2.1", now + wait));
}

#[test]
fn nobody_can_make_others_wait_much_longer_than_ten_minutes() {
    let (throttle, now) = (Throttle::new(), SystemClock.instant());
    for n in 0..200 {
        // As many as slip through together over time; not one of them waits.
        let network = IpNet::from(ip(&format!("203.0.113.{n}")));
        let login = Login {
            keys: throttle.keys("alice", network),
            name: "alice".into(),
            network,
            standing: Standing::Stranger,
        };
        let leave = Leave {
            throttle: &throttle,
            login,
        };
        leave.failed(now);
    }
    let wait = throttle.admit("alice", ip("192.0.2.1"), now).unwrap_err();
    assert_eq!(wait, Duration::from_mins(11));
}

#[test]
fn checks_of_an_account_under_way_are_bounded_and_leave_a_known_user_alone() {
    let (throttle, now) = (Throttle::new(), SystemClock.instant());
    assert!(log_in(&throttle, "alice", "192.0.2.1", now));
    let leaves: Vec<_> = (0..200)
        .filter_map(|n| {
            throttle
                .admit("alice", ip(&format!("198.51.100.{n}")), now)
                .ok()
        })
        .collect();
    assert_eq!(leaves.len(), 60);
    assert!(log_in(&throttle, "alice", "192.0.2.1", now));
    drop(leaves);
    assert!(log_in(&throttle, "alice", "198.51.100.1", now));
    for standing in [Standing::Known, Standing::Stranger] {
        assert!(throttle.table(standing).is_at_rest());
    }
}

#[test]
fn checks_of_a_known_user_under_way_do_not_hold_up_the_account_elsewhere() {
    let (throttle, now) = (Throttle::new(), SystemClock.instant());
    assert!(log_in(&throttle, "alice", "192.0.2.1", now));
    let leaves: Vec<_> = (0..100)
        .filter_map(|_| throttle.admit("alice", ip("192.0.2.1"), now).ok())
        .collect();
    assert_eq!(leaves.len(), 100);
    assert!(log_in(&throttle, "alice", "198.51.100.1", now));
}

#[test]
fn refused_and_abandoned_logins_leave_no_counter() {
    let (throttle, now) = (Throttle::new(), SystemClock.instant());
    guess(&throttle, "alice", "192.0.2.1", now, 5);
    for n in 0..5 {
        guess(&throttle, &format!("user{n}"), "192.0.2.1", now, 1);
    }
    let before = counters(&throttle);
    for n in 0..1000 {
        assert!(
            throttle
                .admit(&format!("other{n}"), ip("192.0.2.1"), now)
                .is_err()
        );
        drop(
            throttle
                .admit("bob", ip(&format!("2001:db8:{n}::1")), now)
                .unwrap(),
        );
    }
    assert_eq!(counters(&throttle), before);
}

#[test]
fn one_address_cannot_make_others_forgotten() {
    let (throttle, now) = (Throttle::new(), SystemClock.instant());
    assert!(log_in(&throttle, "alice", "192.0.2.1", now));
    for n in 0..3 * CAPACITY {
        guess(&throttle, &format!("user{n}"), "203.0.113.1", now, 1);
    }
    let known = throttle.keys("alice", IpNet::from(ip("192.0.2.1"))).pair;
    assert!(throttle.is_known(known, now));
}

#[test]
fn who_fails_from_many_networks_cannot_lock_out_a_known_user_by_making_it_forgotten() {
    let (throttle, now) = (Throttle::new(), SystemClock.instant());
    assert!(log_in(&throttle, "alice", "192.0.2.1", now));
    // One guess from each of the networks of a /46: far more than there are counters.
    for n in 0..3 * CAPACITY {
        let peer = format!("2001:db8:{:x}:{:x}::1", n >> 16, n & 0xffff);
        guess(&throttle, &format!("user{n}"), &peer, now, 1);
    }
    for n in 0..200 {
        guess(&throttle, "alice", &format!("198.51.100.{n}"), now, 1);
    }
    assert!(
        !log_in(&throttle, "alice", "203.0.113.1", now),
        "a stranger waits"
    );
    assert!(log_in(&throttle, "alice", "192.0.2.1", now));
}

#[test]
fn a_success_leaves_no_counter() {
    let (throttle, now) = (Throttle::new(), SystemClock.instant());
    guess(&throttle, "alice", "192.0.2.1", now, 4);
    assert!(log_in(&throttle, "alice", "192.0.2.1", now));
    assert_eq!(guess(&throttle, "alice", "192.0.2.1", now, 100), 5);
    let before = counters(&throttle);
    for n in 0..100 {
        assert!(log_in(&throttle, &format!("user{n}"), "203.0.113.1", now));
    }
    assert_eq!(counters(&throttle), before);
}

#[test]
fn a_check_that_was_given_up_counts_as_nothing() {
    let (throttle, now) = (Throttle::new(), SystemClock.instant());
    for _ in 0..1000 {
        drop(throttle.admit("alice", ip("192.0.2.1"), now).unwrap());
    }
    assert!(log_in(&throttle, "alice", "192.0.2.1", now));
}

#[test]
fn answers_to_failures_come_later_and_later() {
    let (throttle, now) = (Throttle::new(), SystemClock.instant());
    let delays: Vec<_> = (0..5)
        .map(|_| {
            let leave = throttle.admit("alice", ip("192.0.2.1"), now).unwrap();
            leave.failed(now).delay.as_secs()
        })
        .collect();
    assert_eq!(delays, [0, 0, 1, 2, 3]);
}

#[test]
fn the_number_of_counters_is_bounded() {
    let (throttle, now) = (Throttle::new(), SystemClock.instant());
    for n in 0..150_000_u32 {
        let leave = throttle.admit(&format!("user{n}"), IpAddr::from(n.to_be_bytes()), now);
        leave.unwrap().failed(now);
    }
    assert!(counters(&throttle) <= 2 * CAPACITY);
}

fn strict() -> ThrottleSettings {
    ThrottleSettings {
        ipv4_prefix: 24,
        allow: Arc::new(["198.51.100.0/24".parse().unwrap()]),
        ..ThrottleSettings::default()
    }
}

#[test]
fn a_wider_network_counts_as_one() {
    let (throttle, now) = (Throttle::new(), SystemClock.instant());
    throttle.set(strict());
    let tried = (0..100)
        .filter(|n| {
            guess(
                &throttle,
                &format!("user{n}"),
                &format!("192.0.2.{n}"),
                now,
                1,
            ) == 1
        })
        .count();
    assert_eq!(tried, 10);
    assert!(log_in(&throttle, "user99", "192.0.3.1", now));
}

#[test]
fn who_is_allowed_is_never_refused_and_holds_up_nobody_else() {
    let (throttle, now) = (Throttle::new(), SystemClock.instant());
    throttle.set(strict());
    assert_eq!(guess(&throttle, "alice", "198.51.100.1", now, 500), 500);
    assert!(throttle.blocks(now).is_empty());
    assert!(log_in(&throttle, "alice", "192.0.2.1", now));
    let leave = throttle.admit("alice", ip("198.51.100.1"), now).unwrap();
    assert_eq!(leave.failed(now).delay, Duration::from_secs(5));
}

#[test]
fn a_block_is_told_of_when_it_begins_and_only_then() {
    let (throttle, now) = (Throttle::new(), SystemClock.instant());
    let mut told = Vec::new();
    for _ in 0..5 {
        let leave = throttle.admit("Alice", ip("192.0.2.1"), now).unwrap();
        told.push(leave.failed(now).blocks.len());
    }
    assert_eq!(told, [0, 0, 0, 0, 1]);
    assert!(throttle.admit("alice", ip("192.0.2.1"), now).is_err());
    let blocks = throttle.blocks(now);
    let block = blocks.first().unwrap();
    assert_eq!(block.subject.to_string(), "alice from 192.0.2.1/32");
    assert_eq!((blocks.len(), block.refused), (1, 1));
    let later = now + block.retry_after;
    let leave = throttle.admit("alice", ip("192.0.2.1"), later).unwrap();
    assert!(leave.failed(later).blocks.is_empty());
}

#[test]
fn an_operator_lets_an_account_or_an_address_try_again() {
    let (throttle, now) = (Throttle::new(), SystemClock.instant());
    guess(&throttle, "alice", "192.0.2.1", now, 5);
    assert_eq!(throttle.release_account("ALICE"), 1);
    assert!(log_in(&throttle, "alice", "192.0.2.1", now));
    for n in 0..20 {
        guess(&throttle, &format!("user{n}"), "203.0.113.1", now, 1);
    }
    assert_eq!(throttle.release_address(ip("203.0.113.9")), 0);
    assert_eq!(throttle.release_address(ip("203.0.113.1")), 1);
    assert!(log_in(&throttle, "user50", "203.0.113.1", now));
    for n in 0..100 {
        guess(&throttle, "bob", &format!("198.51.100.{n}"), now, 1);
    }
    assert!(!log_in(&throttle, "bob", "192.0.2.200", now));
    assert_eq!(throttle.release_account("bob"), 1);
    assert!(log_in(&throttle, "bob", "192.0.2.200", now));
}
