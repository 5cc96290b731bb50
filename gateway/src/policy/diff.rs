//! What a change of the policies means: who gains, who loses, what becomes wider or narrower.

mod access;
mod flow;
mod words;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::Serialize;

use super::checked::{Checked, Origin};

/// What a change does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// Somebody may do more, or gets more.
    Widens,
    /// Somebody may do less, or gets less.
    Narrows,
    /// Something is different, and neither.
    Changes,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Change {
    /// What it does.
    pub effect: Effect,
    /// Whom or what it is about: `acme-3pl`, `shipments v1`.
    pub subject: String,
    /// What is different, in words.
    pub what: String,
    /// Where it is written; in the earlier files if it is gone.
    pub rule: String,
}

/// All changes, and how much stayed the same.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Changes {
    /// Widenings first, then narrowings, then the rest; each by subject.
    pub changes: Vec<Change>,
    /// How many of each kind of thing are the same in both.
    pub same: BTreeMap<&'static str, usize>,
}

impl Changes {
    /// How many have this effect.
    pub fn count(&self, effect: Effect) -> usize {
        self.changes.iter().filter(|change| change.effect == effect).count()
    }
}

/// Compares two estates.
pub fn compare(before: &Checked, after: &Checked) -> Changes {
    let mut found = Found::default();
    access::compare(before, after, &mut found);
    flow::compare(before, after, &mut found);
    found.finish()
}

/// What was found so far.
#[derive(Default)]
struct Found {
    changes: BTreeSet<Change>,
    same: BTreeMap<&'static str, usize>,
}

impl Found {
    fn note(&mut self, effect: Effect, subject: impl fmt::Display, what: impl Into<String>, rule: &Origin) {
        self.changes.insert(Change {
            effect,
            subject: subject.to_string(),
            what: what.into(),
            rule: rule.to_string(),
        });
    }

    /// A value that is one thing or another.
    fn value<T: PartialEq>(
        &mut self,
        subject: impl fmt::Display,
        name: &str,
        pair: (&T, &T),
        shown: impl Fn(&T) -> String,
        rule: &Origin,
    ) {
        if pair.0 != pair.1 {
            self.note(
                Effect::Changes,
                subject,
                format!("{name} {} → {}", shown(pair.0), shown(pair.1)),
                rule,
            );
        }
    }

    /// A number that lets more through when it is larger.
    fn bound<T: PartialOrd>(
        &mut self,
        subject: impl fmt::Display,
        name: &str,
        pair: (T, T),
        shown: impl Fn(&T) -> String,
        rule: &Origin,
    ) {
        if pair.0 != pair.1 {
            let effect = if pair.1 > pair.0 { Effect::Widens } else { Effect::Narrows };
            self.note(effect, subject, format!("{name} {} → {}", shown(&pair.0), shown(&pair.1)), rule);
        }
    }

    /// Two sets of which more is wider.
    fn set<T: Ord + fmt::Display>(
        &mut self,
        subject: impl fmt::Display,
        words: (&str, &str),
        pair: (&BTreeSet<T>, &BTreeSet<T>),
        rule: &Origin,
    ) {
        let listed =
            |items: Vec<&T>| items.into_iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let new: Vec<&T> = pair.1.difference(pair.0).collect();
        let gone: Vec<&T> = pair.0.difference(pair.1).collect();
        if !new.is_empty() {
            self.note(Effect::Widens, &subject, format!("{} {}", words.0, listed(new)), rule);
        }
        if !gone.is_empty() {
            self.note(Effect::Narrows, &subject, format!("{} {}", words.1, listed(gone)), rule);
        }
    }

    /// Things by name, in both or in one. `compare` finds what it has words for; whatever else is different is told
    /// without words, so that nothing passes unseen.
    fn things<'t, K: Ord + fmt::Display, T: fmt::Debug>(
        &mut self,
        kind: (&'static str, &str),
        pair: (&'t BTreeMap<K, T>, &'t BTreeMap<K, T>),
        origin: impl Fn(&T) -> &Origin,
        effects: (Effect, Effect),
        mut compare: impl FnMut(&mut Self, &'t T, &'t T),
    ) {
        let (many, one) = kind;
        for (name, new) in pair.1 {
            let Some(old) = pair.0.get(name) else {
                self.note(effects.0, name, format!("is a new {one}"), origin(new));
                continue;
            };
            if placeless(old) == placeless(new) {
                *self.same.entry(many).or_default() += 1;
                continue;
            }
            let known = self.changes.len();
            compare(self, old, new);
            if self.changes.len() == known {
                self.note(Effect::Changes, name, format!("is a different {one}"), origin(new));
            }
        }
        for (name, old) in pair.0 {
            if !pair.1.contains_key(name) {
                self.note(effects.1, name, format!("is no {one} any more"), origin(old));
            }
        }
    }

    fn finish(self) -> Changes {
        Changes { changes: self.changes.into_iter().collect(), same: self.same }
    }
}

/// A thing without the places where it stands: a comment above it moves them all.
fn placeless(thing: &impl fmt::Debug) -> String {
    let text = format!("{thing:?}");
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(at) = rest.find("Origin { file: \"") {
        out.push_str(&rest[..at]);
        rest = rest[at..].split_once(" }").map_or("", |(_, after)| after);
    }
    out.push_str(rest);
    out
}
