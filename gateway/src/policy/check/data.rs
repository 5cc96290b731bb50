//! Files that are data: schemas, cross-reference tables, public keys.

use std::collections::BTreeMap;

use super::{CheckSchema, reader::Reader};
use crate::policy::{
    checked::{Origin, Table},
    raw::Span,
    report::Finding,
};

/// Columns of a table.
const COLUMNS_MAX: usize = 64;
/// Length of one value of a table.
const VALUE_MAX_BYTES: usize = 4096;
/// Errors of one table that are shown: a wrong delimiter makes every row wrong.
const TABLE_ERRORS_MAX: usize = 5;

/// Whether a JSON Schema is JSON and compiles.
pub(super) fn schema(reader: &mut Reader<'_>, check_schema: CheckSchema<'_>) -> bool {
    let text = &reader.text.text;
    let Some(value) = json(reader) else { return false };
    if !value.is_object() && !value.is_boolean() {
        whole_file(reader, Finding::error("a JSON Schema is an object"));
        return false;
    }
    match check_schema(&reader.text.path, text) {
        Ok(()) => true,
        Err(what) => {
            whole_file(reader, Finding::error(format!("the schema does not compile: {what}")));
            false
        }
    }
}

/// A JSON Web Key Set: public keys, each with an id of its own.
pub(super) fn keys(reader: &mut Reader<'_>) {
    /// Members that only a private or symmetric key has (RFC 7518 §6).
    const PRIVATE: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "k"];
    let Some(value) = json(reader) else { return };
    let Some(keys) = value.get("keys").and_then(|keys| keys.as_array()) else {
        whole_file(reader, Finding::error("expected a JSON Web Key Set: an object with a list of `keys`"));
        return;
    };
    let mut ids = BTreeMap::new();
    for (at, key) in keys.iter().enumerate() {
        if let Some(member) = PRIVATE.iter().find(|member| key.get(**member).is_some()) {
            let finding =
                Finding::error(format!("key {at} has the member `{member}`: it is not a public key"))
                    .help("remove the private members, and replace the key: it has been in this folder");
            whole_file(reader, finding);
        }
        if let Some(id) = key.get("kid").and_then(|id| id.as_str())
            && ids.insert(id, at).is_some()
        {
            let id = super::reader::clip(id);
            whole_file(reader, Finding::error(format!("two keys have the id `{id}`")));
        }
    }
}

fn json(reader: &mut Reader<'_>) -> Option<serde_json::Value> {
    match serde_json::from_str(&reader.text.text) {
        Ok(value) => Some(value),
        Err(error) => {
            let (start, _) = reader.text.line_text(error.line().max(1));
            let at = start + error.column().saturating_sub(1);
            let what = error.to_string();
            let what = what.split(" at line ").next().unwrap_or_default().to_owned();
            reader.error(Span { start: at, end: at }, format!("not JSON: {what}"));
            None
        }
    }
}

fn whole_file(reader: &mut Reader<'_>, finding: Finding) {
    let file = reader.text.path.clone();
    reader.report.push(finding.in_file(&file));
}

/// A cross-reference table: a header whose key columns begin with `*`, and rows with different keys.
pub(super) fn table(reader: &mut Reader<'_>, name: &str) -> Option<Table> {
    let errors_before = reader.report.errors();
    let text = reader.text.clone();
    let mut rows =
        csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.text.as_bytes());
    let mut rows = rows.records();
    let header = match rows.next() {
        Some(Ok(header)) => header,
        Some(Err(error)) => {
            reader.error(Span::default(), format!("not CSV: {error}"));
            return None;
        }
        None => return None,
    };
    let (columns, keys) = self::header(reader, &header)?;
    let mut table = Table {
        origin: Origin { file: text.path.clone(), line: 1 },
        name: name.to_owned(),
        keys,
        columns,
        rows: Vec::new(),
    };
    let mut seen: BTreeMap<Vec<String>, usize> = BTreeMap::new();
    let mut wrong = 0;
    for row in rows {
        let (line, problem) = match row {
            Err(error) => {
                let line = error.position().map_or(1, csv::Position::line);
                (line, Some(format!("not CSV: {error}")))
            }
            Ok(row) => {
                let line = row.position().map_or(1, csv::Position::line);
                let row: Vec<String> = row.iter().map(|value| value.trim().to_owned()).collect();
                (line, self::row(&mut table, &mut seen, row, usize::try_from(line).unwrap_or(usize::MAX)))
            }
        };
        let Some(problem) = problem else { continue };
        wrong += 1;
        if wrong > TABLE_ERRORS_MAX {
            reader.error(Span::default(), "more rows of this table are wrong");
            break;
        }
        let line = usize::try_from(line).unwrap_or(usize::MAX);
        let (start, shown) = text.line_text(line);
        reader.error(Span { start, end: start + shown.len() }, problem);
    }
    (reader.report.errors() == errors_before).then_some(table)
}

/// The names of the columns and which of them are keys.
fn header(reader: &mut Reader<'_>, header: &csv::StringRecord) -> Option<(Vec<String>, Vec<usize>)> {
    let (start, line) = reader.text.line_text(1);
    let span = Span { start, end: start + line.len() };
    let mut columns = Vec::new();
    let mut keys = Vec::new();
    if header.len() > COLUMNS_MAX {
        reader.error(span, format!("more than {COLUMNS_MAX} columns"));
        return None;
    }
    for (at, column) in header.iter().map(str::trim).enumerate() {
        let name = match column.strip_prefix('*') {
            Some(name) => {
                keys.push(at);
                name.trim()
            }
            None => column,
        };
        if name.is_empty() || name.len() > 64 {
            reader.error(span, format!("column {} has no name of 1 to 64 bytes", at + 1));
            return None;
        }
        if columns.iter().any(|other| other == name) {
            reader.error(span, format!("two columns are called `{name}`"));
            return None;
        }
        columns.push(name.to_owned());
    }
    if keys.is_empty() {
        let first = columns.first().map_or("code", String::as_str);
        let finding = Finding::error("no column of this table is a key");
        reader.push(finding.help(format!("mark the columns that rows are looked up by: `*{first}`")), span);
        return None;
    }
    Some((columns, keys))
}

/// Adds a row, or says what is wrong with it.
fn row(
    table: &mut Table,
    seen: &mut BTreeMap<Vec<String>, usize>,
    row: Vec<String>,
    line: usize,
) -> Option<String> {
    if row.len() != table.columns.len() {
        return Some(format!("{} values in a table of {} columns", row.len(), table.columns.len()));
    }
    if row.iter().any(|value| value.len() > VALUE_MAX_BYTES) {
        return Some(format!("a value of more than {VALUE_MAX_BYTES} bytes"));
    }
    let key: Vec<String> = table.keys.iter().map(|at| row[*at].clone()).collect();
    if let Some(first) = seen.insert(key, line) {
        return Some(format!("the same key as in line {first}"));
    }
    table.rows.push(row);
    None
}
