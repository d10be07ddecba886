//! Notifications: tells each customer once how the payment went.
