//! What one member of a subscription is handed.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::DateTime;
use tokio::time::Instant;

use super::member::Member;
use super::settle::SqsSettler;
use crate::backend::{Feed, Incoming, Settler};
use crate::error::Error;

/// The deliveries of one member. Dropping it leaves the subscription.
pub(super) struct SqsFeed {
    pub(super) member: Arc<Member>,
    pub(super) settler: Arc<SqsSettler>,
}

#[async_trait]
impl Feed for SqsFeed {
    async fn receive(&mut self) -> Result<Option<Incoming>, Error> {
        let member = &self.member;
        let mut wanted = None;
        loop {
            {
                let mut desk = member.desk();
                if desk.is_closed() {
                    return Ok(None);
                }
                // Handed out in the last step, so that nothing is lost in a future that is dropped.
                if let Some(next) = desk.next(Instant::now()) {
                    let parcel = &next.item.parcel;
                    let first = parcel
                        .first_received
                        .and_then(DateTime::from_timestamp_millis);
                    let incoming = Incoming::new(
                        next.item.body.clone(),
                        next.attempt,
                        parcel.id.clone(),
                        next.receipt,
                    );
                    return Ok(Some(incoming.with_first_seen_at(first)));
                }
            }
            if let Some(failure) = member.failure() {
                return Err(failure);
            }
            if wanted.is_none() {
                wanted = Some(member.want());
            }
            member.arrived.notified().await;
        }
    }

    fn settler(&self) -> Arc<dyn Settler> {
        Arc::clone(&self.settler) as Arc<dyn Settler>
    }

    async fn close(self: Box<Self>) {
        self.member.leave();
        self.member.changes.flush().await;
    }
}

impl Drop for SqsFeed {
    fn drop(&mut self) {
        self.member.leave();
    }
}
