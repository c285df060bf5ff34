//! One watched id and few watchers by hand, then many of both against a model.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn token(n: usize) -> Token {
    Token::new(n, 1)
}

fn id(text: &str) -> Id {
    Id::new(text).expect("a valid id")
}

/// No id blocks a watcher.
fn all(_: Token, _: &Id, online: bool) -> bool {
    online
}

/// Takes all notices, with a budget of `budget` watchers a turn.
fn notices(presence: &mut Presence, budget: usize) -> Vec<(usize, String, bool)> {
    let mut told = Vec::new();
    while presence.has_notices() {
        let mut left = budget;
        while let Some((token, id, online)) = presence.next_notice(&mut left, all) {
            told.push((token.key(), id.to_string(), online));
        }
    }
    told
}

#[test]
fn watcher_is_told_a_change_once() {
    let mut presence = Presence::default();
    for n in 1..=3 {
        presence.watch(token(n), &id("bob"), false, false);
    }
    presence.changed("bob", true);
    presence.changed("nobody watches", true);
    let mut told = notices(&mut presence, 2);
    told.sort();
    assert_eq!(told, [1, 2, 3].map(|n| (n, "bob".to_owned(), true)));
    presence.changed("bob", true);
    assert_eq!(notices(&mut presence, 2), [], "they know");
}

#[test]
fn change_that_is_undone_is_not_told() {
    let mut presence = Presence::default();
    presence.watch(token(1), &id("bob"), true, true);
    presence.changed("bob", false);
    presence.changed("bob", true);
    assert_eq!(notices(&mut presence, 10), []);
}

#[test]
fn round_visits_no_more_watchers_than_its_budget() {
    let mut presence = Presence::default();
    for n in 0..1000 {
        presence.watch(token(n), &id("bob"), false, false);
    }
    presence.changed("bob", true);
    let mut budget = 256;
    let mut told = 0;
    while presence.next_notice(&mut budget, all).is_some() {
        told += 1;
    }
    assert_eq!((told, budget), (256, 0));
}

#[test]
fn id_that_changes_each_turn_reaches_all_watchers() {
    let mut presence = Presence::default();
    for n in 0..1000 {
        presence.watch(token(n), &id("bob"), false, false);
    }
    let mut told = std::collections::BTreeSet::new();
    for turn in 0..64 {
        presence.changed("bob", turn % 2 == 0);
        let mut budget = 256;
        while let Some((token, _, _)) = presence.next_notice(&mut budget, all) {
            told.insert(token.key());
        }
    }
    assert_eq!(told.len(), 1000);
}

#[test]
fn watcher_moved_behind_the_round_is_told() {
    let mut presence = Presence::default();
    for n in 0..4 {
        presence.watch(token(n), &id("bob"), false, false);
    }
    // A first round leaves the cursor in the middle, so that the next one goes around the end.
    presence.changed("bob", true);
    let next = |presence: &mut Presence| presence.next_notice(&mut 1, all).map(|n| n.0.key());
    let told: Vec<_> = (0..4).map(|_| next(&mut presence)).collect();
    assert_eq!(told, [3, 2, 1, 0].map(Some));
    presence.watch(token(4), &id("bob"), true, true);
    presence.changed("bob", false);
    // It visits 4 at first. Then 0 leaves: 4 moves to its index, before the round.
    assert_eq!(next(&mut presence), Some(4));
    assert_eq!(next(&mut presence), Some(3));
    presence.changed("bob", true);
    assert_eq!(next(&mut presence), None, "2 knows");
    assert_eq!((next(&mut presence), next(&mut presence)), (None, None), "1 and 0 know");
    // Now 4 and 3 are still to be visited, and 0 leaves: 4 moves to an index that was visited.
    presence.unwatch(token(0), "bob");
    let mut told = notices(&mut presence, 10);
    told.sort();
    assert_eq!(told, [3, 4].map(|n| (n, "bob".to_owned(), true)));
}

#[test]
fn popular_id_does_not_delay_notices_of_others() {
    let mut presence = Presence::default();
    for n in 0..1000 {
        presence.watch(token(n), &id("star"), false, false);
    }
    presence.watch(token(1000), &id("bob"), false, false);
    presence.changed("star", true);
    presence.changed("bob", true);
    let mut turns = 0;
    let told = loop {
        turns += 1;
        let mut budget = 100;
        let mut notices = std::iter::from_fn(|| presence.next_notice(&mut budget, all));
        if notices.any(|(token, _, _)| token.key() == 1000) {
            break turns;
        }
    };
    assert_eq!(told, 2);
}

#[test]
fn removed_watchers_leave_nothing_behind() {
    let mut presence = Presence::default();
    for n in 0..10 {
        presence.watch(token(n), &id("bob"), false, false);
        presence.watch(token(n), &id("carol"), false, false);
    }
    presence.changed("bob", true);
    for n in 0..10 {
        presence.unwatch(token(n), "carol");
        presence.remove_watcher(token(n));
    }
    assert_eq!(notices(&mut presence, 3), []);
    assert_eq!((presence.watched.len(), presence.keys.len()), (0, 0));
    assert!(presence.watchers.is_empty());
}

proptest! {
    // A case that fails is printed, and becomes an ordinary test; it is not kept in a file.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Watches begin and end while rounds are under way. Each watcher knows the true state at the
    /// end, and no watcher is told a state that it knows.
    #[test]
    fn watchers_know_the_true_state_after_all_rounds(
        steps in prop::collection::vec((0u8..6, 0usize..12, 0usize..3), 1..300),
    ) {
        let ids = ["a", "b", "c"].map(id);
        let mut online = [false; 3];
        let mut presence = Presence::default();
        let mut known = BTreeMap::<(usize, usize), bool>::new();
        let tell = |presence: &mut Presence, known: &mut BTreeMap<_, _>, mut budget: usize| {
            while let Some((token, id, online)) = presence.next_notice(&mut budget, all) {
                let which = (token.key(), id.as_bytes()[0] as usize - b'a' as usize);
                let before = known.insert(which, online);
                assert_eq!(before, Some(!online), "it knew, or does not watch");
            }
        };
        for (step, n, i) in steps {
            match step {
                0 | 1 => {
                    presence.watch(token(n), &ids[i], online[i], online[i]);
                    known.insert((n, i), online[i]);
                }
                2 => {
                    presence.unwatch(token(n), &ids[i]);
                    known.remove(&(n, i));
                }
                3 => {
                    presence.remove_watcher(token(n));
                    known.retain(|(m, _), _| *m != n);
                }
                4 => {
                    online[i] = !online[i];
                    presence.changed(&ids[i], online[i]);
                }
                _ => tell(&mut presence, &mut known, n),
            }
            let count = known.keys().filter(|(m, _)| *m == n).count();
            prop_assert_eq!(presence.count(token(n)), count);
            prop_assert_eq!(presence.watches(token(n), &ids[i]), known.contains_key(&(n, i)));
        }
        while presence.has_notices() {
            tell(&mut presence, &mut known, 5);
        }
        for ((_, i), told) in known {
            prop_assert_eq!(told, online[i]);
        }
    }
}
