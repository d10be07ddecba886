//! What a backend can do. A capability claimed is a capability that the conformance suite tests.

use std::fmt;

/// What a backend can do. The conformance suite chooses its cases from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one independent claim, read by name"
)]
pub struct Capabilities {
    /// What was accepted survives the end of this process, and so do subscriptions and their progress.
    pub durable: bool,
    /// Several processes share topics and subscriptions.
    pub multi_process: bool,
    /// [`Order::PerKey`](crate::Order::PerKey) subscriptions can be made.
    pub ordered: bool,
    /// A new subscription sees messages published before it was made.
    pub replay: bool,
    /// A new subscription can begin at a [time](crate::Start::Time) or a [position](crate::Start::Position).
    pub seek: bool,
    /// A subscription can [filter](crate::Filter).
    pub filters: bool,
    /// Topics can be listed, so that one subscriber can follow
    /// [all that match a pattern](crate::EventBus::subscribe_matching).
    pub patterns: bool,
    /// A message can be [delivered later](crate::Message::deliver_at), also when its publisher is gone by then.
    pub delayed: bool,
    /// `Retry { after }` is kept by the backend: it is honoured also when this process ends meanwhile.
    pub durable_retry: bool,
    /// The attempt number survives the end of this process.
    pub durable_attempts: bool,
    /// Rejected deliveries are kept, can be read, redriven and purged.
    pub dead_letters: bool,
    /// A settlement that comes after another member took the delivery over is an error value.
    pub fenced: bool,
    /// `Accepted` tells the position.
    pub positions: bool,
    /// A message accepted goes to the backlog that [`EventBus::backlog`](crate::EventBus::backlog) counts exactly.
    pub exact_backlog: bool,
    /// The backlog tells [when the oldest unsettled message was published](crate::Backlog::oldest_at).
    pub backlog_age: bool,
    /// What a message may [weigh](crate::Message::size) at most, in bytes; a heavier one is refused before it is sent.
    /// Zero: the backend does not say.
    pub max_message_bytes: usize,
}

impl Capabilities {
    /// No claim at all: the start for a backend's own list.
    pub const fn none() -> Self {
        Self {
            durable: false,
            multi_process: false,
            ordered: false,
            replay: false,
            seek: false,
            filters: false,
            patterns: false,
            delayed: false,
            durable_retry: false,
            durable_attempts: false,
            dead_letters: false,
            fenced: false,
            positions: false,
            exact_backlog: false,
            backlog_age: false,
            max_message_bytes: 0,
        }
    }

    /// Every claim by name, for tables and for choosing cases.
    pub const fn claims(&self) -> [(&'static str, bool); 15] {
        [
            ("durable", self.durable),
            ("multi_process", self.multi_process),
            ("ordered", self.ordered),
            ("replay", self.replay),
            ("seek", self.seek),
            ("filters", self.filters),
            ("patterns", self.patterns),
            ("delayed", self.delayed),
            ("durable_retry", self.durable_retry),
            ("durable_attempts", self.durable_attempts),
            ("dead_letters", self.dead_letters),
            ("fenced", self.fenced),
            ("positions", self.positions),
            ("exact_backlog", self.exact_backlog),
            ("backlog_age", self.backlog_age),
        ]
    }
}

impl fmt::Display for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let claimed: Vec<_> = self
            .claims()
            .iter()
            .filter(|(_, yes)| *yes)
            .map(|(name, _)| *name)
            .collect();
        f.write_str(&claimed.join(", "))
    }
}
