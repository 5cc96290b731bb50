//! XML as a tree of elements that know their place. No entities but the five, no document type, bounded depth.

use std::borrow::Cow;

use crossdock_mapper::{Diagnostic, Location, Refusal};
use quick_xml::{Reader, events::Event};

/// Elements within each other; an IDoc has six.
const DEEPEST: usize = 64;
/// Elements in all.
const MOST: usize = 200_000;

/// An element.
#[derive(Debug, Default)]
pub struct Node {
    pub name: String,
    /// Its own text, trimmed.
    pub text: String,
    pub children: Vec<Node>,
    /// `/DELVRY03/IDOC[1]/E1EDL20[1]`
    pub path: String,
    /// Where its content begins, in bytes.
    pub offset: usize,
    /// Length of its content in bytes.
    pub length: usize,
}

impl Node {
    /// The text of a child, empty if it is not there.
    pub fn get(&self, name: &str) -> &str {
        self.child(name).map_or("", |child| child.text.as_str())
    }

    /// The text of a child that says something.
    pub fn some(&self, name: &str) -> Option<String> {
        let text = self.get(name);
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// The first child of a name.
    pub fn child(&self, name: &str) -> Option<&Node> {
        self.children.iter().find(|child| child.name == name)
    }

    /// All children of a name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Node> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// Where it stands.
    pub fn place(&self) -> Location {
        Location::xpath(&self.path).bytes(self.offset, self.length)
    }

    /// Where a child stands, or would stand.
    pub fn place_of(&self, name: &str) -> Location {
        match self.child(name) {
            Some(child) => child.place(),
            None => Location::xpath(format!("{}/{name}", self.path)).bytes(self.offset, self.length),
        }
    }
}

/// The text of the document: UTF-8, or what its declaration says if that is ISO-8859-1.
pub fn decode(content: &[u8]) -> Result<Cow<'_, str>, Refusal> {
    if content.starts_with(&[0xFE, 0xFF]) || content.starts_with(&[0xFF, 0xFE]) {
        let at = Location::new("bytes", "0").bytes(0, 2);
        return Err(Diagnostic::error("encoding", "UTF-16 is not read; send UTF-8 or ISO-8859-1").at(at).into());
    }
    let head = String::from_utf8_lossy(&content[..content.len().min(200)]).to_ascii_lowercase();
    let declared = head.split_once("?>").map_or("", |(declaration, _)| declaration);
    if declared.contains("iso-8859-1") || declared.contains("latin1") || declared.contains("us-ascii") {
        return Ok(content.iter().map(|byte| char::from(*byte)).collect::<String>().into());
    }
    match std::str::from_utf8(content) {
        Ok(text) => Ok(text.trim_start_matches('\u{feff}').into()),
        Err(error) => {
            let at = Location::new("bytes", error.valid_up_to().to_string()).bytes(error.valid_up_to(), 1);
            Err(Diagnostic::error("not-utf8", "the document is not UTF-8 and declares nothing else").at(at).into())
        }
    }
}

/// Reads the root element.
pub fn read(text: &str) -> Result<Node, Refusal> {
    let mut reader = Reader::from_str(text);
    reader.config_mut().check_end_names = true;
    let mut open: Vec<Node> = Vec::new();
    let mut root: Option<Node> = None;
    let mut count = 0;
    loop {
        let before = position(&reader);
        let event = reader.read_event().map_err(|error| broken(&error.to_string(), before))?;
        let after = position(&reader);
        match event {
            Event::Start(start) => {
                count += 1;
                let name = start.local_name().as_ref().to_owned();
                open.push(node(name, open.last(), root.is_some(), before, after, count, open.len())?);
            }
            Event::Empty(start) => {
                count += 1;
                let name = start.local_name().as_ref().to_owned();
                let node = node(name, open.last(), root.is_some(), before, after, count, open.len())?;
                close(node, &mut open, &mut root);
            }
            Event::End(_) => {
                if let Some(mut node) = open.pop() {
                    node.length = before.saturating_sub(node.offset);
                    node.text = node.text.trim().to_owned();
                    close(node, &mut open, &mut root);
                }
            }
            Event::Text(part) => {
                match open.last_mut() {
                    Some(node) => node.text.push_str(&part),
                    None if part.trim().is_empty() => {}
                    None => return Err(broken("text stands outside of the root element", before)),
                }
            }
            Event::CData(part) => {
                if let Some(node) = open.last_mut() {
                    node.text.push_str(&part);
                }
            }
            Event::GeneralRef(name) => {
                let found = entity(&name).ok_or_else(|| broken("only the five entities of XML are read", before))?;
                if let Some(node) = open.last_mut() {
                    node.text.push(found);
                }
            }
            Event::DocType(_) => return Err(broken("a document type is not read", before)),
            Event::Eof => break,
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
        }
    }
    if let Some(node) = open.last() {
        let what = format!("the document ends inside of {}", node.name);
        return Err(Diagnostic::error("cut-off", what).at(Location::xpath(&node.path).bytes(node.offset, 0)).into());
    }
    root.ok_or_else(|| broken("there is no element", 0))
}

fn node(
    name: String,
    parent: Option<&Node>,
    second: bool,
    before: usize,
    after: usize,
    count: usize,
    depth: usize,
) -> Result<Node, Refusal> {
    if parent.is_none() && second {
        return Err(broken("a second root element begins", before));
    }
    if depth >= DEEPEST || count > MOST {
        return Err(broken("elements lie too deep, or are too many", before));
    }
    let path = match parent {
        None => format!("/{name}"),
        Some(parent) => {
            // Siblings of one name stand beside each other in an IDoc: looking back is short.
            let nth = 1 + parent.children.iter().rev().filter(|child| child.name == name).count();
            format!("{}/{name}[{nth}]", parent.path)
        }
    };
    Ok(Node { name, path, offset: after, ..Node::default() })
}

fn close(node: Node, open: &mut [Node], root: &mut Option<Node>) {
    match open.last_mut() {
        Some(parent) => parent.children.push(node),
        None => *root = Some(node),
    }
}

fn entity(name: &str) -> Option<char> {
    match name {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(digits) => u32::from_str_radix(digits, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code).filter(|letter| !letter.is_control() || matches!(letter, '\n' | '\r' | '\t'))
        }
    }
}

fn position(reader: &Reader<&[u8]>) -> usize {
    usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX)
}

fn broken(what: &str, offset: usize) -> Refusal {
    let at = Location::new("bytes", offset.to_string()).bytes(offset, 0);
    Diagnostic::error("not-xml", format!("the document is not XML that can be read: {what}")).at(at).into()
}
