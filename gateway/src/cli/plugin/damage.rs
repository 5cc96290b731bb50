//! Damages documents the way that wires, editors and exporters do. Pure: the same number gives the same damage.

use serde_json::Value;

use super::leaves::Leaf;

/// A small generator (xorshift64*), seeded so that a failure can be had again.
pub(super) struct Dice(u64);

impl Dice {
    /// Dice that roll the same for the same number.
    pub fn new(number: u64) -> Self {
        Self(number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `bound`; 0 if there is none.
    pub fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).unwrap_or(u64::MAX);
        if bound == 0 { 0 } else { usize::try_from(self.roll() % bound).unwrap_or(0) }
    }
}

/// A damaged copy, and what was done to it. Some damage needs the values of the document, where they are known.
pub(super) fn damage(content: &[u8], leaves: &[Leaf], dice: &mut Dice) -> (Vec<u8>, String) {
    if !leaves.is_empty() && dice.below(3) == 0 {
        return damage_value(content, leaves, dice);
    }
    let mut copy = content.to_vec();
    let at = dice.below(copy.len().max(1));
    match dice.below(9) {
        0 => {
            copy.truncate(at);
            (copy, format!("cut short at byte {at}"))
        }
        1 => {
            let count = 1 + dice.below(4);
            for _ in 0..count {
                let at = dice.below(copy.len());
                if let Some(byte) = copy.get_mut(at) {
                    *byte ^= 1 << dice.below(8);
                }
            }
            (copy, format!("{count} bits flipped"))
        }
        2 => {
            let end = (at + 1 + dice.below(40)).min(copy.len());
            copy.drain(at.min(end)..end);
            (copy, format!("bytes {at} to {end} lost"))
        }
        3 => {
            let end = (at + 1 + dice.below(200)).min(copy.len());
            let again = copy[at.min(end)..end].to_vec();
            copy.splice(end..end, again);
            (copy, format!("bytes {at} to {end} twice"))
        }
        4 => {
            let letters: &[u8] = &[0, b'"', b'*', b'~', b'-', b'9', b'{', b'<', 0xff, b'\n'];
            let letter = letters[dice.below(letters.len())];
            if let Some(byte) = copy.get_mut(at) {
                *byte = letter;
            }
            (copy, format!("byte {at} became {letter:#04x}"))
        }
        5 => {
            let long = vec![b'9'; 1 + dice.below(5000)];
            let length = long.len();
            copy.splice(at..at, long);
            (copy, format!("{length} digits put in at byte {at}"))
        }
        6 => {
            let from = dice.below(copy.len().max(1));
            copy.rotate_left(from.min(content.len()));
            (copy, format!("begun at byte {from}"))
        }
        7 => encoded(content, dice),
        _ => part_again(content, dice),
    }
}

/// One value is made huge, odd or empty, or says what another says.
fn damage_value(content: &[u8], leaves: &[Leaf], dice: &mut Dice) -> (Vec<u8>, String) {
    const NUMBERS: [&str; 6] = [
        "99999999999999999999999999999999999999",
        "-1",
        "1e400",
        "0.00000000000000000001",
        "18446744073709551616",
        "NaN",
    ];
    let leaf = &leaves[dice.below(leaves.len())];
    let (value, what) = match dice.below(4) {
        0 => {
            let number = NUMBERS[dice.below(NUMBERS.len())];
            (number.as_bytes().to_vec(), format!("became {number}"))
        }
        1 => (Vec::new(), "became empty".to_owned()),
        2 => {
            let other = &leaves[dice.below(leaves.len())];
            (content[other.range.clone()].to_vec(), format!("became what stands at {}", other.path))
        }
        _ => {
            let count = 2 + dice.below(200);
            (content[leaf.range.clone()].repeat(count), format!("was written {count} times"))
        }
    };
    let copy = [&content[..leaf.range.start], &value, &content[leaf.range.end..]].concat();
    (copy, format!("{} {what}", leaf.path))
}

/// The bytes in another encoding than the one that was meant.
fn encoded(content: &[u8], dice: &mut Dice) -> (Vec<u8>, String) {
    match dice.below(4) {
        0 => ([b"\xef\xbb\xbf", content].concat(), "a byte order mark put before it".to_owned()),
        1 => {
            let wide = content.iter().flat_map(|byte| [*byte, 0]);
            ([0xff, 0xfe].into_iter().chain(wide).collect(), "written as UTF-16".to_owned())
        }
        2 => {
            let latin = content.iter().map(|byte| if *byte == b'e' { 0xe9 } else { *byte });
            (latin.collect(), "every e an é of Latin-1".to_owned())
        }
        _ => {
            let twice = content.iter().copied().map(char::from).collect::<String>();
            (twice.into_bytes(), "encoded as UTF-8 twice".to_owned())
        }
    }
}

/// A line or segment comes again, some times, or two change places.
fn part_again(content: &[u8], dice: &mut Dice) -> (Vec<u8>, String) {
    let count = |mark: u8| content.iter().filter(|byte| **byte == mark).count();
    let mark = [b'\n', b'~', b'\'', b'>', b','].into_iter().max_by_key(|mark| count(*mark)).unwrap_or(b'\n');
    let mut parts: Vec<&[u8]> = content.split_inclusive(|byte| *byte == mark).collect();
    if parts.is_empty() {
        return (Vec::new(), "left empty".to_owned());
    }
    let (one, other) = (dice.below(parts.len()), dice.below(parts.len()));
    if dice.below(3) == 0 {
        parts.swap(one, other);
        return (parts.concat(), format!("parts {} and {} change places", one + 1, other + 1));
    }
    let times = 1 + dice.below(40);
    parts.splice(one..one, std::iter::repeat_n(parts[one], times).collect::<Vec<_>>());
    (parts.concat(), format!("part {} comes {} times", one + 1, times + 1))
}

/// Puts something odd into one of the texts of a value; none if it has no text.
pub(super) fn disturb(value: &mut Value, dice: &mut Dice) -> Option<String> {
    const ODD: [&str; 9] =
        ["", "*~:>^", "'+:?", "<&\"]]>", "\u{0}\u{1b}", "\n", "ü€😀\u{202e}", "-0.0000", " "];
    let mut pointers = Vec::new();
    texts(value, &mut String::new(), &mut pointers);
    let pointer = pointers.get(dice.below(pointers.len()))?.clone();
    let odd = ODD[dice.below(ODD.len())];
    let text = value.pointer(&pointer)?.as_str()?.to_owned();
    let changed = match dice.below(3) {
        0 => odd.to_owned(),
        1 => format!("{text}{odd}"),
        _ => text.repeat(1 + dice.below(50)),
    };
    *value.pointer_mut(&pointer)? = Value::from(changed);
    Some(format!("{pointer} changed"))
}

/// The pointers of all texts.
fn texts(value: &Value, pointer: &mut String, found: &mut Vec<String>) {
    let length = pointer.len();
    let each: Box<dyn Iterator<Item = (String, &Value)>> = match value {
        Value::String(_) => return found.push(pointer.clone()),
        Value::Object(map) => {
            Box::new(map.iter().map(|(name, value)| (name.replace('~', "~0").replace('/', "~1"), value)))
        }
        Value::Array(list) => {
            Box::new(list.iter().enumerate().map(|(index, value)| (index.to_string(), value)))
        }
        _ => return,
    };
    for (name, inner) in each {
        pointer.push('/');
        pointer.push_str(&name);
        texts(inner, pointer, found);
        pointer.truncate(length);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::plugin::leaves;

    #[test]
    fn the_same_number_gives_the_same_damage_and_others_give_others() {
        let content = b"ISA*00*          *00*          *ZZ*ACME".as_slice();
        let copies: std::collections::BTreeSet<_> =
            (0..200).map(|number| damage(content, &[], &mut Dice::new(number))).collect();
        let again: std::collections::BTreeSet<_> =
            (0..200).map(|number| damage(content, &[], &mut Dice::new(number))).collect();
        assert_eq!(copies, again);
        assert!(copies.len() > 130, "{}", copies.len());
    }

    #[test]
    fn anything_can_be_damaged() {
        for length in 0..20 {
            for number in 0..200 {
                damage(&vec![b'a'; length], &[], &mut Dice::new(number));
            }
        }
    }

    #[test]
    fn numbers_become_huge_encodings_wrong_and_parts_come_again() {
        let content = b"ST*945*0001~W12*CC*24~W12*CC*40~SE*4*0001~".as_slice();
        let leaves = leaves::find(content, "application/edi-x12");
        let said: Vec<_> =
            (0..400).map(|number| damage(content, &leaves, &mut Dice::new(number)).1).collect();
        for wanted in [
            "became 9999",
            "became empty",
            "UTF-16",
            "Latin-1",
            "comes",
            "change places",
            "cut short",
            "flipped",
        ] {
            assert!(said.iter().any(|what| what.contains(wanted)), "{wanted} in {said:?}");
        }
    }

    #[test]
    fn a_text_is_disturbed_in_its_place_and_nothing_else_is() {
        let original = json!({"a/b": ["x", 1, {"c": "y"}], "d": null});
        for number in 0..50 {
            let mut value = original.clone();
            let what = disturb(&mut value, &mut Dice::new(number)).unwrap();
            assert!(["/a~1b/0 changed", "/a~1b/2/c changed"].contains(&what.as_str()), "{what}");
            assert_eq!((&value["a/b"][1], &value["d"]), (&original["a/b"][1], &original["d"]));
        }
        assert_eq!(disturb(&mut json!([1, {}]), &mut Dice::new(1)), None);
    }
}
