//! Payments: requests to a payment provider and its signed answers.
