//! Every service in one process, and the demo.
