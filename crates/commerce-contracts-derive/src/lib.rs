//! The #[derive(Event)] macro of commerce-contracts.
