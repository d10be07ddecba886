//! Listeners of a Kafka node for TLS with passwords, and for TLS with tokens.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use crate::services::bringup::Bringup;
use crate::services::process::Launch;

/// What the certificate's store is locked with. The certificate is made for one run, for the loopback interface.
const STORE_PASSWORD: &str = "of-one-run";
/// The password of every user.
const PASSWORD: &str = "p@ss/word";

/// The listeners' protocols, behind those of others.
pub(super) const PROTOCOLS: &str = ",SECURED:SASL_SSL,TOKENS:SASL_SSL";

/// Users that a broker keeps itself are made when its storage is formatted.
pub(super) const USERS: [&str; 4] = [
    "--add-scram",
    "SCRAM-SHA-256=[name=bob,password=p@ss/word]",
    "--add-scram",
    "SCRAM-SHA-512=[name=bob,password=p@ss/word]",
];

/// Who signed the certificate of a server that is kept there: itself.
pub(crate) fn authority(data: &Path) -> PathBuf {
    data.join("authority.pem")
}

/// Ports and certificate of the listeners.
#[derive(Debug)]
pub(super) struct Secured {
    passwords: u16,
    tokens: u16,
    store: PathBuf,
}

impl Secured {
    /// Takes the ports, and has a certificate made by what comes with every Java.
    pub(super) fn prepare(bringup: &Bringup<'_>, java: &Path) -> Result<Self> {
        let keytool = java
            .canonicalize()
            .with_context(|| format!("{} is not there", java.display()))?
            .with_file_name("keytool");
        ensure!(
            keytool.is_file(),
            "{} is not there; install a whole Java runtime",
            keytool.display()
        );
        bringup.task().step("making a certificate");
        let directory = bringup.directory();
        let store = directory.join("broker.p12");
        let authority = authority(directory);
        let of_store = |command: &'static str| {
            let (store, log) = (store.display().to_string(), directory.join("keytool.log"));
            let launch = Launch::new(&keytool, directory).log(log);
            launch.arguments([command, "-alias", "broker", "-keystore", &store])
        };
        let with_password = ["-storetype", "PKCS12", "-storepass", STORE_PASSWORD];
        of_store("-genkeypair")
            .arguments(with_password)
            .arguments(["-keyalg", "EC", "-groupname", "secp256r1"])
            .arguments(["-dname", "CN=localhost", "-validity", "30"])
            .arguments(["-ext", "san=ip:127.0.0.1,dns:localhost"])
            .run()?;
        of_store("-exportcert")
            .arguments(with_password)
            .arguments(["-rfc", "-file", &authority.display().to_string()])
            .run()?;
        ensure!(
            fs::read_to_string(&authority)?.contains("BEGIN CERTIFICATE"),
            "{} holds no certificate",
            authority.display()
        );
        Ok(Self {
            passwords: bringup.further_port("secured")?,
            tokens: bringup.further_port("tokens")?,
            store,
        })
    }

    /// The listeners, behind others.
    pub(super) fn listeners(&self) -> String {
        let Self {
            passwords, tokens, ..
        } = self;
        format!(",SECURED://127.0.0.1:{passwords},TOKENS://127.0.0.1:{tokens}")
    }

    /// What the listeners want.
    pub(super) fn properties(&self) -> String {
        let security = "org.apache.kafka.common.security";
        format!(
            "ssl.keystore.type=PKCS12
ssl.keystore.location={store}
ssl.keystore.password={STORE_PASSWORD}
listener.name.secured.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
listener.name.secured.plain.sasl.jaas.config={security}.plain.PlainLoginModule required user_alice=\"{PASSWORD}\";
listener.name.secured.scram-sha-256.sasl.jaas.config={security}.scram.ScramLoginModule required;
listener.name.secured.scram-sha-512.sasl.jaas.config={security}.scram.ScramLoginModule required;
listener.name.tokens.sasl.enabled.mechanisms=OAUTHBEARER
# Tokens without a signature, which the test makes itself.
listener.name.tokens.oauthbearer.sasl.jaas.config={security}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub=\"broker\";
# A connection whose token ends has to bring another.
listener.name.tokens.oauthbearer.connections.max.reauth.ms=60000
",
            store = self.store.display(),
        )
    }
}
