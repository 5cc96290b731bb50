//! Code lists: `tables/*.csv`, as they are looked up. A code that is not listed keeps its own name as `edifact-code`, so
//! that it comes out as it went in.

include!(concat!(env!("OUT_DIR"), "/tables.rs"));

/// A code list.
pub struct Table<const N: usize> {
    /// Each code with what it is called, sorted.
    rows: &'static [[&'static str; N]],
    /// Each name with the code that is written for it, sorted.
    written: &'static [[&'static str; 2]],
}

/// The second column of a code's row: what the model calls it.
pub fn listed<const N: usize>(table: &'static Table<N>, code: &str) -> Option<&'static str> {
    row(table, code).map(|row| row[1])
}

/// A column of a code's row, counted from 0; none where it is empty.
pub fn column<const N: usize>(table: &'static Table<N>, code: &str, n: usize) -> Option<&'static str> {
    row(table, code).map(|row| row[n]).filter(|value| !value.is_empty())
}

fn row<const N: usize>(table: &'static Table<N>, code: &str) -> Option<&'static [&'static str; N]> {
    table.rows.binary_search_by(|row| row[0].cmp(code)).ok().map(|at| &table.rows[at])
}

/// The model's name of a code, `edifact-code` for one that is not listed, or `other` for what is no code at all.
pub fn name_of<const N: usize>(table: &'static Table<N>, code: &str) -> String {
    match listed(table, code) {
        Some(name) => name.to_owned(),
        None if is_code(code) => format!("edifact-{}", code.to_ascii_lowercase()),
        None => "other".to_owned(),
    }
}

/// The code of a name: the one that the source wrote if it means the same, else the first that is listed, or the one that
/// `edifact-` kept.
pub fn code_of<const N: usize>(table: &'static Table<N>, name: &str, source: Option<&str>) -> Option<String> {
    if let Some(source) = source.filter(|source| listed(table, source) == Some(name)) {
        return Some(source.to_owned());
    }
    let known =
        table.written.binary_search_by(|row| row[0].cmp(name)).ok().map(|at| table.written[at][1].to_owned());
    known.or_else(|| name.strip_prefix("edifact-").map(str::to_ascii_uppercase).filter(|code| is_code(code)))
}

/// Qualifiers of EDIFACT have letters and digits, three of them at most.
fn is_code(code: &str) -> bool {
    (1..=3).contains(&code.len())
        && code.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}
