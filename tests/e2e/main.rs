//! The gateway as its partners and operators meet it: the real binary, real sockets, real documents.

#![allow(missing_docs, reason = "a test has no readers from outside")]

mod acknowledge;
mod author;
mod commands;
mod delivery;
mod job;
mod keys;
mod languages;
mod live;
mod policies;
mod refusals;
mod server;
mod world;
