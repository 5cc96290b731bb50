//! The interchange around what is written: control numbers, sender and receiver, one group for each kind of set.

use crossdock_edi::x12::{Envelope, Style, WriteError, Writer};
use crossdock_mapper::{Context, Diagnostic, Output, Refusal};
use serde::Deserialize;

use crate::sheet::Sheet;

/// What the policy may say about the envelope.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// ISA15: `P` for production, which is the default, or `T` for a test.
    pub usage: Option<char>,
    /// GS08, six digits and perhaps an industry's suffix; `004010` by default.
    pub version: Option<String>,
    /// GS02 where it is not the sender of the interchange.
    pub group_sender: Option<String>,
    /// GS03 where it is not the receiver of the interchange.
    pub group_receiver: Option<String>,
    /// Whether each segment stands on a line of its own.
    pub lines: bool,
}

/// The sets of one kind.
pub struct Group {
    /// The functional group (element 479): `SW`.
    pub functional: &'static str,
    /// The transaction set: `945`.
    pub set: &'static str,
    /// The sets.
    pub sheets: Vec<Sheet>,
}

/// Writes one interchange with a group for each kind of set that there is.
///
/// # Errors
/// There is nothing to write, the context lacks what the envelope needs, or a value can't be said in X12.
pub fn write(context: &Context, config: &Config, groups: &[Group]) -> Result<Output, Refusal> {
    if groups.iter().all(|group| group.sheets.is_empty()) {
        return Err(Diagnostic::error("no-events", "there is nothing to write").into());
    }
    let number = |kind: &str, nth: usize| {
        let mut numbers = context.control_numbers.iter().filter(|(name, _)| name == kind);
        numbers.nth(nth).map(|(_, number)| number.as_str()).ok_or_else(|| {
            Refusal::from(Diagnostic::error(
                "control-number-missing",
                format!("the host gave no control number `{kind}`"),
            ))
        })
    };
    let version = config.version.as_deref().unwrap_or("004010");
    let isa_version = version.get(..5).ok_or_else(|| {
        Refusal::from(Diagnostic::error("configuration", format!("`{version}` is no version of X12")))
    })?;
    let (date, time) = clock(&context.received_at)?;
    let (sender, receiver) = (party(&context.sender), party(&context.receiver));
    let envelope = Envelope {
        sender,
        receiver,
        date: &date[2..],
        time: &time,
        version: isa_version,
        control_number: number("isa13", 0)?,
        acknowledge: false,
        usage: config.usage.unwrap_or('P'),
    };
    let style = Style { lines: config.lines, ..Style::default() };
    let mut writer = Writer::new(&envelope, style).map_err(unwritable)?;

    let (from, to) = (config.group_sender.as_deref(), config.group_receiver.as_deref());
    let groups = groups.iter().filter(|group| !group.sheets.is_empty());
    for (nth, group) in groups.enumerate() {
        // Each group has a number of its own, so the host gives as many as there are groups.
        let group_number = number("gs06", nth)?;
        let header = [
            group.functional,
            from.unwrap_or(sender.1),
            to.unwrap_or(receiver.1),
            &date,
            &time,
            group_number,
            "X",
            version,
        ];
        writer.group(header).map_err(unwritable)?;
        for (index, sheet) in group.sheets.iter().enumerate() {
            writer.set(group.set, &format!("{:04}", index + 1)).map_err(unwritable)?;
            for row in &sheet.rows {
                writer.segment(&row.name, &row.values).map_err(unwritable)?;
            }
        }
    }
    let content = writer.finish().map_err(unwritable)?;
    Ok(Output::new("application/edi-x12", content))
}

/// `ZZ:ACME`, or an identity alone under the qualifier for what both sides agreed.
fn party(identity: &str) -> (&str, &str) {
    match identity.split_once(':') {
        Some((qualifier, identity)) if qualifier.len() == 2 => (qualifier, identity),
        _ => ("ZZ", identity),
    }
}

/// Date and time, `20261120` and `1405`, of an RFC 3339 moment as it is written there.
pub(crate) fn clock(moment: &str) -> Result<(String, String), Refusal> {
    let digits = |range: std::ops::Range<usize>| -> Option<&str> {
        moment.get(range).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let read = || {
        let date = format!("{}{}{}", digits(0..4)?, digits(5..7)?, digits(8..10)?);
        Some((date, format!("{}{}", digits(11..13)?, digits(14..16)?)))
    };
    read().ok_or_else(|| Diagnostic::error("context", "the time of receipt is no RFC 3339 moment").into())
}

pub(crate) fn unwritable(error: WriteError) -> Refusal {
    Diagnostic::error("unwritable", error.to_string()).into()
}
