//! The gateway as its partners and operators meet it: the real binary, real sockets, real documents.

#![allow(missing_docs, reason = "a test has no readers from outside")]

mod acknowledge;
mod author;
mod certificates;
mod commands;
mod conditions;
mod delivery;
mod exceptions;
mod governance;
mod hardening;
mod job;
mod keys;
mod languages;
mod limits;
mod live;
mod partners;
mod policies;
mod refusals;
mod server;
mod signed;
mod world;
