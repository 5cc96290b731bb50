//! The functional acknowledgement of a document on the bench, as the gateway would answer it.

use super::bench::{Bench, Opened, Setting};
use crate::{
    mapper::{Direction, Ended, Failure, Mapped, Ran},
    words::Document,
};

/// Asks for the acknowledgement of a document that was mapped, or refused by its mapper. Units are judged one by one
/// unless the setting says otherwise.
pub(super) fn ask(
    bench: &Bench<'_>,
    opened: &Opened,
    setting: &Setting,
    document: &Document,
    read: Result<&Mapped, &Failure>,
) -> Result<Ran<Option<Document>>, Failure> {
    let mapper = &opened.mapper;
    match read {
        Ok(mapped) => {
            let (Mapped { rejects, diagnostics, .. }, kept) = (mapped, !mapped.is_sunk(setting.partial));
            bench.acknowledge(mapper, setting, document, &Ended { rejects, diagnostics, kept })
        }
        Err(Failure::Refused(diagnostics)) => {
            let ended = Ended { rejects: &[], diagnostics, kept: false };
            bench.acknowledge(mapper, setting, document, &ended)
        }
        Err(failure) => Err(failure.clone()),
    }
}

/// The same where the mapper writes acknowledgements and there is something to acknowledge; else none.
pub(super) fn after(
    bench: &Bench<'_>,
    opened: &Opened,
    setting: &Setting,
    document: &Document,
    read: Result<&Mapped, &Failure>,
) -> Option<Result<Ran<Option<Document>>, Failure>> {
    let concerned =
        opened.mapper.offers(Direction::Acknowledge) && matches!(read, Ok(_) | Err(Failure::Refused(_)));
    concerned.then(|| ask(bench, opened, setting, document, read))
}
