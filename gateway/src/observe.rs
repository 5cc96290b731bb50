//! Logs and metrics: how the gateway speaks to its operators.

use std::{
    fmt::Write as _,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, NoLabelSet, text},
    metrics::{MetricType, counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};
use tracing::{Event, Subscriber, field::Visit};
use tracing_subscriber::{
    EnvFilter,
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

use crate::words::{Clock as _, SystemClock};

/// Labels of one kind of request.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RequestLabels {
    /// `api/operation`, or `-` before it is known.
    pub operation: String,
    /// The partner, or `-` before it is known.
    pub partner: String,
    /// Status of the answer.
    pub status: u16,
}

/// Labels of a target's deliveries.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct TargetLabels {
    /// The target.
    pub target: String,
    /// `ready`, `waiting`, `parked`.
    pub state: String,
}

/// What failed attempts are counted by.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct ReasonLabels {
    /// The kind of failure.
    pub reason: &'static str,
}

/// What refusals in shadow are counted by.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct ShadowLabels {
    /// `partner`, `operation-day`, `schema`.
    pub control: String,
    /// `api/operation`.
    pub operation: String,
    /// Who would have been refused.
    pub partner: String,
}

/// What credentials are told apart by.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct CredentialLabels {
    /// Whose it is.
    pub partner: String,
    /// Its name.
    pub credential: String,
}

/// The figures that `/metrics` shows.
pub struct Metrics {
    registry: Registry,
    /// Requests by operation, partner and status.
    pub requests: Family<RequestLabels, Counter>,
    /// Seconds from the end of a request's headers to its answer.
    pub took: Histogram,
    /// Seconds of CPU that mappers took, a message.
    pub mapping: Histogram,
    /// Deliveries that are not finished.
    pub pending: Family<TargetLabels, Gauge<f64, AtomicU64>>,
    /// Open exceptions.
    pub exceptions: Gauge,
    /// Revisions that took force since the start.
    pub reloads: Counter,
    /// Policy folders that were refused since the start.
    pub refused_reloads: Counter,
    /// Attempts that did not authenticate, by what was wrong.
    pub failed_credentials: Family<ReasonLabels, Counter>,
    /// Requests that a control in shadow would have refused.
    pub shadowed: Family<ShadowLabels, Counter>,
    /// When credentials expire, in seconds since the epoch.
    pub credential_expiry: Family<CredentialLabels, Gauge>,
}

impl Metrics {
    /// All figures, at zero, and those that others count and are asked for.
    pub fn new(counted: impl Fn() -> Vec<Counted> + Send + Sync + 'static) -> Arc<Self> {
        let mut registry = Registry::with_prefix("crossdock");
        registry.register_collector(Box::new(Elsewhere(counted)));
        let requests = Family::default();
        let pending = Family::default();
        let took = Histogram::new(BUCKETS);
        let mapping = Histogram::new(BUCKETS);
        let (exceptions, reloads, refused_reloads) =
            (Gauge::default(), Counter::default(), Counter::default());
        registry.register("requests", "Requests by operation, partner and status", requests.clone());
        registry.register("request_seconds", "Seconds to the answer", took.clone());
        registry.register("mapper_cpu_seconds", "CPU seconds of a mapping", mapping.clone());
        registry.register("deliveries_pending", "Deliveries that are not finished", pending.clone());
        registry.register("exceptions_open", "Exceptions that wait for a person", exceptions.clone());
        registry.register("policy_reloads", "Revisions that took force", reloads.clone());
        registry.register(
            "policy_reloads_refused",
            "Policy folders that were refused",
            refused_reloads.clone(),
        );
        let failed_credentials = Family::default();
        let shadowed = Family::default();
        let credential_expiry = Family::default();
        registry.register(
            "credentials_failed",
            "Attempts that did not authenticate, by what was wrong",
            failed_credentials.clone(),
        );
        registry.register(
            "shadow_refusals",
            "Requests that a control in shadow would have refused",
            shadowed.clone(),
        );
        registry.register(
            "credential_expiry_timestamp_seconds",
            "When credentials expire",
            credential_expiry.clone(),
        );
        Arc::new(Self {
            registry,
            requests,
            took,
            mapping,
            pending,
            exceptions,
            reloads,
            refused_reloads,
            failed_credentials,
            shadowed,
            credential_expiry,
        })
    }

    /// The figures in OpenMetrics text.
    pub fn text(&self) -> String {
        let mut out = String::new();
        text::encode(&mut out, &self.registry).expect("a string takes everything");
        out
    }
}

/// Figures that somebody else counts, as they stand: one name with its rows.
pub struct Counted {
    /// The name, in OpenMetrics' way.
    pub name: &'static str,
    /// What it is.
    pub help: &'static str,
    /// Labels and what was counted; their number is bounded by whoever counts.
    pub rows: Vec<(Vec<(&'static str, String)>, Count)>,
}

/// What was counted.
pub enum Count {
    /// A number that only grows.
    Number(u64),
    /// How much there is now.
    Level(u64),
    /// How a measure was spread: its sum, how often it was measured, and how many fell under each bound.
    Spread(f64, u64, Vec<(f64, u64)>),
}

struct Elsewhere<F>(F);

impl<F> std::fmt::Debug for Elsewhere<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Elsewhere")
    }
}

impl<F: Fn() -> Vec<Counted> + Send + Sync + 'static> Collector for Elsewhere<F> {
    fn encode(&self, mut encoder: DescriptorEncoder) -> std::fmt::Result {
        for Counted { name, help, rows } in (self.0)() {
            let kind = match rows.first() {
                None => continue,
                Some((_, Count::Number(_))) => MetricType::Counter,
                Some((_, Count::Level(_))) => MetricType::Gauge,
                Some((_, Count::Spread(..))) => MetricType::Histogram,
            };
            let mut family = encoder.encode_descriptor(name, help, None, kind)?;
            for (labels, count) in rows {
                let mut row = family.encode_family(&labels)?;
                match count {
                    Count::Number(number) => row.encode_counter::<NoLabelSet, _, u64>(&number, None)?,
                    Count::Level(level) => row.encode_gauge(&level)?,
                    Count::Spread(sum, count, buckets) => {
                        row.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Seconds; from a mapping of a small document to a slow target.
const BUCKETS: [f64; 13] =
    [0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0];

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For a person at a terminal.
    Text,
}

/// Sends log lines to stderr. `CROSSDOCK_LOG` filters them: `warn`, `crossdock::deliver=debug`.
pub fn start_logs(format: LogFormat, default: &str) {
    let filter = EnvFilter::try_from_env("CROSSDOCK_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Only tests start it twice; the first one stays.
    let _ = match format {
        LogFormat::Json => {
            // Its own `target`, the module, would stand beside the field of that name: the system delivered to.
            subscriber.json().flatten_event(true).with_current_span(false).with_target(false).try_init()
        }
        LogFormat::Text => subscriber.event_format(Line).try_init(),
    };
}

/// `14:02:07.311 accepted  message=01JD8Q… partner=acme-3pl took=0.8ms`
struct Line;

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> std::fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        // A log line tells when it was written, whatever clock drives the gateway.
        let now = SystemClock.now().to_string();
        let level = match *event.metadata().level() {
            tracing::Level::INFO => "",
            tracing::Level::WARN => "warning: ",
            tracing::Level::ERROR => "error: ",
            _ => "debug: ",
        };
        writeln!(writer, "{} {level}{}{}", now.get(11..23).unwrap_or(&now), fields.message, fields.rest)
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    rest: String,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        } else {
            let _ = write!(self.rest, "  {}={value:?}", field.name());
        }
    }

    fn record_str(&mut self, field: &tracing::field::Field, value: &str) {
        if field.name() == "message" {
            self.message = value.escape_debug().to_string();
        } else {
            let _ = write!(self.rest, "  {}={}", field.name(), value.escape_debug());
        }
    }
}

/// A duration as people read it: `0.8ms`, `1.2s`.
pub fn brief(took: Duration) -> String {
    let seconds = took.as_secs_f64();
    if seconds < 0.001 {
        format!("{:.0}µs", seconds * 1e6)
    } else if seconds < 1.0 {
        format!("{:.1}ms", seconds * 1e3)
    } else {
        format!("{seconds:.1}s")
    }
}
