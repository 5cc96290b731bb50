//! Custom sections on the top level of a Wasm file: read, put in, taken out.

/// The contents of every section of this name.
pub(super) fn named<'a>(wasm: &'a [u8], name: &str) -> Vec<&'a [u8]> {
    let Some(walk) = walk(wasm) else { return Vec::new() };
    walk.into_iter().filter(|section| section.is(name)).map(|section| section.content).collect()
}

/// The same Wasm with this section at its end, in place of one that was there. Bytes that are not Wasm come back
/// with the section at their end, and stay what they were: not Wasm.
pub(super) fn with(wasm: &[u8], name: &str, content: &[u8]) -> Vec<u8> {
    let mut named = Vec::with_capacity(content.len() + name.len() + 8);
    leb(&mut named, name.len());
    named.extend_from_slice(name.as_bytes());
    named.extend_from_slice(content);
    let mut out = without(wasm, name).unwrap_or_else(|| wasm.to_vec());
    out.push(0);
    leb(&mut out, named.len());
    out.extend_from_slice(&named);
    out
}

/// The same Wasm without the sections of this name; nothing if it is none.
pub(super) fn without(wasm: &[u8], name: &str) -> Option<Vec<u8>> {
    let mut out = wasm.get(..8)?.to_vec();
    for section in walk(wasm)?.iter().filter(|section| !section.is(name)) {
        out.extend_from_slice(section.whole);
    }
    Some(out)
}

struct Section<'a> {
    whole: &'a [u8],
    /// Its name, if it is a custom section.
    name: Option<&'a [u8]>,
    /// What follows the name.
    content: &'a [u8],
}

impl Section<'_> {
    fn is(&self, name: &str) -> bool {
        self.name == Some(name.as_bytes())
    }
}

/// The sections on the top level. Modules and components have the same frame: an id byte, a length, the content.
fn walk(wasm: &[u8]) -> Option<Vec<Section<'_>>> {
    let mut rest = wasm.get(8..)?;
    let mut sections = Vec::new();
    while let [id, after_id @ ..] = rest {
        let (length, after_length) = read_leb(after_id)?;
        let content = after_length.get(..length)?;
        let end = rest.len() - after_length.len() + length;
        let (whole, next) = rest.split_at(end);
        let custom = (*id == 0)
            .then(|| read_leb(content))
            .flatten()
            .and_then(|(length, named)| named.split_at_checked(length));
        sections.push(match custom {
            Some((name, content)) => Section { whole, name: Some(name), content },
            None => Section { whole, name: None, content },
        });
        rest = next;
    }
    Some(sections)
}

fn leb(out: &mut Vec<u8>, number: usize) {
    let mut left = number;
    loop {
        let low = u8::try_from(left & 0x7f).expect("seven bits fit a byte");
        left >>= 7;
        out.push(if left == 0 { low } else { low | 0x80 });
        if left == 0 {
            return;
        }
    }
}

fn read_leb(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut number = 0_u32;
    for (index, byte) in bytes.iter().take(5).enumerate() {
        let low = u32::from(byte & 0x7f);
        let shift = u32::try_from(index).ok()? * 7;
        if shift == 28 && low > 0x0f {
            return None;
        }
        number |= low << shift;
        if byte & 0x80 == 0 {
            return Some((usize::try_from(number).ok()?, &bytes[index + 1..]));
        }
    }
    None
}
