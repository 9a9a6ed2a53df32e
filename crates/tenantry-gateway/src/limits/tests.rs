//! Limits under threads, with everything exact; and what callers are told.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tenantry_core::id::{AccountId, KeyId};
use tenantry_core::limit::{CallLimits, Kind};

use super::*;

const SECOND: u64 = 1_000_000_000;
const NOW: Monotonic = Monotonic(1_000 * SECOND);

fn later(nanoseconds: u64) -> Monotonic {
    Monotonic(NOW.0 + nanoseconds)
}

fn limits(rate: Option<(u32, u32)>, in_flight: Option<u32>) -> CallLimits {
    CallLimits { rate: rate.and_then(|(calls, seconds)| Rate::new(calls, seconds)), in_flight }
}

fn of_key(n: u8, limits: CallLimits) -> Applying {
    Applying { holder: Holder::Key(KeyId::from_bytes([n; 16])), above: 0, limits }
}

fn of_account(n: u8, above: usize, limits: CallLimits) -> Applying {
    Applying { holder: Holder::Account(AccountId::from_bytes([n; 16])), above, limits }
}

/// How often `work` says yes when eight threads ask it for a thousand times together.
fn yes(work: impl Fn(usize) -> bool + Sync) -> usize {
    let (next, yes) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= 1_000 {
                        break;
                    }
                    yes.fetch_add(usize::from(work(n)), Ordering::Relaxed);
                }
            });
        }
    });
    yes.into_inner()
}

#[test]
fn a_thousand_at_once_are_as_many_as_the_limit() {
    let limiter = Limiter::default();
    for n in [1_u8, 7, 100] {
        let key = of_key(n, limits(Some((u32::from(n), 60)), None));
        assert_eq!(yes(|_| limiter.take([key].into_iter(), NOW).is_ok()), usize::from(n));
        // A tenth of the time brings back a tenth of them.
        let tenth = later(6 * SECOND);
        assert_eq!(yes(|_| limiter.take([key].into_iter(), tenth).is_ok()), usize::from(n / 10));
    }
}

#[test]
fn where_several_limits_apply_all_count_or_none() {
    let limiter = Limiter::default();
    // Ten keys of one account, some of which may do more and some less than it.
    let (each, all) = (limits(Some((30, 60)), None), of_account(1, 0, limits(Some((100, 60)), None)));
    let above = of_account(2, 1, limits(Some((1_000, 60)), None));
    let call = |n: usize| [of_key(u8::try_from(n % 10).expect("few"), each), all, above].into_iter();
    assert_eq!(yes(|n| limiter.take(call(n), NOW).is_ok()), 100);
    let left = |applying: Applying| {
        let report = limiter.peek([applying].into_iter(), NOW).unwrap_or_else(|exceeded| exceeded.report);
        report.standings()[0].room.expect("a rate").remaining
    };
    assert_eq!((left(all), left(above)), (0, 900), "who is refused below takes nothing above");
    let of_keys: u32 = (0..10).map(|n| left(of_key(n, each))).sum();
    assert_eq!(of_keys, 10 * 30 - 100, "nor from its own");
}

#[test]
fn calls_at_once_are_counted_until_they_end() {
    let limiter = Limiter::default();
    let key = of_key(1, limits(None, Some(5)));
    let most = AtomicUsize::new(0);
    let running = AtomicUsize::new(0);
    let admitted = yes(|_| {
        let Ok(admitted) = limiter.admit([key].into_iter(), NOW) else { return false };
        most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        std::thread::yield_now();
        running.fetch_sub(1, Ordering::SeqCst);
        drop(admitted);
        true
    });
    assert!(most.into_inner() <= 5 && admitted >= 5);
    let held: Vec<Admitted> = (0..5).map(|_| limiter.admit([key].into_iter(), NOW).expect("room")).collect();
    assert_eq!(held[4].report.standings()[0].free, Some(0));
    let exceeded = limiter.admit([key].into_iter(), NOW).expect_err("five are there");
    assert_eq!((exceeded.deciding().kind, exceeded.deciding().seconds()), (Kind::InFlight, 1));
    drop(held);
    drop(limiter.admit([key].into_iter(), NOW).expect("all ended"));
}

#[test]
fn who_is_refused_for_one_reason_takes_nothing_for_another() {
    let limiter = Limiter::default();
    let key = of_key(1, limits(Some((10, 60)), Some(1)));
    let first = limiter.admit([key].into_iter(), NOW).expect("room");
    assert!(limiter.admit([key].into_iter(), NOW).is_err(), "one is there");
    assert!(
        limiter.take([key].into_iter(), NOW).is_ok(),
        "who does not say when calls end is not asked how many there are"
    );
    assert_eq!(limiter.peek([key].into_iter(), NOW).expect("room").standings()[0].room.expect("a rate").remaining, 8);
    drop(first);
    let account = of_account(1, 0, limits(Some((1, 60)), None));
    drop(limiter.admit([key, account].into_iter(), NOW).expect("room"));
    assert!(limiter.admit([key, account].into_iter(), NOW).is_err());
    drop(limiter.admit([key].into_iter(), NOW).expect("the place was given back"));
}

#[test]
fn nothing_is_kept_where_there_are_no_limits_nor_of_questions() {
    let limiter = Limiter::default();
    drop(limiter.admit(std::iter::empty(), NOW).expect("no limits"));
    assert_eq!(limiter.take(std::iter::empty(), NOW).expect("no limits").fields(), None);
    assert!(limiter.peek([of_key(1, limits(Some((1, 1)), None))].into_iter(), NOW).is_ok());
    assert!(limiter.take([of_key(1, limits(None, Some(1)))].into_iter(), NOW).is_ok());
    assert!(limiter.is_empty());
}

#[test]
fn what_does_not_matter_any_more_is_forgotten() {
    let limiter = Limiter::default();
    let key = |n: u32| {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&n.to_be_bytes());
        // All of one shard.
        Applying { holder: Holder::Key(KeyId::from_bytes(bytes)), above: 0, limits: limits(Some((1, 1)), Some(1)) }
    };
    let busy = limiter.admit([key(0)].into_iter(), NOW).expect("room");
    for n in 1..10_000_u32 {
        // A thousand a second, each of which matters for a second.
        drop(limiter.admit([key(n)].into_iter(), later(u64::from(n) * SECOND / 1_000)).expect("room"));
        assert!(limiter.len() <= 4_000, "{}", limiter.len());
    }
    assert!(limiter.admit([key(0)].into_iter(), later(100 * SECOND)).is_err(), "one that is still running is not");
    drop(busy);
    assert!(
        limiter.admit([key(9_999)].into_iter(), later(10 * SECOND)).is_err(),
        "nor one that was there a moment ago"
    );
}

#[test]
fn another_limit_counts_from_the_next_call_on() {
    let limiter = Limiter::default();
    let key = |calls: u32| [of_key(1, limits(Some((calls, 60)), None))].into_iter();
    for _ in 0..10 {
        assert!(limiter.take(key(10), NOW).is_ok());
    }
    assert!(limiter.take(key(10), NOW).is_err());
    assert_eq!(yes(|_| limiter.take(key(15), NOW).is_ok()), 5, "ten were made");
    let exceeded = limiter.take(key(2), NOW).expect_err("more than two were made");
    assert_eq!(exceeded.deciding().wait, Duration::from_secs(30));
}

#[test]
fn callers_are_told_what_is_left() {
    let limiter = Limiter::default();
    let call = || {
        let (key, own) = (of_key(1, limits(Some((100, 60)), Some(3))), of_account(1, 0, limits(Some((3, 10)), None)));
        [of_account(3, 2, limits(Some((1_000, 3_600)), None)), own, key].into_iter()
    };
    let policy = r#""key";q=100;w=60, "key-in-flight";q=3;qu="concurrent-requests", "account";q=3;w=10, "above-2";q=1000;w=3600"#;
    let first = limiter.admit(call(), NOW).expect("room");
    let fields = first.report.fields().expect("limits");
    assert_eq!((fields.policy.as_str(), fields.limit.as_str()), (policy, r#""account";r=2;t=4, "key-in-flight";r=2"#));
    // Three and a third seconds bring one back, and the whole takes twice as long again.
    let told = |at: Monotonic| limiter.take(call(), at).map(|report| report.fields().expect("limits").limit);
    assert_eq!(told(NOW).as_deref(), Ok(r#""account";r=1;t=7"#));
    assert_eq!(told(NOW).as_deref(), Ok(r#""account";r=0;t=4"#));
    let exceeded = told(later(SECOND)).expect_err("none is left");
    assert_eq!((exceeded.deciding().kind, exceeded.deciding().seconds()), (Kind::Rate, 3));
    assert_eq!(exceeded.report.fields().expect("limits").limit, r#""account";r=0;t=3"#);
    assert_eq!(exceeded.denial().rule.and_then(|rule| rule.account()), Some(AccountId::from_bytes([1; 16])));
    assert!(told(later(4 * SECOND)).is_ok());
}
