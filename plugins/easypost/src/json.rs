//! JSON in which every member stands once, and the bytes that a JSON Pointer points to.

use std::fmt;

use crossdock_mapper::{
    Diagnostic, Input, Location, Refusal,
    serde_json::{Map, Value},
};
use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, SeqAccess, Visitor},
};

/// Reads a document; a byte order mark before it says nothing.
pub fn read(document: &Input) -> Result<Value, Refusal> {
    let Some(rest) = document.content.strip_prefix(b"\xEF\xBB\xBF") else {
        return document.json().map(|Once(value)| value);
    };
    let unmarked = Input { content: rest.to_vec(), ..Input::default() };
    unmarked.json().map(|Once(value)| value).map_err(|mut refusal| {
        let places = refusal.0.iter_mut().filter_map(|wrong| wrong.at.as_mut());
        places.filter_map(|at| at.offset.as_mut()).for_each(|offset| *offset += 3);
        refusal
    })
}

/// A value whose objects have no member twice: which of the two holds would be a guess.
struct Once(Value);

impl<'de> Deserialize<'de> for Once {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }

            fn visit_unit<E>(self) -> Result<Value, E> {
                Ok(Value::Null)
            }

            fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
                Ok(value.into())
            }

            fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
                Ok(value.into())
            }

            fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
                Ok(value.into())
            }

            fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
                Ok(value.into())
            }

            fn visit_str<E>(self, value: &str) -> Result<Value, E> {
                Ok(value.into())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
                let mut read = Vec::new();
                while let Some(Once(item)) = items.next_element()? {
                    read.push(item);
                }
                Ok(read.into())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
                let mut read = Map::new();
                while let Some(name) = members.next_key::<String>()? {
                    if read.contains_key(&name) {
                        let name: String = name.chars().take(60).collect();
                        return Err(de::Error::custom(format_args!("the member `{name}` stands twice")));
                    }
                    let Once(value) = members.next_value()?;
                    read.insert(name, value);
                }
                Ok(read.into())
            }
        }

        deserializer.deserialize_any(Any).map(Self)
    }
}

/// Bytes that are looked through for places, so that many of them in a large document cost no time that counts.
const MOST_SOUGHT: usize = 8 << 20;

/// Adds to places that are JSON Pointers where in the document their value is. The document was read before.
pub fn point(content: &[u8], diagnostics: &mut [Diagnostic]) {
    let mut sought = 0;
    for at in diagnostics.iter_mut().filter_map(|wrong| wrong.at.as_mut()) {
        if sought > MOST_SOUGHT {
            return;
        }
        if let Some((start, end)) = find(content, &at.path) {
            sought += end;
            *at = Location::json_pointer(std::mem::take(&mut at.path)).bytes(start, end - start);
        }
    }
}

/// Where the value of a pointer begins and ends; of one that is not there, the object that it is not in.
fn find(content: &[u8], pointer: &str) -> Option<(usize, usize)> {
    let mut start =
        content.iter().position(|byte| !matches!(byte, 0xEF | 0xBB | 0xBF | b' ' | b'\t' | b'\r' | b'\n'))?;
    for step in pointer.split('/').skip(1) {
        let Some(next) = member(content, start, step) else { break };
        start = next;
    }
    Some((start, end(content, start)))
}

/// Where a member of an object, or an item of an array, begins.
fn member(content: &[u8], container: usize, step: &str) -> Option<usize> {
    let of_object = content.get(container)? == &b'{';
    let mut at = blanks(content, container + 1);
    for index in 0.. {
        if matches!(content.get(at)?, b'}' | b']') {
            return None;
        }
        let found = if of_object {
            let name = &content[at..end(content, at)];
            at = blanks(content, at + name.len());
            at = blanks(content, at + 1);
            // Names that are asked for have no escapes.
            name.get(1..name.len().saturating_sub(1)) == Some(step.as_bytes())
        } else {
            step.parse() == Ok(index)
        };
        if found {
            return (at < content.len()).then_some(at);
        }
        at = blanks(content, end(content, at));
        match content.get(at)? {
            b',' => at = blanks(content, at + 1),
            b'}' | b']' => {}
            _ => return None,
        }
    }
    None
}

fn blanks(content: &[u8], at: usize) -> usize {
    let rest = content.get(at..).unwrap_or_default();
    at + rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count()
}

/// Behind a value.
fn end(content: &[u8], start: usize) -> usize {
    let (mut depth, mut at) = (0_usize, start);
    while let Some(byte) = content.get(at) {
        match byte {
            b'"' => {
                at += 1;
                while !matches!(content.get(at), None | Some(b'"')) {
                    at += if content[at] == b'\\' { 2 } else { 1 };
                }
            }
            b'{' | b'[' => depth += 1,
            // A number or word ends before what does not belong to it.
            b'}' | b']' if depth == 0 => return at,
            b'}' | b']' => depth -= 1,
            b',' | b':' if depth == 0 => return at,
            byte if depth == 0 && byte.is_ascii_whitespace() => return at,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 1;
        if depth == 0 {
            return at.min(content.len());
        }
    }
    content.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_finds_its_bytes() {
        let content = br#" {"a": [1, {"b\"}": "]", "c" : "x,\"y"}, [ ] ,true], "d":{}, "e": -1.5e3 }"#;
        for (pointer, bytes) in [
            ("/a/0", "1"),
            ("/a/1/c", r#""x,\"y""#),
            ("/a/2", "[ ]"),
            ("/a/3", "true"),
            ("/d", "{}"),
            ("/e", "-1.5e3"),
            ("/a/1/gone", r#"{"b\"}": "]", "c" : "x,\"y"}"#),
            ("/d/gone/far", "{}"),
        ] {
            let (start, end) = find(content, pointer).unwrap();
            assert_eq!(std::str::from_utf8(&content[start..end]).unwrap(), bytes, "{pointer}");
        }
        assert_eq!(find(content, "").unwrap(), (1, content.len()));
    }

    #[test]
    fn any_bytes_and_any_pointer_end() {
        for content in
            ["", "{", "[", "\"", "\"\\", "{\"a\"", "{\"a\":", "[,", "}", "{\"a\":1}}", "{:,:,", "[[[["]
        {
            for pointer in ["", "/a", "/0", "/1/a", "/"] {
                if let Some((start, end)) = find(content.as_bytes(), pointer) {
                    assert!(start <= end && end <= content.len(), "{content} {pointer}");
                }
            }
        }
    }
}
