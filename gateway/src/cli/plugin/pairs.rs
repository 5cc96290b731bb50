//! `plugin shadow --pairs`: a mapper beside a legacy adapter, on documents with what the adapter made of them. Runs here,
//! by the production host; no gateway is asked.

use std::{collections::BTreeMap, path::Path};

use serde_json::{Value, json};

use super::{
    DONE, NO, Tools, USE,
    bench::{self, Bench, Opened, Setting},
    cases::{self, Case},
    complain, locate, shadow, show,
    test::{Given, give},
    written,
};
use crate::{
    policy::differ::{self, Fields},
    words::Document,
};

/// What is asked.
pub(super) struct Asked<'a> {
    /// The mapper that is to take the adapter's place.
    pub mapper: &'a str,
    /// The one that writes, where the adapter goes from one vendor's format to another's.
    pub then: Option<&'a str>,
    /// A folder of folders, each with `in.…` and `out.…`.
    pub folder: &'a Path,
    /// JSON instead of text.
    pub json: bool,
}

/// Compares, and gives the exit code: 0 the same, 1 it differs.
pub(super) fn run(asked: &Asked<'_>, here: &Path, tools: Tools<'_>) -> anyhow::Result<u8> {
    let bench = Bench::new(tools)?;
    let open = |word: &str| -> Result<Opened, (String, u8)> {
        let found = locate::find(word, here).map_err(|error| (error.to_string(), USE))?;
        bench.open(&found).map_err(|error| (error.to_string(), NO))
    };
    let mappers = open(asked.mapper).and_then(|first| Ok((first, asked.then.map(open).transpose()?)));
    let (first, second) = match mappers {
        Ok(mappers) => mappers,
        Err((error, code)) => return Ok(complain(&error, code)),
    };
    let pairs = match cases::read_in(asked.folder) {
        Ok(pairs) => pairs,
        Err(error) => return Ok(complain(&error, USE)),
    };
    let (mut compared, mut same) = (0_u64, 0_u64);
    let mut fields = BTreeMap::<String, (u64, String, String, String)>::new();
    for pair in pairs {
        let case = match pair {
            Ok(case) => case,
            Err(error) => return Ok(complain(&error, USE)),
        };
        let differs = differs(&bench, &first, second.as_ref(), &case);
        compared += 1;
        same += u64::from(differs.is_empty());
        for (field, (theirs, ours)) in differs {
            let found = fields.entry(field).or_insert_with(|| (0, theirs, ours, case.name.clone()));
            found.0 += 1;
        }
    }
    let mut fields: Vec<_> = fields.into_iter().collect();
    fields.sort_by(|left, right| right.1.0.cmp(&left.1.0).then_with(|| left.0.cmp(&right.0)));
    let fields: Value = fields
        .into_iter()
        .map(|(field, (documents, live, candidate, pair))| {
            json!({ "field": field, "documents": documents, "live": live, "candidate": candidate, "pair": pair })
        })
        .collect();
    let mapper = &first.mapper;
    if asked.json {
        let found = json!({
            "mapper": mapper.name(), "version": mapper.version(), "digest": mapper.digest(), "documents": compared,
            "same": same, "differ": compared - same, "fields": fields,
        });
        show::line("pairs", found);
    } else {
        anstream::println!(
            "pairs     {compared} of {}, the adapter beside {} {} ({})",
            show::plain(&asked.folder.display().to_string()),
            mapper.name(),
            mapper.version(),
            mapper.digest().short()
        );
        anstream::println!("          {same} the same, {} differ", compared - same);
        shadow::print_fields(&fields, compared);
    }
    Ok(if same == compared { DONE } else { NO })
}

/// Where a mapper, or two one after the other, give something else than the adapter did.
fn differs(bench: &Bench<'_>, first: &Opened, second: Option<&Opened>, case: &Case) -> Fields {
    let refused = |what: &str| differ::one("(refused)", "mapped", what);
    let tables = cases::tables(case);
    let setting =
        |opened: &Opened| Setting::new(&case.context, opened.mapper.manifest(), tables.as_deref(), None);
    let Some((path, expected)) = &case.expected else { return refused("there is no file `out.…`") };
    let setting_first = match setting(first) {
        Ok(setting) => setting,
        Err(error) => return refused(&error),
    };
    let document = |content: &bytes::Bytes, writes: &[String]| Document {
        media_type: bench::media_type(path, writes),
        content: content.clone(),
        parameters: Vec::new(),
    };
    let theirs = |opened: &Opened| document(expected, &opened.mapper.manifest().writes);
    // The adapter's file has no media type of its own, and no parameters of a URL.
    let bare = |given: &Document, theirs: &Document| Document {
        media_type: theirs.media_type.clone(),
        content: given.content.clone(),
        parameters: Vec::new(),
    };
    match (give(bench, first, case, &setting_first).0, second) {
        (Given::Events { drafts, .. }, None) => match written::drafts(expected) {
            Ok(expected) => differ::drafts(&expected, &drafts),
            Err(error) => {
                refused(&format!("{}: {error}; --then names the mapper that writes", path.display()))
            }
        },
        (Given::Events { drafts, .. }, Some(second)) => {
            let written = setting(second).and_then(|setting| {
                let events = bench.check(drafts, &setting, &case.content);
                let events = events.map_err(|error| error.to_string())?;
                let written = bench.write_document(&second.mapper, &setting, events);
                written.map(|ran| ran.value).map_err(|failure| show::failure_line(&failure))
            });
            match written {
                Ok(given) => differ::documents(&theirs(second), &bare(&given, &theirs(second))),
                Err(why) => refused(&why),
            }
        }
        (Given::Document(given), _) => differ::documents(&theirs(first), &bare(&given, &theirs(first))),
        (Given::Refused(found), _) => {
            refused(&found.iter().map(show::diagnostic_line).collect::<Vec<_>>().join("; "))
        }
        (Given::Failed(why), _) => refused(&why),
    }
}
