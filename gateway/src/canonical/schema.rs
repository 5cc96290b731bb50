//! The canonical schemas, compiled.

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

use super::fault;
use crate::words::{Diagnostic, json};

/// Longest message of a schema's fault, in characters.
const MESSAGE_MAX: usize = 300;

/// Every kind of event with its schema.
pub(super) struct Schemas(Vec<Schema>);

/// One kind of event.
pub(super) struct Schema {
    kind: &'static str,
    validator: Validator<json::Instance>,
}

impl Schemas {
    /// Compiles them. They refer to nothing but the shared definitions, which are put into each.
    pub(super) fn new() -> Self {
        let kinds = crossdock_canonical::schemas().iter().filter(|(kind, _)| *kind != "defs");
        Self(kinds.map(|(kind, text)| Schema { kind, validator: compile(text) }).collect())
    }

    pub(super) fn kinds(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|schema| schema.kind)
    }

    /// The schema of a kind and version.
    pub(super) fn find(&self, kind: &str, version: &str) -> Result<&Schema, Box<Diagnostic>> {
        let Some(schema) = self.0.iter().find(|schema| schema.kind == kind) else {
            let shown: String = kind.chars().filter(|c| !c.is_control()).take(64).collect();
            let near = |known: &&str| strsim::damerau_levenshtein(known, &shown) <= 4;
            let help =
                self.kinds().find(near).map_or(String::new(), |known| format!("; did you mean `{known}`?"));
            return Err(Box::new(fault(
                "unknown-type",
                "",
                format!("there is no event type `{shown}`{help}"),
            )));
        };
        if version != crossdock_canonical::VERSION {
            let shown: String = version.chars().filter(|c| !c.is_control()).take(64).collect();
            let message = format!("{kind} has no version `{shown}`, it has {}", crossdock_canonical::VERSION);
            return Err(Box::new(fault("unknown-version", "", message)));
        }
        Ok(schema)
    }
}

impl Schema {
    /// Adds what breaks the schema, until there are `most` faults.
    pub(super) fn check(&self, value: json::Node<'_>, most: usize, faults: &mut Vec<Diagnostic>) {
        // Good data is the rule, and asking whether it is good costs a fraction of asking what is wrong with it.
        if self.validator.is_valid(value) {
            return;
        }
        let room = most.saturating_sub(faults.len());
        for error in self.validator.iter_errors(value).take(room) {
            // The message goes to logs, so it says `value` in place of the value.
            let message: String = error.masked().to_string().chars().take(MESSAGE_MAX).collect();
            let mut found = fault("schema", error.instance_path().as_str(), message);
            found.rule = Some(format!(
                "{}/{}.json#{}",
                crossdock_canonical::MODEL,
                self.kind,
                error.schema_path().as_str()
            ));
            faults.push(found);
        }
    }
}

/// The schema's text as one document: the shared definitions are its own.
fn bundled(text: &str) -> Value {
    let local = |text: &str| text.replace("\"defs.json#/", "\"#/");
    let read = |text: &str| serde_json::from_str::<Value>(text).expect("the embedded schemas are JSON");
    let mut schema = read(&local(text));
    let mut defs = read(crossdock_canonical::DEFS);
    schema["$defs"] = defs["$defs"].take();
    schema
}

fn compile(text: &str) -> Validator<json::Instance> {
    jsonschema::options_for::<json::Instance>()
        .with_draft(jsonschema::Draft::Draft202012)
        .offline()
        .with_pattern_options(PatternOptions::regex())
        .should_validate_formats(true)
        .build(&bundled(text))
        .expect("the embedded schemas compile")
}
