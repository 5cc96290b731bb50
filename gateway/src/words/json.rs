//! A strict reader of JSON from outside: RFC 8259 in UTF-8 without a byte order mark, each key once, bounded
//! depth, nothing after the value, no number that would change silently.

use std::{borrow::Cow, fmt};

use serde::de::{Deserializer as _, Visitor};
use serde_json::Value;

mod instance;
mod tree;

pub use instance::Instance;
pub use tree::{Items, Kind, Members, Node, Tree};

/// Deepest nesting that can be asked for; serde_json itself stops at 128 so that the stack holds.
const DEEPEST: usize = 127;

/// Where a text stopped being acceptable JSON, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}, at byte {offset}")]
pub struct Error {
    /// The byte at which the reader gave up; the text's length if it ended too early.
    pub offset: u64,
    /// What is wrong, without the place.
    pub message: String,
}

/// Reads one JSON value that is the whole of `bytes`. A scalar has depth 0, `[[]]` has 2; more than
/// `max_depth` (127 at most) is refused.
///
/// # Errors
/// Anything that RFC 8259 does not allow; a repeated key; too deep; an integer beyond 64 bits or a number
/// beyond the range of a double, because both would be stored as another number than was sent.
pub fn tree(bytes: &[u8], max_depth: usize) -> Result<Tree<'_>, Error> {
    if bytes.starts_with(b"\xEF\xBB\xBF") {
        return Err(Error { offset: 0, message: "a byte order mark is not allowed".to_owned() });
    }
    // Asked once for the whole text, which is quicker than asking for each of its strings.
    let text = std::str::from_utf8(bytes).map_err(|error| Error {
        offset: error.valid_up_to() as u64,
        message: "bytes that are not UTF-8".to_owned(),
    })?;
    let mut reader = serde_json::Deserializer::from_str(text);
    let mut builder = tree::Builder::new(bytes.len(), max_depth.min(DEEPEST));
    let filled = builder.fill(&mut reader).and_then(|()| reader.end());
    filled.map_err(|error| placed(bytes, &error))?;
    // A double this large may have been written as a long integer, whose last digits are lost by now.
    match builder.wide.then(|| wide_integer(bytes)).flatten() {
        Some(offset) => Err(Error { offset, message: "an integer beyond 64 bits".to_owned() }),
        None => Ok(builder.finish()),
    }
}

/// The same as [`tree`], as a value that stands alone.
///
/// # Errors
/// As for [`tree`].
pub fn read(bytes: &[u8], max_depth: usize) -> Result<Value, Error> {
    tree(bytes, max_depth).map(|tree| tree.root().to_value())
}

/// First byte and length of the value that the JSON Pointer (RFC 6901) names, in a text that [`read`]
/// accepts. `None` if there is no such value. Takes time in proportion to the text, so ask on errors only.
pub fn locate(bytes: &[u8], pointer: &str) -> Option<(u64, u64)> {
    let mut scan = Scan { bytes, at: 0 };
    scan.space();
    if !pointer.is_empty() {
        for token in pointer.strip_prefix('/')?.split('/') {
            let token = token.replace("~1", "/").replace("~0", "~");
            scan.enter(&token)?;
        }
    }
    let start = scan.at;
    scan.skip_value()?;
    Some((start as u64, (scan.at - start) as u64))
}

fn placed(bytes: &[u8], error: &serde_json::Error) -> Error {
    let lines = bytes.split_inclusive(|&byte| byte == b'\n');
    let line_start: usize = lines.take(error.line().saturating_sub(1)).map(<[u8]>::len).sum();
    let offset = if error.is_eof() { bytes.len() } else { line_start + error.column().saturating_sub(1) };
    let text = error.to_string();
    let message = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message);
    let message = match message {
        _ if bytes.iter().all(u8::is_ascii_whitespace) => "an empty document",
        "EOF while parsing a value" => "the document ends in the middle of a value",
        "number out of range" => "a number beyond the range of a double",
        "trailing characters" => "text after the end of the value",
        other => other,
    };
    Error { offset: offset.min(bytes.len()) as u64, message: message.to_owned() }
}

/// The offset of the first integer in valid JSON that fits neither `i64` nor `u64`.
fn wide_integer(bytes: &[u8]) -> Option<u64> {
    let mut scan = Scan { bytes, at: 0 };
    while let Some(byte) = scan.peek() {
        match byte {
            b'"' => scan.skip_string()?,
            b'-' | b'0'..=b'9' => {
                let start = scan.at;
                scan.skip_scalar();
                let text = std::str::from_utf8(&bytes[start..scan.at]).ok()?;
                let whole = !text.contains(['.', 'e', 'E']);
                if whole && text.parse::<u64>().is_err() && text.parse::<i64>().is_err() {
                    return Some(start as u64);
                }
            }
            _ => scan.at += 1,
        }
    }
    None
}

/// Walks valid JSON without building it. On text that is not JSON it answers `None` or anything, but it ends.
struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Scan<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn space(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    fn eat(&mut self, wanted: u8) -> Option<()> {
        self.space();
        (self.peek()? == wanted).then(|| self.at += 1)?;
        self.space();
        Some(())
    }

    fn skip_string(&mut self) -> Option<()> {
        self.at += 1;
        loop {
            match self.peek()? {
                b'"' => break,
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
        self.at += 1;
        Some(())
    }

    fn skip_scalar(&mut self) {
        while self.peek().is_some_and(|byte| !b",]}: \t\r\n".contains(&byte)) {
            self.at += 1;
        }
    }

    fn skip_value(&mut self) -> Option<()> {
        let mut open = 0_usize;
        loop {
            match self.peek()? {
                b'"' => self.skip_string()?,
                b'[' | b'{' => {
                    open += 1;
                    self.at += 1;
                }
                b']' | b'}' => {
                    open = open.checked_sub(1)?;
                    self.at += 1;
                }
                b',' | b':' | b' ' | b'\t' | b'\r' | b'\n' if open > 0 => self.at += 1,
                b',' | b':' | b' ' | b'\t' | b'\r' | b'\n' => return None,
                _ => self.skip_scalar(),
            }
            if open == 0 {
                return Some(());
            }
        }
    }

    /// Moves from the start of an object or array to the start of its member or element.
    fn enter(&mut self, token: &str) -> Option<()> {
        match self.peek()? {
            b'{' => {
                self.eat(b'{')?;
                while self.peek()? == b'"' {
                    let start = self.at;
                    self.skip_string()?;
                    let key: Cow<'_, str> = self.bytes.get(start..self.at).and_then(|key| {
                        serde_json::Deserializer::from_slice(key).deserialize_str(Key).ok()
                    })?;
                    self.eat(b':')?;
                    if key == token {
                        return Some(());
                    }
                    self.skip_value()?;
                    self.eat(b',')?;
                }
                None
            }
            b'[' => {
                let canonical = token == "0" || !token.starts_with(['0', '+']);
                let index: usize = token.parse().ok().filter(|_| canonical)?;
                self.eat(b'[')?;
                for _ in 0..index {
                    self.skip_value()?;
                    self.eat(b',')?;
                }
                (self.peek()? != b']').then_some(())
            }
            _ => None,
        }
    }
}

/// Reads a key, without a copy where it has no escapes.
struct Key;

impl<'de> Visitor<'de> for Key {
    type Value = Cow<'de, str>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }
    fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(key))
    }
    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(key.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, path::PathBuf};

    use proptest::prelude::*;

    use super::*;

    fn refusal(text: &str) -> (u64, String) {
        let error = read(text.as_bytes(), 4).expect_err(text);
        (error.offset, error.message)
    }

    #[test]
    fn a_value_is_read_as_it_stands() {
        let text = r#" {"a": [1, -2, 2.5, "x\n\u00e9", null, true], "b": {}} "#;
        let wanted = serde_json::json!({"a": [1, -2, 2.5, "x\n\u{e9}", null, true], "b": {}});
        assert_eq!(read(text.as_bytes(), 64), Ok(wanted));
    }

    #[test]
    fn a_refusal_names_what_and_where() {
        assert_eq!(refusal(r#"{"a":1,"b":{"c":1,"c":2}}"#).1, "the key `c` appears twice");
        assert_eq!(refusal("[[[[[1]]]]]").1, "nested deeper than 4");
        assert_eq!(refusal("[1] x"), (4, "text after the end of the value".to_owned()));
        assert_eq!(refusal("{\n\"a\": tru }").0, 10);
        assert_eq!(refusal("[1"), (2, "EOF while parsing a list".to_owned()));
        assert_eq!(refusal("  "), (2, "an empty document".to_owned()));
        assert_eq!(refusal("\u{feff}1"), (0, "a byte order mark is not allowed".to_owned()));
        assert!(read(&[b'"', 0xff, b'"'], 4).is_err());
    }

    #[test]
    fn the_same_key_written_with_escapes_is_a_repeat() {
        assert_eq!(refusal(r#"{"a":1,"\u0061":2}"#).1, "the key `a` appears twice");
    }

    #[test]
    fn a_number_is_kept_or_refused_but_never_changed_in_silence() {
        let fits = [
            "18446744073709551615",
            "-9223372036854775808",
            "9223372036854775807",
            "1e22",
            "1.5E300",
            "1E22",
        ];
        for text in fits {
            assert!(read(text.as_bytes(), 0).is_ok(), "{text}");
        }
        for text in ["18446744073709551616", "-9223372036854775809", &"9".repeat(400)] {
            assert!(read(text.as_bytes(), 0).is_err(), "{text}");
        }
        assert_eq!(
            refusal("[\"1e5\", 1e30, 123456789012345678901]"),
            (14, "an integer beyond 64 bits".to_owned())
        );
        assert_eq!(refusal("[1e400]").1, "a number beyond the range of a double");
        assert_eq!(refusal("[-1e400]").1, "a number beyond the range of a double");
    }

    #[test]
    fn depth_is_counted_in_containers_and_never_overflows_the_stack() {
        assert!(read(b"[[[[]]]]", 4).is_ok());
        assert!(read(b"[[[[]]]]", 3).is_err());
        assert!(read(b"1", 0).is_ok());
        let deep = "[{\"\":".repeat(500_000);
        assert!(read(deep.as_bytes(), usize::MAX).is_err());
        assert!(read("[".repeat(1_000_000).as_bytes(), usize::MAX).is_err());
        let allowed = format!("{}{}", "[".repeat(DEEPEST), "]".repeat(DEEPEST));
        assert!(read(allowed.as_bytes(), usize::MAX).is_ok());
    }

    #[test]
    fn a_pointer_finds_the_bytes_of_its_value() {
        let text = r#" {"a" : [10, {"b/c": "x, ]", "~\u0064": [ 1 , 2 ]}], "": 7} "#;
        let found = |pointer: &str| {
            locate(text.as_bytes(), pointer).map(|(at, length)| &text[at as usize..(at + length) as usize])
        };
        assert_eq!(found(""), Some(text.trim()));
        assert_eq!(found("/a/0"), Some("10"));
        assert_eq!(found("/a/1/b~1c"), Some("\"x, ]\""));
        assert_eq!(found("/a/1/~0d/1"), Some("2"));
        assert_eq!(found("/"), Some("7"));
        for absent in ["/b", "/a/2", "/a/01", "/a/-", "/a/0/0", "a", "/a/1/~0d/2"] {
            assert_eq!(found(absent), None, "{absent}");
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let number = prop_oneof![
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from)
        ];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            number,
            ".*".prop_map(Value::from)
        ];
        leaf.prop_recursive(5, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map(".{0,4}", inner, 0..6)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    fn pointers(value: &Value, base: &str, into: &mut Vec<(String, Value)>) {
        into.push((base.to_owned(), value.clone()));
        match value {
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(i, item)| pointers(item, &format!("{base}/{i}"), into));
            }
            Value::Object(map) => map.iter().for_each(|(key, item)| {
                pointers(item, &format!("{base}/{}", key.replace('~', "~0").replace('/', "~1")), into);
            }),
            _ => {}
        }
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_back(value in any_json()) {
            let text = serde_json::to_vec_pretty(&value).unwrap();
            let again = read(&text, 64).unwrap();
            prop_assert_eq!(&again, &serde_json::from_slice::<Value>(&text).unwrap());
            let mut all = Vec::new();
            pointers(&again, "", &mut all);
            for (pointer, wanted) in all {
                let (at, length) = locate(&text, &pointer).unwrap();
                prop_assert_eq!(read(&text[at as usize..(at + length) as usize], 64).unwrap(), wanted);
            }
        }

        #[test]
        fn noise_never_panics_and_its_refusal_points_into_it(noise in prop::collection::vec(any::<u8>(), 0..200), pointer in "(/[a0~]{0,2}){0,3}") {
            if let Err(error) = read(&noise, 8) {
                prop_assert!(error.offset <= noise.len() as u64);
            }
            locate(&noise, &pointer);
        }
    }

    /// RFC 8259 leaves repeated keys to the reader, and this one refuses them.
    const REFUSED_ON_PURPOSE: [&str; 2] =
        ["y_object_duplicated_key.json", "y_object_duplicated_key_and_value.json"];

    #[test]
    fn json_test_suite_is_read_as_it_demands() {
        let folder = std::env::var_os("CROSSDOCK_CONFORMANCE").map_or_else(
            || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/conformance")),
            PathBuf::from,
        );
        let folder = folder.join("json-test-suite/test_parsing");
        if !folder.is_dir() {
            assert!(std::env::var_os("CI").is_none(), "{} is not there", folder.display());
            eprintln!("not run: {} is not there", folder.display());
            return;
        }
        let (mut ran, mut wrong, mut refused) = (0, Vec::new(), BTreeSet::new());
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let answer = read(&std::fs::read(entry.path()).unwrap(), 64);
            ran += 1;
            match (&name[..2], &answer) {
                ("y_", Err(_)) if REFUSED_ON_PURPOSE.contains(&name.as_str()) => {
                    refused.insert(name);
                }
                ("y_", Err(_)) | ("n_", Ok(_)) => wrong.push(format!("{name}: {answer:?}")),
                _ => {}
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
        assert_eq!(refused, REFUSED_ON_PURPOSE.map(str::to_owned).into(), "an exception is none any more");
        assert!(ran > 250, "only {ran} cases");
    }
}
