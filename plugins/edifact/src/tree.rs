//! A message as the tree that its directory draws: which segment stands below which.

use crossdock_edi::edifact::{Message, Segment};

/// A segment of a directory, and those that may stand below it.
pub struct Level {
    pub tag: &'static str,
    pub below: &'static [Level],
}

include!(concat!(env!("OUT_DIR"), "/messages.rs"));

/// A segment of a message, and those that stand below it.
pub struct Node<'d> {
    pub segment: Segment<'d>,
    below: Vec<Node<'d>>,
}

impl<'d> Node<'d> {
    /// Those of a tag that stand directly below, in their order.
    pub fn all(&self, tag: &'static str) -> impl Iterator<Item = &Node<'d>> {
        self.below.iter().filter(move |node| node.segment.name() == tag)
    }

    /// The first of a tag that stands directly below.
    pub fn first(&self, tag: &'static str) -> Option<&Node<'d>> {
        self.all(tag).next()
    }

    /// The value of a component of the first segment of this tag and qualifier (its first component).
    pub fn qualified(&self, tag: &'static str, qualifier: &str) -> Option<&Node<'d>> {
        self.all(tag).find(|node| node.segment.value(1, 1) == qualifier)
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
    (Node { segment: message.header(), below }, strays)
}

fn read<'d>(
    segments: &[Segment<'d>],
    at: &mut usize,
    open: &mut Vec<&'static [Level]>,
    strays: &mut Vec<Segment<'d>>,
) -> Vec<Node<'d>> {
    let mut nodes = Vec::new();
    while let Some(segment) = segments.get(*at).copied() {
        let knows = |levels: &'static [Level]| levels.iter().find(|level| level.tag == segment.name());
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
                nodes.push(Node { segment, below });
            }
            // It belongs further out: what is open here ends.
            None if open.iter().any(|levels| knows(levels).is_some()) => return nodes,
            None => {
                *at += 1;
                strays.push(segment);
            }
        }
    }
    nodes
}
