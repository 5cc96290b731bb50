//! Cross-reference tables that an operation grants to its mapper: immutable, looked up by key columns.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, OnceLock},
};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Rows of one table, keyed by the values of its key columns.
const ROWS: usize = 1_000_000;

/// Columns of one table.
const COLUMNS: usize = 64;

/// Bytes of one row.
const ROW_BYTES: usize = 16 << 10;

/// Key columns of one look-up.
pub(super) const KEY_COLUMNS: usize = 16;

/// Bytes of a table's name or of one key column in a look-up.
pub(super) const KEY_BYTES: usize = 1 << 10;

/// Bytes of a table in JSON up to which it is small: told whole to a command module.
const SMALL: usize = 16 << 10;

/// Bytes of all tables that are told whole.
const SMALL_TOGETHER: usize = 64 << 10;

/// A row as column and value, ready to be handed to a guest without copying it.
pub(super) type Row = Arc<[(Arc<str>, Arc<str>)]>;

/// A table that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("table `{table}`, line {line}: {what}")]
pub struct TableError {
    /// The table.
    pub table: String,
    /// The line in its text, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub what: String,
}

/// A table with all of its rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenTable {
    /// Its name.
    pub name: String,
    /// Its columns.
    pub columns: Vec<String>,
    /// Which of them are the key.
    pub key: Vec<usize>,
    /// Its rows, sorted by their keys.
    pub rows: Vec<Vec<String>>,
}

/// The tables that one operation grants.
#[derive(Clone, Default)]
pub struct Tables {
    tables: HashMap<String, Arc<Table>>,
}

struct Table {
    /// Positions of the key's columns.
    key: Vec<usize>,
    rows: HashMap<Box<[Box<str>]>, Row>,
    /// The rows in JSON, if they are few; made when they are first asked for.
    small: OnceLock<Option<Box<RawValue>>>,
}

impl Tables {
    /// No tables.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a table from CSV text: a header line, then rows; the first `keys` columns are the key.
    ///
    /// # Errors
    /// The text is not CSV, a row repeats a key, or a bound is exceeded.
    pub fn from_csv(&mut self, name: &str, csv: &str, keys: usize) -> Result<(), TableError> {
        let table = Table::read(name, csv, keys)?;
        self.tables.insert(name.to_owned(), Arc::new(table));
        Ok(())
    }

    /// Adds a table of rows that are already read and checked: `keys` are positions in `columns`, and no two rows
    /// have the same key. A later row with a key that was there before takes its place.
    pub fn insert(&mut self, name: &str, columns: &[String], keys: &[usize], rows: &[Vec<String>]) {
        let columns: Vec<Arc<str>> = columns.iter().map(|column| Arc::from(column.as_str())).collect();
        let row = |cells: &Vec<String>| -> Row {
            columns.iter().cloned().zip(cells.iter().map(|cell| Arc::from(cell.as_str()))).collect()
        };
        let key = |cells: &Vec<String>| -> Box<[Box<str>]> {
            keys.iter().filter_map(|at| cells.get(*at)).map(|cell| cell.as_str().into()).collect()
        };
        let rows = rows.iter().map(|cells| (key(cells), row(cells))).collect();
        self.tables.insert(name.to_owned(), Arc::new(Table::new(keys.to_vec(), rows)));
    }

    /// The same tables, but only those with one of these names; the rows are shared.
    pub fn only(&self, names: &[String]) -> Self {
        let tables = names
            .iter()
            .filter_map(|name| self.tables.get(name).map(|table| (name.clone(), Arc::clone(table))));
        Self { tables: tables.collect() }
    }

    /// All rows of all tables, sorted: for a bundle that is mapped elsewhere.
    pub fn written(&self) -> Vec<WrittenTable> {
        let table = |name: &str| {
            let table = &self.tables[name];
            let mut rows: Vec<_> = table.rows.iter().collect();
            rows.sort_unstable_by_key(|(key, _)| *key);
            let columns =
                rows.first().map(|(_, row)| row.iter().map(|(column, _)| column.to_string()).collect());
            let cells = |row: &Row| row.iter().map(|(_, cell)| cell.to_string()).collect();
            WrittenTable {
                name: name.to_owned(),
                columns: columns.unwrap_or_default(),
                key: table.key.clone(),
                rows: rows.into_iter().map(|(_, row)| cells(row)).collect(),
            }
        };
        self.names().into_iter().map(table).collect()
    }

    /// Tables as [`Tables::written`] writes them.
    pub fn read(written: &[WrittenTable]) -> Self {
        let mut tables = Self::new();
        for WrittenTable { name, columns, key, rows } in written {
            tables.insert(name, columns, key, rows);
        }
        tables
    }

    /// Names of the tables, sorted.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.tables.keys().map(String::as_str).collect();
        names.sort_unstable();
        names
    }

    /// The row, if the table is granted and has it.
    pub(super) fn lookup(&self, table: &str, key: &[Box<str>]) -> Option<Row> {
        let table = self.tables.get(table)?;
        table.rows.get(key).cloned()
    }

    /// Every table by its name: all of its rows in JSON if it is small, in the order of their keys, else none.
    pub(super) fn small(&self) -> BTreeMap<&str, Option<&RawValue>> {
        let mut left = SMALL_TOGETHER;
        let mut all: BTreeMap<_, _> = self.tables.keys().map(|name| (name.as_str(), None)).collect();
        for (name, shown) in &mut all {
            *shown = self.tables[*name].small().filter(|json| json.get().len() <= left);
            left -= shown.map_or(0, |json| json.get().len());
        }
        all
    }

    /// Whether a key of so many columns fits the table.
    #[cfg(test)]
    pub(super) fn keys(&self, table: &str) -> Option<usize> {
        self.tables.get(table).map(|table| table.key.len())
    }
}

/// A row as a JSON object, its columns in their order.
pub(super) fn row_json(row: &Row) -> String {
    let text = |text: &str| serde_json::Value::from(text).to_string();
    let members: Vec<_> = row.iter().map(|(name, value)| format!("{}:{}", text(name), text(value))).collect();
    format!("{{{}}}", members.join(","))
}

impl fmt::Debug for Tables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for name in self.names() {
            let table = &self.tables[name];
            map.entry(&name, &format_args!("{} rows by {} columns", table.rows.len(), table.key.len()));
        }
        map.finish()
    }
}

impl Table {
    fn new(key: Vec<usize>, rows: HashMap<Box<[Box<str>]>, Row>) -> Self {
        Self { key, rows, small: OnceLock::new() }
    }

    fn small(&self) -> Option<&RawValue> {
        let made = self.small.get_or_init(|| {
            // A row is never shorter than two bytes, so a large table is known without writing it.
            if self.rows.len() > SMALL / 2 {
                return None;
            }
            let mut rows: Vec<_> = self.rows.iter().collect();
            rows.sort_unstable_by_key(|(key, _)| *key);
            let mut json = String::from("[");
            for (index, (_, row)) in rows.into_iter().enumerate() {
                json.push_str(if index == 0 { "" } else { "," });
                json.push_str(&row_json(row));
                if json.len() >= SMALL {
                    return None;
                }
            }
            json.push(']');
            RawValue::from_string(json).ok()
        });
        made.as_deref()
    }

    fn read(name: &str, csv: &str, keys: usize) -> Result<Self, TableError> {
        let fail = |line: u64, what: String| TableError { table: name.to_owned(), line, what };
        let text = csv.strip_prefix('\u{feff}').unwrap_or(csv);
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
        let header = reader.headers().map_err(|error| fail(1, error.to_string()))?.clone();
        if keys == 0 || keys > header.len() || header.len() > COLUMNS {
            let what =
                format!("{} columns, {keys} of them the key; 1 to {COLUMNS} are allowed", header.len());
            return Err(fail(1, what));
        }
        let columns: Vec<Arc<str>> = header.iter().map(Arc::from).collect();
        let mut rows = HashMap::new();
        for record in reader.records() {
            let record = record.map_err(|error| {
                let line = error.position().map_or(0, csv::Position::line);
                fail(line, "the row has not as many columns as the header".to_owned())
            })?;
            let line = record.position().map_or(0, csv::Position::line);
            if record.as_slice().len() > ROW_BYTES {
                return Err(fail(line, format!("the row is longer than {ROW_BYTES} bytes")));
            }
            if rows.len() == ROWS {
                return Err(fail(line, format!("more than {ROWS} rows")));
            }
            let key: Box<[Box<str>]> = record.iter().take(keys).map(Box::from).collect();
            let row: Row = columns.iter().cloned().zip(record.iter().map(Arc::from)).collect();
            if rows.insert(key, row).is_some() {
                return Err(fail(line, "the key was there before".to_owned()));
            }
        }
        Ok(Self::new((0..keys).collect(), rows))
    }
}
