//! The service characters that divide a document, and where they are found.

use super::Error;

/// How one interchange is divided, as its `UNA` says or as the standard has it without one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Service {
    /// Between the components of a composite.
    pub component: u8,
    /// Between elements.
    pub element: u8,
    /// The decimal mark; the other one of `.` and `,` is read all the same, as syntax version 4 says.
    pub decimal: u8,
    /// Before a service character that is meant as itself.
    pub release: Option<u8>,
    /// Between the repetitions of an element (syntax version 4).
    pub repetition: Option<u8>,
    /// After each segment.
    pub terminator: u8,
}

impl Default for Service {
    /// Level A: `:+.? '`.
    fn default() -> Self {
        Self {
            component: b':',
            element: b'+',
            decimal: b'.',
            release: Some(b'?'),
            repetition: None,
            terminator: b'\'',
        }
    }
}

impl Service {
    /// Level B of syntax versions 1 to 3, which divides by control characters.
    const LEVEL_B: Self = Self {
        component: 0x1F,
        element: 0x1D,
        decimal: b'.',
        release: None,
        repetition: None,
        terminator: 0x1C,
    };

    /// `UNA` and the six characters after it, which begin at `start`.
    ///
    /// # Errors
    /// [`Error::Envelope`] when they are not there, or divide by letters, digits or one and the same character.
    pub fn of_una(bytes: &[u8], start: usize) -> Result<Self, Error> {
        let broken = |reason| Error::Envelope { offset: start, reason };
        let marks = bytes.get(start + 3..start + 9).ok_or(broken("UNA is cut off"))?;
        let [component, element, decimal, release, repetition, terminator] = *marks else {
            return Err(broken("UNA is cut off"));
        };
        let or_none = |mark: u8| (mark != b' ').then_some(mark);
        let service = Self {
            component,
            element,
            decimal,
            release: or_none(release),
            // Reserved, and blank, before syntax version 4.
            repetition: or_none(repetition),
            terminator,
        };
        match service.can_divide() {
            true => Ok(service),
            false => Err(broken("UNA names letters, digits, or one character twice")),
        }
    }

    /// The service characters of a document without `UNA`, by what stands after the name of its first segment.
    ///
    /// # Errors
    /// [`Error::Envelope`] when that is neither level A nor level B.
    pub fn without_una(bytes: &[u8], start: usize) -> Result<Self, Error> {
        match bytes.get(start + 3) {
            Some(b'+') => Ok(Self::default()),
            Some(0x1D) => Ok(Self::LEVEL_B),
            _ => Err(Error::Envelope {
                offset: start,
                reason: "no element separator after the segment's name",
            }),
        }
    }

    /// The characters of `UNA` as they are written.
    pub fn una(&self) -> [u8; 9] {
        let [release, repetition] = [self.release, self.repetition].map(|mark| mark.unwrap_or(b' '));
        [b'U', b'N', b'A', self.component, self.element, self.decimal, release, repetition, self.terminator]
    }

    /// In syntax version 4 `*` divides repetitions where no `UNA` says otherwise.
    pub(super) fn with_version(mut self, version: &[u8], by_una: bool) -> Self {
        if version >= b"4".as_slice() && !by_una && self.element == b'+' {
            self.repetition = Some(b'*');
        }
        self
    }

    /// Whether this byte would be read as something else than itself.
    pub fn is_mark(&self, byte: u8) -> bool {
        [self.component, self.element, self.terminator].contains(&byte)
            || self.release == Some(byte)
            || self.repetition == Some(byte)
    }

    fn can_divide(&self) -> bool {
        let mut marks = vec![self.component, self.element, self.terminator];
        marks.extend(self.release);
        marks.extend(self.repetition);
        let unlike = (0..marks.len()).all(|n| !marks[n + 1..].contains(&marks[n]));
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || !byte.is_ascii() || *byte == 0;
        unlike && !marks.iter().any(plain) && ![self.component, self.element].contains(&b' ')
    }
}
