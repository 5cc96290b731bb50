//! X12 004010 of warehouses: 940 (shipping order) and 945 (shipping advice), in both directions.

mod advice;
mod heading;
mod line;
mod order;
mod packs;
mod tables;
mod write;

use crossdock_edi::x12::TransactionSet;
use crossdock_mapper::{Context, Event, Input, Mapped, Mapper, Outcome, Output, Recorded, Refusal};
use crossdock_x12::{Mapping, Problems, Values, Zones};

/// The mapper.
pub struct X12Wms;

impl Mapper for X12Wms {
    fn to_canonical(context: &Context, document: &Input) -> Result<Mapped, Refusal> {
        crossdock_x12::read(&MAPPING, context, document)
    }

    fn from_canonical(context: &Context, events: &[Recorded]) -> Result<Output, Refusal> {
        write::document(context, events)
    }

    fn acknowledge(context: &Context, outcomes: &[Outcome]) -> Result<Option<Output>, Refusal> {
        crossdock_x12::acknowledge(context, outcomes)
    }
}

crossdock_mapper::export!(X12Wms);

const MAPPING: Mapping<'_> = Mapping {
    sets: &[("940", "OW"), ("945", "SW")],
    versions: "003010"..="008060",
    values: Values {
        read: &[
            "G62", "G69", "LX", "MAN", "N1", "N2", "N3", "N4", "N9", "NTE", "PER", "W01", "W03", "W05",
            "W06", "W09", "W10", "W12", "W27", "W66", "W76",
        ],
        bounds: &[("G69", 1, 512), ("N9", 3, 4096), ("NTE", 2, 4096), ("W27", 6, 64), ("W27", 7, 128)],
        keys: &[("N9", 2), ("W05", 2), ("W06", 2), ("W06", 4), ("W06", 5)],
    },
    map,
};

fn map(set: TransactionSet<'_>, zones: &Zones<'_>, problems: &mut Problems<'_>) -> Vec<Event> {
    let event = match &*set.id() {
        "945" => advice::read(set, zones, problems),
        _ => order::read(set, zones, problems),
    };
    event.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_of_values_are_in_the_order_that_they_are_searched_by() {
        assert!(MAPPING.values.are_in_order());
    }
}
