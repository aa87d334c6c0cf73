//! Servers of a service, as SRV records name them (RFC 2782).

use super::ResolveError;

/// One server of a service (RFC 2782).
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Service {
    /// Servers of the lowest number come first.
    pub priority: u16,
    /// The share among servers of the same priority.
    pub weight: u16,
    /// The port.
    pub port: u16,
    /// The host name, without the final dot.
    pub target: Box<str>,
}

/// Puts the servers of a service in the order to try: by priority, and within one by chance, a server of a greater weight
/// more often in front (RFC 2782, "Weight"). `chance` gives numbers of 64 bits.
pub fn in_order(mut services: Vec<Service>, mut chance: impl FnMut() -> u64) -> Vec<Service> {
    // Those of weight 0 first, so that they have a small chance too.
    services.sort_by_key(|service| (service.priority, service.weight));
    let mut ordered = Vec::with_capacity(services.len());
    while let Some(first) = services.first() {
        let priority = first.priority;
        let same = services
            .iter()
            .take_while(|service| service.priority == priority);
        let total: u64 = same.clone().map(|service| u64::from(service.weight)).sum();
        let drawn = chance() % (total + 1);
        let mut sum = 0;
        let place = same
            .map(|service| {
                sum += u64::from(service.weight);
                sum
            })
            .position(|sum| sum >= drawn);
        ordered.push(services.remove(place.unwrap_or_default()));
    }
    ordered
}

/// Leaves out the targets that are the root, which says that there is no such service.
pub(super) fn offered(
    name: &str,
    mut services: Vec<Service>,
) -> Result<Vec<Service>, ResolveError> {
    if services.is_empty() {
        return Err(ResolveError::NotFound(name.into()));
    }
    services.retain(|service| !service.target.is_empty());
    if services.is_empty() {
        return Err(ResolveError::NoService(name.into()));
    }
    Ok(services)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn service(priority: u16, weight: u16, target: &str) -> Service {
        Service {
            priority,
            weight,
            port: 465,
            target: target.into(),
        }
    }

    fn targets(services: &[Service]) -> String {
        let targets: Vec<&str> = services.iter().map(|service| &*service.target).collect();
        targets.join(" ")
    }

    #[test]
    fn services_are_tried_by_priority_first() {
        let services = vec![
            service(20, 9, "c"),
            service(10, 0, "a"),
            service(15, 0, "b"),
        ];
        for drawn in [0, 7, u64::MAX] {
            assert_eq!(targets(&in_order(services.clone(), || drawn)), "a b c");
        }
    }

    #[test]
    fn a_greater_weight_comes_first_more_often() {
        let services = vec![
            service(1, 1, "small"),
            service(1, 3, "large"),
            service(1, 0, "none"),
        ];
        let mut numbers = 0..;
        let mut first = HashMap::new();
        for _ in 0..500 {
            // Each number of the range is drawn equally often.
            let ordered = in_order(services.clone(), || numbers.next().unwrap());
            assert_eq!(ordered.len(), 3);
            *first.entry(ordered[0].target.clone()).or_insert(0) += 1;
        }
        assert!(first["large"] > 2 * first["small"], "{first:?}");
        assert!(first["none"] > 0, "{first:?}");
    }

    #[test]
    fn a_target_that_is_the_root_says_that_there_is_no_service() {
        let none = ResolveError::NoService("x".into());
        assert_eq!(offered("x", vec![service(0, 0, "")]), Err(none));
        let missing = ResolveError::NotFound("x".into());
        assert_eq!(offered("x", Vec::new()), Err(missing));
        let one = vec![service(0, 0, ""), service(0, 0, "a")];
        assert_eq!(targets(&offered("x", one).unwrap()), "a");
    }
}
