//! The segments of a message before they are written.

use crossdock_edi::edifact::{WriteError, Writer};

/// Segments in their order, each as its elements and their components.
#[derive(Default)]
pub struct Rows(Vec<(&'static str, Vec<Vec<String>>)>);

impl Rows {
    /// Adds a segment.
    pub fn add(&mut self, name: &'static str, elements: &[&[&str]]) {
        let owned = |components: &&[&str]| components.iter().map(|value| (*value).to_owned()).collect();
        self.0.push((name, elements.iter().map(owned).collect()));
    }

    /// Writes them all.
    pub fn write(&self, writer: &mut Writer) -> Result<(), WriteError> {
        for (name, elements) in &self.0 {
            let components: Vec<Vec<&str>> =
                elements.iter().map(|element| element.iter().map(String::as_str).collect()).collect();
            let elements: Vec<&[&str]> = components.iter().map(Vec::as_slice).collect();
            writer.segment(name, &elements)?;
        }
        Ok(())
    }
}

/// A value that may be missing.
pub fn text(value: &Option<String>) -> &str {
    value.as_deref().unwrap_or_default()
}
