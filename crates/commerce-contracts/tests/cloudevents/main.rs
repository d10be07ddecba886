//! CloudEvents 1.0.2, rule by rule: one file for each format and binding, and in it one line for each rule that foreign bytes
//! can break or that writing must keep.

mod amqp;
mod batch;
mod extensions;
mod http;
mod json;
mod kafka;

use commerce_contracts::{CloudEvent, EnvelopeError};

/// What must come of foreign bytes.
enum Outcome {
    /// An event in which this holds.
    Read(fn(&CloudEvent) -> bool),
    /// An error that says this.
    Refused(&'static str),
}

use Outcome::{Read, Refused};

impl Outcome {
    fn check(&self, rule: &str, read: Result<CloudEvent, EnvelopeError>) {
        match (self, read) {
            (Read(holds), Ok(event)) => assert!(holds(&event), "{rule}: {event:?}"),
            (Refused(says), Err(error)) => {
                let error = error.to_string();
                assert!(error.contains(says), "{rule}: {error:?} says no {says:?}");
            }
            (Read(_), Err(error)) => panic!("{rule}: refused: {error}"),
            (Refused(_), Ok(event)) => panic!("{rule}: read: {event:?}"),
        }
    }
}

fn event() -> CloudEvent {
    let event = CloudEvent::new("/shop", "shop.greeted.v1").unwrap();
    event.with_id("1").unwrap()
}

fn data(event: &CloudEvent) -> &[u8] {
    event.data().expect("data")
}
