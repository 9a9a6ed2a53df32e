//! Rates against a slow model: a list of the times of all calls that were let through.

use proptest::prelude::*;

use super::*;

fn rate(calls: u32, seconds: u32) -> Rate {
    Rate::new(calls, seconds).expect("a rate")
}

fn after(now: Monotonic, span: Duration) -> Monotonic {
    Monotonic(now.0 + u64::try_from(span.as_nanos()).expect("not long"))
}

/// Whether so many calls may come between two instants: as many as come at once, and as many as come back in between.
fn fit(rate: Rate, count: usize, from: u64, to: u64) -> bool {
    let whole = u128::from(rate.seconds()) * NANOSECONDS;
    let count = u128::try_from(count).expect("few");
    count.saturating_sub(u128::from(rate.calls())) * whole <= u128::from(to - from) * u128::from(rate.calls())
}

/// One call more is let through if it fits whatever window ends with it.
fn admits(rate: Rate, made: &[u64], now: u64) -> bool {
    made.iter().enumerate().all(|(place, from)| fit(rate, made.len() - place + 1, *from, now))
}

/// Rates of all sizes, and pauses between calls that are about as long as theirs.
fn runs() -> impl Strategy<Value = (Rate, Vec<u64>)> {
    let rates = (prop_oneof![1..=5_u32, 1..=1_000_u32, Just(MOST_CALLS)], prop_oneof![1..=3_u32, 1..=LONGEST_WINDOW]);
    rates.prop_flat_map(|(calls, seconds)| {
        let pace = u64::from(seconds) * 1_000_000_000 / u64::from(calls);
        let pauses = prop_oneof![Just(0), Just(pace), 0..=pace + 1, 0..=3 * pace + 3];
        (Just(rate(calls, seconds)), prop::collection::vec(pauses, 1..60))
    })
}

proptest! {
    #[test]
    fn what_is_let_through_is_what_the_model_lets_through((rate, pauses) in runs(), start in 0_u64..1 << 62) {
        let (mut due, mut made, mut now) = (Due::default(), Vec::new(), Monotonic(start));
        for pause in pauses {
            now.0 += pause;
            let fits = admits(rate, &made, now.0);
            match rate.take(due, now) {
                Ok((next, room)) => {
                    prop_assert!(fits, "{made:?} {now:?}");
                    made.push(now.0);
                    prop_assert_eq!(room, rate.room(next, now));
                    due = next;
                }
                Err(room) => {
                    prop_assert!(!fits, "{made:?} {now:?}");
                    prop_assert_eq!(room.remaining, 0);
                }
            }
        }
        // Whatever window one looks at, no more came through than may.
        for (place, from) in made.iter().enumerate() {
            for (other, to) in made.iter().enumerate().skip(place) {
                prop_assert!(fit(rate, other - place + 1, *from, *to));
            }
        }
    }

    #[test]
    fn what_is_told_is_true((rate, pauses) in runs()) {
        let (mut due, mut now) = (Due::default(), Monotonic(7));
        for pause in pauses {
            now.0 += pause;
            due = rate.take(due, now).map_or(due, |(next, _)| next);
            let room = rate.room(due, now);
            if room.remaining < 100 {
                let (mut due, mut left) = (due, room.remaining);
                while let Ok((next, room)) = rate.take(due, now) {
                    left -= 1;
                    prop_assert_eq!(room.remaining, left);
                    due = next;
                }
                prop_assert_eq!(left, 0);
            }
            let later = |span: Duration| rate.room(due, after(now, span)).remaining;
            prop_assert!(room.next_in <= room.full_in);
            if room.remaining < rate.calls() {
                prop_assert_eq!(later(room.next_in.saturating_sub(Duration::from_nanos(1))), room.remaining);
                prop_assert!(later(room.next_in) > room.remaining);
                prop_assert!(later(room.full_in.saturating_sub(Duration::from_nanos(1))) < rate.calls());
            }
            prop_assert_eq!(later(room.full_in), rate.calls());
            prop_assert!(rate.is_full(due, after(now, room.full_in)));
        }
    }

    #[test]
    fn who_keeps_to_the_pace_is_never_refused((rate, _) in runs(), extra in prop::collection::vec(0_u64..5, 200)) {
        let pace = (u64::from(rate.seconds()) * 1_000_000_000).div_ceil(u64::from(rate.calls()));
        let (mut due, mut now) = (Due::default(), Monotonic(0));
        // With the burst used up before, at that.
        for _ in 0..rate.calls().min(1_000) {
            due = rate.take(due, now).expect("within the burst").0;
        }
        for extra in extra {
            now.0 += pace + extra;
            due = rate.take(due, now).expect("at the pace").0;
        }
    }

    #[test]
    fn a_rate_within_another_lets_nothing_more_through((a, pauses) in runs(), (b, _) in runs()) {
        prop_assume!(a.within(b));
        let (mut narrow, mut wide, mut now) = (Due::default(), Due::default(), Monotonic(0));
        for pause in pauses {
            now.0 += pause;
            if let Ok((next, _)) = a.take(narrow, now) {
                narrow = next;
                wide = b.take(wide, now).expect("the wider one lets it through").0;
            }
        }
    }
}

/// A third of a second is no whole number of nanoseconds; after a year it still is a third.
#[test]
fn nothing_drifts() {
    let thirds = rate(3, 1);
    let (mut due, mut now) = (Due::default(), Monotonic(0));
    for _ in 0..3 {
        due = thirds.take(due, now).expect("the burst").0;
    }
    for second in 1..=100_000_u64 {
        now = Monotonic(second * 1_000_000_000);
        for _ in 0..3 {
            due = thirds.take(due, now).expect("three came back").0;
        }
        assert!(thirds.take(due, now).is_err());
    }
    assert!(thirds.is_full(due, Monotonic(now.0 + 1_000_000_000)));
}

#[test]
fn another_rate_counts_on() {
    let now = Monotonic(1_000_000_000_000);
    let (before, mut due) = (rate(100, 60), Due::default());
    for _ in 0..40 {
        due = before.take(due, now).expect("room").0;
    }
    let left = |rate: Rate| rate.room(rate.carry(before, due, now), now).remaining;
    assert_eq!((left(rate(100, 60)), left(rate(50, 60)), left(rate(1_000, 1))), (60, 10, 960));
    // What is less than was made already is used up, and comes back at the new pace.
    let narrow = rate(10, 60).room(rate(10, 60).carry(before, due, now), now);
    assert_eq!(
        (narrow.remaining, narrow.next_in, narrow.full_in),
        (0, Duration::from_secs(6), Duration::from_secs(60))
    );
}

#[test]
fn limits_have_bounds_and_an_order() {
    for (calls, seconds) in [(0, 1), (1, 0), (MOST_CALLS + 1, 1), (1, LONGEST_WINDOW + 1)] {
        assert_eq!(Rate::new(calls, seconds), None);
    }
    assert!(rate(10, 60).within(rate(10, 60)) && rate(10, 60).within(rate(600, 60)) && rate(1, 1).within(rate(60, 60)));
    // As many a minute, but more at once; as many at once, but sooner again.
    assert!(!rate(60, 60).within(rate(1, 1)) && !rate(10, 1).within(rate(10, 60)));
    let limits = |calls: u32, in_flight: Option<u32>| CallLimits { rate: Rate::new(calls, 60), in_flight };
    assert!(limits(5, Some(2)).within(CallLimits::NONE) && limits(5, Some(2)).within(limits(5, None)));
    assert!(!CallLimits::NONE.within(limits(5, None)) && !limits(5, None).within(limits(5, Some(2))));
    assert_eq!(CallLimits::NONE.or(limits(5, Some(2))), limits(5, Some(2)));
    let lifted = LimitsChange { rate: Some(None), in_flight: None };
    assert_eq!(lifted.of(limits(5, Some(2))), CallLimits { rate: None, in_flight: Some(2) });
}
