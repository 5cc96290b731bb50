//! Queries as browsers and command lines send them.

/// Undoes the percent-encoding of `application/x-www-form-urlencoded`; none if it is not UTF-8 or cut short.
pub fn decode_form(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = rest.get(..2)?;
                rest = &rest[2..];
                u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_read_and_what_is_cut_short_is_not() {
        assert_eq!(decode_form("order%3A8841+22").as_deref(), Some("order:8841 22"));
        assert_eq!(decode_form("%C3%BC").as_deref(), Some("ü"));
        for wrong in ["%", "%4", "%zz", "%C3"] {
            assert_eq!(decode_form(wrong), None, "{wrong}");
        }
    }
}
