//! The platform as it is served: every service behind one address, and the program itself.

#[cfg(unix)]
mod program;
mod serving;
mod shop;
