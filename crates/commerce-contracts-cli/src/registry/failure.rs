//! Why a registry could not be asked. Every text says what to do next.

use super::credentials::{PASSWORD, TOKEN, USER};

#[derive(Debug, thiserror::Error)]
pub(crate) enum RegistryFailure {
    #[error(
        "{url} is no address of a registry: {why}. It is written http://HOST:PORT or https://HOST, with the path of the API where it has one \
         (Apicurio: /apis/ccompat/v7)."
    )]
    Address { url: String, why: String },
    #[error(
        "the address of a registry holds no user and no password: they would be read in lists of processes and in logs. \
         Put them into {USER} and {PASSWORD}, or a token into {TOKEN}."
    )]
    SecretInAddress,
    #[error("{PASSWORD} is set and {USER} is not: set both")]
    PasswordWithoutUser,
    #[error(
        "{TOKEN} is set and so are {USER} or {PASSWORD}: unset what the registry does not want"
    )]
    TwoCredentials,
    #[error("{0} holds a character that no header may have, a line feed perhaps: correct it")]
    BrokenCredentials(&'static str),
    #[error(
        "{url} would be told a password or token without encryption: use https, or unset {USER}, {PASSWORD} and {TOKEN}"
    )]
    SecretInClear { url: String },
    #[error(
        "{url} cannot be reached: {why}. Correct the address, or see whether the registry runs and this machine may talk to it."
    )]
    Unreachable { url: String, why: String },
    #[error("{url} did not answer within {seconds} s: try again, or give it more time (`--registry-timeout {}`)", seconds * 2)]
    TimedOut { url: String, seconds: u64 },
    #[error(
        "{url} does not speak TLS as it should: {why}. A certificate must come from an authority that this system trusts; SSL_CERT_FILE names a \
         file with others."
    )]
    Tls { url: String, why: String },
    #[error("{url} answers that it is elsewhere, at {to}: name that address")]
    Redirected { url: String, to: String },
    #[error("{url} wants to know who asks (401): set {USER} and {PASSWORD}, or {TOKEN}")]
    Anonymous { url: String },
    #[error("{url} does not accept the {what} (401): correct it, or renew it")]
    Unauthorized { url: String, what: &'static str },
    #[error(
        "{url} does not let this user read it (403): ask for the right to read the subject, or use other credentials"
    )]
    Forbidden { url: String },
    #[error(
        "{url} does not answer as a schema registry does: {why}. The address may lack a path: Apicurio has this API under /apis/ccompat/v7, a \
         proxy perhaps under another."
    )]
    NotARegistry { url: String, why: String },
    #[error("{url} cannot answer now ({status}{message}): try again later, or ask who runs it")]
    Unavailable {
        url: String,
        status: u16,
        message: String,
    },
    #[error("{url} refuses the question ({status}{message})")]
    Refused {
        url: String,
        status: u16,
        message: String,
    },
    #[error(
        "the subject {0} was deleted in the registry, and may be restored there: its events may be stored, and are read by its schemas. Register \
         it again; when none of them exists any more, delete it for good (`permanent=true`)."
    )]
    SubjectDeleted(String),
    #[error(
        "version {version} of the subject {subject} is not there any more: somebody changes the registry at this moment, or the version was deleted while \
             another schema refers to it. Try again; if it stays so, register what refers to it anew."
    )]
    VersionGone { subject: String, version: u32 },
    #[error(
        "version {version} of the subject {subject} is {format}, and only AVRO and JSON can be compared: choose the subjects otherwise \
         (`--subjects`), or keep the schemas of this contract in another directory"
    )]
    Format {
        subject: String,
        version: u32,
        format: String,
    },
    #[error(
        "{contract} has no recorded topic, which names its subject: record `\"x-contract\": {{\"topic\": …}}` in {file}, or name subjects \
         otherwise (`--subjects record`)"
    )]
    NoTopic { contract: String, file: String },
    #[error(
        "{0} has no name of a record, which names its subject: give its JSON Schema a `title` or its Avro schema a `name`, or name subjects \
         otherwise (`--subjects contract`)"
    )]
    NoRecordName(String),
    #[error(
        "{} and {} would both be the subject {subject}, and one would be compared with the other: name subjects otherwise (`--subjects contract`, \
         `--subjects record`), or give their records different names",
        contracts[0], contracts[1]
    )]
    SharedSubject {
        subject: String,
        contracts: [String; 2],
    },
    #[error(
        "{url} has none of the subjects {}, so everything would pass as new. Are they named otherwise there, say how: \
         `--subjects record|topic|topic-record|contract`. Are these the first, say so: `--first`.",
        some(subjects)
    )]
    NoSubject { url: String, subjects: Vec<String> },
    #[error("version {version} of the subject {subject} is no schema: {why}. Register it again.")]
    Schema {
        subject: String,
        version: u32,
        why: String,
    },
    #[error(
        "version {version} of the subject {subject} refers to more than {most} others, or to itself: compare with a directory that holds the schemas \
         in one piece"
    )]
    References {
        subject: String,
        version: u32,
        most: usize,
    },
}

/// The first of many.
fn some(names: &[String]) -> String {
    const MOST: usize = 5;
    let first = names
        .iter()
        .take(MOST)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    match names.len().saturating_sub(MOST) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}
