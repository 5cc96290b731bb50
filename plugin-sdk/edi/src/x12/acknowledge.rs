//! Functional acknowledgements: what a 997 (and in health care's guides a 999) says of a group and its sets.
//!
//! Codes are written as they are given, and where a remark has none, none is made up: the set is then refused with
//! code 5, one or more segments in error, and its sender finds the rest in the answer beside the acknowledgement.

use super::delimiters::{Delimiters, Terminator};
use super::write::{WriteError, Writer};

/// Codes that a segment, a set and a group have room for.
const CODES_MAX: usize = 5;
/// Segments that are told of one set, and elements of one segment (X12 997, loops AK2/AK3 and AK3/AK4).
const SEGMENTS_MAX: usize = 999;
const ELEMENTS_MAX: usize = 99;

/// ISA and GS of a group, out of a part's envelope.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Headers {
    /// How the interchange is divided.
    pub delimiters: Delimiters,
    isa: Vec<String>,
    gs: Vec<String>,
}

impl Headers {
    /// Reads an envelope that holds an ISA and a GS, each with its terminator; none where it does not.
    pub fn read(envelope: &[u8]) -> Option<Self> {
        let start = envelope.windows(3).position(|window| window == b"ISA")?;
        let delimiters = Delimiters::of_isa(envelope, start).ok()?;
        let text = String::from_utf8_lossy(&envelope[start..]);
        let mut segments = Segments { text: &text, delimiters: &delimiters };
        let (isa, gs) = (segments.next()?, segments.find(|segment| segment[0] == "GS")?);
        (isa.len() > 16 && gs.len() > 8).then_some(Self { delimiters, isa, gs })
    }

    /// Element `n` of the ISA, without the blanks around it.
    pub fn isa(&self, n: usize) -> &str {
        self.isa.get(n).map_or("", |value| value.trim())
    }

    /// Element `n` of the GS.
    pub fn gs(&self, n: usize) -> &str {
        self.gs.get(n).map_or("", |value| value.trim())
    }

    /// The elements of a segment of this interchange, its name at 0.
    pub fn elements(&self, segment: &str) -> Vec<String> {
        Segments { text: segment, delimiters: &self.delimiters }.next().unwrap_or_default()
    }

    /// Whether the group follows a guide whose sets are answered by 999 and not by 997: `005010X222A1`.
    pub fn asks_for_999(&self) -> bool {
        let guide = self.gs(8).strip_prefix("005010X");
        guide.is_some_and(|number| number.starts_with(|c: char| c.is_ascii_digit()))
    }
}

/// Segments of text, each as its elements.
struct Segments<'a> {
    text: &'a str,
    delimiters: &'a Delimiters,
}

impl Iterator for Segments<'_> {
    type Item = Vec<String>;

    fn next(&mut self) -> Option<Vec<String>> {
        let text = self.text.trim_start();
        if text.is_empty() {
            return None;
        }
        let mark = match &self.delimiters.terminator {
            Terminator::Mark(mark) => String::from_utf8_lossy(mark.as_bytes()).into_owned(),
            Terminator::LineEnd => "\n".to_owned(),
        };
        let (segment, rest) = text.split_once(mark.as_str()).unwrap_or((text, ""));
        self.text = rest;
        let element = String::from_utf8_lossy(self.delimiters.element.as_bytes()).into_owned();
        Some(segment.split(element.as_str()).map(|value| value.trim_end_matches('\r').to_owned()).collect())
    }
}

/// Something to say about a set, or about the group around it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Remark {
    /// The place as [`TransactionSet::path`](super::TransactionSet::path) writes it: `ST*945*0001/LX[2]/W12/3`;
    /// `GS/8` and `GE/1` speak of the group.
    pub path: String,
    /// The segment's number in its set, the ST being 1; where it is known.
    pub position: Option<u32>,
    /// The standard's code: 723 of an element, 720 of a segment, 718 of a set, 716 of a group.
    pub code: Option<String>,
    /// What stands there.
    pub value: String,
}

/// How one transaction set ended.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SetAnswer {
    /// ST01.
    pub id: String,
    /// ST02.
    pub control_number: String,
    /// ST03, where it was sent.
    pub guide: String,
    /// Whether it is taken.
    pub accepted: bool,
    /// What was said about it.
    pub remarks: Vec<Remark>,
}

/// How a group ended.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct GroupAnswer {
    /// GS01.
    pub functional_id: String,
    /// GS06.
    pub control_number: String,
    /// GS08.
    pub version: String,
    /// GE01: how many sets its sender says that it holds; none where it does not say.
    pub included: Option<u32>,
    /// Its sets in their order.
    pub sets: Vec<SetAnswer>,
}

/// Which set carries the answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// Functional acknowledgement: AK3, AK4, AK5.
    Functional,
    /// Implementation acknowledgement, 005010X231A1: IK3, IK4, IK5.
    Implementation,
}

impl Form {
    /// ST01 of the answer.
    pub fn set_id(self) -> &'static str {
        match self {
            Self::Functional => "997",
            Self::Implementation => "999",
        }
    }
}

/// GS08 and ST03 of a 999.
pub const GUIDE_999: &str = "005010X231A1";

/// What a place in a set is.
enum Place {
    Group,
    Set,
    Segment { name: String, element: Option<usize> },
    Elsewhere,
}

impl GroupAnswer {
    /// Writes the answer as one transaction set.
    ///
    /// # Errors
    /// As [`Writer::segment`].
    pub fn write(&self, writer: &mut Writer, form: Form, control_number: &str) -> Result<(), WriteError> {
        let names = match form {
            Form::Functional => ["AK3", "AK4", "AK5"],
            Form::Implementation => ["IK3", "IK4", "IK5"],
        };
        match form {
            Form::Functional => writer.set(form.set_id(), control_number)?,
            Form::Implementation => writer.set_of_guide(form.set_id(), control_number, GUIDE_999)?,
        }
        let version = if form == Form::Implementation { self.version.as_str() } else { "" };
        writer.segment("AK1", [self.functional_id.as_str(), &self.control_number, version])?;
        let (mut accepted, mut noted) = (0_usize, false);
        for set in &self.sets {
            let guide = if form == Form::Implementation { set.guide.as_str() } else { "" };
            writer.segment("AK2", [set.id.as_str(), &set.control_number, guide])?;
            let (segments, mut codes) = set.sorted();
            for segment in &segments {
                segment.write(writer, names, form)?;
            }
            let faulty = set.remarks.iter().any(|remark| remark.path.starts_with("ST"));
            if !segments.is_empty() || !set.accepted && codes.is_empty() && faulty {
                add(&mut codes, "5");
            }
            let word = match (set.accepted, codes.is_empty()) {
                (true, true) => "A",
                (true, false) => "E",
                (false, _) => "R",
            };
            accepted += usize::from(set.accepted);
            noted |= word == "E";
            let elements = std::iter::once(word).chain(codes.iter().map(String::as_str));
            writer.segment(names[2], elements)?;
        }
        let mut codes = Vec::new();
        for remark in self.sets.iter().flat_map(|set| &set.remarks) {
            if let (Place::Group, Some(code)) = (place(&remark.path), &remark.code) {
                add(&mut codes, code);
            }
        }
        let word = match accepted {
            all if all == self.sets.len() && !noted && codes.is_empty() => "A",
            all if all == self.sets.len() => "E",
            0 => "R",
            _ => "P",
        };
        let received = self.sets.len().to_string();
        let included = self.included.map_or_else(|| received.clone(), |number| number.to_string());
        let counts = [word.to_owned(), included, received, accepted.to_string()];
        writer.segment("AK9", counts.into_iter().chain(codes))
    }
}

/// What is wrong with one segment.
struct SegmentAnswer<'a> {
    name: String,
    position: u32,
    codes: Vec<String>,
    elements: Vec<(usize, &'a Remark)>,
}

impl SetAnswer {
    /// Remarks by segment, in the order of the document, and the codes of the set itself.
    fn sorted(&self) -> (Vec<SegmentAnswer<'_>>, Vec<String>) {
        let mut segments: Vec<SegmentAnswer<'_>> = Vec::new();
        let mut codes = Vec::new();
        for remark in &self.remarks {
            let Some(code) = &remark.code else { continue };
            let (name, element, position) = match (place(&remark.path), remark.position) {
                (Place::Set, _) => {
                    add(&mut codes, code);
                    continue;
                }
                (Place::Segment { name, element }, Some(position)) => (name, element, position),
                _ => continue,
            };
            let at = match segments.iter().position(|found| found.position == position) {
                Some(at) => at,
                None if segments.len() < SEGMENTS_MAX => {
                    let (codes, elements) = (Vec::new(), Vec::new());
                    segments.push(SegmentAnswer { name, position, codes, elements });
                    segments.len() - 1
                }
                None => continue,
            };
            let found = &mut segments[at];
            match element {
                None => add(&mut found.codes, code),
                Some(element) if found.elements.len() < ELEMENTS_MAX => {
                    add(&mut found.codes, "8");
                    found.elements.push((element, remark));
                }
                Some(_) => {}
            }
        }
        segments.sort_by_key(|found| found.position);
        (segments, codes)
    }
}

impl SegmentAnswer<'_> {
    fn write(&self, writer: &mut Writer, names: [&str; 3], form: Form) -> Result<(), WriteError> {
        let position = self.position.to_string();
        // A 999 has room for one code of a segment.
        let room = if form == Form::Implementation { 1 } else { CODES_MAX };
        let codes = self.codes.iter().take(room).map(String::as_str);
        let elements = [self.name.as_str(), &position, ""].into_iter().chain(codes);
        writer.segment(names[0], elements)?;
        for (element, remark) in &self.elements {
            let code = remark.code.as_deref().unwrap_or_default();
            writer.segment(names[1], [element.to_string().as_str(), "", code, &remark.value])?;
        }
        Ok(())
    }
}

fn add(codes: &mut Vec<String>, code: &str) {
    if codes.len() < CODES_MAX && !codes.iter().any(|known| known == code) {
        codes.push(code.to_owned());
    }
}

fn place(path: &str) -> Place {
    let mut steps = path.split('/');
    let first = steps.next().unwrap_or_default();
    if matches!(first, "GS" | "GE") {
        return Place::Group;
    }
    if !first.starts_with("ST") {
        return Place::Elsewhere;
    }
    let mut name = None;
    let mut element = None;
    for step in steps {
        match step.parse() {
            Ok(number) => element = Some(number),
            Err(_) => name = Some(step.split('[').next().unwrap_or(step)),
        }
    }
    match name {
        None | Some("SE") => Place::Set,
        Some(name) => Place::Segment { name: name.to_owned(), element },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::x12::{Document, Envelope, Style};

    const ENVELOPE: &[u8] = b"ISA*00*          *00*          *ZZ*ACME           *08*9254110060     *261120*1412*U*00401*000000042*0*T*>~\nGS*SW*ACME*NORTH*20261120*1412*7*X*004010VICS~\n";

    fn remark(path: &str, position: u32, code: &str, value: &str) -> Remark {
        let code = (!code.is_empty()).then(|| code.to_owned());
        Remark {
            path: path.to_owned(),
            position: (position > 0).then_some(position),
            code,
            value: value.to_owned(),
        }
    }

    fn set(number: &str, accepted: bool, remarks: Vec<Remark>) -> SetAnswer {
        SetAnswer {
            id: "945".to_owned(),
            control_number: number.to_owned(),
            accepted,
            remarks,
            ..SetAnswer::default()
        }
    }

    /// The answer without its envelope, a segment a line.
    fn answer(sets: Vec<SetAnswer>, form: Form) -> Vec<String> {
        let headers = Headers::read(ENVELOPE).unwrap();
        let group = GroupAnswer {
            functional_id: headers.gs(1).to_owned(),
            control_number: headers.gs(6).to_owned(),
            version: headers.gs(8).to_owned(),
            included: None,
            sets,
        };
        let envelope = Envelope {
            sender: (headers.isa(7), headers.isa(8)),
            receiver: (headers.isa(5), headers.isa(6)),
            date: "261120",
            time: "1405",
            version: headers.isa(12),
            control_number: "9",
            acknowledge: false,
            usage: 'T',
        };
        let mut writer = Writer::new(&envelope, Style::default()).unwrap();
        writer.group(["FA", "NORTH", "ACME", "20261120", "1405", "9", "X", headers.gs(8)]).unwrap();
        group.write(&mut writer, form, "0001").unwrap();
        let bytes = writer.finish().unwrap();
        let document = Document::read(&bytes).unwrap();
        assert_eq!(document.findings(), []);
        let text = |segment: crate::x12::Segment<'_>| String::from_utf8_lossy(segment.bytes()).into_owned();
        document.sets().next().unwrap().segments().iter().map(text).collect()
    }

    #[test]
    fn an_envelope_gives_its_elements_and_its_marks() {
        let headers = Headers::read(ENVELOPE).unwrap();
        assert_eq!((headers.isa(8), headers.isa(15), headers.gs(8)), ("9254110060", "T", "004010VICS"));
        assert_eq!(headers.elements("ST*945*0001"), ["ST", "945", "0001"]);
        assert!(!headers.asks_for_999());
        let guide = String::from_utf8_lossy(ENVELOPE).replace("004010VICS", "005010X222A1");
        assert!(Headers::read(guide.as_bytes()).unwrap().asks_for_999());
        for cut in [&b""[..], b"GS*SW*A*B*20261120*1412*7*X*004010~", &ENVELOPE[..60], &ENVELOPE[..107]] {
            assert_eq!(Headers::read(cut), None);
        }
    }

    #[test]
    fn accepted_sets_are_answered_with_their_numbers_and_counted() {
        let said =
            answer(vec![set("0001", true, Vec::new()), set("0002", true, Vec::new())], Form::Functional);
        let expected = [
            "ST*997*0001",
            "AK1*SW*7",
            "AK2*945*0001",
            "AK5*A",
            "AK2*945*0002",
            "AK5*A",
            "AK9*A*2*2*2",
            "SE*8*0001",
        ];
        assert_eq!(said, expected);
    }

    #[test]
    fn a_rejected_set_names_segment_element_code_and_value() {
        let remarks = vec![
            remark("ST*945*0002/LX[2]/W12/3", 7, "6", "3x"),
            remark("ST*945*0002/W06/3", 2, "8", "2026112O"),
            remark("ST*945*0002/LX[2]/W12/1", 7, "7", "XX"),
            remark("ST*945*0002/N9[3]", 5, "5", ""),
            remark("ST*945*0002/SE/1", 9, "4", "99"),
            remark("GE/1", 0, "5", "3"),
        ];
        let said = answer(vec![set("0001", true, Vec::new()), set("0002", false, remarks)], Form::Functional);
        let expected = [
            "AK2*945*0002",
            "AK3*W06*2**8",
            "AK4*3**8*2026112O",
            "AK3*N9*5**5",
            "AK3*W12*7**8",
            "AK4*3**6*3x",
            "AK4*1**7*XX",
            "AK5*R*4*5",
            "AK9*P*2*2*1*5",
        ];
        assert_eq!(said[4..13], expected);
    }

    #[test]
    fn a_remark_without_a_code_makes_up_none() {
        let nameless = vec![remark("ST*945*0001/W06/3", 2, "", "x")];
        let said = answer(vec![set("0001", false, nameless)], Form::Functional);
        assert_eq!(said[2..5], ["AK2*945*0001", "AK5*R*5", "AK9*R*1*1*0"]);
        let sunk = vec![remark("", 0, "", "")];
        assert_eq!(answer(vec![set("0001", false, sunk)], Form::Functional)[3], "AK5*R");
        let noted = vec![remark("ST*945*0001/W06/3", 2, "7", "x")];
        let said = answer(vec![set("0001", true, noted)], Form::Functional);
        assert_eq!(said[5..7], ["AK5*E*5", "AK9*E*1*1*1"]);
    }

    #[test]
    fn a_guide_is_answered_by_a_999() {
        let guided = SetAnswer {
            guide: "005010X222A1".to_owned(),
            ..set("0001", false, vec![remark("ST*945*0001/CLM/2", 22, "1", "")])
        };
        let said = answer(vec![guided], Form::Implementation);
        let expected = [
            "ST*999*0001*005010X231A1",
            "AK1*SW*7*004010VICS",
            "AK2*945*0001*005010X222A1",
            "IK3*CLM*22**8",
            "IK4*2**1",
            "IK5*R*5",
            "AK9*R*1*1*0",
        ];
        assert_eq!(said[..7], expected);
    }

    #[test]
    fn a_set_full_of_faults_stays_within_the_standards_repeats() {
        let many = (0..5_000).map(|n| remark("ST*945*0001/W12/3", 2 + n / 2, "6", "x")).collect();
        let said = answer(vec![set("0001", false, many)], Form::Functional);
        assert_eq!(said.iter().filter(|segment| segment.starts_with("AK3")).count(), SEGMENTS_MAX);
    }
}
