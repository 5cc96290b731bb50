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
    let work = |_: &Desk, _| -> (Usage, Result<Ran<()>, Failure>) { panic!("expected by the test") };
    let failed = house.runtime.block_on(house.host.submit(&mapper.0, &partner("a"), &limits, 7, work));
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
        house.map_with(&fine, roomy(), &vec![0; (1 << 20) + 1]).unwrap_err().to_string(),
        "input (bytes) over its limit: 1048577 of 1048576 allowed"
    );
    assert_eq!(
        house.map_with(&fine, Limits { input_bytes: 2 << 20, ..roomy() }, &vec![0; (1 << 20) + 1]),
        Err(Failure::Overloaded)
    );
    house.map_with(&fine, roomy(), b"x").unwrap();
    assert_eq!(house.host.desk.budget.left(), 1 << 20);
}

#[test]
fn a_partner_whose_messages_run_away_has_to_wait_and_its_neighbour_does_not() {
    let house = House::serving(1, 64 << 20, 8, true, SERVED);
    let mapper = house.load(to("(loop $again (br $again)) (unreachable)")).unwrap();
    let runaway = |partner: &str| {
        let call = call_of(partner, strict());
        house.runtime.block_on(house.host.to_canonical(&mapper, call, document("x"))).unwrap_err()
    };
    let told = (0..40).map(|_| runaway("flood")).find(|failure| !matches!(failure, Failure::Limit { .. }));
    assert!(matches!(told, Some(Failure::Wasteful { .. })), "{told:?}");
    assert!(matches!(runaway("quiet"), Failure::Limit { .. }));
    let fine = house.load(Guest::default().wasm()).unwrap();
    let call = call_of("flood", roomy());
    house.runtime.block_on(house.host.to_canonical(&fine, call, document("x"))).unwrap();
}

#[test]
fn dropping_the_host_ends_its_threads() {
    let house = House::new(3, 1 << 20, 8);
    let weak = Arc::downgrade(&house.host.desk);
    drop(house);
    assert!(weak.upgrade().is_none());
}

/// Page faults of this thread.
fn page_faults() -> i64 {
    // SAFETY: `usage` is plain numbers, and a valid place to write them to.
    let (failed, usage) = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        (libc::getrusage(libc::RUSAGE_THREAD, &mut usage), usage)
    };
    assert_eq!(failed, 0);
    usage.ru_minflt
}

#[test]
fn a_warm_call_of_a_small_guest_costs_no_page_fault() {
    let house = House::new(1, 64 << 20, 8);
    let guest = "(memory.fill (i32.const 66000) (i32.const 1) (i32.const 60000)) (global.get $empty)";
    let mapper = house.load(to(guest)).unwrap();
    let loaded = Arc::clone(&mapper.0);
    let limits = roomy();
    let work = move |desk: &Desk, abandoned: Arc<AtomicBool>| {
        let (told, document) = (call(limits), document("x"));
        let ceiling = limits.for_input(1);
        let run = || {
            let (tables, abandoned) = (Arc::default(), Arc::clone(&abandoned));
            let order = Order { tables, limits, ceiling, input_bytes: 1, abandoned };
            loaded.door.document_to_events(desk, order, &told.context, &document).value.map(|_| ())
        };
        let counted = || {
            (0..50).try_for_each(|_| run())?;
            let before = page_faults();
            (0..1_000).try_for_each(|_| run())?;
            Ok(Ran { value: page_faults() - before, usage: Usage::default(), log: Vec::new() })
        };
        (Usage::default(), counted())
    };
    let ran = house.runtime.block_on(house.host.submit(&mapper.0, &partner("a"), &limits, 1, work)).unwrap();
    // The machine may take a page of ours now and then; one fault a call would be a thousand.
    assert!(ran.value < 50, "{} page faults in 1,000 calls", ran.value);
}
