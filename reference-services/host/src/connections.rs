//! Connections: how requests come in, and how no caller keeps the process by sending half of one.
//!
//! A request has `request_timeout` to say what it wants, as it has to be answered. In a drain, requests that are whole are
//! answered; what is still only a part of one is given a moment, and then it is not waited for.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::response::Response;
use axum::serve::Listener;
use http::Request;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tower::{BoxError, ServiceExt as _};

use crate::shutdown::Shutdown;

/// How long a drain waits for what is under way on the wire: the rest of a request, the last bytes of an answer.
const MOMENT: Duration = Duration::from_millis(500);

/// Serves until the shutdown is requested and every whole request is answered.
pub(crate) async fn serve(
    mut listener: TcpListener,
    router: Router,
    patience: Duration,
    shutdown: Shutdown,
) {
    let mut connections = JoinSet::new();
    let mut stop = pin!(shutdown.requested());
    loop {
        tokio::select! {
            (stream, _) = Listener::accept(&mut listener) => {
                connections.spawn(connection(stream, router.clone(), patience, shutdown.clone()));
            }
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            () = &mut stop => break,
        }
    }
    // Others are refused from now on, rather than left waiting.
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn connection(stream: TcpStream, router: Router, patience: Duration, shutdown: Shutdown) {
    let requests = Requests::default();
    let service = {
        let (requests, shutdown) = (requests.clone(), shutdown.clone());
        TowerToHyperService::new(tower::service_fn(move |request: Request<Incoming>| {
            answer(request, router.clone(), requests.begin(), &shutdown)
        }))
    };
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(patience);
    builder.http2().timer(TokioTimer::new());
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let mut stop = pin!(shutdown.requested());
    let mut silent = pin!(tokio::time::sleep(patience));
    let mut watched = true;
    loop {
        tokio::select! {
            ended = connection.as_mut() => return tell(ended),
            // Until the first bytes tell the version, and in HTTP/2, nothing else looks at the time.
            () = &mut silent, if watched => {
                if !requests.any() {
                    return;
                }
                watched = false;
            }
            () = &mut stop => break,
        }
    }
    connection.as_mut().graceful_shutdown();
    // Whatever is open now is either being answered, or waits for bytes that may never come.
    let mut idle = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => return tell(ended),
            () = tokio::time::sleep(MOMENT) => {
                let still = !requests.in_flight();
                // Twice in a row: an answer may just have been given and not be sent yet.
                if idle && still {
                    return;
                }
                idle = still;
            }
        }
    }
}

fn tell(ended: Result<(), BoxError>) {
    if let Err(error) = ended {
        // Callers go away as they like.
        tracing::debug!(%error, "a connection ended");
    }
}

fn answer(
    request: Request<Incoming>,
    router: Router,
    request_in_flight: InFlight,
    shutdown: &Shutdown,
) -> impl Future<Output = Result<Response<Answer>, Infallible>> + use<> {
    let request = request.map(|body| {
        if body.is_end_stream() {
            Body::empty()
        } else {
            Body::new(Arriving::new(body, shutdown.clone()))
        }
    });
    async move {
        let response = router.oneshot(request).await?;
        Ok(response.map(|body| Answer {
            body,
            _in_flight: request_in_flight,
        }))
    }
}

/// The requests of one connection.
#[derive(Clone, Debug, Default)]
struct Requests {
    any: Arc<AtomicBool>,
    /// Counted by its owners.
    in_flight: Arc<()>,
}

/// One that is not answered yet.
#[derive(Debug)]
struct InFlight(#[expect(dead_code, reason = "counts by being there")] Arc<()>);

impl Requests {
    fn begin(&self) -> InFlight {
        self.any.store(true, Ordering::Relaxed);
        InFlight(self.in_flight.clone())
    }

    /// Whether there has been one.
    fn any(&self) -> bool {
        self.any.load(Ordering::Relaxed)
    }

    /// Whether one is being answered. This connection and its service know the count beside the requests.
    fn in_flight(&self) -> bool {
        Arc::strong_count(&self.in_flight) > 2
    }
}

/// An answer; its request is in flight until it has been given away whole.
struct Answer {
    body: Body,
    _in_flight: InFlight,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of a request as it comes in. In a drain its rest is waited for only for a moment.
struct Arriving {
    body: Incoming,
    late: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Arriving {
    fn new(body: Incoming, shutdown: Shutdown) -> Self {
        let late = async move {
            shutdown.requested().await;
            tokio::time::sleep(MOMENT).await;
        };
        Self {
            body,
            late: Box::pin(late),
        }
    }
}

impl HttpBody for Arriving {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        ready!(self.late.as_mut().poll(context));
        Poll::Ready(Some(Err(
            "the server stops, and the rest of the body has not come; send the request again"
                .into(),
        )))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
