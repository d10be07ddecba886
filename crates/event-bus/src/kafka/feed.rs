//! What one member of a group is handed.

use std::sync::Arc;

use async_trait::async_trait;

use super::member::Member;
use super::settle::KafkaSettler;
use crate::backend::{Feed, Incoming, Settler};
use crate::error::Error;

/// The deliveries of one member. Dropping it leaves the group once what is in flight is settled.
pub(super) struct KafkaFeed {
    pub(super) member: Arc<Member>,
    pub(super) settler: Arc<KafkaSettler>,
}

#[async_trait]
impl Feed for KafkaFeed {
    async fn receive(&mut self) -> Result<Option<Incoming>, Error> {
        let Some(handed_out) = self.member.desk.next().await? else {
            return Ok(None);
        };
        let held = &handed_out.item;
        let incoming = Incoming::new(
            held.body.clone(),
            handed_out.attempt,
            held.record.position(),
            handed_out.receipt,
        );
        Ok(Some(
            incoming.with_first_seen_at(Some(handed_out.first_seen)),
        ))
    }

    fn settler(&self) -> Arc<dyn Settler> {
        Arc::clone(&self.settler) as Arc<dyn Settler>
    }

    async fn close(self: Box<Self>) {
        self.member.leave(self.member.lease);
        // With deliveries still in somebody's hands the group is left later, when they are settled.
        if self.member.desk.look(|lanes, _| lanes.in_flight()) == 0 {
            self.member.departure.gone().await;
        }
    }
}

impl Drop for KafkaFeed {
    fn drop(&mut self) {
        self.member.leave(self.member.lease);
    }
}
