//! Orders: a hypermedia API over an order state machine.
