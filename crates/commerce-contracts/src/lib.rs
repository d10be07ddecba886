//! Versioned, typed event contracts: CloudEvents envelope, derive macro, JSON Schema validation, commerce vocabulary.
