//! A JSON text as one list of entries in the order of the text. Strings without escapes are borrowed from it, so a
//! document of a thousand values costs one allocation and not a thousand.

use std::{borrow::Cow, collections::HashSet, fmt};

use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Keys of one object that are compared one by one; past them a set remembers which were there.
const COMPARED: usize = 16;

/// Bytes of text for each entry, roughly: what documents of the trade have.
const BYTES_PER_ENTRY: usize = 8;

/// A JSON text that was read.
#[derive(Debug, Default)]
pub struct Tree<'a> {
    entries: Vec<Entry<'a>>,
}

#[derive(Debug)]
enum Entry<'a> {
    Null,
    Bool(bool),
    Number(Number),
    Borrowed(&'a str),
    Owned(Box<str>),
    /// So many items follow, and behind `end` what comes after them.
    Array {
        items: u32,
        end: u32,
    },
    /// So many pairs of a key and a value follow.
    Object {
        members: u32,
        end: u32,
    },
}

/// A value of a tree.
#[derive(Clone, Copy)]
pub struct Node<'a> {
    tree: &'a Tree<'a>,
    at: u32,
}

/// What a value is.
pub enum Kind<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number as serde_json keeps it.
    Number(&'a Number),
    /// A text.
    Text(&'a str),
    /// A list.
    List(Items<'a>),
    /// An object.
    Object(Members<'a>),
}

impl<'a> Tree<'a> {
    /// The value that is the whole text.
    pub fn root(&'a self) -> Node<'a> {
        Node { tree: self, at: 0 }
    }

    /// A tree of one text, in place of what it was.
    pub fn set_text(&mut self, text: &str) {
        self.entries.clear();
        self.entries.push(Entry::Owned(text.into()));
    }

    fn entry(&self, at: u32) -> &Entry<'a> {
        &self.entries[at as usize]
    }

    /// Where the value after the one at `at` begins.
    fn after(&self, at: u32) -> u32 {
        match self.entry(at) {
            Entry::Array { end, .. } | Entry::Object { end, .. } => *end,
            _ => at + 1,
        }
    }

    fn text(&self, at: u32) -> Option<&str> {
        match self.entry(at) {
            Entry::Borrowed(text) => Some(text),
            Entry::Owned(text) => Some(text),
            _ => None,
        }
    }
}

impl<'a> Node<'a> {
    /// What it is.
    pub fn kind(self) -> Kind<'a> {
        match self.tree.entry(self.at) {
            Entry::Null => Kind::Null,
            Entry::Bool(value) => Kind::Bool(*value),
            Entry::Number(number) => Kind::Number(number),
            Entry::Borrowed(text) => Kind::Text(text),
            Entry::Owned(text) => Kind::Text(text),
            Entry::Array { items, .. } => {
                Kind::List(Items { tree: self.tree, next: self.at + 1, left: *items })
            }
            Entry::Object { members, .. } => {
                Kind::Object(Members { tree: self.tree, next: self.at + 1, left: *members })
            }
        }
    }

    /// Its text, if it is one.
    pub fn text(self) -> Option<&'a str> {
        self.tree.text(self.at)
    }

    /// Its place among all values of the tree: no two have the same, and what contains others comes before them.
    pub fn index(self) -> u32 {
        self.at
    }

    /// The address of the tree that it is in.
    pub(super) fn tree_address(self) -> usize {
        std::ptr::from_ref(self.tree) as usize
    }

    /// The same as a value that stands alone.
    pub fn to_value(self) -> Value {
        match self.kind() {
            Kind::Null => Value::Null,
            Kind::Bool(value) => Value::Bool(value),
            Kind::Number(number) => Value::Number(number.clone()),
            Kind::Text(text) => Value::String(text.to_owned()),
            Kind::List(items) => Value::Array(items.map(Self::to_value).collect()),
            Kind::Object(members) => Value::Object(members.to_map()),
        }
    }
}

/// The items of a list that are still to come.
#[derive(Clone, Copy)]
pub struct Items<'a> {
    tree: &'a Tree<'a>,
    next: u32,
    left: u32,
}

impl<'a> Iterator for Items<'a> {
    type Item = Node<'a>;

    fn next(&mut self) -> Option<Node<'a>> {
        self.left = self.left.checked_sub(1)?;
        let node = Node { tree: self.tree, at: self.next };
        self.next = self.tree.after(self.next);
        Some(node)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}

impl ExactSizeIterator for Items<'_> {}

/// The members of an object that are still to come, in the order of the text.
#[derive(Clone, Copy)]
pub struct Members<'a> {
    tree: &'a Tree<'a>,
    next: u32,
    left: u32,
}

impl<'a> Members<'a> {
    /// The member of this name.
    pub fn get(mut self, name: &str) -> Option<Node<'a>> {
        self.find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    /// The members as a map.
    pub fn to_map(self) -> Map<String, Value> {
        self.map(|(key, value)| (key.to_owned(), value.to_value())).collect()
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = (&'a str, Node<'a>);

    fn next(&mut self) -> Option<(&'a str, Node<'a>)> {
        self.left = self.left.checked_sub(1)?;
        let key = self.tree.text(self.next)?;
        let value = Node { tree: self.tree, at: self.next + 1 };
        self.next = self.tree.after(self.next + 1);
        Some((key, value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}

impl ExactSizeIterator for Members<'_> {}

/// Fills a tree from serde's events and refuses what serde_json lets pass.
pub(super) struct Builder<'a> {
    tree: Tree<'a>,
    max_depth: usize,
    /// A double as large as this may have been written as a long integer, whose last digits are lost by now.
    pub(super) wide: bool,
}

impl<'a> Builder<'a> {
    /// A builder for a text of so many bytes.
    pub(super) fn new(bytes: usize, max_depth: usize) -> Self {
        let entries = Vec::with_capacity(bytes / BYTES_PER_ENTRY + 1);
        Self { tree: Tree { entries }, max_depth, wide: false }
    }

    /// Reads one value; [`Builder::finish`] gives the tree.
    pub(super) fn fill<D: serde::Deserializer<'a>>(&mut self, text: D) -> Result<(), D::Error> {
        let depth_left = self.max_depth;
        Filling { builder: self, depth_left }.deserialize(text)
    }

    pub(super) fn finish(self) -> Tree<'a> {
        self.tree
    }

    fn push<E: serde::de::Error>(&mut self, entry: Entry<'a>) -> Result<u32, E> {
        // A text of four gibibytes is past every limit on bodies.
        let at = u32::try_from(self.tree.entries.len()).map_err(|_| E::custom("too many values"))?;
        self.tree.entries.push(entry);
        Ok(at)
    }

    /// Puts in place what a container turned out to be.
    fn close(&mut self, at: u32, entry: impl FnOnce(u32) -> Entry<'a>) {
        let end = u32::try_from(self.tree.entries.len()).unwrap_or(u32::MAX);
        self.tree.entries[at as usize] = entry(end);
    }
}

struct Filling<'b, 'a> {
    builder: &'b mut Builder<'a>,
    depth_left: usize,
}

impl<'a> Filling<'_, 'a> {
    fn inner<E: serde::de::Error>(&self) -> Result<usize, E> {
        let deeper = || E::custom(format_args!("nested deeper than {}", self.builder.max_depth));
        self.depth_left.checked_sub(1).ok_or_else(deeper)
    }

    fn leaf<E: serde::de::Error>(self, entry: Entry<'a>) -> Result<(), E> {
        self.builder.push(entry).map(drop)
    }
}

impl<'a> DeserializeSeed<'a> for Filling<'_, 'a> {
    type Value = ();
    fn deserialize<D: serde::Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Filling<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        self.leaf(Entry::Null)
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<(), E> {
        self.leaf(Entry::Bool(value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        self.leaf(Entry::Number(value.into()))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<(), E> {
        self.leaf(Entry::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<(), E> {
        self.builder.wide |= value.abs() >= i64::MAX as f64;
        let number = Number::from_f64(value);
        let number = number.ok_or_else(|| E::custom("a number beyond the range of a double"))?;
        self.leaf(Entry::Number(number))
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, value: &'a str) -> Result<(), E> {
        self.leaf(Entry::Borrowed(value))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<(), E> {
        self.leaf(Entry::Owned(value.into()))
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut items: A) -> Result<(), A::Error> {
        let depth_left = self.inner()?;
        let at = self.builder.push(Entry::Null)?;
        let mut count = 0;
        while items.next_element_seed(Filling { builder: &mut *self.builder, depth_left })?.is_some() {
            count += 1;
        }
        self.builder.close(at, |end| Entry::Array { items: count, end });
        Ok(())
    }

    fn visit_map<A: MapAccess<'a>>(self, mut members: A) -> Result<(), A::Error> {
        let depth_left = self.inner()?;
        let at = self.builder.push(Entry::Null)?;
        let mut keys = Keys { first: at + 1, count: 0, many: None };
        while let Some(key) = members.next_key_seed(KeySeed)? {
            let tree = &self.builder.tree;
            if keys.has(tree, &key) {
                let key: String = key.chars().take(64).collect();
                return Err(A::Error::custom(format_args!("the key `{}` appears twice", key.escape_debug())));
            }
            keys.add(tree, &key);
            self.builder.push::<A::Error>(match key {
                Cow::Borrowed(key) => Entry::Borrowed(key),
                Cow::Owned(key) => Entry::Owned(key.into()),
            })?;
            members.next_value_seed(Filling { builder: &mut *self.builder, depth_left })?;
        }
        self.builder.close(at, |end| Entry::Object { members: keys.count, end });
        Ok(())
    }
}

/// The keys of the object that is being read.
struct Keys {
    first: u32,
    count: u32,
    /// All of them, once they are many.
    many: Option<HashSet<Box<str>>>,
}

impl Keys {
    fn has(&self, tree: &Tree<'_>, key: &str) -> bool {
        match &self.many {
            Some(many) => many.contains(key),
            None => self.all(tree).any(|known| known == key),
        }
    }

    fn add(&mut self, tree: &Tree<'_>, key: &str) {
        if let Some(many) = &mut self.many {
            many.insert(key.into());
        } else if self.count as usize >= COMPARED {
            let mut many: HashSet<Box<str>> = self.all(tree).map(Into::into).collect();
            many.insert(key.into());
            self.many = Some(many);
        }
        self.count += 1;
    }

    /// Walks the members that are whole.
    fn all<'t>(&self, tree: &'t Tree<'_>) -> impl Iterator<Item = &'t str> {
        let mut next = self.first;
        (0..self.count).filter_map(move |_| {
            let key = tree.text(next);
            next = tree.after(next + 1);
            key
        })
    }
}

/// Reads a key, without a copy where it has no escapes.
struct KeySeed;

impl<'a> DeserializeSeed<'a> for KeySeed {
    type Value = Cow<'a, str>;
    fn deserialize<D: serde::Deserializer<'a>>(self, deserializer: D) -> Result<Cow<'a, str>, D::Error> {
        deserializer.deserialize_str(super::Key)
    }
}
