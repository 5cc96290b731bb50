//! Crossdock: the gateway between warehouse, transport and finance systems. `gateway/ARCHITECTURE.md` describes the house.

pub mod words;

pub mod auth;
pub mod canonical;
pub mod contract;
pub mod journal;
pub mod mapper;
pub mod throttle;

pub mod deliver;
pub mod policy;

pub mod cli;
