//! Reads a mapper's `mapper.yaml`: what the mapper is, by its author's word.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{
    mapper::{self, CONTRACT},
    words::MapperName,
};

/// The file's name in a mapper's folder.
pub const FILE: &str = "mapper.yaml";
/// The canonical model that this gateway checks events against.
const CANONICAL: &str = "v1";
/// Longest description; a real one has twenty lines.
const LONGEST: u64 = 64 << 10;

/// What a mapper is. Becomes its manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// Its name, the folder's as well by custom.
    pub name: MapperName,
    /// Its version: `1.4.0`.
    pub version: Version,
    /// The contract that it is written against.
    pub contract: Contract,
    /// The language that it is written in.
    pub language: Language,
    /// The vendor's standard and version that it follows: `X12 004010`.
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
    /// The canonical model that it speaks.
    pub canonical: Model,
    /// Cross-reference tables that it looks into.
    #[serde(default)]
    pub tables: Vec<String>,
    /// Control numbers that it needs for what it writes.
    #[serde(default)]
    pub control_numbers: Vec<String>,
}

/// A way to map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// A document to events.
    ToCanonical,
    /// Events to a document.
    FromCanonical,
    /// A document to its functional acknowledgement
    Acknowledge,
}

impl From<Direction> for mapper::Direction {
    fn from(direction: Direction) -> Self {
        match direction {
            Direction::ToCanonical => Self::ToCanonical,
            Direction::FromCanonical => Self::FromCanonical,
            Direction::Acknowledge => Self::Acknowledge,
        }
    }
}

/// A language that `plugin build` can compile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
#[value(rename_all = "lowercase")]
pub enum Language {
    /// Rust, by cargo
    Rust,
    /// C, by clang or Zig
    C,
    /// JavaScript, in QuickJS
    JavaScript,
    /// TypeScript, in QuickJS
    TypeScript,
    /// Python, in CPython
    Python,
    /// Go, as a program for WASI
    Go,
    /// Zig, as a program for WASI
    Zig,
    /// AssemblyScript, as a program for WASI
    AssemblyScript,
    /// Java, by TeaVM, as a program for WASI
    Java,
    /// Kotlin, by TeaVM, as a program for WASI
    Kotlin,
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rust => f.write_str("rust"),
            Self::C => f.write_str("c"),
            Self::JavaScript => f.write_str("javascript"),
            Self::TypeScript => f.write_str("typescript"),
            Self::Python => f.write_str("python"),
            Self::Go => f.write_str("go"),
            Self::Zig => f.write_str("zig"),
            Self::AssemblyScript => f.write_str("assemblyscript"),
            Self::Java => f.write_str("java"),
            Self::Kotlin => f.write_str("kotlin"),
        }
    }
}

macro_rules! checked {
    ($($(#[$doc:meta])* $name:ident by $check:expr, $rule:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl TryFrom<String> for $name {
            type Error = String;
            fn try_from(text: String) -> Result<Self, String> {
                let check: fn(&str) -> bool = $check;
                if check(&text) { Ok(Self(text)) } else { Err(format!("`{text}` {}", $rule)) }
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

checked! {
    /// A mapper's version: three numbers.
    Version by is_version, "is not a version: three numbers are needed, as in 1.4.0";
    /// The contract's name and version.
    Contract by |text| text == CONTRACT, format_args!("is a contract that this gateway does not serve: {CONTRACT} is");
    /// The canonical model's version.
    Model by |text| text == CANONICAL, format_args!("is a canonical model that this gateway does not know: {CANONICAL} is");
}

fn is_version(text: &str) -> bool {
    let number = |part: &str| (1..=9).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    text.split('.').count() == 3 && text.split('.').all(number)
}

/// Why a description could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file is not there or cannot be read.
    #[error("{}: {source}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// It is far longer than a description.
    #[error("{}: longer than {LONGEST} bytes", file.display())]
    TooLong {
        /// The file.
        file: PathBuf,
    },
    /// It says something that a description cannot say.
    #[error("{}:{line}:{column}: {message}{}", file.display(), advice(.help))]
    Wrong {
        /// The file.
        file: PathBuf,
        /// Line, from 1.
        line: u64,
        /// Column, from 1.
        column: u64,
        /// What is wrong.
        message: String,
        /// What was perhaps meant.
        help: Option<String>,
    },
}

fn advice(help: &Option<String>) -> String {
    help.as_ref().map(|help| format!("\nhelp: {help}")).unwrap_or_default()
}

impl Description {
    /// Reads the description in a mapper's folder.
    ///
    /// # Errors
    /// It is not there, or says something that it cannot say; the error names the place.
    pub fn read(folder: &Path) -> Result<Self, Error> {
        let file = folder.join(FILE);
        let text = match fs::metadata(&file) {
            Ok(found) if found.len() > LONGEST => return Err(Error::TooLong { file }),
            Ok(_) => fs::read_to_string(&file),
            Err(source) => Err(source),
        };
        match text {
            Ok(text) => Self::parse(&file, &text),
            Err(source) => Err(Error::Unreadable { file, source }),
        }
    }

    fn parse(file: &Path, text: &str) -> Result<Self, Error> {
        serde_saphyr::from_str(text).map_err(|error| wrong(file, &error))
    }
}

fn wrong(file: &Path, error: &serde_saphyr::Error) -> Error {
    let (line, column) = error.location().map_or((1, 1), |place| (place.line(), place.column()));
    let (message, help) = match error.without_snippet() {
        serde_saphyr::Error::SerdeUnknownField { field, expected, .. } => {
            (format!("unknown key `{field}`"), nearest(field, expected))
        }
        serde_saphyr::Error::SerdeUnknownVariant { variant, expected, .. } => {
            (format!("`{variant}` is none of {}", expected.join(", ")), nearest(variant, expected))
        }
        serde_saphyr::Error::SerdeMissingField { field, .. } => {
            (format!("the key `{field}` is missing"), None)
        }
        other => (first_line(&other.render_with_options(plain())), None),
    };
    Error::Wrong { file: file.to_owned(), line, column, message, help }
}

fn plain() -> serde_saphyr::RenderOptions<'static> {
    let mut options = serde_saphyr::RenderOptions::default();
    options.snippets = serde_saphyr::SnippetMode::Off;
    options
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

fn nearest(word: &str, known: &[&'static str]) -> Option<String> {
    known
        .iter()
        .map(|known| (strsim::damerau_levenshtein(word, known), known))
        .filter(|(distance, known)| *distance <= 1 + known.len() / 4)
        .min()
        .map(|(_, known)| format!("did you mean `{known}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FINE: &str = "name: x12-wms\nversion: 0.1.0\ncontract: crossdock:mapper@1.0.0\nlanguage: rust\n\
        standard: X12 004010\ndirections: [to-canonical, from-canonical]\nreads: [application/edi-x12]\n\
        canonical: v1\ncontrol_numbers: [isa13]\n";

    fn parse(text: &str) -> Result<Description, String> {
        Description::parse(Path::new("mapper.yaml"), text).map_err(|error| error.to_string())
    }

    #[test]
    fn a_description_is_read_whole() {
        let description = parse(FINE).unwrap();
        assert_eq!(description.name.as_str(), "x12-wms");
        assert_eq!(description.directions, [Direction::ToCanonical, Direction::FromCanonical]);
        assert_eq!(description.control_numbers, ["isa13"]);
        assert!(description.tables.is_empty());
    }

    #[test]
    fn an_error_names_the_place_and_what_was_perhaps_meant() {
        let cases = [
            (
                FINE.replace("reads:", "raeds:"),
                "mapper.yaml:7:1: unknown key `raeds`\nhelp: did you mean `reads`?",
            ),
            (FINE.replace("to-canonical,", "to-canonic,"), "`to-canonic` is none of to-canonical"),
            (FINE.replace("version: 0.1.0", "version: latest"), "mapper.yaml:2:10: "),
            (FINE.replace("version: 0.1.0", "version: latest"), "three numbers are needed"),
            (FINE.replace("@1.0.0", "@9.0.0"), "crossdock:mapper@1.0.0 is"),
            (FINE.replace("canonical: v1", "canonical: v7"), "v1 is"),
            (FINE.replace("name: x12-wms", "name: X12/../wms"), "is not a name"),
            (FINE.replace("name: x12-wms\n", ""), "the key `name` is missing"),
            (FINE.replace("language: rust", "language: cobol"), "`cobol` is none of rust"),
            (format!("{FINE}name: again\n"), "mapper.yaml:10:1: "),
            (String::new(), "mapper.yaml:"),
            ("[".repeat(5000), "mapper.yaml:"),
        ];
        for (text, expected) in cases {
            let error = parse(&text).unwrap_err();
            assert!(error.contains(expected), "expected {expected:?} in {error:?}");
        }
    }

    #[test]
    fn a_folder_without_a_description_says_so() {
        let empty = tempfile::tempdir().unwrap();
        let error = Description::read(empty.path()).unwrap_err();
        assert!(matches!(error, Error::Unreadable { .. }), "{error}");
    }
}
