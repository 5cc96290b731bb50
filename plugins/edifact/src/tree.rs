//! A message as the tree that its directory draws: which segment stands below which.

use crossdock_edi::edifact::{Message, Segment};

/// A segment of a directory, and those that may stand below it.
pub struct Level {
    tag: u32,
    below: &'static [Level],
}

/// The three letters of a tag as one number, which is compared at once.
const fn tag(name: &str) -> u32 {
    match name.as_bytes() {
        [a, b, c] => u32::from_be_bytes([0, *a, *b, *c]),
        _ => 0,
    }
}

include!(concat!(env!("OUT_DIR"), "/messages.rs"));

/// A segment of a message, and those that stand below it.
pub struct Node<'d> {
    pub segment: Segment<'d>,
    tag: u32,
    below: Vec<Node<'d>>,
}

impl<'d> Node<'d> {
    /// Those of a tag that stand directly below, in their order.
    pub fn all(&self, name: &'static str) -> impl Iterator<Item = &Node<'d>> {
        let tag = tag(name);
        self.below.iter().filter(move |node| node.tag == tag)
    }

    /// The first of a tag that stands directly below.
    pub fn first(&self, name: &'static str) -> Option<&Node<'d>> {
        self.all(name).next()
    }

    /// The value of a component of the first segment of this tag and qualifier (its first component).
    pub fn qualified(&self, name: &'static str, qualifier: &str) -> Option<&Node<'d>> {
        self.all(name).find(|node| node.segment.value(1, 1) == qualifier)
    }
}

/// The message as a tree, its `UNH` on top, and the segments that its directory does not know.
///
/// Order within a level is not looked at, and everything may repeat: senders differ there, and the mapping can cope.
pub fn grow<'d>(message: Message<'d>, levels: &'static [Level]) -> (Node<'d>, Vec<Segment<'d>>) {
    let segments: Vec<_> =
        message.segments().iter().filter(|segment| !matches!(segment.name(), "UNH" | "UNT")).collect();
    let mut strays = Vec::new();
    let mut at = 0;
    let below = read(&segments, &mut at, &mut vec![levels], &mut strays);
    (Node { segment: message.header(), tag: tag("UNH"), below }, strays)
}

fn read<'d>(
    segments: &[Segment<'d>],
    at: &mut usize,
    open: &mut Vec<&'static [Level]>,
    strays: &mut Vec<Segment<'d>>,
) -> Vec<Node<'d>> {
    let mut nodes = Vec::new();
    while let Some(segment) = segments.get(*at).copied() {
        let name = tag(segment.name());
        let knows = |levels: &'static [Level]| levels.iter().find(|level| level.tag == name);
        let here = open.last().copied().and_then(knows);
        match here {
            Some(level) => {
                *at += 1;
                let below = if level.below.is_empty() {
                    Vec::new()
                } else {
                    open.push(level.below);
                    let below = read(segments, at, open, strays);
                    open.pop();
                    below
                };
                nodes.push(Node { segment, tag: name, below });
            }
            // It belongs further out: what is open here ends.
            None if open.iter().any(|levels| knows(levels).is_some()) => return nodes,
            None => {
                *at += 1;
                // UNS only divides, and some write it where nothing needs dividing.
                if segment.name() != "UNS" {
                    strays.push(segment);
                }
            }
        }
    }
    nodes
}
