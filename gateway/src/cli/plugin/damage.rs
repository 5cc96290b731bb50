//! Damages documents the way that wires, editors and exporters do. Pure: the same number gives the same damage.

use serde_json::Value;

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

/// A damaged copy, and what was done to it.
pub(super) fn damage(content: &[u8], dice: &mut Dice) -> (Vec<u8>, String) {
    let mut copy = content.to_vec();
    let at = dice.below(copy.len().max(1));
    match dice.below(7) {
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
        _ => {
            let from = dice.below(copy.len().max(1));
            copy.rotate_left(from.min(content.len()));
            (copy, format!("begun at byte {from}"))
        }
    }
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

    #[test]
    fn the_same_number_gives_the_same_damage_and_others_give_others() {
        let content = b"ISA*00*          *00*          *ZZ*ACME".as_slice();
        let copies: std::collections::BTreeSet<_> =
            (0..200).map(|number| damage(content, &mut Dice::new(number))).collect();
        let again: std::collections::BTreeSet<_> =
            (0..200).map(|number| damage(content, &mut Dice::new(number))).collect();
        assert_eq!(copies, again);
        assert!(copies.len() > 150, "{}", copies.len());
    }

    #[test]
    fn anything_can_be_damaged() {
        for length in 0..20 {
            for number in 0..200 {
                damage(&vec![b'a'; length], &mut Dice::new(number));
            }
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
