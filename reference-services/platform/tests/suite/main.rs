//! The program: what it refuses, what it leaves on disk, how it ends.

#[cfg(unix)]
mod program;
