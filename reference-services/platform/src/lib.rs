//! Every service in one process, on embedded storage or on real servers, and a demo that proves it under faults.

pub mod assembly;
pub mod configuration;
pub mod demo;
