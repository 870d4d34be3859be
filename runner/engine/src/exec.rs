//! Executors: how a lane's tool is executed inside a container, and how what it says becomes cases.
//!
//! Each kind of suite is two pure functions: a lane and its place become a container and a job ([`site::Assembly`]), and
//! what the agent inside says becomes cases ([`heard::Decoder`]). What runs them is the same for all ([`drive::Drive`]).

pub mod cargo;
pub mod drive;
pub mod executor;
pub mod fake;
pub mod heard;
pub mod job;
pub mod ledger;
pub mod place;
pub mod pre_commit;
pub mod prepare;
pub mod pytest;
pub mod rounds;
pub mod site;
mod stack_facts;
