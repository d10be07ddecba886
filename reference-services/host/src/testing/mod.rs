//! For tests of services: which servers there are, storage of one's own, tokens, and a bus that nobody else hears.

mod isolation;
mod scratch;
mod tokens;

pub use self::isolation::isolated;
pub use self::scratch::Scratch;
pub use self::tokens::Tokens;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::resources::Resources;
use crate::settings::{ConnectionUrl, Settings};

/// The URL of a server that tests may use, from `KAFKA_URL`, `AMQP_URL`, `DATABASE_URL`, ….
///
/// A test that gets `None` ends, and has said why. Where servers were promised, under `CI=true`, none is a failure.
///
/// # Panics
/// If the variable is not set and `CI` is `true`.
pub fn server(variable: &str) -> Option<String> {
    match std::env::var(variable) {
        Ok(url) if !url.is_empty() => Some(url),
        _ => {
            assert!(
                std::env::var("CI").as_deref() != Ok("true"),
                "{variable} is not set, and CI skips nothing"
            );
            eprintln!("skipped: {variable} is not set");
            None
        }
    }
}

/// Resources for one test: a free port, its own storage, its own topics on the bus at `bus`, and these tokens.
pub async fn resources(scratch: &Scratch, bus: &str, tokens: &Tokens) -> anyhow::Result<Resources> {
    let settings = Settings {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        data: scratch.directory().to_owned(),
        bus: Some(ConnectionUrl::new(bus)),
        store: Some(ConnectionUrl::new(scratch.store())),
        drain: Duration::from_secs(20),
        ..Settings::default()
    };
    let mut resources = Resources::connect(settings).await?;
    resources.bus = isolated(&resources.bus);
    tokens.issuer().clone_into(&mut resources.issuer);
    resources.verifier = tokens.verifier(&resources.settings.audience)?;
    Ok(resources)
}
