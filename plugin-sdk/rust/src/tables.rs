//! Cross-reference tables of the policy: carriers, units, items, facilities.

use crate::Pairs;

/// The row of a table as columns and values, or none. Only tables that the operation grants are there.
#[cfg(target_arch = "wasm32")]
pub fn lookup(table: &str, key: &[&str]) -> Option<Pairs> {
    let key: Vec<String> = key.iter().map(|part| (*part).to_owned()).collect();
    crate::glue::lookup(table, &key)
}

/// The row of a table as columns and values, or none. In a native build these are the rows that
/// [`insert`] put there.
#[cfg(not(target_arch = "wasm32"))]
pub fn lookup(table: &str, key: &[&str]) -> Option<Pairs> {
    native::ROWS.with_borrow(|rows| {
        let found = rows.iter().find(|row| row.0 == table && row.1.iter().eq(key.iter()));
        found.map(|row| row.2.clone())
    })
}

/// Puts a row into this thread's tables, for tests.
#[cfg(not(target_arch = "wasm32"))]
pub fn insert(table: &str, key: &[&str], row: &[(&str, &str)]) {
    let row = row.iter().map(|(column, value)| ((*column).to_owned(), (*value).to_owned())).collect();
    let key = key.iter().map(|part| (*part).to_owned()).collect();
    native::ROWS.with_borrow_mut(|rows| rows.push((table.to_owned(), key, row)));
}

/// The value of one column of a row.
pub fn column(table: &str, key: &[&str], column: &str) -> Option<String> {
    lookup(table, key)?.into_iter().find(|(name, _)| name == column).map(|(_, value)| value)
}

#[cfg(not(target_arch = "wasm32"))]
mod native {
    use std::cell::RefCell;

    use crate::Pairs;

    thread_local! {
        pub(super) static ROWS: RefCell<Vec<(String, Vec<String>, Pairs)>> = const { RefCell::new(Vec::new()) };
    }
}
