use std::{
    net::{Ipv4Addr, Ipv6Addr},
    sync::Barrier,
};

use proptest::prelude::*;

use jiff::tz::TimeZone;

use super::{table::SHARDS, *};

fn rate(requests: u32, per_ms: u64, burst: u32) -> Limit {
    let number = |n| NonZeroU32::new(n).unwrap();
    let rate = Rate { requests: number(requests), per: Duration::from_millis(per_ms), burst: number(burst) };
    Limit { rate: Some(rate), ..Limit::default() }
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
    let ask = |ms| limiter.admit(&[scope("partner", &limit)], 0, at(ms));
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
            let _ = limiter.admit(&limits, 0, at(0));
        }
    }
    let left = limiter.admit(&[scope("a-wide", &wide)], 0, at(0)).unwrap().limits[0].remaining;
    assert_eq!(left, 8, "one of the twenty passed, and this one");
}

#[test]
fn slots_are_bounded_and_given_back_on_drop() {
    let (limiter, limit) = (Limiter::new(), Limit { concurrency: Some(2), ..Limit::default() });
    let ask = || limiter.admit(&[scope("partner", &limit)], 0, at(0));
    let (first, _second) = (ask().unwrap(), ask().unwrap());
    let refused = ask().unwrap_err();
    assert_eq!((&*refused.limit.name, refused.retry_after), ("partner-concurrency", CONCURRENCY_WAIT));
    drop(first);
    assert!(ask().is_ok());
    let none = Limit { concurrency: Some(0), ..Limit::default() };
    assert!(limiter.admit(&[scope("operation", &none)], 0, at(0)).is_err());
}

#[test]
fn a_full_house_takes_no_token_of_the_rate() {
    let limiter = Limiter::new();
    let limit = Limit { concurrency: Some(1), ..rate(1, 60_000, 5) };
    let held = limiter.admit(&[scope("partner", &limit)], 0, at(0)).unwrap();
    for _ in 0..10 {
        limiter.admit(&[scope("partner", &limit)], 0, at(0)).unwrap_err();
    }
    drop(held);
    assert_eq!(limiter.admit(&[scope("partner", &limit)], 0, at(0)).unwrap().limits[0].remaining, 3);
}

#[test]
fn a_changed_limit_takes_effect_and_remembers_what_was_used() {
    let limiter = Limiter::new();
    let (slow, fast) = (rate(1, 3_600_000, 5), rate(100, 1000, 5));
    for _ in 0..5 {
        limiter.admit(&[scope("partner", &slow)], 0, at(0)).unwrap();
    }
    limiter.admit(&[scope("partner", &slow)], 0, at(0)).unwrap_err();
    limiter.admit(&[scope("partner", &fast)], 0, at(0)).unwrap_err();
    let wait = limiter.admit(&[scope("partner", &fast)], 0, at(0)).unwrap_err().retry_after;
    assert_eq!(wait, Duration::from_millis(10), "an hour under the old limit is not waited for");
}

#[test]
fn a_clock_that_steps_back_locks_nobody_out() {
    let (limiter, limit) = (Limiter::new(), rate(10, 1000, 2));
    for _ in 0..2 {
        limiter.admit(&[scope("partner", &limit)], 0, at(86_400_000)).unwrap();
    }
    let refused = limiter.admit(&[scope("partner", &limit)], 0, at(0)).unwrap_err();
    assert_eq!(refused.retry_after, Duration::from_millis(100));
}

#[test]
fn failures_of_one_address_make_only_it_wait() {
    let limiter = Limiter::new();
    let (bad, good) = (IpAddr::from([203, 0, 113, 9]), IpAddr::from([203, 0, 113, 10]));
    for _ in 0..20 {
        assert!(limiter.admit_stranger(bad, None, at(0)).is_ok());
        limiter.note_failure(bad, None, at(0));
    }
    let refused = limiter.admit_stranger(bad, None, at(0)).unwrap_err();
    assert_eq!(refused.retry_after, Duration::from_secs(2));
    assert!(
        limiter
            .admit_stranger(IpAddr::V6(Ipv4Addr::new(203, 0, 113, 9).to_ipv6_mapped()), None, at(0))
            .is_err()
    );
    assert!(limiter.admit_stranger(good, None, at(0)).is_ok());
    assert!(limiter.admit_stranger(bad, None, at(2000)).is_ok());
}

#[test]
fn one_subscribers_ipv6_addresses_are_one() {
    let limiter = Limiter::new();
    for host in 0..20 {
        limiter.note_failure(IpAddr::V6(Ipv6Addr::from_bits((0x2001_0db8 << 96) | host)), None, at(0));
    }
    assert!(limiter.admit_stranger("2001:db8::ffff".parse().unwrap(), None, at(0)).is_err());
    assert!(limiter.admit_stranger("2001:db8:0:1::1".parse().unwrap(), None, at(0)).is_ok());
}

#[test]
fn memory_is_bounded_whoever_comes() {
    let mut limiter = Limiter::new();
    limiter.strangers.table.keys_per_shard = 4;
    for host in 0..10_000_u32 {
        limiter.note_failure(Ipv4Addr::from_bits(host).into(), None, at(0));
    }
    assert_eq!(limiter.keys(), 4 * SHARDS);
    let crowd = IpAddr::V4(Ipv4Addr::from_bits(9_999));
    assert!(limiter.admit_stranger(crowd, None, at(0)).is_err(), "those without a place share one bucket");
    limiter.retain_recent(at(3_600_000));
    assert_eq!(limiter.keys(), 0);
}

#[test]
fn a_key_with_a_request_under_way_is_not_forgotten() {
    let (limiter, limit) = (Limiter::new(), Limit { concurrency: Some(1), ..Limit::default() });
    let held = limiter.admit(&[scope("partner", &limit)], 0, at(0)).unwrap();
    limiter.retain_recent(at(3_600_000));
    assert!(limiter.admit(&[scope("partner", &limit)], 0, at(3_600_000)).is_err());
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
                    (0..100).filter(|_| limiter.admit(&scopes, 0, at(0)).is_ok()).count()
                })
            })
            .collect();
        tasks.into_iter().map(|task| task.join().unwrap()).sum()
    });
    assert_eq!(passed, 70);
    assert_eq!(limiter.admit(&[scope("partner", &partner)], 0, at(0)).unwrap().limits[0].remaining, 29);
}

fn daily(most: u64, unit: Unit) -> Limit {
    let window = Window::Calendar(Period::Day, TimeZone::UTC);
    Limit { quotas: vec![Quota::new(most, unit, window)], ..Limit::default() }
}

#[test]
fn a_quota_is_remembered_over_a_restart_to_the_last_request() {
    let folder = tempfile::tempdir().unwrap();
    let (requests, bytes) = (daily(5, Unit::Requests), daily(1000, Unit::Bytes));
    let scopes = [scope("partner", &requests), scope("operation", &bytes)];
    let limiter = Limiter::open(folder.path(), at(0)).unwrap();
    for _ in 0..3 {
        limiter.admit(&scopes, 100, at(0)).unwrap();
    }
    limiter.charge(&scopes, 50, at(0));
    // No goodbye: what is on the disk is all that the next one has.
    std::mem::forget(limiter);
    let limiter = Limiter::open(folder.path(), at(1000)).unwrap();
    let limits = limiter.admit(&scopes, 100, at(1000)).unwrap().limits.clone();
    let left = limits.iter().map(|limit| (&*limit.name, limit.remaining)).collect::<Vec<_>>();
    assert_eq!(left, [("partner-day", 1), ("operation-day-bytes", 550)]);
    limiter.admit(&scopes, 0, at(1000)).unwrap();
    let refused = limiter.admit(&scopes, 0, at(1000)).unwrap_err();
    assert_eq!(&*refused.limit.name, "partner-day");
    let tomorrow = at(i64::try_from(refused.retry_after.as_millis()).unwrap() + 1000);
    drop(limiter);
    let limiter = Limiter::open(folder.path(), tomorrow).unwrap();
    assert!(limiter.admit(&scopes, 0, tomorrow).is_ok());
}

#[test]
fn half_a_line_at_the_end_of_the_file_costs_that_line_alone() {
    let folder = tempfile::tempdir().unwrap();
    let limit = daily(10, Unit::Requests);
    let limiter = Limiter::open(folder.path(), at(0)).unwrap();
    for _ in 0..4 {
        limiter.admit(&[scope("partner", &limit)], 0, at(0)).unwrap();
    }
    drop(limiter);
    let path = folder.path().join("quotas.1");
    let text = std::fs::read(&path).unwrap();
    std::fs::write(&path, &text[..text.len() - 9]).unwrap();
    let limiter = Limiter::open(folder.path(), at(0)).unwrap();
    assert_eq!(limiter.admit(&[scope("partner", &limit)], 0, at(0)).unwrap().limits[0].remaining, 6);
    drop(limiter);
    let limiter = Limiter::open(folder.path(), at(0)).unwrap();
    assert_eq!(limiter.admit(&[scope("partner", &limit)], 0, at(0)).unwrap().limits[0].remaining, 5);
}

#[test]
fn the_file_of_quotas_is_written_anew_before_it_grows_long() {
    let folder = tempfile::tempdir().unwrap();
    let limit = daily(1_000_000, Unit::Requests);
    let limiter = Limiter::open(folder.path(), at(0)).unwrap();
    for _ in 0..60_000 {
        limiter.admit(&[scope("partner", &limit)], 0, at(0)).unwrap();
    }
    limiter.retain_recent(at(0));
    let bytes: u64 =
        std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
    assert!(bytes < 10_000, "{bytes} bytes are left");
    drop(limiter);
    let limiter = Limiter::open(folder.path(), at(0)).unwrap();
    assert_eq!(limiter.admit(&[scope("partner", &limit)], 0, at(0)).unwrap().limits[0].remaining, 939_999);
}

#[test]
fn a_document_that_is_larger_than_what_is_left_is_refused_before_it_is_read() {
    let (limiter, limit) = (Limiter::new(), daily(1000, Unit::Bytes));
    limiter.admit(&[scope("partner", &limit)], 700, at(0)).unwrap();
    let refused = limiter.admit(&[scope("partner", &limit)], 301, at(0)).unwrap_err();
    assert_eq!((refused.limit.unit, refused.limit.quota), (Unit::Bytes, 1000));
    assert_eq!(limiter.admit(&[scope("partner", &limit)], 300, at(0)).unwrap().limits[0].remaining, 0);
}

#[test]
fn a_limit_in_shadow_refuses_nobody_and_says_whom_it_would_have() {
    let limiter = Limiter::new();
    let (hidden, open) = (Limit { shadow: true, ..rate(1, 60_000, 2) }, rate(100, 1000, 100));
    let scopes = [scope("partner", &hidden), scope("operation", &open)];
    let told: Vec<usize> = (0..5).map(|_| limiter.admit(&scopes, 0, at(0)).unwrap().shadowed.len()).collect();
    assert_eq!(told, [0, 0, 1, 1, 1]);
    let permit = limiter.admit(&scopes, 0, at(0)).unwrap();
    assert_eq!(permit.limits.len(), 1, "callers are not told of it");
    assert_eq!(&*permit.shadowed[0], "partner");
}

#[test]
fn a_name_that_is_claimed_in_vain_everywhere_is_shut_for_strangers_and_open_for_its_owner() {
    let limiter = Limiter::new();
    let address = |n: u32| IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + n));
    let own = IpAddr::from([203, 0, 113, 9]);
    limiter.note_success(own, Some("xd_acme"));
    for n in 0..100 {
        assert!(limiter.admit_stranger(address(n), Some("xd_acme"), at(0)).is_ok());
        limiter.note_failure(address(n), Some("xd_acme"), at(0));
    }
    assert!(limiter.admit_stranger(address(200), Some("xd_acme"), at(0)).is_err());
    assert!(limiter.admit_stranger(address(200), Some("xd_globex"), at(0)).is_ok());
    assert!(limiter.admit_stranger(own, Some("xd_acme"), at(0)).is_ok(), "it has shown who it is");
    assert!(limiter.admit_stranger(address(200), Some("xd_acme"), at(2000)).is_ok());
}

/// Strangers have a table of their own: however many come, a partner's limit stays its own.
#[test]
fn a_million_strangers_take_no_partners_place_and_little_memory() {
    let (limiter, limit) = (Limiter::new(), rate(1, 60_000, 1));
    let started = std::time::Instant::now();
    for n in 0..1_000_000_u32 {
        let name = (n % 4 == 0).then(|| format!("xd_{n}"));
        limiter.note_failure(IpAddr::V4(Ipv4Addr::from_bits(n)), name.as_deref(), at(0));
    }
    assert!(limiter.keys() <= 1 << 17, "{}", limiter.keys());
    // Looking for room again and again took minutes.
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
    limiter.admit(&[scope("partner", &limit)], 0, at(0)).unwrap();
    limiter.admit(&[Scope { key: "globex", ..scope("partner", &limit) }], 0, at(0)).unwrap();
    limiter.admit(&[scope("partner", &limit)], 0, at(0)).unwrap_err();
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
            passed += u64::from(limiter.admit(&[scope("partner", &limit)], 0, at(clock)).is_ok());
        }
        let earned = u64::try_from(clock).unwrap() * u64::from(requests) / per_ms;
        prop_assert!(passed <= u64::from(burst) + earned + 1);
    }

    #[test]
    fn no_limit_whatsoever_panics(requests in 1..=u32::MAX, per_s in any::<u64>(), burst in 1..=u32::MAX, now in any::<i64>()) {
        let number = |n| NonZeroU32::new(n).unwrap();
        let rate = Rate { requests: number(requests), per: Duration::from_secs(per_s), burst: number(burst) };
        let (limiter, limit) = (Limiter::new(), Limit { rate: Some(rate), ..Limit::default() });
        for _ in 0..3 {
            let answer = limiter.admit(&[scope("partner", &limit)], 0, Time::from_millis(now));
            let limits = answer.map_or_else(|exceeded| exceeded.all, |permit| permit.limits.clone());
            prop_assert!(fields::policy(&limits).is_some() && fields::remaining(&limits).is_some());
        }
    }
}
