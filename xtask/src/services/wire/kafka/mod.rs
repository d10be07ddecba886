//! Kafka: create a topic, produce to it, fetch the same record, and see that both coordinators answer.
//!
//! Every request uses the oldest version without flexible fields that Kafka 4 still serves (KIP-896).

mod codec;
mod record;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use self::codec::{Reader, Writer};
use super::url::Url;
use super::{connect, unique};

const PRODUCE: (i16, i16) = (0, 3);
const FETCH: (i16, i16) = (1, 4);
const METADATA: (i16, i16) = (3, 4);
const FIND_COORDINATOR: (i16, i16) = (10, 1);
const LIST_GROUPS: (i16, i16) = (16, 0);
const CREATE_TOPICS: (i16, i16) = (19, 2);
const DELETE_TOPICS: (i16, i16) = (20, 1);
const INIT_PRODUCER_ID: (i16, i16) = (22, 0);
const DELETE_GROUPS: (i16, i16) = (42, 0);

/// Error codes that say "not yet": leader or coordinator still being chosen or loaded.
const NOT_YET: [i16; 6] = [3, 5, 6, 14, 15, 16];

/// Sends one record through a topic replicated on every node (three at most); answers with the number of nodes.
pub(crate) fn round_trip(url: &str) -> Result<String> {
    let mut cluster = Cluster::open(url)?;
    let nodes = cluster.brokers.len();
    let topic = unique("xtask-round-trip");
    cluster.create_topic(&topic, i16::try_from(nodes.min(3))?)?;
    let outcome = cluster
        .pass_a_record(&topic)
        .and_then(|()| cluster.see_coordinators());
    cluster.delete_topics(&[topic])?;
    outcome?;
    Ok(format!(
        "Kafka, {nodes} {}",
        if nodes == 1 { "node" } else { "nodes" }
    ))
}

/// How many nodes the cluster has right now.
pub(crate) fn nodes(url: &str) -> Result<usize> {
    Ok(Cluster::open(url)?.brokers.len())
}

/// Removes every topic and consumer group, so that the next user finds an empty cluster.
pub(crate) fn wipe(url: &str) -> Result<()> {
    let mut cluster = Cluster::open(url)?;
    cluster.delete_groups()?;
    let topics = cluster.topics()?;
    if topics.is_empty() {
        Ok(())
    } else {
        cluster.delete_topics(&topics)
    }
}

struct Cluster {
    /// (node id, host, port)
    brokers: Vec<(i32, String, u16)>,
    controller: i32,
}

struct Partition {
    error: i16,
    leader: i32,
}

struct Metadata {
    brokers: Vec<(i32, String, u16)>,
    controller: i32,
    /// (error, name, internal, partitions)
    topics: Vec<(i16, String, bool, Vec<Partition>)>,
}

impl Cluster {
    fn open(url: &str) -> Result<Self> {
        let url = Url::parse(url, 9092)?;
        url.require_scheme(&["kafka"])?;
        let mut last = None;
        for (host, port) in &url.hosts {
            match metadata(host, *port, Some(&[])) {
                Ok(Metadata {
                    brokers,
                    controller,
                    ..
                }) if !brokers.is_empty() => {
                    return Ok(Self {
                        brokers,
                        controller,
                    });
                }
                Ok(_) => last = Some(anyhow::anyhow!("the cluster has no broker yet")),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| anyhow::anyhow!("the address names no host")))
    }

    fn create_topic(&mut self, topic: &str, replication: i16) -> Result<()> {
        let mut body = Writer::default();
        body.i32(1)
            .text(topic)?
            .i32(1)
            .i16(replication)
            .i32(0)
            .i32(0);
        body.i32(5000).bool(false);
        let answer = self.call(self.controller, CREATE_TOPICS, &body)?;
        let mut answer = Reader::new(&answer);
        answer.i32()?;
        answer.i32()?;
        answer.text()?;
        let error = answer.i16()?;
        ensure!(
            error == 0,
            "creating a topic failed with error {error}: {}",
            answer.text()?
        );
        Ok(())
    }

    fn pass_a_record(&mut self, topic: &str) -> Result<()> {
        let leader = patiently("a leader was not elected", || {
            let (_, host, port) = &self.brokers[0];
            let found = metadata(host, *port, Some(&[topic]))?;
            let (error, partitions) = found
                .topics
                .first()
                .map(|topic| (topic.0, &topic.3))
                .context("the topic is unknown")?;
            let partition = partitions.first();
            let error = if error == 0 {
                partition.map_or(3, |partition| partition.error)
            } else {
                error
            };
            Ok((error, partition.map_or(-1, |partition| partition.leader)))
        })?;
        let payload = unique("payload");
        let batch = record::batch(payload.as_bytes())?;
        let offset = patiently("a record was not accepted", || {
            let mut body = Writer::default();
            body.no_text()
                .i16(-1)
                .i32(5000)
                .i32(1)
                .text(topic)?
                .i32(1)
                .i32(0)
                .bytes(&batch)?;
            let answer = self.call(leader, PRODUCE, &body)?;
            let mut answer = Reader::new(&answer);
            answer.i32()?;
            answer.text()?;
            answer.i32()?;
            answer.i32()?;
            Ok((answer.i16()?, answer.i64()?))
        })?;
        let records = patiently("a record just produced did not come back", || {
            let mut body = Writer::default();
            body.i32(-1).i32(1000).i32(1).i32(1 << 20).i8(0);
            body.i32(1)
                .text(topic)?
                .i32(1)
                .i32(0)
                .i64(offset)
                .i32(1 << 20);
            let answer = self.call(leader, FETCH, &body)?;
            let mut answer = Reader::new(&answer);
            answer.i32()?;
            answer.i32()?;
            answer.text()?;
            answer.i32()?;
            answer.i32()?;
            let error = answer.i16()?;
            answer.i64()?;
            answer.i64()?;
            for _ in 0..answer.i32()?.max(0) {
                answer.i64()?;
                answer.i64()?;
            }
            let records = answer.bytes()?.to_vec();
            // An empty answer is a "not yet" as well.
            Ok((
                if error == 0 && records.is_empty() {
                    14
                } else {
                    error
                },
                records,
            ))
        })?;
        let value = record::first_value(&records)?;
        ensure!(
            value == payload.as_bytes(),
            "a record just produced came back changed"
        );
        Ok(())
    }

    /// Clients fail with "coordinator load in progress" for a while after the ports are open.
    fn see_coordinators(&mut self) -> Result<()> {
        let name = unique("xtask-round-trip");
        for kind in [0, 1] {
            let coordinator = self.coordinator(&name, kind)?;
            if kind == 1 {
                patiently("the transaction coordinator did not answer", || {
                    let mut body = Writer::default();
                    body.text(&name)?.i32(1000);
                    let answer = self.call(coordinator, INIT_PRODUCER_ID, &body)?;
                    let mut answer = Reader::new(&answer);
                    answer.i32()?;
                    Ok((answer.i16()?, ()))
                })?;
            }
        }
        Ok(())
    }

    fn coordinator(&mut self, name: &str, kind: i8) -> Result<i32> {
        patiently("no coordinator was found", || {
            let mut body = Writer::default();
            body.text(name)?.i8(kind);
            let answer = self.call(self.controller, FIND_COORDINATOR, &body)?;
            let mut answer = Reader::new(&answer);
            answer.i32()?;
            let error = answer.i16()?;
            answer.text()?;
            Ok((error, answer.i32()?))
        })
    }

    fn topics(&mut self) -> Result<Vec<String>> {
        let (_, host, port) = &self.brokers[0];
        let found = metadata(host, *port, None)?.topics;
        Ok(found
            .into_iter()
            .filter(|(_, name, internal, _)| !internal && !name.starts_with("__"))
            .map(|topic| topic.1)
            .collect())
    }

    fn delete_topics(&mut self, topics: &[String]) -> Result<()> {
        let mut body = Writer::default();
        body.i32(i32::try_from(topics.len())?);
        for topic in topics {
            body.text(topic)?;
        }
        body.i32(5000);
        let answer = self.call(self.controller, DELETE_TOPICS, &body)?;
        let mut answer = Reader::new(&answer);
        answer.i32()?;
        for _ in 0..answer.i32()? {
            let (topic, error) = (answer.text()?, answer.i16()?);
            // 3: somebody else removed it meanwhile.
            ensure!(
                matches!(error, 0 | 3),
                "deleting the topic {topic} failed with error {error}"
            );
        }
        Ok(())
    }

    fn delete_groups(&mut self) -> Result<()> {
        let nodes: Vec<i32> = self.brokers.iter().map(|broker| broker.0).collect();
        for node in nodes {
            let answer = self.call(node, LIST_GROUPS, &Writer::default())?;
            let mut answer = Reader::new(&answer);
            answer.i16()?;
            for _ in 0..answer.i32()? {
                let group = answer.text()?;
                answer.text()?;
                let mut body = Writer::default();
                body.i32(1).text(&group)?;
                let deleted = self.call(node, DELETE_GROUPS, &body)?;
                let mut deleted = Reader::new(&deleted);
                deleted.i32()?;
                deleted.i32()?;
                deleted.text()?;
                let error = deleted.i16()?;
                // 69: it is gone already.
                ensure!(
                    matches!(error, 0 | 69),
                    "deleting the group {group} failed with error {error}; is a consumer still running?"
                );
            }
        }
        Ok(())
    }

    fn call(&self, node: i32, api: (i16, i16), body: &Writer) -> Result<Vec<u8>> {
        let known = self
            .brokers
            .iter()
            .find(|broker| broker.0 == node)
            .or_else(|| self.brokers.first());
        let (_, host, port) = known.context("the cluster has no broker")?;
        call(&mut connect(host, *port)?, api, body)
    }
}

fn metadata(host: &str, port: u16, topics: Option<&[&str]>) -> Result<Metadata> {
    let mut body = Writer::default();
    match topics {
        None => drop(body.i32(-1)),
        Some(topics) => {
            body.i32(i32::try_from(topics.len())?);
            for topic in topics {
                body.text(topic)?;
            }
        }
    }
    body.bool(false);
    let answer = call(&mut connect(host, port)?, METADATA, &body)?;
    let mut answer = Reader::new(&answer);
    answer.i32()?;
    let mut brokers = Vec::new();
    for _ in 0..answer.i32()? {
        brokers.push((answer.i32()?, answer.text()?, u16::try_from(answer.i32()?)?));
        answer.text()?;
    }
    answer.text()?;
    let controller = answer.i32()?;
    let mut topics = Vec::new();
    for _ in 0..answer.i32()? {
        let (error, name, internal) = (answer.i16()?, answer.text()?, answer.bool()?);
        let mut partitions = Vec::new();
        for _ in 0..answer.i32()? {
            let error = answer.i16()?;
            answer.i32()?;
            partitions.push(Partition {
                error,
                leader: answer.i32()?,
            });
            for _ in 0..2 {
                for _ in 0..answer.i32()? {
                    answer.i32()?;
                }
            }
        }
        topics.push((error, name, internal, partitions));
    }
    Ok(Metadata {
        brokers,
        controller,
        topics,
    })
}

fn call(stream: &mut TcpStream, (key, version): (i16, i16), body: &Writer) -> Result<Vec<u8>> {
    let mut request = Writer::default();
    request.i16(key).i16(version).i32(1).text("xtask")?;
    let size = i32::try_from(request.as_bytes().len() + body.as_bytes().len())?;
    stream.write_all(&[&size.to_be_bytes(), request.as_bytes(), body.as_bytes()].concat())?;
    let mut size = [0; 4];
    stream
        .read_exact(&mut size)
        .context("the connection ended")?;
    let size = usize::try_from(i32::from_be_bytes(size))
        .ok()
        .filter(|size| (4..1 << 26).contains(size));
    let mut answer =
        vec![0; size.context("the server answered with something else than the Kafka protocol")?];
    stream
        .read_exact(&mut answer)
        .context("the connection ended")?;
    // The first four bytes repeat the number of the request.
    Ok(answer.split_off(4))
}

/// Repeats a call while the server answers that it is not ready for it.
fn patiently<T>(complaint: &str, mut attempt: impl FnMut() -> Result<(i16, T)>) -> Result<T> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match attempt()? {
            (0, value) => return Ok(value),
            (error, _) if !NOT_YET.contains(&error) || Instant::now() > deadline => {
                bail!("{complaint}: error {error}")
            }
            _ => thread::sleep(Duration::from_millis(50)),
        }
    }
}
