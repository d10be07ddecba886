//! Organizations, users, clients and signed OAuth 2 tokens.
