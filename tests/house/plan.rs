//! The plan, as data.

/// The floors, lowest first. A room imports from floors below its own, never from its own floor or above.
pub const FLOORS: &[&[&str]] = &[
    &["words"],
    &[
        "audit",
        "auth",
        "canonical",
        "contract",
        "journal",
        "mapper",
        "observe",
        "server",
        "spool",
        "throttle",
    ],
    &["deliver"],
    &["policy"],
    &["refusal"],
    &["problem"],
    &["pipeline"],
    &["admin"],
    &["run"],
    &["cli"],
    &["main"],
];

/// A library or a function, the rooms (beginnings of paths below `gateway/src`) that may name it, and why only they.
pub const ONLY_IN: &[(&str, &[&str], &str)] = &[
    ("wasmtime", &["mapper/"], "one engine, whose settings and limits are one design"),
    ("wasmparser", &["mapper/"], "admission looks at files before any of them runs"),
    ("wit_component", &["cli/plugin/"], "components are made where mappers are built, never where they run"),
    ("rusqlite", &["journal/sqlite"], "no row or transaction leaves the embedded store"),
    ("hyper::server", &["server.rs"], "sockets, timeouts and drain in one place"),
    ("hyper_util::server", &["server.rs"], "the same"),
    ("tokio_rustls", &["server.rs"], "the same"),
    ("hyper_rustls", &["deliver/call/http.rs", "auth/fetch.rs"], "the only two that call out"),
    ("jsonwebtoken", &["auth/"], "computes signatures for a stage that makes every decision itself"),
    ("cel", &["contract/condition.rs"], "conditions are compiled and bounded in one place"),
    ("x509_parser", &["server/tls.rs", "auth/message.rs"], "certificates where they arrive, and public keys"),
    ("sfv", &["auth/", "throttle/"], "structured fields of signatures"),
    ("governor", &["throttle/"], "arithmetic for a stage that keeps the state itself"),
    (
        "jsonschema",
        &["contract/", "canonical/", "words/json/instance.rs"],
        "the two stages that compile schemas, and the documents that both check",
    ),
    ("serde_json_canonicalizer", &["canonical/"], "one place decides what equal data is"),
    (
        "serde_saphyr",
        &["policy/raw.rs", "cli/plugin/"],
        "positions are kept by one reader; mapper.yaml is no policy",
    ),
    ("notify", &["policy/watch.rs"], "one follower of the policy folder"),
    (
        "arc_swap",
        &["policy/live.rs", "auth/keyset.rs"],
        "what is swapped while it is read: policies, an issuer's keys",
    ),
    ("prometheus_client", &["observe.rs"], "figures have one shape"),
    ("tracing_subscriber", &["observe.rs"], "log lines have one shape"),
    ("clap", &["cli/", "main.rs", "observe.rs"], "arguments; observe has the value of --log"),
    ("indicatif", &["cli/"], "progress is the command line's"),
    ("anstream", &["cli/"], "colour is the command line's"),
    ("SystemTime::now", &["words/time.rs"], "time is passed in"),
    (
        "Instant::now",
        &["pipeline.rs", "spool.rs", "policy/mappers.rs", "deliver/call/http.rs", "mapper/", "cli/"],
        "how long something took or may take; nothing is decided or stored by it",
    ),
    (
        "SystemClock",
        &["words", "main.rs", "observe.rs"],
        "made by main; a log line is written when it is written",
    ),
    (
        "SystemRandom",
        &["words", "main.rs", "mapper/cache.rs", "cli/demo/tokens.rs"],
        "made by main; a secret key is never simulated",
    ),
    ("rand", &["words/ids.rs"], "randomness is passed in"),
];

/// Methods and macros that nothing shipped calls.
pub const NEVER: &[&str] = &["unwrap", "todo", "unimplemented", "dbg", "panic"];

/// A file of more lines asks to be two rooms.
pub const LINES: usize = 700;

/// The files that are longer, and why they stay one.
pub const LONG_FILES: &[(&str, &str)] = &[];
