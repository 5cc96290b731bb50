//! The cells of CSV, the first row being names.

use super::{Form, Leaf, MOST, readable};

pub(super) fn find(content: &[u8]) -> Vec<Leaf> {
    let start = if content.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    let mark = mark(&content[start..]);
    let mut names: Vec<String> = Vec::new();
    let (mut found, mut at, mut row) = (Vec::new(), start, 1_usize);
    while at < content.len() && found.len() <= MOST {
        let (cells, next) = cells(content, at, mark);
        for (index, range) in cells.into_iter().enumerate() {
            let value = readable(&content[range.clone()]).replace("\"\"", "\"");
            if row == 1 {
                names.push(value.trim().to_owned());
                continue;
            }
            if value.trim().is_empty() {
                continue;
            }
            let column = names.get(index).cloned().unwrap_or_else(|| (index + 1).to_string());
            found.push(Leaf {
                scheme: "csv",
                path: format!("{row}/{column}"),
                range,
                value,
                kind: column,
                group: None,
                form: Form::Raw,
            });
        }
        (at, row) = (next, row + 1);
    }
    found
}

/// What divides the cells: what the first row has most of.
fn mark(content: &[u8]) -> u8 {
    let row = content.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let count = |mark: &u8| row.iter().filter(|byte| *byte == mark).count();
    // Of equals the last counts, and a comma is what none says.
    [b'|', b'\t', b';', b','].into_iter().max_by_key(count).unwrap_or(b',')
}

/// The cells of the row that begins at `at`, without their quotes, and where the next row begins.
fn cells(content: &[u8], at: usize, mark: u8) -> (Vec<std::ops::Range<usize>>, usize) {
    let (mut cells, mut at) = (Vec::new(), at);
    loop {
        let quoted = content.get(at) == Some(&b'"');
        let start = if quoted { at + 1 } else { at };
        at = start;
        if quoted {
            while let Some(byte) = content.get(at) {
                match (byte, content.get(at + 1)) {
                    (b'"', Some(b'"')) => at += 2,
                    (b'"', _) => break,
                    _ => at += 1,
                }
            }
        }
        let inside = at.min(content.len());
        while content.get(at).is_some_and(|byte| *byte != mark && *byte != b'\n') {
            at += 1;
        }
        at = at.min(content.len());
        let end = if quoted { inside } else { at - usize::from(at > start && content[at - 1] == b'\r') };
        cells.push(start..end);
        match content.get(at) {
            Some(b'\n') => return (cells, at + 1),
            Some(_) => at += 1,
            None => return (cells, at),
        }
    }
}
