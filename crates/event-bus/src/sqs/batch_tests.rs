//! What becomes of each entry of a batch that AWS answers in part. No server here fails single entries when it is asked
//! to, so one is played; what servers do is tested against servers.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value as Json, json};
use tokio::time::Instant;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate, matchers};

use super::changes::Changes;
use super::config::Config;
use super::fault::Fault;
use super::names::group_of;
use super::publish::{Target, Verdict, outgoing, send};
use super::topology::{Queue, Topology};
use super::wire::Wire;
use crate::error::ErrorKind;

/// What is said of an entry.
#[derive(Clone, Copy, Debug)]
enum Said {
    Done,
    /// A code, and whether it is the sender's fault.
    Failed(&'static str, bool),
    /// Nothing at all.
    Nothing,
}

/// Answers each entry as its name says, the first time it is asked, the second time, and so on.
#[derive(Clone, Default)]
struct Script {
    answers: Arc<BTreeMap<&'static str, Vec<Said>>>,
    /// The entries of each request, by their names.
    asked: Arc<Mutex<Vec<Vec<String>>>>,
}

impl Script {
    fn new(answers: impl IntoIterator<Item = (&'static str, Vec<Said>)>) -> Self {
        Self {
            answers: Arc::new(answers.into_iter().collect()),
            asked: Arc::default(),
        }
    }

    /// What is said of entries that have these names and are called so in the request.
    fn answer(&self, entries: Vec<(String, String)>) -> Vec<(String, Said)> {
        let mut asked = self.asked.lock().unwrap();
        let said = entries.iter().map(|(id, name)| {
            let before = asked.iter().flatten().filter(|it| *it == name).count();
            let answers = self.answers.get(name.as_str()).map(Vec::as_slice);
            let said = answers.unwrap_or_default().get(before).copied();
            (id.clone(), said.unwrap_or(Said::Done))
        });
        let said = said.collect();
        asked.push(entries.into_iter().map(|(_, name)| name).collect());
        said
    }

    fn asked(&self) -> Vec<Vec<String>> {
        self.asked.lock().unwrap().clone()
    }

    fn times(&self, name: &str) -> usize {
        let asked = self.asked.lock().unwrap();
        asked.iter().flatten().filter(|it| *it == name).count()
    }
}

/// SQS, which speaks JSON.
struct Sqs(Script);

impl Respond for Sqs {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let body: Json = request.body_json().unwrap();
        let entry = |entry: &Json| {
            let name = entry.get("MessageBody").or(entry.get("ReceiptHandle"));
            let text = |value: &Json| value.as_str().unwrap().to_owned();
            (text(&entry["Id"]), text(name.unwrap()))
        };
        let entries = body["Entries"].as_array().unwrap().iter().map(entry);
        let (mut successful, mut failed) = (Vec::new(), Vec::new());
        for (id, said) in self.0.answer(entries.collect()) {
            match said {
                Said::Done => successful.push(json!({
                    "Id": id, "MessageId": "m", "MD5OfMessageBody": "0",
                })),
                Said::Failed(code, senders) => failed.push(json!({
                    "Id": id, "Code": code, "SenderFault": senders, "Message": "as asked for",
                })),
                Said::Nothing => {}
            }
        }
        ResponseTemplate::new(200)
            .set_body_raw(
                json!({ "Successful": successful, "Failed": failed }).to_string(),
                "application/x-amz-json-1.0",
            )
            .set_delay(Duration::from_millis(20))
    }
}

/// SNS, which is asked in a form and answers in XML.
struct Sns(Script);

impl Respond for Sns {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let form: BTreeMap<_, _> = url::form_urlencoded::parse(&request.body)
            .into_owned()
            .collect();
        let entry = |at: usize| {
            let field = |name: &str| {
                form.get(&format!("PublishBatchRequestEntries.member.{at}.{name}"))
                    .cloned()
            };
            Some((field("Id")?, field("Message")?))
        };
        let entries = (1..).map_while(entry).collect();
        let (mut successful, mut failed) = (String::new(), String::new());
        for (id, said) in self.0.answer(entries) {
            let (list, told) = match said {
                Said::Done => (&mut successful, "<MessageId>m</MessageId>".to_owned()),
                Said::Failed(code, senders) => {
                    let told = format!("<Code>{code}</Code><SenderFault>{senders}</SenderFault>");
                    (&mut failed, told)
                }
                Said::Nothing => continue,
            };
            write!(list, "<member><Id>{id}</Id>{told}</member>").unwrap();
        }
        ResponseTemplate::new(200).set_body_raw(
            format!(
                "<PublishBatchResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><PublishBatchResult>\
                 <Successful>{successful}</Successful><Failed>{failed}</Failed></PublishBatchResult>\
                 <ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></PublishBatchResponse>"
            ),
            "text/xml",
        )
    }
}

async fn played(by: impl Respond + 'static, topics: &str) -> (MockServer, Arc<Topology>) {
    let server = MockServer::start().await;
    let every = Mock::given(matchers::method("POST")).respond_with(by);
    every.mount(&server).await;
    let place = server.uri().replace(':', "%3A").replace('/', "%2F");
    let url = format!("//key:secret@us-east-1?topics={topics}&endpoint={place}");
    let topology = Topology::new(Config::parse(&url).unwrap()).await;
    (server, Arc::new(topology))
}

fn queue(server: &MockServer) -> Queue {
    Queue {
        url: format!("{}/000000000000/orders", server.uri()),
        fifo: false,
    }
}

/// A key for each name, such that all go in one request.
fn keys(count: usize) -> Vec<String> {
    let row = |key: &String| super::publish::row_of(&group_of(Some(key)));
    let keys = (0..).map(|n: u32| n.to_string());
    keys.filter(|key| row(key) == 0).take(count).collect()
}

/// Of a batch in which each entry meets something else.
fn mixed() -> Script {
    use Said::{Done, Failed, Nothing};
    Script::new([
        ("accepted", vec![Done]),
        ("refused", vec![Failed("InvalidMessageContents", true)]),
        ("forbidden", vec![Failed("AccessDenied", true)]),
        (
            "throttled",
            vec![Failed("ThrottlingException", false), Done],
        ),
        ("failing", vec![Failed("InternalError", false), Done]),
        ("overlooked", vec![Nothing, Done]),
        (
            "throttled, then refused",
            vec![
                Failed("ThrottlingException", false),
                Failed("InvalidMessageContents", true),
            ],
        ),
        (
            "failing, then refused",
            vec![
                Failed("InternalError", false),
                Failed("InvalidMessageContents", true),
            ],
        ),
    ])
}

async fn every_entry_has_its_fate(topology: &Topology, target: &Target, script: &Script) {
    let names: Vec<&str> = script.answers.keys().copied().collect();
    let message = |(name, key): (&&str, &String)| {
        let wire = Wire {
            body: (*name).to_owned(),
            ..Wire::default()
        };
        outgoing(wire, Some(key))
    };
    let batch: Vec<_> = names.iter().zip(&keys(names.len())).map(message).collect();
    let deadline = Instant::now() + Duration::from_secs(30);
    let verdicts = send(topology, target, &batch, deadline).await;
    let told: BTreeMap<&str, (&str, Option<ErrorKind>)> = names
        .iter()
        .copied()
        .zip(verdicts.iter().map(|verdict| match verdict {
            Verdict::Accepted => ("accepted", None),
            Verdict::Failed(fault) => ("failed", Some(fault.kind)),
            Verdict::Unknown(fault) => ("unknown", Some(fault.kind)),
        }))
        .collect();
    let expected = [
        ("accepted", ("accepted", None)),
        ("failing", ("accepted", None)),
        // The attempt before may have got through.
        (
            "failing, then refused",
            ("unknown", Some(ErrorKind::Message)),
        ),
        ("forbidden", ("failed", Some(ErrorKind::Config))),
        ("overlooked", ("accepted", None)),
        ("refused", ("failed", Some(ErrorKind::Message))),
        ("throttled", ("accepted", None)),
        (
            "throttled, then refused",
            ("failed", Some(ErrorKind::Message)),
        ),
    ];
    assert_eq!(told, BTreeMap::from(expected));
    // What was decided is not asked for again.
    let asked = script.asked();
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert_eq!(asked[0].len(), names.len(), "one batch: {asked:?}");
    for (name, times) in [
        ("accepted", 1),
        ("refused", 1),
        ("forbidden", 1),
        ("overlooked", 2),
    ] {
        assert_eq!(script.times(name), times, "{name}: {asked:?}");
    }
}

#[tokio::test]
async fn each_entry_sent_to_a_queue_has_its_fate() {
    let script = mixed();
    let (server, topology) = played(Sqs(script.clone()), "none").await;
    let target = Target::Queue(queue(&server));
    every_entry_has_its_fate(&topology, &target, &script).await;
}

#[tokio::test]
async fn each_entry_published_to_a_topic_has_its_fate() {
    let script = mixed();
    let (_server, topology) = played(Sns(script.clone()), "standard").await;
    let arn = "arn:aws:sns:us-east-1:000000000000:orders";
    every_entry_has_its_fate(&topology, &Target::Topic(arn.into()), &script).await;
}

#[tokio::test]
async fn what_follows_a_refused_entry_of_its_key_is_not_sent() {
    let refused = Said::Failed("InvalidMessageContents", true);
    let script = Script::new([("1", vec![refused])]);
    let (server, topology) = played(Sqs(script.clone()), "none").await;
    let key = keys(1).remove(0);
    let message = |n: usize| {
        let wire = Wire {
            body: n.to_string(),
            ..Wire::default()
        };
        outgoing(wire, Some(&key))
    };
    // Two requests of ten.
    let batch: Vec<_> = (0..20).map(message).collect();
    let deadline = Instant::now() + Duration::from_secs(30);
    let target = Target::Queue(queue(&server));
    let verdicts = send(&topology, &target, &batch, deadline).await;
    assert!(matches!(&verdicts[1], Verdict::Failed(fault) if fault.kind == ErrorKind::Message));
    assert!(
        matches!(verdicts[2], Verdict::Accepted),
        "in the same request"
    );
    for verdict in &verdicts[10..] {
        assert!(
            matches!(verdict, Verdict::Failed(fault) if fault.is_retryable()),
            "{verdict:?}"
        );
    }
    assert_eq!(script.asked().len(), 1, "{:?}", script.asked());
}

/// Of settlements; each is asked for once, and whoever asked decides.
fn settlements() -> (Vec<&'static str>, Script) {
    use Said::{Done, Failed, Nothing};
    let answers = [
        ("done", Done),
        ("stale", Failed("ReceiptHandleIsInvalid", true)),
        (
            "over",
            Failed("AWS.SimpleQueueService.MessageNotInflight", true),
        ),
        ("failing", Failed("InternalError", false)),
        ("throttled", Failed("ThrottlingException", false)),
        ("overlooked", Nothing),
    ];
    let names = answers.iter().map(|(name, _)| *name).collect();
    let script = Script::new(answers.map(|(name, said)| (name, vec![said])));
    (names, script)
}

fn each_is_told_its_own(names: &[&str], results: Vec<Result<(), Fault>>, script: &Script) {
    for (name, result) in names.iter().zip(results) {
        match (*name, result) {
            ("done", Ok(())) => {}
            ("stale" | "over", Err(fault)) => assert!(fault.is_stale(), "{name}: {fault:?}"),
            ("failing" | "throttled" | "overlooked", Err(fault)) => {
                assert!(
                    fault.is_retryable() && !fault.is_stale(),
                    "{name}: {fault:?}"
                );
            }
            (_, result) => panic!("{name}: {result:?}"),
        }
    }
    let asked = script.asked();
    assert!(
        asked.iter().any(|request| request.len() > 2),
        "no batch: {asked:?}"
    );
    for name in names {
        assert_eq!(script.times(name), 1, "{name}: {asked:?}");
    }
}

#[tokio::test]
async fn each_deletion_of_a_batch_is_told_its_own() {
    let (names, script) = settlements();
    let (server, topology) = played(Sqs(script.clone()), "none").await;
    let changes = Changes::of(topology, queue(&server));
    // So many that those asked for share a request: the first ones go at once, each by itself.
    let first = (0..4).map(|n| changes.delete(format!("first {n}")));
    let all = names.iter().map(|name| changes.delete((*name).to_owned()));
    let (first, results) = tokio::join!(join_all(first), join_all(all));
    assert!(first.iter().all(Result::is_ok), "{first:?}");
    each_is_told_its_own(&names, results, &script);
}

#[tokio::test]
async fn each_change_of_visibility_of_a_batch_is_told_its_own() {
    let (names, script) = settlements();
    let (server, topology) = played(Sqs(script.clone()), "none").await;
    let changes = Changes::of(topology, queue(&server));
    let first = changes.visible_in("first".to_owned(), 30);
    let all = names
        .iter()
        .map(|name| changes.visible_in((*name).to_owned(), 30));
    let (first, results) = tokio::join!(first, join_all(all));
    assert!(first.is_ok(), "{first:?}");
    each_is_told_its_own(&names, results, &script);
}
