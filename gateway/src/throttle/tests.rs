use std::{net::Ipv4Addr, sync::Barrier};

use proptest::prelude::*;

use super::*;

fn rate(requests: u32, per_ms: u64, burst: u32) -> Limit {
    let number = |n| NonZeroU32::new(n).unwrap();
    let rate = Rate { requests: number(requests), per: Duration::from_millis(per_ms), burst: number(burst) };
    Limit { rate: Some(rate), concurrency: None }
}

fn at(ms: i64) -> Time {
    Time::from_millis(1_795_000_000_000 + ms)
}

fn scope<'a>(name: &'static str, limit: &'a Limit) -> Scope<'a> {
    Scope { name, key: "acme-3pl", limit }
}

#[test]
fn a_burst_passes_then_the_rate_rules_and_the_wait_is_exact() {
    let (limiter, limit) = (Limiter::new(), rate(10, 1000, 3));
    let ask = |ms| limiter.admit(&[scope("partner", &limit)], at(ms));
    for left in [2, 1, 0] {
        assert_eq!(ask(0).unwrap().limits[0].remaining, left);
    }
    let refused = ask(0).unwrap_err();
    assert_eq!(refused.retry_after, Duration::from_millis(100));
    assert_eq!(refused.limit.reset, Duration::from_millis(300));
    assert_eq!(refused.to_string(), "the `partner` limit of 10 requests in 1s is used up");
    assert!(ask(99).is_err());
    assert!(ask(100).is_ok());
    assert!(ask(100).is_err());
    assert_eq!(ask(10_000).unwrap().limits[0].remaining, 2);
}

#[test]
fn a_refused_request_costs_nothing_under_the_other_limits() {
    let limiter = Limiter::new();
    let (wide, narrow) = (rate(10, 1000, 10), rate(1, 1000, 1));
    for scopes in [["a-wide", "b-narrow"], ["b-narrow", "a-wide"]] {
        let limits = scopes.map(|name| scope(name, if name == "a-wide" { &wide } else { &narrow }));
        for _ in 0..20 {
            let _ = limiter.admit(&limits, at(0));
        }
    }
    let left = limiter.admit(&[scope("a-wide", &wide)], at(0)).unwrap().limits[0].remaining;
    assert_eq!(left, 8, "one of the twenty passed, and this one");
}

#[test]
fn slots_are_bounded_and_given_back_on_drop() {
    let (limiter, limit) = (Limiter::new(), Limit { rate: None, concurrency: Some(2) });
    let ask = || limiter.admit(&[scope("partner", &limit)], at(0));
    let (first, _second) = (ask().unwrap(), ask().unwrap());
    let refused = ask().unwrap_err();
    assert_eq!((&*refused.limit.name, refused.retry_after), ("partner-concurrency", CONCURRENCY_WAIT));
    drop(first);
    assert!(ask().is_ok());
    let none = Limit { rate: None, concurrency: Some(0) };
    assert!(limiter.admit(&[scope("operation", &none)], at(0)).is_err());
}

#[test]
fn a_full_house_takes_no_token_of_the_rate() {
    let limiter = Limiter::new();
    let limit = Limit { concurrency: Some(1), ..rate(1, 60_000, 5) };
    let held = limiter.admit(&[scope("partner", &limit)], at(0)).unwrap();
    for _ in 0..10 {
        limiter.admit(&[scope("partner", &limit)], at(0)).unwrap_err();
    }
    drop(held);
    assert_eq!(limiter.admit(&[scope("partner", &limit)], at(0)).unwrap().limits[0].remaining, 3);
}

#[test]
fn a_changed_limit_takes_effect_and_remembers_what_was_used() {
    let limiter = Limiter::new();
    let (slow, fast) = (rate(1, 3_600_000, 5), rate(100, 1000, 5));
    for _ in 0..5 {
        limiter.admit(&[scope("partner", &slow)], at(0)).unwrap();
    }
    limiter.admit(&[scope("partner", &slow)], at(0)).unwrap_err();
    limiter.admit(&[scope("partner", &fast)], at(0)).unwrap_err();
    let wait = limiter.admit(&[scope("partner", &fast)], at(0)).unwrap_err().retry_after;
    assert_eq!(wait, Duration::from_millis(10), "an hour under the old limit is not waited for");
}

#[test]
fn a_clock_that_steps_back_locks_nobody_out() {
    let (limiter, limit) = (Limiter::new(), rate(10, 1000, 2));
    for _ in 0..2 {
        limiter.admit(&[scope("partner", &limit)], at(86_400_000)).unwrap();
    }
    let refused = limiter.admit(&[scope("partner", &limit)], at(0)).unwrap_err();
    assert_eq!(refused.retry_after, Duration::from_millis(100));
}

#[test]
fn failures_of_one_address_make_only_it_wait() {
    let limiter = Limiter::new();
    let (bad, good) = (IpAddr::from([203, 0, 113, 9]), IpAddr::from([203, 0, 113, 10]));
    for _ in 0..20 {
        assert!(limiter.admit_stranger(bad, at(0)).is_ok());
        limiter.note_failure(bad, at(0));
    }
    let refused = limiter.admit_stranger(bad, at(0)).unwrap_err();
    assert_eq!(refused.retry_after, Duration::from_secs(2));
    assert!(
        limiter.admit_stranger(IpAddr::V6(Ipv4Addr::new(203, 0, 113, 9).to_ipv6_mapped()), at(0)).is_err()
    );
    assert!(limiter.admit_stranger(good, at(0)).is_ok());
    assert!(limiter.admit_stranger(bad, at(2000)).is_ok());
}

#[test]
fn one_subscribers_ipv6_addresses_are_one() {
    let limiter = Limiter::new();
    for host in 0..20 {
        limiter.note_failure(IpAddr::V6(Ipv6Addr::from_bits((0x2001_0db8 << 96) | host)), at(0));
    }
    assert!(limiter.admit_stranger("2001:db8::ffff".parse().unwrap(), at(0)).is_err());
    assert!(limiter.admit_stranger("2001:db8:0:1::1".parse().unwrap(), at(0)).is_ok());
}

#[test]
fn memory_is_bounded_whoever_comes() {
    let limiter = Limiter { keys_per_shard: 4, ..Limiter::new() };
    for host in 0..10_000_u32 {
        limiter.note_failure(Ipv4Addr::from_bits(host).into(), at(0));
    }
    assert_eq!(limiter.keys(), 4 * SHARDS);
    let crowd = IpAddr::V4(Ipv4Addr::from_bits(9_999));
    assert!(limiter.admit_stranger(crowd, at(0)).is_err(), "those without a place share one bucket");
    limiter.retain_recent(at(3_600_000));
    assert_eq!(limiter.keys(), 0);
}

#[test]
fn a_key_with_a_request_under_way_is_not_forgotten() {
    let (limiter, limit) = (Limiter::new(), Limit { rate: None, concurrency: Some(1) });
    let held = limiter.admit(&[scope("partner", &limit)], at(0)).unwrap();
    limiter.retain_recent(at(3_600_000));
    assert!(limiter.admit(&[scope("partner", &limit)], at(3_600_000)).is_err());
    drop(held);
    limiter.retain_recent(at(3_600_000));
    assert_eq!(limiter.keys(), 0);
}

#[test]
fn many_threads_take_exactly_what_there_is() {
    let (limiter, partner, operation) = (Limiter::new(), rate(1, 3_600_000, 100), rate(1, 3_600_000, 70));
    let start = Barrier::new(4);
    let passed: usize = std::thread::scope(|threads| {
        let tasks: Vec<_> = (0..4)
            .map(|thread| {
                let (limiter, start) = (&limiter, &start);
                let mut scopes = [scope("partner", &partner), scope("operation", &operation)];
                if thread % 2 == 0 {
                    scopes.reverse();
                }
                threads.spawn(move || {
                    start.wait();
                    (0..100).filter(|_| limiter.admit(&scopes, at(0)).is_ok()).count()
                })
            })
            .collect();
        tasks.into_iter().map(|task| task.join().unwrap()).sum()
    });
    assert_eq!(passed, 70);
    assert_eq!(limiter.admit(&[scope("partner", &partner)], at(0)).unwrap().limits[0].remaining, 29);
}

proptest! {
    #[test]
    fn no_window_ever_passes_more_than_rate_and_burst(
        requests in 1..50_u32, per_ms in 1..5_000_u64, burst in 1..50_u32,
        gaps in prop::collection::vec(0..500_i64, 1..200),
    ) {
        let (limiter, limit) = (Limiter::new(), rate(requests, per_ms, burst));
        let (mut clock, mut passed) = (0, 0_u64);
        for gap in gaps {
            clock += gap;
            passed += u64::from(limiter.admit(&[scope("partner", &limit)], at(clock)).is_ok());
        }
        let earned = u64::try_from(clock).unwrap() * u64::from(requests) / per_ms;
        prop_assert!(passed <= u64::from(burst) + earned + 1);
    }

    #[test]
    fn no_limit_whatsoever_panics(requests in 1..=u32::MAX, per_s in any::<u64>(), burst in 1..=u32::MAX, now in any::<i64>()) {
        let number = |n| NonZeroU32::new(n).unwrap();
        let rate = Rate { requests: number(requests), per: Duration::from_secs(per_s), burst: number(burst) };
        let (limiter, limit) = (Limiter::new(), Limit { rate: Some(rate), concurrency: None });
        for _ in 0..3 {
            let answer = limiter.admit(&[scope("partner", &limit)], Time::from_millis(now));
            let limits = answer.map_or_else(|exceeded| exceeded.all, |permit| permit.limits.clone());
            prop_assert!(fields::policy(&limits).is_some() && fields::remaining(&limits).is_some());
        }
    }
}
