//! The contract of one subscription in the smallest form: what may be handed out, and what a settlement does.
//! Backends are run against it with random histories.

use std::collections::BTreeMap;

/// A delivery given out, now or before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Given {
    pub(crate) sequence: u64,
    pub(crate) fence: u64,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Verdict {
    Ack,
    Reject,
    /// Back at this time; counted or as if it had not been handed out.
    Again {
        due: i64,
        counted: bool,
    },
}

#[derive(Clone, Debug, Default)]
struct Open {
    key: Option<u8>,
    attempts: u32,
    due: i64,
    /// Fence and end of the lease.
    holder: Option<(u64, i64)>,
}

/// One subscription.
#[derive(Debug, Default)]
pub(crate) struct Model {
    open: BTreeMap<u64, Open>,
    dead: BTreeMap<u64, Option<u8>>,
}

impl Model {
    pub(crate) fn publish(&mut self, sequence: u64, key: Option<u8>) {
        let open = Open {
            key,
            ..Open::default()
        };
        assert!(
            self.open.insert(sequence, open).is_none(),
            "{sequence} was published twice"
        );
    }

    /// What may be handed out: what is due, of each key only the oldest, and none while one of the key is held. A
    /// holder whose lease ended holds no more, but its delivery goes first.
    pub(crate) fn deliverable(&self, now: i64) -> Vec<u64> {
        let held = |open: &Open| open.holder.is_some_and(|(_, until)| until > now);
        let candidate = |sequence: &u64, open: &Open| {
            let Some(key) = open.key else {
                return open
                    .holder
                    .map_or(open.due <= now, |(_, until)| until <= now);
            };
            let mut lane = self.open.iter().filter(|(_, other)| other.key == Some(key));
            let first = lane
                .clone()
                .find(|(_, other)| other.holder.is_some())
                .or_else(|| lane.next());
            first.is_some_and(|(first, open)| {
                first == sequence && !held(open) && (open.holder.is_some() || open.due <= now)
            })
        };
        self.open
            .iter()
            .filter(|(sequence, open)| candidate(sequence, open))
            .map(|(sequence, _)| *sequence)
            .collect()
    }

    /// The backend handed one out; the model agrees or fails.
    pub(crate) fn hand_out(&mut self, given: Given, attempt: u32, now: i64, until: i64) {
        let deliverable = self.deliverable(now);
        assert!(
            deliverable.contains(&given.sequence),
            "{} handed out, allowed: {deliverable:?}",
            given.sequence
        );
        let open = self
            .open
            .get_mut(&given.sequence)
            .expect("a deliverable message is open");
        open.attempts += 1;
        assert_eq!(attempt, open.attempts, "attempt of {}", given.sequence);
        open.holder = Some((given.fence, until));
    }

    /// Whether a delivery is still its holder's to settle.
    pub(crate) fn holds(&self, given: Given) -> bool {
        let holder = self.open.get(&given.sequence).and_then(|open| open.holder);
        holder.is_some_and(|(fence, _)| fence == given.fence)
    }

    /// Settles; gives whether the settlement counts.
    pub(crate) fn settle(&mut self, given: Given, verdict: Verdict) -> bool {
        if !self.holds(given) {
            return false;
        }
        let open = self
            .open
            .remove(&given.sequence)
            .expect("a held message is open");
        match verdict {
            Verdict::Ack => {}
            Verdict::Reject => {
                self.dead.insert(given.sequence, open.key);
            }
            Verdict::Again { due, counted } => {
                let attempts = open.attempts - u32::from(!counted);
                let open = Open {
                    attempts,
                    due,
                    holder: None,
                    ..open
                };
                self.open.insert(given.sequence, open);
            }
        }
        true
    }

    /// The holder was heard of.
    #[cfg(feature = "sqlite")]
    pub(crate) fn extend(&mut self, given: Given, until: i64) -> bool {
        let holds = self.holds(given);
        if holds && let Some(open) = self.open.get_mut(&given.sequence) {
            open.holder = Some((given.fence, until));
        }
        holds
    }

    pub(crate) fn redrive(&mut self, limit: usize) -> u64 {
        self.redrive_wanted(limit, |_| true)
    }

    pub(crate) fn redrive_wanted(&mut self, limit: usize, wanted: impl Fn(u64) -> bool) -> u64 {
        let wanted = self.dead.keys().copied().filter(|dead| wanted(*dead));
        let oldest: Vec<u64> = wanted.take(limit).collect();
        for sequence in &oldest {
            let key = self.dead.remove(sequence).flatten();
            self.publish(*sequence, key);
        }
        oldest.len() as u64
    }

    pub(crate) fn purge(&mut self) -> u64 {
        std::mem::take(&mut self.dead).len() as u64
    }

    pub(crate) fn dead(&self) -> Vec<u64> {
        self.dead.keys().copied().collect()
    }

    /// Waiting, in flight, dead.
    pub(crate) fn backlog(&self, now: i64) -> (u64, u64, u64) {
        let held = |open: &&Open| open.holder.is_some_and(|(_, until)| until > now);
        let in_flight = self.open.values().filter(held).count() as u64;
        (
            self.open.len() as u64 - in_flight,
            in_flight,
            self.dead.len() as u64,
        )
    }
}
