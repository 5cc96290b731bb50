//! X12 of transport: 204 (load tender), 990 (answer), 214 (status), 210 (freight invoice) in both directions, and 211 (bill
//! of lading) in.

mod answer;
mod bill;
mod facts;
mod goods;
mod invoice;
mod money;
mod status;
mod stops;
mod tables;
mod tender;
mod write;

use crossdock_edi::x12::TransactionSet;
use crossdock_mapper::{Context, Event, Input, Mapped, Mapper, Outcome, Output, Recorded, Refusal};
use crossdock_x12::{Mapping, Problems, Values, Zones};

/// The mapper.
pub struct X12Tms;

impl Mapper for X12Tms {
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

crossdock_mapper::export!(X12Tms);

const MAPPING: Mapping<'_> = Mapping {
    sets: &[("204", "SM"), ("990", "GF"), ("214", "QM"), ("210", "IM"), ("211", "BL")],
    versions: "003050"..="008060",
    values: Values {
        read: &[
            "AT1", "AT2", "AT4", "AT7", "AT8", "B1", "B10", "B2", "B2A", "B3", "BOL", "C3", "CD3", "G61",
            "G62", "ITD", "K1", "L0", "L1", "L11", "L3", "L5", "L9", "LAD", "LH1", "LH2", "LH3", "LX", "M7",
            "MAN", "MS1", "MS2", "MS3", "N1", "N2", "N3", "N4", "N7", "N9", "NM1", "NTE", "OID", "PER",
            "PLD", "POD", "PRF", "Q7", "R3", "S5", "SPO", "V9", "W09",
        ],
        bounds: &[
            ("K1", 1, 4096),
            ("K1", 2, 4096),
            ("L11", 3, 4096),
            ("MS2", 1, 64),
            ("MS2", 2, 128),
            ("N7", 1, 64),
            ("N7", 2, 128),
            ("N9", 3, 4096),
            ("NTE", 2, 4096),
        ],
        keys: &[
            ("AT7", 1),
            ("AT7", 2),
            ("AT7", 3),
            ("AT7", 4),
            ("B1", 1),
            ("B1", 2),
            ("B10", 1),
            ("B10", 2),
            ("B10", 3),
            ("B2", 2),
            ("B2", 4),
            ("B3", 2),
            ("B3", 3),
            ("B3", 11),
            ("BOL", 1),
            ("BOL", 3),
            ("L11", 1),
            ("MAN", 2),
            ("MS1", 1),
            ("MS1", 2),
            ("MS2", 1),
            ("MS2", 2),
            ("N9", 2),
        ],
    },
    map,
};

fn map(set: TransactionSet<'_>, zones: &Zones<'_>, problems: &mut Problems<'_>) -> Vec<Event> {
    match &*set.id() {
        "204" => tender::read(set, zones, problems).into_iter().collect(),
        "990" => answer::read(set, zones, problems).into_iter().collect(),
        "214" => status::read(set, zones, problems),
        "210" => invoice::read(set, zones, problems).into_iter().collect(),
        _ => bill::read(set, zones, problems).into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_of_values_are_in_the_order_that_they_are_searched_by() {
        assert!(MAPPING.values.are_in_order());
    }
}
