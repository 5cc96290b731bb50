//! A tree as the schema library reads documents: in place, without making a value of it.

use std::borrow::Cow;

use jsonschema::{
    JsonType,
    json::{Array, Json, Node as InstanceNode, NodeIdentity, Object, cmp},
};
use serde_json::{Number, Value};

use super::tree::{Items, Kind, Members, Node, Tree};

/// The representation that validators are compiled for.
pub struct Instance;

impl Json for Instance {
    type Node<'a> = Node<'a>;
    type PreparedKey = Box<str>;
    type StringBuffer = Tree<'static>;

    // Every lookup walks the members.
    const KEYS_PER_LOOKUP: usize = 1;
    const ACYCLIC: bool = true;

    fn prepare_key(key: &str) -> Box<str> {
        key.into()
    }

    fn with_string_node<T>(buffer: &mut Tree<'static>, string: &str, f: impl FnOnce(Node<'_>) -> T) -> T {
        buffer.set_text(string);
        f(buffer.root())
    }
}

impl<'a> InstanceNode<'a, Instance> for Node<'a> {
    type Object = Members<'a>;
    type Array = Items<'a>;
    type Number = &'a Number;

    fn as_object(&self) -> Option<Members<'a>> {
        match self.kind() {
            Kind::Object(members) => Some(members),
            _ => None,
        }
    }

    fn as_array(&self) -> Option<Items<'a>> {
        match self.kind() {
            Kind::List(items) => Some(items),
            _ => None,
        }
    }

    fn as_string(&self) -> Option<Cow<'a, str>> {
        self.text().map(Cow::Borrowed)
    }

    fn as_number(&self) -> Option<&'a Number> {
        match self.kind() {
            Kind::Number(number) => Some(number),
            _ => None,
        }
    }

    fn as_boolean(&self) -> Option<bool> {
        match self.kind() {
            Kind::Bool(value) => Some(value),
            _ => None,
        }
    }

    fn is_null(&self) -> bool {
        matches!(self.kind(), Kind::Null)
    }

    fn json_type(&self) -> JsonType {
        match self.kind() {
            Kind::Null => JsonType::Null,
            Kind::Bool(_) => JsonType::Boolean,
            Kind::Number(_) => JsonType::Number,
            Kind::Text(_) => JsonType::String,
            Kind::List(_) => JsonType::Array,
            Kind::Object(_) => JsonType::Object,
        }
    }

    fn string_length_within(&self, min: u64, max: u64) -> Option<bool> {
        let text = self.text()?;
        // A character takes one to four bytes.
        let (most, fewest) = (text.len() as u64, (text.len() as u64).div_ceil(4));
        if most < min || fewest > max {
            return Some(false);
        }
        Some(min <= fewest && most <= max || (min..=max).contains(&(text.chars().count() as u64)))
    }

    fn equals_value(&self, expected: &Value) -> bool {
        match (self.kind(), expected) {
            (Kind::Text(text), expected) => expected.as_str() == Some(text),
            (Kind::Bool(value), expected) => expected.as_bool() == Some(value),
            (Kind::Null, expected) => expected.is_null(),
            _ => cmp::equal(&InstanceNode::to_value(self), expected),
        }
    }

    fn to_value(&self) -> Cow<'a, Value> {
        Cow::Owned(Node::to_value(*self))
    }

    fn identity(&self) -> Option<NodeIdentity> {
        Some(NodeIdentity::tagged(self.tree_address(), self.index()))
    }
}

impl<'a> Object<'a, Instance> for Members<'a> {
    type Node = Node<'a>;
    type MemberName = &'a str;
    type MembersIter = Self;

    fn len(&self) -> usize {
        ExactSizeIterator::len(self)
    }

    fn get(&self, key: &Box<str>) -> Option<Node<'a>> {
        Members::get(*self, key)
    }

    fn members(&self) -> Self {
        *self
    }
}

impl<'a> Array<'a, Instance> for Items<'a> {
    type Node = Node<'a>;
    type ElementsIter = Self;

    fn len(&self) -> usize {
        ExactSizeIterator::len(self)
    }

    fn elements(&self) -> Self {
        *self
    }
}
