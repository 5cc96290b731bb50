//! What a mapper says about itself: JSON in a custom section, so that admission runs no guest code.

use serde::{Deserialize, Serialize};

use super::{Rejection, contract::Contract, sections};
use crate::words::MapperName;

/// Name of the custom section.
pub const SECTION: &str = "crossdock:manifest";

/// The contract that mappers are built for.
pub const CONTRACT: &str = "crossdock:mapper@1.0.0";

/// Longest manifest in bytes.
const LONGEST: usize = 64 << 10;

/// Longest text in it, in bytes.
const LONGEST_TEXT: usize = 200;

/// What a mapper says about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Its name, the same over all versions.
    pub name: MapperName,
    /// Its version.
    pub version: String,
    /// The contract that it was built for: `crossdock:mapper@1.0.0`.
    pub contract: String,
    /// What it was written in: `rust`.
    #[serde(default)]
    pub language: String,
    /// The standard and release that it follows: `X12 004010`.
    #[serde(default)]
    pub standard: String,
    /// Which ways it maps.
    pub directions: Vec<Direction>,
    /// Media types that it reads.
    #[serde(default)]
    pub reads: Vec<String>,
    /// Media types that it writes.
    #[serde(default)]
    pub writes: Vec<String>,
    /// Version of the canonical schemas.
    pub canonical: String,
    /// Tables that it looks things up in.
    #[serde(default)]
    pub tables: Vec<String>,
    /// Control numbers that it needs: `isa13`, `gs06`.
    #[serde(default)]
    pub control_numbers: Vec<String>,
}

/// A way of mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// From a document to canonical events.
    ToCanonical,
    /// From canonical events to a document.
    FromCanonical,
    /// From outcomes to a functional acknowledgement.
    Acknowledge,
}

impl Direction {
    /// Its name in manifests and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::ToCanonical => "to-canonical",
            Self::FromCanonical => "from-canonical",
            Self::Acknowledge => "acknowledge",
        }
    }
}

impl Manifest {
    /// Reads the content of the section.
    pub(super) fn read(section: &[u8], contracts: &[&Contract]) -> Result<Self, Rejection> {
        let fail = |what: String| Rejection::Manifest(what);
        if section.len() > LONGEST {
            return Err(fail(format!("it has {} bytes, {LONGEST} are allowed", section.len())));
        }
        let manifest: Self = serde_json::from_slice(section)
            .map_err(|error| fail(super::clip(&error.to_string(), LONGEST_TEXT)))?;
        manifest.check(contracts).map(|()| manifest).map_err(fail)
    }

    fn check(&self, contracts: &[&Contract]) -> Result<(), String> {
        if !contracts.iter().any(|contract| contract.name == self.contract) {
            let asked = super::clip(&self.contract, LONGEST_TEXT);
            let served: Vec<_> = contracts.iter().map(|contract| format!("`{}`", contract.name)).collect();
            let served = served.join(" and ");
            return Err(format!("it asks for the contract `{asked}`; this gateway serves {served}"));
        }
        let version = &self.version;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-+_".contains(&byte);
        if version.is_empty() || version.len() > 64 || !version.bytes().all(plain) {
            return Err("`version` must be 1 to 64 letters, digits, `.`, `-`, `+` and `_`".to_owned());
        }
        if self.directions.is_empty() {
            return Err("`directions` is empty".to_owned());
        }
        let texts = [&self.language, &self.standard, &self.canonical].into_iter();
        let lists = [&self.reads, &self.writes, &self.tables, &self.control_numbers];
        match texts.chain(lists.into_iter().flatten()).find(|text| !printable(text)) {
            Some(text) => Err(format!("`{}` is too long or not printable", super::clip(text, 40))),
            None => Ok(()),
        }
    }
}

fn printable(text: &str) -> bool {
    text.len() <= LONGEST_TEXT && !text.chars().any(char::is_control)
}

/// The same Wasm with this manifest in it, in place of one that was there. Bytes that are not Wasm come back
/// with the section at their end, and stay what they were: not Wasm.
pub fn with_manifest(wasm: &[u8], manifest: &Manifest) -> Vec<u8> {
    let json = serde_json::to_vec(manifest).expect("a manifest is plain data");
    sections::with(wasm, SECTION, &json)
}
