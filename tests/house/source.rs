//! Rust source as far as the rules of the house need it: which files make up the crate, and which paths they name.
//! Comments, strings and everything under `#[cfg(test)]` are left out.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// One file that ships.
pub struct File {
    /// Below `src`, with slashes: `deliver/call/http.rs`.
    pub path: String,
    /// Everything in it, as written.
    pub text: String,
    tokens: Vec<Token>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Colons,
    Mark(char),
}

impl Token {
    fn is(&self, mark: char) -> bool {
        *self == Self::Mark(mark)
    }

    fn word(&self) -> Option<&str> {
        match self {
            Self::Word(word) => Some(word),
            _ => None,
        }
    }
}

impl File {
    /// A file from its text.
    pub fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned(), tokens: without_tests(&tokens(text)).0 }
    }

    /// The room on the ground plan: the first part of the path, `deliver` of `deliver/call/http.rs`.
    pub fn room(&self) -> &str {
        let first = self.path.split('/').next().unwrap_or_default();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// Every path that it names, with the groups of `use` spelled out: `a::{b, c::d}` gives `a::b` and `a::c::d`.
    pub fn paths(&self) -> Vec<Vec<String>> {
        let mut found = Vec::new();
        let mut at = 0;
        while at < self.tokens.len() {
            match self.tokens[at] {
                Token::Word(_) => path(&self.tokens, &mut at, &[], &mut found),
                _ => at += 1,
            }
        }
        found
    }

    /// The rooms that it reaches into by `crate::…`, or by `super::…` from the top of its own room.
    pub fn rooms_named(&self) -> BTreeSet<String> {
        let depth = self.depth();
        let named = |path: &Vec<String>| match path.first().map(String::as_str) {
            Some("crate") => path.get(1).cloned(),
            Some("super") => {
                let ups = path.iter().take_while(|part| *part == "super").count();
                (ups >= depth).then(|| path.get(ups).cloned()).flatten()
            }
            _ => None,
        };
        self.paths().iter().filter_map(named).filter(|room| room != self.room()).collect()
    }

    /// How many times `super` leads out of this file to the root of the crate.
    fn depth(&self) -> usize {
        let parts = self.path.split('/').filter(|part| *part != "mod.rs").count();
        if matches!(self.path.as_str(), "lib.rs" | "main.rs") { 0 } else { parts }
    }

    /// Whether it calls a method or a macro of this name: `.unwrap(` or `todo!`.
    pub fn calls(&self, name: &str) -> bool {
        self.tokens.windows(3).any(|three| {
            three[1].word() == Some(name) && three[0].is('.') && three[2].is('(')
                || three[0].word() == Some(name) && three[1].is('!') && !three[2].is('=')
        })
    }
}

/// Every file of the crate at `src` that ships, found the way the compiler finds them, from `lib.rs` and `main.rs`
/// along `mod`; and the files that ship with nothing, because only tests, or nobody, names them.
///
/// # Panics
/// A file cannot be read.
pub fn crate_files(src: &Path) -> (Vec<File>, BTreeSet<String>) {
    let mut files = Vec::new();
    let mut tests = BTreeSet::new();
    for root in ["lib.rs", "main.rs"] {
        walk(src, root, &mut files, &mut tests);
    }
    let mut all = BTreeSet::new();
    every_file(src, src, &mut all);
    let shipped: BTreeSet<String> = files.iter().map(|file| file.path.clone()).collect();
    let orphans = all
        .into_iter()
        .filter(|path| !shipped.contains(path))
        .filter(|path| {
            !tests.iter().any(|test| path == &format!("{test}.rs") || path.starts_with(&format!("{test}/")))
        })
        .collect();
    (files, orphans)
}

fn walk(src: &Path, path: &str, files: &mut Vec<File>, tests: &mut BTreeSet<String>) {
    let text = fs::read_to_string(src.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    let (shipped, test_modules) = without_tests(&tokens(&text));
    let folder = match path.rsplit_once('/') {
        Some((folder, "mod.rs")) => format!("{folder}/"),
        _ if matches!(path, "lib.rs" | "main.rs") => String::new(),
        _ => format!("{}/", path.trim_end_matches(".rs")),
    };
    tests.extend(test_modules.into_iter().map(|module| format!("{folder}{module}")));
    let modules: Vec<String> = modules(&shipped);
    files.push(File { path: path.to_owned(), text, tokens: shipped });
    for module in modules {
        let beside = format!("{folder}{module}.rs");
        let below = format!("{folder}{module}/mod.rs");
        walk(src, if src.join(&beside).exists() { &beside } else { &below }, files, tests);
    }
}

fn every_file(src: &Path, folder: &Path, all: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("the folder of sources").flatten() {
        let path: PathBuf = entry.path();
        if path.is_dir() {
            every_file(src, &path, all);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let below = path.strip_prefix(src).expect("found below it");
            all.insert(below.to_string_lossy().into_owned());
        }
    }
}

/// The modules that `tokens` declare in files of their own.
fn modules(tokens: &[Token]) -> Vec<String> {
    let declared = |three: &[Token]| match three {
        [Token::Word(keyword), Token::Word(name), end] if keyword == "mod" && end.is(';') => {
            Some(name.clone())
        }
        _ => None,
    };
    tokens.windows(3).filter_map(declared).collect()
}

/// Collects the path that starts at `at`, with what its groups add.
fn path(tokens: &[Token], at: &mut usize, prefix: &[String], found: &mut Vec<Vec<String>>) {
    let mut parts = prefix.to_vec();
    while let Some(Token::Word(word)) = tokens.get(*at) {
        parts.push(word.clone());
        *at += 1;
        if tokens.get(*at) != Some(&Token::Colons) {
            break;
        }
        *at += 1;
        if tokens.get(*at).is_some_and(|token| token.is('{')) {
            *at += 1;
            group(tokens, at, &parts, found);
            return;
        }
    }
    found.push(parts);
}

fn group(tokens: &[Token], at: &mut usize, prefix: &[String], found: &mut Vec<Vec<String>>) {
    while let Some(token) = tokens.get(*at) {
        match token {
            Token::Word(_) => path(tokens, at, prefix, found),
            Token::Mark('}') => {
                *at += 1;
                return;
            }
            _ => *at += 1,
        }
    }
}

/// What is left without the items under `#[cfg(test)]`, and the names of the modules among them.
fn without_tests(tokens: &[Token]) -> (Vec<Token>, Vec<String>) {
    let mut kept = Vec::with_capacity(tokens.len());
    let mut left_out = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if starts_test(&tokens[at..]) {
            let end = at + item(&tokens[at..]);
            left_out.extend(modules(&tokens[at..end]));
            at = end;
        } else {
            kept.push(tokens[at].clone());
            at += 1;
        }
    }
    (kept, left_out)
}

/// Whether an attribute `#[cfg(test)]`, or `#[cfg(all(test, …))]`, stands here.
fn starts_test(tokens: &[Token]) -> bool {
    let text: Vec<&str> = tokens.iter().skip(2).take(4).filter_map(Token::word).collect();
    matches!(tokens, [hash, open, ..] if hash.is('#') && open.is('['))
        && matches!(text.as_slice(), ["cfg", "test", ..] | ["cfg", "all", "test", ..])
}

/// The length of the item that stands here, its attributes included: up to its `;`, or its block's end.
fn item(tokens: &[Token]) -> usize {
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate() {
        match token {
            Token::Mark('(' | '[' | '{') => depth += 1,
            Token::Mark(close @ (')' | ']' | '}')) => {
                depth = depth.saturating_sub(1);
                if depth == 0 && *close == '}' {
                    return index + 1;
                }
            }
            Token::Mark(';') if depth == 0 => return index + 1,
            _ => {}
        }
    }
    tokens.len()
}

fn tokens(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(&next) = chars.get(at) {
        let after = chars.get(at + 1).copied();
        match next {
            '/' if after == Some('/') => at = line_end(&chars, at),
            '/' if after == Some('*') => at = comment_end(&chars, at),
            '"' => at = string_end(&chars, at),
            '\'' => at = quote_end(&chars, at),
            ':' if after == Some(':') => {
                found.push(Token::Colons);
                at += 2;
            }
            _ if next.is_alphabetic() || next == '_' => {
                let end =
                    (at..chars.len()).find(|&index| !(chars[index].is_alphanumeric() || chars[index] == '_'));
                let end = end.unwrap_or(chars.len());
                let word: String = chars[at..end].iter().collect();
                match raw_string_end(&chars, end, &word) {
                    Some(past) => at = past,
                    None => {
                        found.push(Token::Word(word));
                        at = end;
                    }
                }
            }
            _ => {
                if !next.is_whitespace() {
                    found.push(Token::Mark(next));
                }
                at += 1;
            }
        }
    }
    found
}

fn line_end(chars: &[char], at: usize) -> usize {
    (at..chars.len()).find(|&index| chars[index] == '\n').unwrap_or(chars.len())
}

fn comment_end(chars: &[char], mut at: usize) -> usize {
    let mut depth = 0_usize;
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn string_end(chars: &[char], at: usize) -> usize {
    let mut index = at + 1;
    while index < chars.len() && chars[index] != '"' {
        index += if chars[index] == '\\' { 2 } else { 1 };
    }
    index + 1
}

/// Past a character literal; past the mark alone where it begins a lifetime.
fn quote_end(chars: &[char], at: usize) -> usize {
    match (chars.get(at + 1), chars.get(at + 2)) {
        (Some('\\'), _) => {
            (at + 3..chars.len()).find(|&index| chars[index] == '\'').map_or(chars.len(), |end| end + 1)
        }
        (Some(_), Some('\'')) => at + 3,
        _ => at + 1,
    }
}

/// Past a raw string that begins after `word`, which stands before `at`: `r#"…"#`, `br"…"`.
fn raw_string_end(chars: &[char], at: usize, word: &str) -> Option<usize> {
    if !matches!(word, "r" | "br" | "cr") {
        return None;
    }
    let hashes = chars[at..].iter().take_while(|next| **next == '#').count();
    if chars.get(at + hashes) != Some(&'"') {
        return None;
    }
    let start = at + hashes + 1;
    let closes = |index: usize| {
        chars[index] == '"'
            && chars[index + 1..].iter().take(hashes).filter(|next| **next == '#').count() == hashes
    };
    Some((start..chars.len()).find(|&index| closes(index)).map_or(chars.len(), |index| index + 1 + hashes))
}
