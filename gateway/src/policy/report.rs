//! What a check found: each finding with its place, the line it stands in, and what to do about it.
//!
//! Lines of policy files are shown to people and kept in build logs, so anything in them that looks like a
//! secret is masked, and no control character gets through.

use std::{fmt::Write as _, sync::Arc};

use serde::Serialize;

use super::raw::{Span, Text};

/// Findings past these are counted and not kept: nobody reads them before the first are mended.
const FINDINGS_MAX: usize = 500;
/// A line of a file is shown at this width at most.
const EXCERPT_MAX: usize = 84;

/// Everything that a check found, in the order of files and places.
#[derive(Debug, Default)]
pub struct Report {
    /// What it found.
    pub findings: Vec<Finding>,
    /// Files that it looked at.
    pub files: usize,
    /// Errors that were counted and not kept.
    errors_beyond: usize,
    /// Warnings that were counted and not kept.
    warnings_beyond: usize,
}

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Weight {
    /// The policies cannot be applied.
    Error,
    /// They can, but somebody should look.
    Warning,
}

/// One finding.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// How much it weighs.
    pub severity: Weight,
    /// What is wrong.
    pub message: String,
    /// Where, if it has a place.
    #[serde(flatten)]
    pub place: Option<Place>,
    /// What to say under the caret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Facts that help to judge it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

/// A place in a file, as people see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// Path in the policy folder.
    #[serde(serialize_with = "as_text")]
    pub file: Arc<str>,
    /// Line, from 1; 0 for the whole file.
    pub line: usize,
    /// Column in characters, from 1; 0 for the whole file.
    pub column: usize,
    /// Characters of the place within its line.
    #[serde(skip)]
    pub width: usize,
    /// Its line, safe to show; empty for the whole file.
    #[serde(skip)]
    pub excerpt: String,
}

impl Place {
    /// A line of which only its number is known.
    pub fn line(origin: &super::checked::Origin) -> Self {
        let excerpt = String::new();
        Self { file: origin.file.clone(), line: origin.line, column: 1, width: 0, excerpt }
    }
}

impl Finding {
    /// An error.
    pub fn error(message: impl Into<String>) -> Self {
        Self::new(Weight::Error, message.into())
    }

    /// A warning.
    pub fn warning(message: impl Into<String>) -> Self {
        Self::new(Weight::Warning, message.into())
    }

    fn new(severity: Weight, message: String) -> Self {
        let message = safe(&message);
        Self { severity, message, place: None, label: None, notes: Vec::new(), help: None }
    }

    /// With its place.
    pub fn at(mut self, text: &Text, span: Span) -> Self {
        self.place = Some(Place::of(text, span));
        self
    }

    /// With the file that it is about.
    pub fn in_file(mut self, file: &Arc<str>) -> Self {
        self.place = Some(Place { file: file.clone(), line: 0, column: 0, width: 0, excerpt: String::new() });
        self
    }

    /// With words under the caret.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(safe(&label.into()));
        self
    }

    /// With a fact.
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(safe(&note.into()));
        self
    }

    /// With what to do.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(safe(&help.into()));
        self
    }

    /// With the nearest of `known`, if one is near.
    pub fn did_you_mean<'a>(self, given: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        match nearest(given, known) {
            Some(near) => self.help(format!("did you mean `{near}`?")),
            None => self,
        }
    }
}

fn as_text<S: serde::Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

/// The nearest of `known` to what was given, if it is near enough to be meant.
pub fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Names are at most 64 bytes; a longer text is no slip of the finger, and comparing it costs its square.
    if given.len() > 80 {
        return None;
    }
    let likeness = |known: &str| {
        let begins = known.starts_with(given) || given.starts_with(known);
        strsim::jaro_winkler(given, known) + if begins && given.len() > 2 { 0.1 } else { 0.0 }
    };
    known
        .into_iter()
        .map(|known| (likeness(known), known))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}

impl Place {
    fn of(text: &Text, span: Span) -> Self {
        let line = text.line(span.start);
        let (begin, whole) = text.line_text(line);
        let before = whole.get(..span.start.saturating_sub(begin)).unwrap_or(whole);
        let end = span.end.saturating_sub(begin).min(whole.len());
        let inside = whole.get(before.len()..end).unwrap_or("").trim_end();
        let column = before.chars().count() + 1;
        let width = inside.chars().count().max(1);
        Self { file: text.path.clone(), line, column, width, excerpt: safe(&mask(whole)) }
    }

    /// `apis/shipments.yaml:9:34`, with the folder in front.
    fn shown(&self, folder: &str) -> String {
        let slash = if folder.is_empty() || folder.ends_with('/') { "" } else { "/" };
        let file = safe(&self.file);
        if self.line == 0 {
            format!("{folder}{slash}{file}")
        } else {
            format!("{folder}{slash}{file}:{}:{}", self.line, self.column)
        }
    }
}

impl Report {
    /// An empty report about so many files.
    pub fn of(files: usize) -> Self {
        Self { files, ..Self::default() }
    }

    /// Adds a finding.
    pub fn push(&mut self, finding: Finding) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(finding);
        } else if finding.severity == Weight::Error {
            self.errors_beyond += 1;
        } else {
            self.warnings_beyond += 1;
        }
    }

    /// Whether further findings are only counted.
    pub(super) fn is_full(&self) -> bool {
        self.findings.len() >= FINDINGS_MAX
    }

    /// Errors; with one of them nothing can be applied.
    pub fn errors(&self) -> usize {
        self.kept(Weight::Error) + self.errors_beyond
    }

    /// Warnings.
    pub fn warnings(&self) -> usize {
        self.kept(Weight::Warning) + self.warnings_beyond
    }

    fn kept(&self, weight: Weight) -> usize {
        self.findings.iter().filter(|finding| finding.severity == weight).count()
    }

    /// By file, line and column; errors and warnings of one place in the order they were found.
    pub(super) fn sort(&mut self) {
        let place = |finding: &Finding| {
            finding.place.as_ref().map(|place| (place.file.clone(), place.line, place.column))
        };
        self.findings.sort_by_key(place);
    }

    /// As people read it, with the summary as its last line. `colour` adds escapes and nothing else.
    pub fn render(&self, folder: &str, colour: bool) -> String {
        let mut out = String::new();
        for finding in &self.findings {
            render_finding(&mut out, finding, folder, colour);
            out.push('\n');
        }
        let beyond = self.errors_beyond + self.warnings_beyond;
        if beyond > 0 {
            let _ = writeln!(out, "{beyond} more findings are not shown.\n");
        }
        out.push_str(&self.summary());
        out.push('\n');
        out
    }

    /// `2 errors, 1 warning in 14 files.`
    pub fn summary(&self) -> String {
        let counted = |number: usize, one: &str| match number {
            1 => format!("1 {one}"),
            number => format!("{number} {one}s"),
        };
        let errors = counted(self.errors(), "error");
        let warnings = counted(self.warnings(), "warning");
        format!("{errors}, {warnings} in {}.", counted(self.files, "file"))
    }

    /// One line of JSON for each finding.
    pub fn json_lines(&self) -> String {
        let mut out = String::new();
        for finding in &self.findings {
            out.push_str(&serde_json::to_string(finding).expect("a finding has only text and numbers"));
            out.push('\n');
        }
        out
    }
}

fn render_finding(out: &mut String, finding: &Finding, folder: &str, colour: bool) {
    let paint = |code: &str, text: &str| {
        if colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    };
    let (word, code) = match finding.severity {
        Weight::Error => ("error", "1;31"),
        Weight::Warning => ("warning", "1;33"),
    };
    let _ = writeln!(out, "{}: {}", paint(code, word), finding.message);
    let gutter = match &finding.place {
        Some(place) => render_place(out, place, finding.label.as_deref(), folder, |text| paint(code, text)),
        None => 1,
    };
    let indent = " ".repeat(gutter + 1);
    for note in &finding.notes {
        let _ = writeln!(out, "{indent}= {note}");
    }
    if let Some(help) = &finding.help {
        let _ = writeln!(out, "{indent}{} {help}", paint("1", "help:"));
    }
}

/// The place, its line and the caret; answers the width of the line's number.
fn render_place(
    out: &mut String,
    place: &Place,
    label: Option<&str>,
    folder: &str,
    paint: impl Fn(&str) -> String,
) -> usize {
    let number = place.line.to_string();
    let gutter = if place.line == 0 { 1 } else { number.len() };
    let indent = " ".repeat(gutter);
    let _ = writeln!(out, "{indent} ┌ {}", place.shown(folder));
    if place.line > 0 && !place.excerpt.trim().is_empty() {
        let window = Window::of(place);
        let _ = writeln!(out, "{number} │ {}", window.text);
        let caret = paint(&"^".repeat(window.width));
        let label = label.map(|label| format!(" {label}")).unwrap_or_default();
        let _ = writeln!(out, "{indent}   {}{caret}{label}", " ".repeat(window.column));
    } else if let Some(label) = label {
        let _ = writeln!(out, "{indent} = {label}");
    }
    gutter
}

/// The part of a line that is shown: all of it, or what surrounds the place.
struct Window {
    text: String,
    column: usize,
    width: usize,
}

impl Window {
    fn of(place: &Place) -> Self {
        let line: Vec<char> = place.excerpt.trim_end().chars().collect();
        let column = place.column - 1;
        if line.len() <= EXCERPT_MAX {
            let width = place.width.min(line.len().saturating_sub(column)).max(1);
            return Self { text: line.iter().collect(), column, width };
        }
        let from = column.saturating_sub(EXCERPT_MAX / 3).min(line.len() - EXCERPT_MAX + 2);
        let to = (from + EXCERPT_MAX - 2).min(line.len());
        let mut text: String = line[from..to].iter().collect();
        let mut column = column.saturating_sub(from);
        if from > 0 {
            text.insert(0, '…');
            column += 1;
        }
        if to < line.len() {
            text.push('…');
        }
        let width = place.width.min(text.chars().count().saturating_sub(column)).max(1);
        Self { text, column, width }
    }
}

/// Without characters that steer a terminal or turn the direction of text.
fn safe(text: &str) -> String {
    let steers = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars()
        .map(|c| {
            if c == '\t' {
                ' '
            } else if steers(c) {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect()
}

/// Words that name a secret when they stand before a colon.
const SECRET_KEYS: [&str; 6] = ["password", "passwd", "secret", "token", "bearer", "private_key"];

/// Whether a key's name says that its value is secret.
pub fn names_a_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase().replace('-', "_");
    SECRET_KEYS.iter().any(|word| key == *word || key.ends_with(&format!("_{word}")))
}

/// Whether a word looks like a secret itself, whatever its key says.
pub fn looks_secret(word: &str) -> bool {
    const PREFIXES: [&str; 13] = [
        "xd_",
        "whsec_",
        "sk_live_",
        "sk_test_",
        "ghp_",
        "gho_",
        "github_pat_",
        "glpat-",
        "xoxb-",
        "xoxp-",
        "AKIA",
        "AIza",
        "-----BEGIN",
    ];
    let token = word.starts_with("eyJ") && word.contains('.');
    let dense = word.len() >= 40
        && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=_-".contains(&byte))
        && word.bytes().any(|byte| byte.is_ascii_uppercase())
        && word.bytes().any(|byte| byte.is_ascii_lowercase())
        && word.bytes().any(|byte| byte.is_ascii_digit());
    // A prefix without a body is a word of prose or of a pattern.
    token || dense || PREFIXES.iter().any(|prefix| word.starts_with(prefix) && word.len() > prefix.len() + 7)
}

/// Also `pasword`: what is misspelt is no less secret.
fn nearly_names_a_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    names_a_secret(&key)
        || key.len() <= 80 && SECRET_KEYS.iter().any(|word| strsim::jaro_winkler(&key, word) > 0.85)
}

/// The user and password of a URL: the bytes between `://` and `@`.
fn user_in_url(word: &str) -> Option<std::ops::Range<usize>> {
    let start = word.find("://")? + 3;
    let host = word[start..].find('/').map_or(word.len(), |slash| start + slash);
    let at = word[start..host].rfind('@')?;
    Some(start..start + at)
}

/// A line with everything masked that looks like a secret, at the same width.
fn mask(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut secret_follows = false;
    for word in line.split_inclusive(|c: char| c.is_whitespace() || "{}[],\"'".contains(c)) {
        let body = word.trim_end_matches(|c: char| c.is_whitespace() || "{}[],\"'".contains(c));
        let reference = body.starts_with("env:") || body.starts_with("file:");
        if !body.is_empty() && (looks_secret(body) || secret_follows && !reference) && !body.ends_with(':') {
            out.extend(body.chars().map(|_| '•'));
            out.push_str(&word[body.len()..]);
        } else if let Some(user) = user_in_url(word) {
            out.push_str(&word[..user.start]);
            out.extend(word[user.clone()].chars().map(|_| '•'));
            out.push_str(&word[user.end..]);
        } else {
            out.push_str(word);
        }
        if !body.is_empty() {
            // A passphrase may have several words; a map's next key ends it.
            secret_follows = match body.strip_suffix(':') {
                Some(key) => nearly_names_a_secret(key.trim_start_matches('-')),
                None => secret_follows && !reference,
            };
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(line: &str, from: usize, to: usize) -> Finding {
        let text = Text::new("a.yaml".into(), format!("first\n{line}\n"));
        Finding::error("wrong").at(&text, Span { start: 6 + from, end: 6 + to })
    }

    fn rendered(finding: Finding) -> String {
        let mut report = Report { files: 1, ..Report::default() };
        report.push(finding);
        report.render("p", false)
    }

    #[test]
    fn a_finding_shows_its_line_and_points_at_its_place() {
        let text = rendered(finding("é: {x: 1}", 5, 6).label("here").note("a fact").help("do it"));
        let expected = "error: wrong\n  ┌ p/a.yaml:2:5\n2 │ é: {x: 1}\n        ^ here\n  = a fact\n  help: do it\n\n\
                        1 error, 0 warnings in 1 file.\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn long_lines_are_cut_around_the_place() {
        let line = format!("{}needle{}", "x".repeat(5000), "y".repeat(5000));
        let text = rendered(finding(&line, 5000, 5006));
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines.iter().all(|line| line.chars().count() <= 100), "{text}");
        let caret = lines[3].chars().position(|c| c == '^').unwrap();
        assert_eq!(lines[2].chars().skip(caret).take(6).collect::<String>(), "needle");
    }

    #[test]
    fn secrets_in_a_line_are_masked() {
        for line in [
            "bearer: hunter2",
            "  password: \"correct horse battery\"",
            "{ header: { name: X, value: xd_live_0123456789abcdef } }",
            "x: eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.",
            "webhook-secret: [a1, b2]",
            "pasword: hunter2",
            "url: https://me:hunter2@host.example/x@y",
        ] {
            let masked = mask(line);
            assert_eq!(masked.chars().count(), line.chars().count());
            for secret in ["hunter2", "horse", "0123456789abcdef", "eyJ", "a1"] {
                assert!(!masked.contains(secret), "{masked}");
            }
        }
        let fine = "bearer: env:ACME_TOKEN, sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
        assert_eq!(mask(fine), fine);
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        let text = rendered(finding("a: \u{1b}[31m\u{202e}x", 0, 1).label("\u{7}"));
        assert!(text.chars().all(|c| c == '\n' || !c.is_control() && c != '\u{202e}'), "{text:?}");
    }

    #[test]
    fn findings_past_the_bound_are_counted() {
        let mut report = Report::default();
        (0..600).for_each(|_| report.push(Finding::error("x")));
        assert_eq!((report.findings.len(), report.errors()), (FINDINGS_MAX, 600));
        assert!(report.render("", false).contains("100 more findings are not shown."));
    }

    #[test]
    fn only_what_is_near_is_suggested() {
        assert_eq!(nearest("scope", ["scopes", "limits", "match"]), Some("scopes"));
        assert_eq!(nearest("acme-3lp", ["acme-3pl", "globex"]), Some("acme-3pl"));
        assert_eq!(nearest("zebra", ["scopes", "limits"]), None);
        assert_eq!(nearest(&"a".repeat(10_000), ["a"]), None);
    }

    proptest::proptest! {
        #[test]
        fn any_line_and_any_place_can_be_shown(line in "[^\n\r]{0,200}", from in 0usize..220, length in 0usize..220) {
            let text = rendered(finding(&line, from, from + length));
            proptest::prop_assert!(text.ends_with("in 1 file.\n"));
        }
    }
}
