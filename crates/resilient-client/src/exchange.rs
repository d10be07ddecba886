//! One request to one URL, with everything that may be needed to get an answer: credentials, breaker, retries.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use tokio::time::Instant;
use url::Url;

use crate::{
    breaker::{Change, Open},
    client::Inner,
    error::{Error, ErrorKind},
    origins::{self, Origin},
    problem::Problem,
    retry::{self, Safety},
    stats::count,
    transport::{Broken, Reply, Sent},
};

/// What is sent, the same in every attempt.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<Bytes>,
    pub(crate) safety: Safety,
    /// The caller's headers may go to this origin although it is not one for credentials.
    pub(crate) named_by_caller: bool,
}

/// Sends until there is an answer below 400, or an error.
pub(crate) async fn run(
    client: &Inner,
    outgoing: &Outgoing,
    deadline: Instant,
) -> Result<Reply, Error> {
    let name = origins::name(&outgoing.url);
    let trusted = client.trusted_origins.contains(&name);
    let origin = client.origins.of(&name);
    origin.budget.deposit();
    let mut exchange = Exchange {
        client,
        outgoing,
        deadline,
        name,
        trusted,
        origin,
        attempts: 0,
    };
    exchange.run().await.map_err(|error| {
        error
            .on(&outgoing.method, &outgoing.url)
            .with_attempts(exchange.attempts)
    })
}

struct Exchange<'a> {
    client: &'a Inner,
    outgoing: &'a Outgoing,
    deadline: Instant,
    name: String,
    trusted: bool,
    origin: Arc<Origin>,
    attempts: u32,
}

/// An attempt that did not succeed.
struct Failed {
    error: Error,
    /// Sending the same again can do no harm and may help.
    again: bool,
    credential_refused: Option<HeaderValue>,
}

impl Exchange<'_> {
    async fn run(&mut self) -> Result<Reply, Error> {
        let (mut tries, mut reauthorized) = (0, false);
        let mut cause = None;
        loop {
            let failed = match self.attempt(cause.is_some()).await {
                Ok(Ok(reply)) => return Ok(reply),
                Ok(Err(failed)) => failed,
                Err(error) => return Err(self.not_sent(error, cause)),
            };
            if let (Some(refused), Some(authorizer), false) = (
                &failed.credential_refused,
                &self.client.authorizer,
                reauthorized,
            ) {
                // A request refused with 401 was not acted upon: repeating it is safe, whatever its method.
                reauthorized = true;
                count(&self.client.counters.reauthorizations);
                authorizer.rejected(refused).await;
                continue;
            }
            tries += 1;
            let (wait, error) = self.wait_before_retry(tries, failed)?;
            tokio::time::sleep(wait).await;
            cause = Some(error);
        }
    }

    /// A retry that was not sent because the circuit opened while it waited is not paid for.
    fn not_sent(&self, error: Error, cause: Option<Error>) -> Error {
        match cause {
            Some(cause) => {
                if error.kind() == ErrorKind::CircuitOpen {
                    self.origin.budget.give_back();
                }
                error.because(cause)
            }
            None => error,
        }
    }

    /// Decides whether and when to try again, and hands the error on as the reason for it; or returns it when not.
    fn wait_before_retry(&self, tries: u32, failed: Failed) -> Result<(Duration, Error), Error> {
        let policy = &self.client.retry;
        if !failed.again || tries >= policy.attempts {
            return Err(failed.error);
        }
        let asked = failed.error.retry_after();
        let wait = policy.wait(tries, asked, fastrand::f64());
        let no_time = Instant::now() + wait + policy.shortest_attempt > self.deadline;
        if asked.is_some_and(|asked| asked > policy.longest_retry_after) || no_time {
            return Err(failed.error);
        }
        if let Some(open) = self.origin.circuit.refuses_after(wait) {
            return Err(self.circuit_open(open).because(failed.error));
        }
        if !self.origin.budget.withdraw() {
            count(&self.client.counters.budget_exhausted);
            tracing::debug!(http.origin = self.name, "retry budget spent");
            return Err(failed.error);
        }
        tracing::debug!(
            http.request.method = %self.outgoing.method,
            http.origin = self.name,
            http.request.resend_count = tries,
            wait_ms = millis(wait),
            error = %failed.error,
            "request will be retried"
        );
        Ok((wait, failed.error))
    }

    /// One attempt. The outer error ends the call, the inner one is judged.
    async fn attempt(&mut self, retry: bool) -> Result<Result<Reply, Failed>, Error> {
        let (headers, credential) = self.headers().await?;
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Error::new(ErrorKind::Timeout, "the call's time is up"));
        }
        let permit = self
            .origin
            .circuit
            .admit()
            .map_err(|open| self.circuit_open(open))?;
        self.attempts += 1;
        count(&self.client.counters.attempts);
        if retry {
            count(&self.client.counters.retries);
        }
        let started = Instant::now();
        let Outgoing {
            method, url, body, ..
        } = self.outgoing;
        let timeout = left.min(self.client.attempt_timeout);
        let result = self
            .client
            .transport
            .send(method, url, headers, body.clone(), timeout)
            .await;
        let down = match &result {
            Ok(reply) => {
                reply.status.is_server_error() && reply.status != StatusCode::NOT_IMPLEMENTED
            }
            Err(broken) => {
                matches!(
                    broken.error.kind(),
                    ErrorKind::Connect | ErrorKind::Timeout | ErrorKind::Transport
                )
            }
        };
        let change = permit.settle(down);
        self.report(&result, started, change);
        Ok(self.judge(result, credential))
    }

    fn judge(
        &self,
        result: Result<Reply, Broken>,
        credential: Option<HeaderValue>,
    ) -> Result<Reply, Failed> {
        let safety = self.outgoing.safety;
        match result {
            Ok(reply) if reply.status.as_u16() < 400 => Ok(reply),
            Ok(reply) => {
                let asked = retry::retry_after(&reply.headers, SystemTime::now());
                let transient = safety.is_transient(reply.status, asked.is_some());
                let problem = Problem::of(reply.content_type(), &reply.body);
                let error = Error::new(ErrorKind::Status, reply.status.to_string())
                    .answered(reply.status, problem)
                    .with_retry_after(asked)
                    .with_retryable(transient);
                let refused = if reply.status == StatusCode::UNAUTHORIZED {
                    credential
                } else {
                    None
                };
                Err(Failed {
                    error,
                    again: transient && safety.is_repeatable(),
                    credential_refused: refused,
                })
            }
            Err(Broken { sent, error }) => {
                let again = error.is_retryable() && (sent == Sent::No || safety.is_repeatable());
                Err(Failed {
                    error,
                    again,
                    credential_refused: None,
                })
            }
        }
    }

    /// The headers of one attempt. Only `Accept` goes to an origin that nobody vouched for.
    async fn headers(&self) -> Result<(HeaderMap, Option<HeaderValue>), Error> {
        let mut headers = HeaderMap::new();
        let mut credential = None;
        if self.trusted {
            if let Some(hook) = &self.client.headers_hook {
                hook(&mut headers);
            }
            // A credential of the caller's own, such as a client's secret at the token endpoint, replaces ours.
            if let (Some(authorizer), false) = (
                &self.client.authorizer,
                self.outgoing.headers.contains_key(header::AUTHORIZATION),
            ) {
                let value = tokio::time::timeout_at(self.deadline, authorizer.authorize())
                    .await
                    .map_err(|_| {
                        Error::new(
                            ErrorKind::Timeout,
                            "no credentials before the call's time was up",
                        )
                    })?
                    .map_err(|error| {
                        let retryable = error.is_retryable();
                        Error::new(ErrorKind::Authorize, "no credentials")
                            .because(error)
                            .with_retryable(retryable)
                    })?;
                headers.insert(header::AUTHORIZATION, value.clone());
                credential = Some(value);
            }
        }
        if self.trusted || self.outgoing.named_by_caller {
            for name in self.outgoing.headers.keys() {
                headers.remove(name);
            }
            headers.extend(self.outgoing.headers.clone());
        } else if let Some(content_type) = self.outgoing.headers.get(header::CONTENT_TYPE) {
            headers.insert(header::CONTENT_TYPE, content_type.clone());
        }
        headers.entry(header::ACCEPT).or_insert(ACCEPT);
        Ok((headers, credential))
    }

    fn circuit_open(&self, open: Open) -> Error {
        count(&self.client.counters.breaker_rejections);
        Error::new(ErrorKind::CircuitOpen, format!("{open} for {}", self.name))
            .with_retry_after(Some(open.retry_after()))
    }

    fn report(&self, result: &Result<Reply, Broken>, started: Instant, change: Change) {
        let status = result.as_ref().ok().map(|reply| reply.status.as_u16());
        tracing::debug!(
            http.request.method = %self.outgoing.method,
            http.origin = self.name,
            http.response.status_code = status,
            error = result.as_ref().err().map(|broken| tracing::field::display(&broken.error)),
            attempt = self.attempts,
            elapsed_ms = millis(started.elapsed()),
            "request sent"
        );
        match change {
            Change::None => {}
            Change::Opened => {
                count(&self.client.counters.breaker_opens);
                tracing::warn!(http.origin = self.name, "circuit opened");
            }
            Change::Closed => tracing::info!(http.origin = self.name, "circuit closed"),
        }
    }
}

const ACCEPT: HeaderValue = HeaderValue::from_static(
    "application/hal+json, application/json;q=0.9, application/problem+json;q=0.8",
);

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
