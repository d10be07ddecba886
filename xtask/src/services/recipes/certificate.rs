//! A certificate for servers that are asked for TLS. Made for one run, for the loopback interface.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::services::bringup::Bringup;
use crate::services::process::Launch;
use crate::workspace::on_path;

/// Who signed the certificate of a server that is kept there: itself.
pub(crate) fn authority(data: &Path) -> PathBuf {
    data.join("authority.pem")
}

/// Where a certificate and its key are, in PEM.
#[derive(Debug)]
pub(super) struct Certificate {
    /// The certificate, which is its own authority.
    pub(super) authority: PathBuf,
    pub(super) key: PathBuf,
    /// The key and the certificate in one file.
    pub(super) both: PathBuf,
}

impl Certificate {
    pub(super) fn make(bringup: &Bringup<'_>) -> Result<Self> {
        let openssl = on_path("openssl").context("openssl is not on PATH; install it")?;
        bringup.task().step("making a certificate");
        let directory = bringup.directory();
        let made = Self {
            authority: authority(directory),
            key: directory.join("key.pem"),
            both: directory.join("server.pem"),
        };
        let path = |path: &Path| path.display().to_string();
        Launch::new(openssl, directory)
            .log(directory.join("openssl.log"))
            .arguments(["req", "-x509", "-newkey", "ec", "-noenc", "-days", "30"])
            .arguments(["-pkeyopt", "ec_paramgen_curve:prime256v1"])
            .arguments(["-subj", "/CN=localhost"])
            // Not for the name localhost: a test wants to see that it is another host's.
            .arguments(["-addext", "subjectAltName=IP:127.0.0.1"])
            // A server's: clients do not take an authority's for one.
            .arguments(["-addext", "basicConstraints=critical,CA:FALSE"])
            .arguments(["-keyout", &path(&made.key), "-out", &path(&made.authority)])
            .run()?;
        let read = |file: &Path| {
            let text = fs::read_to_string(file);
            text.with_context(|| format!("{} was not made", file.display()))
        };
        let both = format!("{}{}", read(&made.key)?, read(&made.authority)?);
        fs::write(&made.both, both)?;
        Ok(made)
    }
}
