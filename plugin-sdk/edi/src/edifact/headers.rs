//! The segments that enclose a message, read on their own: what an answer to it repeats.

use super::charset::Charset;
use super::read::Span;
use super::service::Service;
use super::view::pieces;

/// `UNB` and `UNG` of a message, perhaps with the `UNA` before them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Headers {
    /// How the interchange is divided.
    pub service: Service,
    segments: Vec<Vec<Vec<String>>>,
}

impl Headers {
    /// Reads an envelope as a host hands it over; none where no `UNB` is in it.
    pub fn read(envelope: &[u8]) -> Option<Self> {
        let envelope = envelope.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(envelope).trim_ascii_start();
        u32::try_from(envelope.len()).ok()?;
        let (service, rest) = match envelope.starts_with(b"UNA") {
            true => (Service::of_una(envelope, 0).ok()?, envelope.get(9..)?),
            false => (Service::without_una(envelope, 0).ok()?, envelope),
        };
        let plain = Self { service, segments: Vec::new() };
        let ends = Span { start: 0, end: rest.len() as u32 };
        let segments: Vec<_> = pieces(rest, ends, Some(service.terminator), service.release)
            .map(|span| plain.segment(&rest[span.start as usize..span.end as usize]))
            .collect();
        let headers = Self { segments, ..plain };
        let version = headers.value("UNB", 1, 2).to_owned();
        let by_una = envelope.starts_with(b"UNA");
        let has_header = headers.segments.iter().any(|segment| name(segment) == "UNB");
        has_header.then(|| Self { service: service.with_version(version.as_bytes(), by_una), ..headers })
    }

    /// The component `c` of element `n` of `UNB` or `UNG`, empty where it is not there.
    pub fn value(&self, tag: &str, n: usize, c: usize) -> &str {
        let segment = self.segments.iter().find(|segment| name(segment) == tag);
        segment.and_then(|segment| segment.get(n)?.get(c - 1)).map_or("", String::as_str)
    }

    /// Elements and components of one more segment that is divided the same way, its tag as element 0.
    pub fn segment(&self, bytes: &[u8]) -> Vec<Vec<String>> {
        let bytes = bytes.trim_ascii();
        let whole = Span { start: 0, end: u32::try_from(bytes.len()).unwrap_or(0) };
        let service = self.service;
        let charset = core::str::from_utf8(bytes).map_or(Charset::Latin1, |_| Charset::Utf8);
        let text = |span: Span| {
            let mut released = false;
            let kept = bytes[span.start as usize..span.end as usize].iter().filter(|byte| {
                released = !released && Some(**byte) == service.release;
                !released && !matches!(byte, b'\r' | b'\n')
            });
            charset.decode(&kept.copied().collect::<Vec<_>>()).trim().to_owned()
        };
        pieces(bytes, whole, Some(service.element), service.release)
            .map(|element| {
                pieces(bytes, element, Some(service.component), service.release).map(text).collect()
            })
            .collect()
    }
}

fn name(segment: &[Vec<String>]) -> &str {
    segment.first().and_then(|tag| tag.first()).map_or("", String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_is_read_by_its_own_service_characters() {
        let headers = Headers::read(b"UNA|*.! ~\r\nUNB*UNOC|3*A!*B|14*C*261120|1405*9~UNG*X~").unwrap();
        assert_eq!((headers.value("UNB", 2, 1), headers.value("UNB", 2, 2)), ("A*B", "14"));
        assert_eq!(
            (headers.value("UNB", 5, 1), headers.value("UNG", 1, 1), headers.value("UNB", 9, 1)),
            ("9", "X", "")
        );
        assert_eq!(headers.segment(b"UNH*1*ORDERS|D|96A")[2], ["ORDERS", "D", "96A"]);
        assert_eq!(Headers::read(b"UNB+UNOA:4+A+B'").unwrap().service.repetition, Some(b'*'));
        for none in [&b""[..], b"UNA", b"ISA*", b"UNG+X'"] {
            assert_eq!(Headers::read(none), None);
        }
    }
}
