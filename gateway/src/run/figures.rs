//! What the mapper host counts, as `/metrics` shows it.

use crate::{
    mapper::{MapperFigures, Spread},
    observe::{Count, Counted},
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
