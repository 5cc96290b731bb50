//! EasyPost, API v2 (<https://docs.easypost.com/docs/trackers>): trackers and the events that announce them become
//! shipment milestones; a dispatched shipment becomes the request for a new tracker.

mod inbound;
mod json;
mod moment;
mod outbound;

use crossdock_mapper::{Context, Input, Mapped, Mapper, Output, Recorded, Refusal, export};

/// The mapper.
pub struct EasyPost;

impl Mapper for EasyPost {
    fn to_canonical(_: &Context, document: &Input) -> Result<Mapped, Refusal> {
        inbound::map(document)
    }

    fn from_canonical(_: &Context, events: &[Recorded]) -> Result<Output, Refusal> {
        outbound::map(events)
    }
}

export!(EasyPost);
