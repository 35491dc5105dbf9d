//! The world that scenes and the demo play in: machines, an operator's workshop, hosts with an agent.

pub(crate) mod fleet;
pub(crate) mod host;
pub(crate) mod workshop;
