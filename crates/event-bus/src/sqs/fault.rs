//! What goes wrong between here and AWS, and what may be concluded from it.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use aws_sdk_sqs::config::http::HttpResponse;
use aws_sdk_sqs::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::types::BatchResultErrorEntry;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::error::{Error, ErrorKind};

const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What went wrong with a request, or with one entry of a batch.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub(super) kind: ErrorKind,
    /// AWS did nothing, for certain.
    pub(super) certain: bool,
    code: String,
    problem: String,
}

impl Fault {
    pub(super) fn new(kind: ErrorKind, problem: impl Into<String>) -> Self {
        Self {
            kind,
            certain: true,
            code: String::new(),
            problem: problem.into(),
        }
    }

    /// AWS has not answered.
    fn late() -> Self {
        Self {
            certain: false,
            ..Self::new(ErrorKind::Timeout, "AWS does not answer")
        }
    }

    /// Of one entry of a batch.
    pub(super) fn of_entry(code: &str, message: Option<&str>, senders: bool) -> Self {
        let problem = format!("{code}: {}", message.unwrap_or("no reason was given"));
        Self {
            kind: kind_of(code).unwrap_or(if senders {
                ErrorKind::Message
            } else {
                ErrorKind::Unavailable
            }),
            // What AWS blames on itself it may have done all the same.
            certain: senders || is_throttle(code),
            code: code.to_owned(),
            problem,
        }
    }

    pub(super) fn of_sqs_entry(entry: &BatchResultErrorEntry) -> Self {
        Self::of_entry(entry.code(), entry.message(), entry.sender_fault())
    }

    /// An entry that the answer does not mention.
    pub(super) fn unanswered() -> Self {
        Self {
            certain: false,
            ..Self::new(ErrorKind::Unavailable, "AWS answered nothing about it")
        }
    }

    /// The queue or the topic does not exist.
    pub(super) fn is_missing(&self) -> bool {
        const CODES: [&str; 4] = [
            "QueueDoesNotExist",
            "AWS.SimpleQueueService.NonExistentQueue",
            "NotFound",
            "NotFoundException",
        ];
        CODES.contains(&self.code.as_str())
    }

    /// A receipt handle holds no more: the message was deleted, or its visibility ended.
    pub(super) fn is_stale(&self) -> bool {
        const CODES: [&str; 4] = [
            "ReceiptHandleIsInvalid",
            "MessageNotInflight",
            "AWS.SimpleQueueService.MessageNotInflight",
            "InvalidParameterValue",
        ];
        CODES.contains(&self.code.as_str())
    }

    /// It exists already, as something else.
    pub(super) fn is_different(&self) -> bool {
        let different = self
            .problem
            .contains("already exists with different attributes");
        different || ["QueueNameExists", "QueueAlreadyExists"].contains(&self.code.as_str())
    }

    pub(super) fn is_retryable(&self) -> bool {
        matches!(self.kind, ErrorKind::Unavailable | ErrorKind::Timeout)
    }

    pub(super) fn error(&self, operation: &'static str) -> Error {
        Error::new(self.kind, operation, self.problem.clone())
    }
}

impl<E> From<SdkError<E, HttpResponse>> for Fault
where
    E: StdError + ProvideErrorMetadata + Send + Sync + 'static,
{
    fn from(error: SdkError<E, HttpResponse>) -> Self {
        let code = error
            .as_service_error()
            .and_then(ProvideErrorMetadata::code);
        let code = code.unwrap_or_default().to_owned();
        let status = error
            .raw_response()
            .map(|response| response.status().as_u16());
        let (kind, certain) = match &error {
            SdkError::ConstructionFailure(_) => (ErrorKind::Config, true),
            SdkError::ServiceError(_) if status.is_some_and(|status| status >= 500) => {
                (ErrorKind::Unavailable, is_throttle(&code))
            }
            SdkError::ServiceError(_) => (kind_of(&code).unwrap_or(ErrorKind::Backend), true),
            SdkError::TimeoutError(_) => (ErrorKind::Unavailable, false),
            _ if lacks_credentials(&error) => (ErrorKind::Config, true),
            _ => (ErrorKind::Unavailable, was_refused(&error)),
        };
        let problem = match error.as_service_error() {
            Some(service) => format!(
                "{code}: {}",
                service.message().unwrap_or("AWS gives no reason")
            ),
            None if lacks_credentials(&error) => format!(
                "no AWS credentials were found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile or a role, or write \
                 sqs://KEY:SECRET@REGION: {}",
                DisplayErrorContext(&error)
            ),
            None => format!("AWS is not reachable: {}", DisplayErrorContext(&error)),
        };
        Self {
            kind,
            certain,
            code,
            problem,
        }
    }
}

fn is_throttle(code: &str) -> bool {
    code.contains("Throttl")
        || ["RequestLimitExceeded", "OverLimit", "ServiceUnavailable"].contains(&code)
}

fn kind_of(code: &str) -> Option<ErrorKind> {
    // A session that ended: the next request gets new credentials. A queue that was deleted can be made after a minute.
    const LATER: [&str; 3] = [
        "ExpiredToken",
        "ExpiredTokenException",
        "QueueDeletedRecently",
    ];
    const CREDENTIALS: [&str; 9] = [
        "AccessDenied",
        "AccessDeniedException",
        "AuthorizationError",
        "InvalidClientTokenId",
        "UnrecognizedClientException",
        "SignatureDoesNotMatch",
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "InvalidAccessKeyId",
    ];
    const MESSAGE: [&str; 4] = [
        "InvalidMessageContents",
        "InvalidParameterValue",
        "InvalidParameter",
        "BatchRequestTooLong",
    ];
    let code = code.rsplit('.').next().unwrap_or(code);
    if is_throttle(code) || LATER.contains(&code) {
        Some(ErrorKind::Unavailable)
    } else if CREDENTIALS.contains(&code) {
        Some(ErrorKind::Config)
    } else if MESSAGE.contains(&code) {
        Some(ErrorKind::Message)
    } else {
        None
    }
}

/// Whether one of the errors behind an error is so.
fn has_cause(error: &dyn StdError, so: impl Fn(&(dyn StdError + 'static)) -> bool) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if so(error) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Nobody took the connection: nothing was sent.
fn was_refused(error: &dyn StdError) -> bool {
    has_cause(error, |cause| {
        let refused = |error: &io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
        cause.downcast_ref::<io::Error>().is_some_and(refused)
    })
}

/// The chain of providers found none. The type of that error is not in the SDK's public interface; its text is.
fn lacks_credentials(error: &dyn StdError) -> bool {
    has_cause(error, |cause| cause.to_string().contains("credential"))
}

/// Makes a request again, with growing pauses, until it is answered or the time is up. For requests that do the same when
/// they are made twice.
pub(super) async fn insist<T, F>(deadline: Instant, request: impl Fn() -> F) -> Result<T, Fault>
where
    F: Future<Output = Result<T, Fault>>,
{
    let mut pauses = Pauses::default();
    loop {
        let fault = match timeout_at(deadline, request()).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(fault)) => fault,
            Err(_) => return Err(Fault::late()),
        };
        let again_at = Instant::now() + pauses.next();
        if !fault.is_retryable() || again_at >= deadline {
            return Err(fault);
        }
        sleep_until(again_at).await;
    }
}

/// Makes a request once.
pub(super) async fn once<T>(
    deadline: Instant,
    request: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    timeout_at(deadline, request)
        .await
        .unwrap_or_else(|_| Err(Fault::late()))
}

/// Growing pauses between attempts, each between half and the whole of its length.
#[derive(Debug, Default)]
pub(super) struct Pauses(u32);

impl Pauses {
    pub(super) fn next(&mut self) -> Duration {
        let longest = SHORTEST_PAUSE
            .saturating_mul(1 << self.0.min(10))
            .min(LONGEST_PAUSE);
        self.0 += 1;
        longest.mul_f64(fastrand::f64().mul_add(0.5, 0.5))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_entry_says_decides_what_is_known() {
        let own = Fault::of_entry("InternalError", None, false);
        assert!(own.is_retryable() && !own.certain);
        let senders = Fault::of_entry("InvalidMessageContents", Some("no"), true);
        assert!(!senders.is_retryable() && senders.certain);
        assert_eq!(senders.kind, ErrorKind::Message);
        let throttled = Fault::of_entry("ThrottlingException", None, true);
        assert!(throttled.is_retryable() && throttled.certain);
        assert!(Fault::of_entry("ReceiptHandleIsInvalid", None, true).is_stale());
    }

    #[test]
    fn codes_are_the_same_with_and_without_their_family() {
        assert_eq!(
            kind_of("com.amazonaws.sqs.AccessDenied"),
            Some(ErrorKind::Config)
        );
        assert_eq!(kind_of("RequestThrottled"), Some(ErrorKind::Unavailable));
        assert_eq!(kind_of("QueueDoesNotExist"), None);
    }

    #[test]
    fn pauses_grow_to_a_bound() {
        let mut pauses = Pauses::default();
        let row: Vec<Duration> = (0..40).map(|_| pauses.next()).collect();
        assert!(row[0] <= SHORTEST_PAUSE && row[0] >= SHORTEST_PAUSE / 2);
        assert!(
            row[30..]
                .iter()
                .all(|it| *it <= LONGEST_PAUSE && *it >= LONGEST_PAUSE / 2)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn insisting_ends_with_the_time_or_with_what_time_does_not_mend() {
        let deadline = Instant::now() + Duration::from_secs(10);
        let away = || Fault::new(ErrorKind::Unavailable, "away");
        let fault = insist(deadline, || async { Err::<(), _>(away()) })
            .await
            .unwrap_err();
        assert_eq!(fault.kind, ErrorKind::Unavailable);
        assert!(Instant::now() <= deadline);
        let denied = || async { Err::<(), _>(Fault::new(ErrorKind::Config, "denied")) };
        let before = Instant::now();
        assert_eq!(
            insist(deadline, denied).await.unwrap_err().kind,
            ErrorKind::Config
        );
        assert_eq!(Instant::now(), before);
        let silent = insist(deadline, std::future::pending::<Result<(), Fault>>).await;
        assert!(!silent.unwrap_err().certain);
    }
}
