//! The innermost service: finds the handler, runs it, makes its effects durable.

use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use commerce_contracts::avro::WriterSchemas;
use commerce_event_bus::{ErrorKind, EventBus, Message};
use futures_util::future::BoxFuture;
use tower::Service;

use crate::call::Call;
use crate::extract::Context;
use crate::failure::Failure;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
use crate::inbox::Work;
use crate::routes::{Found, Routes};
use crate::stats::Stats;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
use crate::storage::Database;

pub(super) struct Dispatch<S> {
    pub(super) routes: Arc<Routes<S>>,
    pub(super) state: S,
    pub(super) bus: EventBus,
    pub(super) stats: Arc<Stats>,
    pub(super) writers: WriterSchemas,
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(super) inbox: Option<Database>,
}

impl<S: Clone> Clone for Dispatch<S> {
    fn clone(&self) -> Self {
        Self {
            routes: Arc::clone(&self.routes),
            state: self.state.clone(),
            bus: self.bus.clone(),
            stats: Arc::clone(&self.stats),
            writers: self.writers.clone(),
            #[cfg(any(feature = "sqlite", feature = "postgres"))]
            inbox: self.inbox.clone(),
        }
    }
}

impl<S: Clone + Send + Sync + 'static> Service<Call> for Dispatch<S> {
    type Response = ();
    type Error = Failure;
    type Future = BoxFuture<'static, Result<(), Failure>>;

    fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let this = self.clone();
        Box::pin(async move { this.handle(call).await })
    }
}

impl<S: Clone + Send + Sync + 'static> Dispatch<S> {
    async fn handle(self, call: Call) -> Result<(), Failure> {
        #[cfg(any(feature = "sqlite", feature = "postgres"))]
        if let Some(database) = self.inbox.clone() {
            let work = Work::new(database, call.clone());
            if work.is_marked().await? {
                return Err(Failure::duplicate());
            }
            let context = self.context(&call).with_work(Some(work.clone()));
            let messages = self.run(&call, context).await?;
            work.commit(messages).await?;
            self.stats.handled.add();
            return Ok(());
        }
        let context = self.context(&call);
        let messages = self.run(&call, context).await?;
        self.publish(messages).await?;
        self.stats.handled.add();
        Ok(())
    }

    fn context(&self, call: &Call) -> Context<S> {
        Context::new(call.clone(), self.state.clone(), self.writers.clone())
    }

    async fn run(&self, call: &Call, context: Context<S>) -> Result<Vec<Message>, Failure> {
        let message = Message::new(call.topic().clone(), call.event().clone());
        // A layer may have put another event into the call.
        match self.routes.find(&message) {
            Some(Found::Handler(run)) => run(context).await?.caused_by(call),
            Some(Found::UnknownVersion(refusal)) => Err(Failure::reject(refusal)),
            None => Ok(Vec::new()),
        }
    }

    /// Without an inbox the events are published before the consumed one is acknowledged; when one
    /// is not accepted, all of them are made again at the next attempt.
    async fn publish(&self, messages: Vec<Message>) -> Result<(), Failure> {
        if messages.is_empty() {
            return Ok(());
        }
        for result in self.bus.publish_batch(messages).await {
            match result {
                Ok(_) => {}
                // Too large, or unencodable: it will be so at every attempt.
                Err(error) if error.error().kind() == ErrorKind::Message => {
                    return Err(Failure::reject(error));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}
