//! A payment provider to test against, with faults on demand.
