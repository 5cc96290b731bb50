//! The canonical check: from a draft to an event.
