//! What the mapper host counts, as `/metrics` shows it.

use crate::{
    mapper::{MapperFigures, Spread},
    observe::{Count, Counted},
    policy::StoredMapper,
};

type Labels = Vec<(&'static str, String)>;

/// The figures of all mappers by name and version.
pub(super) fn of_mappers(figures: &[MapperFigures]) -> Vec<Counted> {
    let each = |row: &dyn Fn(&MapperFigures) -> Count| -> Vec<_> {
        figures.iter().map(|found| (labels(found), row(found))).collect()
    };
    let by = |name: &'static str, counts: &dyn Fn(&MapperFigures) -> Vec<(&'static str, u64)>| -> Vec<_> {
        let rows = figures.iter().flat_map(|found| {
            counts(found).into_iter().map(move |(value, count)| {
                let mut labels = labels(found);
                labels.push((name, value.to_owned()));
                (labels, Count::Number(count))
            })
        });
        rows.collect()
    };
    let millis = |found: &MapperFigures| u64::try_from(found.compile_time.as_millis()).unwrap_or(u64::MAX);
    vec![
        Counted {
            name: "mapper_calls",
            help: "Calls of mappers by how they ended",
            rows: by("outcome", &|found| found.calls.clone()),
        },
        Counted {
            name: "mapper_limits_met",
            help: "Calls of mappers that were stopped at a limit",
            rows: by("limit", &|found| found.limits.clone()),
        },
        Counted {
            name: "mapper_call_cpu_seconds",
            help: "CPU seconds of a mapper's call",
            rows: each(&|found| spread(&found.cpu)),
        },
        Counted {
            name: "mapper_call_memory_bytes",
            help: "Memory of a mapper's call",
            rows: each(&|found| spread(&found.memory)),
        },
        Counted {
            name: "mapper_cache_hits",
            help: "Times that a mapper's compiled form was found",
            rows: each(&|found| Count::Number(found.cache_hits)),
        },
        Counted {
            name: "mapper_compilations",
            help: "Times that a mapper was compiled",
            rows: each(&|found| Count::Number(found.compilations)),
        },
        Counted {
            name: "mapper_compile_milliseconds",
            help: "Milliseconds that compiling a mapper took together",
            rows: each(&|found| Count::Number(millis(found))),
        },
    ]
}

/// What is stored of each mapper, what is live, and how a candidate does that is out.
pub(super) fn of_generations(stored: &[StoredMapper]) -> Vec<Counted> {
    let mapper = |found: &StoredMapper| vec![("mapper", found.name.to_string())];
    let with = |mut labels: Labels, more: &[(&'static str, &str)]| {
        labels.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
        labels
    };
    let live = stored.iter().filter_map(|found| {
        let (version, digest) = found.version.as_deref().zip(found.digest)?;
        Some((with(mapper(found), &[("version", version), ("digest", &digest.short())]), Count::Level(1)))
    });
    let generations = stored.iter().flat_map(|found| {
        STATES.iter().map(move |state| {
            let count = found.generations.iter().filter(|one| one.state == *state).count();
            (
                with(mapper(found), &[("state", *state)]),
                Count::Level(u64::try_from(count).unwrap_or(u64::MAX)),
            )
        })
    });
    let unusable =
        stored.iter().map(|found| (mapper(found), Count::Level(u64::from(found.unusable.is_some()))));
    let out = || stored.iter().filter_map(|found| Some((found, found.canary.as_ref()?)));
    let share = out().map(|(found, canary)| {
        (with(mapper(found), &[("version", &canary.version)]), Count::Level(u64::from(canary.terms.share)))
    });
    let messages = out().flat_map(|(found, canary)| {
        let counts = [
            ("same", canary.same),
            ("differing", canary.differing),
            ("failing", canary.failing),
            ("mended", canary.mended),
        ];
        counts.map(|(outcome, count)| {
            let labels = [("version", canary.version.as_str()), ("outcome", outcome)];
            (with(mapper(found), &labels), Count::Level(count))
        })
    });
    let rows = |name, help, rows: Vec<_>| Counted { name, help, rows };
    vec![
        rows("mapper_live", "1 for the generation of a mapper that serves", live.collect()),
        rows("mapper_generations", "Stored generations of a mapper by what they are", generations.collect()),
        rows("mapper_unusable", "1 where a mapper should serve and cannot", unusable.collect()),
        rows(
            "mapper_canary_share",
            "Percent of the keys that a candidate serves; 0: it is watched",
            share.collect(),
        ),
        rows(
            "mapper_canary_messages",
            "Messages that a candidate and live have run, by how they compare",
            messages.collect(),
        ),
    ]
}

/// What a stored generation can be.
const STATES: [&str; 5] = ["live", "canary", "watched", "earlier", "held"];

fn labels(found: &MapperFigures) -> Labels {
    vec![("mapper", found.mapper.clone()), ("version", found.version.clone())]
}

fn spread(spread: &Spread) -> Count {
    Count::Spread(spread.sum, spread.count, spread.buckets.clone())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::observe::Metrics;

    #[test]
    fn a_mappers_figures_are_shown_under_its_name_and_version() {
        let figures = MapperFigures {
            mapper: "acme-wms".to_owned(),
            version: "1.4.0".to_owned(),
            calls: vec![("mapped", 7), ("trapped", 1)],
            limits: vec![("cpu", 2)],
            cpu: Spread { sum: 0.5, count: 3, buckets: vec![(0.001, 2), (f64::INFINITY, 1)] },
            memory: Spread { sum: 131_072.0, count: 1, buckets: vec![(131_072.0, 1), (f64::INFINITY, 0)] },
            cache_hits: 4,
            compilations: 1,
            compile_time: Duration::from_millis(130),
        };
        let text = Metrics::new(move || of_mappers(std::slice::from_ref(&figures))).text();
        for line in [
            r#"crossdock_mapper_calls_total{mapper="acme-wms",version="1.4.0",outcome="mapped"} 7"#,
            r#"crossdock_mapper_limits_met_total{mapper="acme-wms",version="1.4.0",limit="cpu"} 2"#,
            r#"crossdock_mapper_call_cpu_seconds_bucket{le="0.001",mapper="acme-wms",version="1.4.0"} 2"#,
            r#"crossdock_mapper_call_cpu_seconds_bucket{le="+Inf",mapper="acme-wms",version="1.4.0"} 3"#,
            r#"crossdock_mapper_call_memory_bytes_sum{mapper="acme-wms",version="1.4.0"} 131072.0"#,
            r#"crossdock_mapper_cache_hits_total{mapper="acme-wms",version="1.4.0"} 4"#,
            r#"crossdock_mapper_compile_milliseconds_total{mapper="acme-wms",version="1.4.0"} 130"#,
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line}\n{text}");
        }
    }
}
