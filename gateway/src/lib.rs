//! Crossdock: the gateway between warehouse, transport and finance systems. `gateway/ARCHITECTURE.md` describes the
//! house; the modules below stand in the order of its floors, lowest first.

pub mod words;

pub mod audit;
pub mod auth;
pub mod canonical;
pub mod contract;
pub mod journal;
pub mod mapper;
pub mod observe;
pub mod server;
pub mod spool;
pub mod throttle;

pub mod deliver;

pub mod policy;

pub mod refusal;

pub mod problem;

pub mod pipeline;

pub mod admin;
pub mod run;

pub mod cli;
