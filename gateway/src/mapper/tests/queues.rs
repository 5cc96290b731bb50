//! Fair queues, bounds, and callers that go away.

use std::sync::mpsc;

use super::*;

/// A worker that is held until the returned sender is used or dropped.
fn block(pool: &Pool, partner: &PartnerName) -> mpsc::Sender<()> {
    let (release, released) = mpsc::channel::<()>();
    let (started, running) = mpsc::channel();
    let job = Box::new(move || {
        started.send(()).unwrap();
        // Released by a word or by the sender's end.
        let _ = released.recv();
    });
    pool.submit(partner, job).unwrap();
    running.recv().unwrap();
    release
}

fn partner(name: &str) -> PartnerName {
    PartnerName::new(name).unwrap()
}

#[test]
fn a_flood_of_one_partner_does_not_hold_up_another() {
    let pool = Pool::start(1, 1_000).unwrap();
    let (flood, quiet) = (partner("flood"), partner("quiet"));
    let release = block(&pool, &flood);
    let (done, order) = mpsc::channel();
    let mark = |name: &'static str| -> pool::Job {
        let done = done.clone();
        Box::new(move || done.send(name).unwrap())
    };
    for _ in 0..200 {
        pool.submit(&flood, mark("flood")).unwrap();
    }
    for _ in 0..3 {
        pool.submit(&quiet, mark("quiet")).unwrap();
    }
    drop(release);
    let order: Vec<_> = order.iter().take(203).collect();
    assert_eq!(&order[..6], ["flood", "quiet", "flood", "quiet", "flood", "quiet"]);
}

#[test]
fn a_full_queue_takes_no_more_of_that_partner_only() {
    let pool = Pool::start(1, 2).unwrap();
    let release = block(&pool, &partner("a"));
    for _ in 0..2 {
        pool.submit(&partner("a"), Box::new(|| ())).unwrap();
    }
    assert_eq!(pool.submit(&partner("a"), Box::new(|| ())), Err(pool::Full));
    pool.submit(&partner("b"), Box::new(|| ())).unwrap();
    drop(release);
}

#[test]
fn a_panic_in_a_worker_costs_one_message() {
    let house = House::new(1, 64 << 20, 8);
    let mapper = house.load(Guest::default().wasm()).unwrap();
    let limits = roomy();
    let work = |_: &Desk, _| -> Result<Ran<()>, Failure> { panic!("expected by the test") };
    let failed = house.runtime.block_on(house.host.submit(&partner("a"), &limits, 7, work));
    assert_eq!(failed, Err(Failure::Broken));
    house.map_with(&mapper, limits, b"x").unwrap();
    assert_eq!(house.host.desk.budget.left(), 64 << 20);
}

#[test]
fn two_hundred_calls_on_two_workers_are_all_answered() {
    let house = house();
    let mapper = house.load(Guest::default().wasm()).unwrap();
    let names = ["flood", "flood", "flood", "quiet"];
    let calls = (0..200).map(|index| {
        let call = call_of(names[index % names.len()], roomy());
        let (host, mapper) = (Arc::clone(&house.host), mapper.clone());
        house.runtime.spawn(async move { host.to_canonical(&mapper, call, document("x")).await })
    });
    let calls: Vec<_> = calls.collect();
    for call in calls {
        house.runtime.block_on(call).unwrap().unwrap();
    }
}

#[test]
fn a_caller_that_goes_away_frees_its_worker_and_its_bytes() {
    let house = House::new(1, 64 << 20, 8);
    let endless = house.load(to("(loop $again (br $again)) (unreachable)")).unwrap();
    let fine = house.load(Guest::default().wasm()).unwrap();
    let limits = Limits { cpu: Duration::from_secs(3_600), ..roomy() };
    let host = Arc::clone(&house.host);
    let call = call(limits);
    let running = house.runtime.spawn(async move { host.to_canonical(&endless, call, document("x")).await });
    while house.host.desk.budget.left() == 64 << 20 {
        std::thread::yield_now();
    }
    running.abort();
    house.map_with(&fine, roomy(), b"x").unwrap();
    while house.host.desk.budget.left() != 64 << 20 {
        std::thread::yield_now();
    }
}

#[test]
fn a_spent_byte_budget_is_overload_and_comes_back() {
    let house = House::new(1, 1 << 20, 8);
    let grows = house.load(to("(drop (memory.grow (i32.const 12))) (global.get $empty)")).unwrap();
    let fine = house.load(Guest::default().wasm()).unwrap();
    assert_eq!(house.map_with(&grows, roomy(), b"x"), Err(Failure::Overloaded));
    assert_eq!(
        house.map_with(&fine, roomy(), &vec![0; 1 << 20]).unwrap_err().to_string(),
        "input (bytes) over its limit: 1048586 of 1048576 allowed"
    );
    assert_eq!(
        house.map_with(&fine, Limits { input_bytes: 2 << 20, ..roomy() }, &vec![0; 1 << 20]),
        Err(Failure::Overloaded)
    );
    house.map_with(&fine, roomy(), b"x").unwrap();
    assert_eq!(house.host.desk.budget.left(), 1 << 20);
}

#[test]
fn dropping_the_host_ends_its_threads() {
    let house = House::new(3, 1 << 20, 8);
    let weak = Arc::downgrade(&house.host.desk);
    drop(house);
    assert!(weak.upgrade().is_none());
}
