//! An operator who does something now and then.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use posthouse::clock::Clock as _;
use posthouse::identity::{AccountName, Route, UpstreamName};
use posthouse::relay::{Park, Relay};
use posthouse::schedule::Reason;
use posthouse::spool::SpoolAdmin as _;

use crate::chance::Dice;
use crate::spool::Machine;

/// Does one thing, whatever comes to mind.
pub(crate) async fn interfere(
    machine: &Machine,
    relay: &Arc<Relay>,
    upstreams: &[UpstreamName],
    dice: &mut Dice,
) {
    let entries = machine.entries().await;
    let id = (!entries.is_empty()).then(|| dice.one_of(&entries).id);
    match (dice.between(0, 11), id) {
        (0, Some(id)) => {
            let done = machine.disk.hold(id).await;
            machine.note(|| format!("hold {id}: {}", done.is_ok()));
        }
        (1, Some(id)) => {
            let done = machine.disk.release(id).await;
            machine.note(|| format!("release {id}: {}", done.is_ok()));
        }
        (2, Some(id)) => {
            let done = machine.disk.retry(id).await;
            machine.note(|| format!("retry {id}: {}", done.is_ok()));
        }
        (3, Some(id)) if dice.once_in(4) => {
            if machine.disk.delete(id).await.is_ok() {
                machine.ledger.lock().unwrap().deleted.insert(id);
                machine.note(|| format!("delete {id}"));
            }
        }
        (4, _) => {
            let drained = dice.one_of(upstreams).clone();
            machine.note(|| format!("drain {drained}"));
            relay.drain([drained].into());
        }
        (5, _) => {
            machine.note(|| "drain none".to_owned());
            relay.drain(BTreeSet::new());
        }
        (7, _) => park(machine, relay, dice.one_of(upstreams)),
        (8, _) => resume(machine, relay, dice.one_of(upstreams)),
        (6, _) if machine.fairness.is_none() => {
            let route = Route::new(vec![dice.one_of(upstreams).clone()]).unwrap();
            machine.note(|| format!("all mail takes {route}"));
            let route_of = move |_: &AccountName| Some(route.clone());
            machine.disk.reroute(&route_of).await;
        }
        (_, _) => {
            let span = Duration::from_millis(dice.between(1, 7_200_000));
            if dice.once_in(2) {
                machine.note(|| format!("the clock is set forward by {span:?}"));
                machine.clock.set_forward(span);
            } else {
                machine.note(|| format!("the clock is set back by {span:?}"));
                machine.clock.set_back(span);
            }
        }
    }
}

fn park(machine: &Machine, relay: &Arc<Relay>, upstream: &UpstreamName) {
    machine.note(|| format!("park {upstream}"));
    let park = Park {
        since: machine.clock.now(),
        reason: Reason::default(),
    };
    let mut observer = machine.observer.lock().unwrap();
    observer.parks.insert(upstream.clone(), park);
    relay.park(observer.parks.clone());
}

fn resume(machine: &Machine, relay: &Arc<Relay>, upstream: &UpstreamName) {
    machine.note(|| format!("resume {upstream}"));
    let mut observer = machine.observer.lock().unwrap();
    observer.parks.remove(upstream);
    relay.park(observer.parks.clone());
    drop(observer);
    relay.resume(upstream);
}
