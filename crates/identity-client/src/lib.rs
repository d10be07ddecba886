//! OAuth 2 tokens for services: obtaining, caching and verifying them, principals and permissions.
