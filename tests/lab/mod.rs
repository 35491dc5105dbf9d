//! The world that scenes and the demo play in: machines, an operator's workshop, hosts with an agent.

pub(crate) mod acme;
pub(crate) mod fleet;
pub(crate) mod forge;
pub(crate) mod host;
pub(crate) mod link;
pub(crate) mod site;
pub(crate) mod workshop;
