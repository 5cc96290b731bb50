//! What a mapper says about itself: JSON in a custom section, so that admission runs no guest code.

use serde::{Deserialize, Serialize};

use super::{Rejection, contract::Contract};
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
    let mut content = Vec::with_capacity(json.len() + SECTION.len() + 8);
    leb(&mut content, SECTION.len());
    content.extend_from_slice(SECTION.as_bytes());
    content.extend_from_slice(&json);
    let mut out = without_manifest(wasm).unwrap_or_else(|| wasm.to_vec());
    out.push(0);
    leb(&mut out, content.len());
    out.extend_from_slice(&content);
    out
}

/// The contents of every manifest section on the top level.
pub(super) fn sections(wasm: &[u8]) -> Vec<&[u8]> {
    let Some(walk) = walk(wasm) else { return Vec::new() };
    walk.into_iter().filter_map(|section| section.manifest).collect()
}

fn without_manifest(wasm: &[u8]) -> Option<Vec<u8>> {
    let mut out = wasm.get(..8)?.to_vec();
    for section in walk(wasm)? {
        if section.manifest.is_none() {
            out.extend_from_slice(section.whole);
        }
    }
    Some(out)
}

struct Section<'a> {
    whole: &'a [u8],
    /// What follows the name, if it is a manifest.
    manifest: Option<&'a [u8]>,
}

/// The sections on the top level. Modules and components have the same frame: an id byte, a length, the content.
fn walk(wasm: &[u8]) -> Option<Vec<Section<'_>>> {
    let mut rest = wasm.get(8..)?;
    let mut sections = Vec::new();
    while let [id, after_id @ ..] = rest {
        let (length, after_length) = read_leb(after_id)?;
        let content = after_length.get(..length)?;
        let end = rest.len() - after_length.len() + length;
        let (whole, next) = rest.split_at(end);
        let manifest = (*id == 0)
            .then(|| read_leb(content))
            .flatten()
            .and_then(|(length, named)| named.split_at_checked(length))
            .and_then(|(name, manifest)| (name == SECTION.as_bytes()).then_some(manifest));
        sections.push(Section { whole, manifest });
        rest = next;
    }
    Some(sections)
}

fn leb(out: &mut Vec<u8>, number: usize) {
    let mut left = number;
    loop {
        let low = u8::try_from(left & 0x7f).expect("seven bits fit a byte");
        left >>= 7;
        out.push(if left == 0 { low } else { low | 0x80 });
        if left == 0 {
            return;
        }
    }
}

fn read_leb(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut number = 0_u32;
    for (index, byte) in bytes.iter().take(5).enumerate() {
        let low = u32::from(byte & 0x7f);
        let shift = u32::try_from(index).ok()? * 7;
        if shift == 28 && low > 0x0f {
            return None;
        }
        number |= low << shift;
        if byte & 0x80 == 0 {
            return Some((usize::try_from(number).ok()?, &bytes[index + 1..]));
        }
    }
    None
}
