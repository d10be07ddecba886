//! What one member of a subscription is handed.

use std::sync::Arc;

use async_trait::async_trait;

use super::member::Member;
use super::settle::RabbitSettler;
use crate::backend::{Feed, Incoming, Settler};
use crate::error::Error;

/// The deliveries of one member. Dropping it leaves the subscription once what is in flight is settled.
pub(super) struct RabbitFeed {
    pub(super) member: Arc<Member>,
    pub(super) settler: Arc<RabbitSettler>,
}

#[async_trait]
impl Feed for RabbitFeed {
    async fn receive(&mut self) -> Result<Option<Incoming>, Error> {
        let Some(handed_out) = self.member.desk.next().await? else {
            return Ok(None);
        };
        let held = &handed_out.item;
        // By this process or, with its trail, by another.
        let first_seen_at = held.first_seen_at.get_or_init(|| {
            let here = handed_out.first_seen;
            held.trail
                .first_seen_at
                .map_or(here, |there| there.min(here))
        });
        let incoming = Incoming::new(
            held.body.clone(),
            handed_out.attempt,
            held.position.clone(),
            handed_out.receipt,
        );
        Ok(Some(incoming.with_first_seen_at(Some(*first_seen_at))))
    }

    fn settler(&self) -> Arc<dyn Settler> {
        Arc::clone(&self.settler) as Arc<dyn Settler>
    }

    async fn close(self: Box<Self>) {
        self.member.leave(self.member.lease);
        // With deliveries still in somebody's hands the rest goes back later, when they are settled.
        if self.member.desk.look(|lanes, ()| lanes.in_flight()) == 0 {
            self.member.departure.gone().await;
        }
    }
}

impl Drop for RabbitFeed {
    fn drop(&mut self) {
        self.member.leave(self.member.lease);
    }
}
