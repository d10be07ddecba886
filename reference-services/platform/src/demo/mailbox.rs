//! Reads the customers' mailbox the way any mail program does.

use std::path::Path;

use anyhow::Context as _;
use uuid::Uuid;

/// One message, by its headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mail {
    /// The notification that it belongs to, from its `Message-ID`; nil when that names none.
    pub(crate) notification_id: Uuid,
    /// To whom.
    pub(crate) recipient: String,
}

/// Every message in the mailbox.
pub(crate) async fn read(mailbox: &Path) -> anyhow::Result<Vec<Mail>> {
    match tokio::fs::read(mailbox).await {
        Ok(text) => Ok(mails(&String::from_utf8_lossy(&text))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", mailbox.display())),
    }
}

fn mails(mbox: &str) -> Vec<Mail> {
    let mut mails = Vec::new();
    let mut lines = mbox.lines();
    while let Some(line) = lines.next() {
        if !line.starts_with("From ") {
            continue;
        }
        let headers = lines
            .by_ref()
            .take_while(|line| !line.trim_end().is_empty());
        let headers = unfolded(headers);
        let value = |name: &str| {
            let mut headers = headers.iter().filter_map(|header| header.split_once(':'));
            headers
                .find_map(|(found, value)| found.eq_ignore_ascii_case(name).then(|| value.trim()))
        };
        let id = value("Message-ID").unwrap_or_default();
        let id = id.trim_start_matches('<').split('@').next();
        mails.push(Mail {
            notification_id: id.and_then(|id| id.parse().ok()).unwrap_or_default(),
            recipient: address(value("To").unwrap_or_default()).to_owned(),
        });
    }
    mails
}

/// A line that begins with a space goes on with the header before it.
fn unfolded<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut headers: Vec<String> = Vec::new();
    for line in lines {
        match headers.last_mut() {
            Some(header) if line.starts_with([' ', '\t']) => header.push_str(line),
            _ => headers.push(line.to_owned()),
        }
    }
    headers
}

/// The address in `Name <address>`, or alone.
fn address(mailbox: &str) -> &str {
    let in_brackets = mailbox.rsplit_once('<').map(|(_, rest)| rest);
    in_brackets
        .map_or(mailbox, |rest| rest.trim_end_matches('>'))
        .trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_known_by_their_headers_alone() {
        let (first, second) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let mbox = format!(
            "From a@b Thu Jan  1\nSubject: paid\nMessage-ID: <{first}@loja.example>\nTo: =?utf-8?b?Sm/Do28=?=\n da Silva <joao@x.example>\n\n\
             Message-ID: <{second}@loja.example>\n>From here\n\n\
             From a@b Thu Jan  1\nmessage-id: <{second}@loja.example>\nTo: ana@x.example\n\nbody\n\n\
             From a@b Thu Jan  1\nTo: ana@x.example\n\nFrom: nobody\n"
        );
        let mail = |notification_id, recipient: &str| Mail {
            notification_id,
            recipient: recipient.to_owned(),
        };
        assert_eq!(
            mails(&mbox),
            [
                mail(first, "joao@x.example"),
                mail(second, "ana@x.example"),
                mail(Uuid::nil(), "ana@x.example")
            ]
        );
    }
}
