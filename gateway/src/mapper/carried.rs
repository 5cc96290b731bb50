//! The cases that a mapper carries: pairs of files in a custom section beside its manifest. They are part of the file
//! and of its digest, so whoever has the mapper has its proof, however it came.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::Path,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::sections;

/// Name of the custom section: a JSON object of path and content, text or `{"base64": …}`.
pub const CASES: &str = "crossdock:cases";

/// Most files. The largest mapper of the worked estate has sixty.
const FILES_MAX: usize = 2_000;
/// Most bytes of all of them together.
const BYTES_MAX: usize = 8 << 20;
/// Longest path in bytes: `case/tables/NAME.csv` is the deepest.
const PATH_MAX: usize = 200;

/// Files of cases, by their paths below `cases/`: `945-short/in.x12`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cases(BTreeMap<String, Bytes>);

impl Cases {
    /// Takes a file in.
    ///
    /// # Errors
    /// Its path or the number and size of all files is more than a mapper may carry.
    pub fn add(&mut self, path: &str, content: Bytes) -> Result<(), String> {
        if !is_plain(path) {
            return Err(format!(
                "the case file `{}` cannot be carried: a path has letters, digits, `.`, `-` and `_`, and at most three parts",
                super::clip(path, PATH_MAX)
            ));
        }
        self.0.insert(path.to_owned(), content);
        let bytes: usize = self.0.values().map(Bytes::len).sum();
        if self.0.len() > FILES_MAX || bytes > BYTES_MAX {
            let most = BYTES_MAX >> 20;
            return Err(format!("the cases are more than {FILES_MAX} files or {most} MiB"));
        }
        Ok(())
    }

    /// How many cases there are: folders with a file `in.…`.
    pub fn count(&self) -> usize {
        let cases = self.0.keys().filter_map(|path| path.split_once('/'));
        cases.filter(|(_, file)| file.starts_with("in.")).map(|(case, _)| case).collect::<BTreeSet<_>>().len()
    }

    /// Writes them below `folder`.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn unpack(&self, folder: &Path) -> io::Result<()> {
        for (path, content) in &self.0 {
            let file = folder.join(path);
            if let Some(parent) = file.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::write(file, content)?;
        }
        Ok(())
    }

    /// Those that a Wasm file carries; none if it carries none.
    ///
    /// # Errors
    /// The section is not what it should be.
    pub fn of(wasm: &[u8]) -> Result<Option<Self>, String> {
        let section = match sections::named(wasm, CASES).as_slice() {
            [] => return Ok(None),
            [section] => *section,
            [..] => return Err("there is more than one".to_owned()),
        };
        // Text in JSON is at most six times its length, and that only where it is all control characters.
        if section.len() > 2 * BYTES_MAX {
            return Err(format!("it has {} bytes, {} are allowed", section.len(), 2 * BYTES_MAX));
        }
        let files: Map<String, Value> =
            serde_json::from_slice(section).map_err(|error| super::clip(&error.to_string(), 200))?;
        let mut cases = Self::default();
        for (path, content) in files {
            let wrong = || format!("`{}` is neither text nor base64", super::clip(&path, PATH_MAX));
            let bytes = match &content {
                Value::String(text) => Bytes::copy_from_slice(text.as_bytes()),
                other => {
                    let text = other["base64"].as_str().ok_or_else(wrong)?;
                    STANDARD.decode(text).map_err(|_| wrong())?.into()
                }
            };
            cases.add(&path, bytes)?;
        }
        Ok(Some(cases))
    }

    /// The same Wasm with these cases in it, in place of those that were there; the same cases always give the same
    /// bytes.
    pub fn put_into(&self, wasm: &[u8]) -> Vec<u8> {
        if self.0.is_empty() {
            return without_cases(wasm);
        }
        let content = |bytes: &Bytes| match std::str::from_utf8(bytes) {
            Ok(text) => Value::from(text),
            Err(_) => json!({ "base64": STANDARD.encode(bytes) }),
        };
        let files: Map<String, Value> =
            self.0.iter().map(|(path, bytes)| (path.clone(), content(bytes))).collect();
        sections::with(wasm, CASES, Value::Object(files).to_string().as_bytes())
    }
}

/// The same Wasm without the cases that it carries.
pub fn without_cases(wasm: &[u8]) -> Vec<u8> {
    sections::without(wasm, CASES).unwrap_or_else(|| wasm.to_vec())
}

/// Nothing that could leave the folder that it is unpacked into, or hide in it.
fn is_plain(path: &str) -> bool {
    let plain = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
    };
    path.len() <= PATH_MAX && path.split('/').count() <= 3 && path.split('/').all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cases(files: &[(&str, &[u8])]) -> Cases {
        let mut cases = Cases::default();
        files.iter().for_each(|(path, content)| cases.add(path, Bytes::copy_from_slice(content)).unwrap());
        cases
    }

    fn module() -> Vec<u8> {
        wat::parse_str("(module)").unwrap()
    }

    #[test]
    fn what_is_put_in_is_read_back_and_taken_out() {
        let put = cases(&[
            ("a/in.x12", b"ISA"),
            ("a/out.json", b"[]"),
            ("b/in.bin", b"\xff\0"),
            ("tables/u.csv", b""),
        ]);
        let wasm = put.put_into(&module());
        assert_eq!(Cases::of(&wasm), Ok(Some(put.clone())));
        assert_eq!(put.put_into(&wasm), wasm, "once, not twice");
        assert_eq!(put.count(), 2);
        assert_eq!((without_cases(&wasm), Cases::of(&module())), (module(), Ok(None)));
        assert_eq!(Cases::default().put_into(&wasm), module());
        let folder = tempfile::tempdir().unwrap();
        put.unpack(folder.path()).unwrap();
        assert_eq!(fs::read(folder.path().join("b/in.bin")).unwrap(), b"\xff\0");
    }

    #[test]
    fn a_path_that_leads_elsewhere_is_not_carried() {
        for path in [
            "../in.json",
            "a/../../b",
            "/etc/passwd",
            "a//b",
            "a/.hidden",
            "a/b/c/d",
            "",
            "a\\b",
            "ä/in.json",
        ] {
            assert!(Cases::default().add(path, Bytes::new()).is_err(), "{path}");
            let wasm = sections::with(&module(), CASES, json!({ path: "" }).to_string().as_bytes());
            assert!(Cases::of(&wasm).is_err(), "{path}");
        }
    }

    #[test]
    fn a_section_that_is_none_is_named() {
        for section in ["", "[]", "{\"a/in.json\": 1}", "{\"a/in.json\": {\"base64\": \"?\"}}"] {
            assert!(Cases::of(&sections::with(&module(), CASES, section.as_bytes())).is_err(), "{section}");
        }
        let mut cases = Cases::default();
        assert!(cases.add("a/in.bin", vec![0; BYTES_MAX + 1].into()).unwrap_err().contains("8 MiB"));
    }
}
