//! The service from outside: events in, e-mails and answers out.

mod api;
mod consumption;
mod crash;
mod mail_server;
mod mailbox;
mod shop;
