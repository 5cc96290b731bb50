//! Events become an interchange: an order an ORDERS each, a dispatched shipment a DESADV, a tender an IFTMIN, a milestone
//! or delivery an IFTSTA.

mod despatch;
mod orders;
mod parts;
mod rows;
mod status;
mod told;
mod transport;

use crossdock_edi::edifact::{Envelope, WriteError, Writer};
use crossdock_mapper::canonical::{
    Canonical, OrderCancelled, OrderReleased, ShipmentCancelled, ShipmentDelivered, ShipmentDispatched,
    ShipmentMilestone, ShipmentTendered,
};
use crossdock_mapper::serde_json::{self, Value};
use crossdock_mapper::{Context, Diagnostic, Output, Recorded, Refusal};

use rows::Rows;
use told::Told;

/// What the policy may say about envelope and messages.
struct Config {
    /// The release of directory D: `96A`, which is the default, to `21B`.
    directory: String,
    /// 0057, the subset: `EAN008`.
    subset: String,
    /// 0001, the syntax identifier; `UNOC` by default, or `UNOW` where that lacks a character.
    syntax: Option<String>,
    /// 0002, the syntax version; `3` by default, `4` with `UNOW`.
    version: Option<String>,
    /// 0035: whether it is a test.
    test: bool,
    /// Which message takes back a shipment: `IFTMIN`, which is the default, or `DESADV`.
    cancelled_by: String,
}

impl Config {
    fn read(context: &Context) -> Result<Self, Refusal> {
        let wrong = |message: String| Refusal::from(Diagnostic::error("configuration", message));
        let given: Value = match context.config.as_slice() {
            b"" => Value::Null,
            bytes => serde_json::from_slice(bytes).map_err(|error| wrong(error.to_string()))?,
        };
        let mut config = Self {
            directory: "96A".to_owned(),
            subset: String::new(),
            syntax: None,
            version: None,
            test: false,
            cancelled_by: "IFTMIN".to_owned(),
        };
        for (name, value) in given.as_object().into_iter().flatten() {
            let text = value.as_str().unwrap_or_default().to_owned();
            match (name.as_str(), value) {
                ("directory", Value::String(_)) => config.directory = text,
                ("subset", Value::String(_)) => config.subset = text,
                ("syntax", Value::String(_)) => config.syntax = Some(text),
                ("version", Value::String(_)) => config.version = Some(text),
                ("test", Value::Bool(test)) => config.test = *test,
                ("cancelled_by", Value::String(_)) if matches!(text.as_str(), "IFTMIN" | "DESADV") => {
                    config.cancelled_by = text;
                }
                _ => {
                    return Err(wrong(format!("`{name}` is no setting of this mapper, or not of this kind")));
                }
            }
        }
        Ok(config)
    }
}

/// Writes one interchange with a message for each event.
pub fn document(context: &Context, events: &[Recorded]) -> Result<Output, Refusal> {
    let config = Config::read(context)?;
    let mut messages: Vec<(&str, Rows)> = Vec::new();
    let interchange_number = control_number(context)?;
    for (index, recorded) in events.iter().enumerate() {
        let event = &recorded.event;
        let told = || Told::read(event);
        messages.push(match event.kind.as_str() {
            OrderReleased::KIND => ("ORDERS", orders::released(&told()?)?),
            OrderCancelled::KIND => ("ORDERS", orders::cancelled(&told()?)?),
            ShipmentDispatched::KIND => ("DESADV", despatch::dispatched(&told()?)?),
            ShipmentTendered::KIND => {
                let told = told()?;
                let kind = if told.kind.as_deref() == Some("booking") { "IFTMBF" } else { "IFTMIN" };
                (kind, transport::tendered(&told, kind)?)
            }
            ShipmentCancelled::KIND => {
                let kind = if config.cancelled_by == "DESADV" { "DESADV" } else { "IFTMIN" };
                (kind, transport::cancelled(&told()?, kind))
            }
            ShipmentMilestone::KIND | ShipmentDelivered::KIND => {
                ("IFTSTA", status::status(&told()?, &format!("{interchange_number}-{}", index + 1))?)
            }
            other => {
                let message = format!("ORDERS, DESADV, IFTMIN and IFTSTA can't say {other}");
                return Err(Diagnostic::error("unsupported-event", message).into());
            }
        });
    }
    if messages.is_empty() {
        return Err(Diagnostic::error("no-events", "there is nothing to write").into());
    }
    let version = config.version.as_deref().unwrap_or("3");
    let (date, time) = syntax_date(&context.received_at, version == "4")?;
    let (long_date, _) = syntax_date(&context.received_at, true)?;
    let mut envelope = Envelope {
        syntax: config.syntax.as_deref().unwrap_or("UNOC"),
        version,
        sender: party(&context.sender),
        recipient: party(&context.receiver),
        date: &date,
        time: &time,
        reference: interchange_number,
        test: config.test,
    };
    let mut written = interchange(&envelope, &config, &messages);
    // Where the policy leaves it open, the character set is the one that has all characters; it came with version 4.
    let open = config.syntax.is_none() && config.version.is_none();
    if open && matches!(written, Err(WriteError::Character { .. })) {
        (envelope.syntax, envelope.version, envelope.date) = ("UNOW", "4", &long_date);
        written = interchange(&envelope, &config, &messages);
    }
    Ok(Output::new("application/edifact", written.map_err(unwritable)?))
}

fn interchange(
    envelope: &Envelope<'_>,
    config: &Config,
    messages: &[(&str, Rows)],
) -> Result<Vec<u8>, WriteError> {
    let mut writer = Writer::new(envelope)?;
    for (index, (kind, rows)) in messages.iter().enumerate() {
        let identifier = [*kind, "D", &config.directory, "UN", &config.subset];
        writer.message(&(index + 1).to_string(), &identifier)?;
        rows.write(&mut writer)?;
    }
    writer.finish()
}

/// `14:4012345000009`, a qualifier and an identity, or an identity alone.
fn party(identity: &str) -> (&str, &str) {
    match identity.split_once(':') {
        Some((qualifier, identity)) if (1..=4).contains(&qualifier.len()) => (identity, qualifier),
        _ => (identity, ""),
    }
}

/// The number of the interchange that the host took.
pub fn control_number(context: &Context) -> Result<&str, Refusal> {
    context.control_number("unb0020").ok_or_else(|| {
        let message = "the host gave no control number `unb0020`";
        Diagnostic::error("control-number-missing", message).into()
    })
}

/// Date and time of an RFC 3339 moment as `UNB` has them: six digits, eight in syntax version 4, and four.
pub fn syntax_date(moment: &str, four: bool) -> Result<(String, String), Refusal> {
    let digits = |range: std::ops::Range<usize>| -> Option<&str> {
        moment.get(range).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let read = || {
        let year = digits(if four { 0..4 } else { 2..4 })?;
        let date = format!("{year}{}{}", digits(5..7)?, digits(8..10)?);
        Some((date, format!("{}{}", digits(11..13)?, digits(14..16)?)))
    };
    read().ok_or_else(|| Diagnostic::error("context", "the time of receipt is no RFC 3339 moment").into())
}

pub fn unwritable(error: WriteError) -> Refusal {
    Diagnostic::error("unwritable", error.to_string()).into()
}
