//! SQS and SNS: the query protocol, for emulators that do not check signatures.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use super::http::{form_value, request};
use super::unique;
use super::url::Url;

/// Sends a message through a queue of its own.
pub(crate) fn queue_round_trip(url: &str) -> Result<String> {
    let endpoint = Url::parse(url, 80)?;
    let queue = Queue::create(&endpoint)?;
    let payload = unique("payload");
    let outcome = sqs(
        &endpoint,
        "SendMessage",
        &[("QueueUrl", &queue.url), ("MessageBody", &payload)],
    )
    .and_then(|_| queue.receive(&payload));
    queue.delete()?;
    outcome?;
    Ok("SQS endpoint".to_owned())
}

/// Sends a message through a topic of its own into a queue subscribed to it.
pub(crate) fn topic_round_trip(url: &str) -> Result<String> {
    let endpoint = Url::parse(url, 80)?;
    let queue = Queue::create(&endpoint)?;
    let topic = sns(
        &endpoint,
        "CreateTopic",
        &[("Name", &unique("xtask-round-trip"))],
    )?;
    let topic = element(&topic, "TopicArn")?;
    let outcome = fan_out(&endpoint, &queue, &topic);
    sns(&endpoint, "DeleteTopic", &[("TopicArn", &topic)])?;
    queue.delete()?;
    outcome?;
    Ok("SNS and SQS endpoint".to_owned())
}

fn fan_out(endpoint: &Url, queue: &Queue<'_>, topic: &str) -> Result<()> {
    let attributes = sqs(
        endpoint,
        "GetQueueAttributes",
        &[("QueueUrl", &queue.url), ("AttributeName.1", "QueueArn")],
    )?;
    let arn = element(&attributes, "Value")?;
    let subscription = [
        ("TopicArn", topic),
        ("Protocol", "sqs"),
        ("Endpoint", &arn),
        ("Attributes.entry.1.key", "RawMessageDelivery"),
        ("Attributes.entry.1.value", "true"),
    ];
    sns(endpoint, "Subscribe", &subscription)?;
    let payload = unique("payload");
    sns(
        endpoint,
        "Publish",
        &[("TopicArn", topic), ("Message", &payload)],
    )?;
    queue.receive(&payload)
}

struct Queue<'a> {
    endpoint: &'a Url,
    url: String,
}

impl<'a> Queue<'a> {
    fn create(endpoint: &'a Url) -> Result<Self> {
        let answer = sqs(
            endpoint,
            "CreateQueue",
            &[("QueueName", &unique("xtask-round-trip"))],
        )?;
        Ok(Self {
            endpoint,
            url: element(&answer, "QueueUrl")?,
        })
    }

    fn receive(&self, payload: &str) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            let answer = sqs(
                self.endpoint,
                "ReceiveMessage",
                &[("QueueUrl", &self.url), ("WaitTimeSeconds", "1")],
            )?;
            if let Ok(body) = element(&answer, "Body") {
                ensure!(body == payload, "a message just sent came back changed");
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "a message just sent did not come back"
            );
        }
    }

    fn delete(&self) -> Result<()> {
        sqs(self.endpoint, "DeleteQueue", &[("QueueUrl", &self.url)]).map(drop)
    }
}

fn sqs(endpoint: &Url, action: &str, parameters: &[(&str, &str)]) -> Result<String> {
    call(endpoint, "sqs", "2012-11-05", action, parameters)
}

fn sns(endpoint: &Url, action: &str, parameters: &[(&str, &str)]) -> Result<String> {
    call(endpoint, "sns", "2010-03-31", action, parameters)
}

fn call(
    endpoint: &Url,
    service: &str,
    version: &str,
    action: &str,
    parameters: &[(&str, &str)],
) -> Result<String> {
    let mut form = format!("Action={action}&Version={version}");
    for (name, value) in parameters {
        write!(form, "&{name}={}", form_value(value))?;
    }
    // The credential scope tells an emulator of many services which one is meant; nobody checks the signature.
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=0"
    );
    let headers = [
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("Authorization", authorization.as_str()),
    ];
    let answer = request(endpoint, "POST", "/", &headers, &form)?;
    if answer.status != 200 {
        let reason = element(&answer.body, "Message").unwrap_or_else(|_| answer.body.clone());
        bail!(
            "{action} was answered with status {}: {reason}",
            answer.status
        );
    }
    Ok(answer.body)
}

/// The text of the first element of that name.
fn element(xml: &str, name: &str) -> Result<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let start = xml
        .find(&open)
        .with_context(|| format!("the answer has no {name}"))?
        + open.len();
    let end = xml[start..]
        .find(&close)
        .with_context(|| format!("the answer has no end of {name}"))?
        + start;
    Ok(xml[start..end]
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&amp;", "&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_found_and_unescaped() {
        let xml = "<R><QueueUrl>http://h/q?a=1&amp;b=2</QueueUrl></R>";
        assert_eq!(element(xml, "QueueUrl").unwrap(), "http://h/q?a=1&b=2");
        assert!(element(xml, "Body").is_err());
    }
}
