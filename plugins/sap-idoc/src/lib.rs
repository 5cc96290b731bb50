//! SAP delivery IDocs in XML (basic types DELVRY01 to DELVRY07).

mod encoding;
mod inbound;
mod layout;
mod outbound;
mod units;
mod write;
mod xml;

use crossdock_mapper::{Context, Input, Mapped, Mapper, Output, Recorded, Refusal, export};

/// The mapper.
pub struct SapIdoc;

impl Mapper for SapIdoc {
    fn to_canonical(context: &Context, document: &Input) -> Result<Mapped, Refusal> {
        inbound::map(context, document)
    }

    fn from_canonical(context: &Context, events: &[Recorded]) -> Result<Output, Refusal> {
        outbound::map(context, events)
    }
}

export!(SapIdoc);
