//! Listeners of a Kafka node for TLS with passwords, and for TLS with tokens.

use anyhow::Result;

use super::certificate::Certificate;
use crate::services::bringup::Bringup;

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

/// Ports and certificate of the listeners.
#[derive(Debug)]
pub(super) struct Secured {
    passwords: u16,
    tokens: u16,
    certificate: Certificate,
}

impl Secured {
    /// Takes the ports, and has a certificate made.
    pub(super) fn prepare(bringup: &Bringup<'_>) -> Result<Self> {
        Ok(Self {
            certificate: Certificate::make(bringup)?,
            passwords: bringup.further_port("secured")?,
            tokens: bringup.further_port("tokens")?,
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
            "ssl.keystore.type=PEM
ssl.keystore.location={both}
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
            both = self.certificate.both.display(),
        )
    }
}
