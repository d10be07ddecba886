//! Where a demo runs: a bus and a store that nobody has used before.
//!
//! Demos expect topics of their own, so they get servers of their own, beside those of the other tests. On a server that the
//! environment names they make do with a database and a virtual host of their own.

use std::collections::BTreeMap;
use std::fs::File;

use anyhow::{Context as _, Result, bail, ensure};

use super::{Bus, Store};
use crate::services::wire::{http, kafka, postgresql, url};
use crate::services::{self, Availability, Server, Site, Up, Urls};
use crate::workspace::Workspace;

/// The demo's `--bus` and `--store`; left out, it uses files in its data directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) bus: Option<String>,
    pub(crate) store: Option<String>,
}

/// Servers for demos.
#[derive(Debug)]
pub(crate) struct Stage {
    site: Site,
    urls: Urls,
    places: u32,
    /// One run of demos at a time.
    _lock: File,
}

impl Stage {
    /// No server is started before a place needs it.
    pub(crate) fn new(workspace: &Workspace) -> Result<Self> {
        let directory = workspace.demo_services_directory();
        let lock = services::lock(&directory)?;
        let shared = Site::open(workspace)?.state().urls();
        let site = Site::open_in(workspace, &directory)?.beside(shared);
        Ok(Self {
            site,
            urls: Urls::new(),
            places: 0,
            _lock: lock,
        })
    }

    pub(crate) fn site(&self) -> &Site {
        &self.site
    }

    /// A fresh place; starts the servers it needs.
    pub(crate) fn place(&mut self, bus: Bus, store: Store) -> Result<Place> {
        self.places += 1;
        let name = format!("demo_{}_{}", std::process::id(), self.places);
        for server in bus.server().into_iter().chain(store.server()) {
            self.need(server)?;
        }
        let bus = match bus {
            Bus::Memory => Some("memory:".to_owned()),
            Bus::Sqlite => None,
            Bus::RabbitMq => Some(self.virtual_host(&name)?),
            Bus::Kafka => Some(self.kafka()?),
            Bus::Sqs => Some(self.queues("SQS_URL", "&topics=none")?),
            Bus::Sns => Some(self.queues("SNS_URL", "")?),
        };
        let store = match store {
            Store::Sqlite => None,
            Store::PostgreSql => {
                let address = self.url("DATABASE_URL")?;
                postgresql::create_database(address, &name)?;
                Some(url::with_path(address, &name)?)
            }
        };
        Ok(Place { bus, store })
    }

    /// Stops the servers that demos had to themselves, those of an interrupted run included.
    pub(crate) fn close(self) -> Result<()> {
        let ours: Vec<Server> = Server::ALL
            .into_iter()
            .filter(|server| self.is_ours(*server))
            .collect();
        services::down(&self.site, &ours).map(drop)
    }

    fn is_ours(&self, server: Server) -> bool {
        self.site.record(server).is_some()
    }

    fn need(&mut self, server: Server) -> Result<()> {
        if server
            .recipe()
            .urls(&BTreeMap::new())
            .keys()
            .any(|variable| self.urls.contains_key(variable))
        {
            return Ok(());
        }
        let report = services::up(
            &self.site,
            &Up {
                servers: vec![server],
                kafka_nodes: None,
            },
        )?;
        self.urls.extend(report.urls());
        match report.servers.into_iter().next() {
            Some((_, Availability::Up { .. }, _)) => Ok(()),
            Some((_, Availability::Missing(missing), _)) => {
                bail!("{} cannot be had: {}", server.name(), missing.reason)
            }
            Some((_, Availability::Failed(error), _)) => {
                Err(error.context(format!("{} does not start", server.name())))
            }
            None => bail!("{} was not started", server.name()),
        }
    }

    fn url(&self, variable: &str) -> Result<&str> {
        self.urls
            .get(variable)
            .map(String::as_str)
            .with_context(|| format!("{variable} is not known"))
    }

    fn kafka(&self) -> Result<String> {
        let address = self.url("KAFKA_URL")?;
        // Nobody else's topics are there if it was started here.
        if self.is_ours(Server::Kafka) {
            kafka::wipe(address)?;
        }
        Ok(address.to_owned())
    }

    /// Queues and topics whose names nobody else's begin like, those of an earlier run of the same number included.
    fn queues(&self, variable: &str, settings: &str) -> Result<String> {
        let endpoint = self.url(variable)?;
        let prefix = format!("d{:x}-{:x}-", std::process::id() & 0xff_ffff, self.places);
        Ok(format!(
            "sqs://test:test@us-east-1?endpoint={endpoint}&prefix={prefix}{settings}"
        ))
    }

    fn virtual_host(&self, name: &str) -> Result<String> {
        let address = self.url("AMQP_URL")?;
        let Ok(management) = self.url("AMQP_MANAGEMENT_URL") else {
            return Ok(address.to_owned());
        };
        let management = url::Url::parse(management, 15672)?;
        let user = url::Url::parse(address, 5672)?
            .user
            .unwrap_or_else(|| "guest".to_owned());
        let everything = r#"{"configure":".*","write":".*","read":".*"}"#;
        for (path, body) in [
            (format!("/api/vhosts/{name}"), "{}"),
            (format!("/api/permissions/{name}/{user}"), everything),
        ] {
            let answer = http::request(
                &management,
                "PUT",
                &path,
                &[("Content-Type", "application/json")],
                body,
            )?;
            ensure!(
                matches!(answer.status, 201 | 204),
                "PUT {path} was answered with status {}: {}",
                answer.status,
                answer.body
            );
        }
        url::with_path(address, name)
    }
}
