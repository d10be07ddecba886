//! A message as it stands in the file.
//!
//! The line `From `, the message with a length of its body, an empty line. Lines of the body that look like the first
//! one are quoted with `>` (mboxrd). The length is what tells a message that was written to its end.

use chrono::{DateTime, Utc};
use lettre::message::header::ContentTransferEncoding;

use crate::letter::{Letter, LetterError};

/// How every message begins.
pub(super) const BEGIN: &[u8] = b"From ";
/// The header of the body's length in bytes.
pub(super) const LENGTH: &str = "Content-Length";
/// The header that tells messages apart.
pub(super) const MESSAGE_ID: &str = "Message-ID";

/// The bytes to append for an e-mail.
pub(super) fn entry(letter: &Letter) -> Result<Vec<u8>, LetterError> {
    // A file has no trouble with eight bits, and a person can read it.
    let message = letter
        .message(ContentTransferEncoding::EightBit)?
        .formatted();
    let message = String::from_utf8_lossy(&message).replace("\r\n", "\n");
    let (headers, body) = message.split_once("\n\n").unwrap_or((&message, ""));
    let body = quoted(body);
    let date = DateTime::<Utc>::from(letter.date()).format("%a %b %e %H:%M:%S %Y");
    let length = body.len();
    // The length comes first: what is torn behind it is seen to be torn.
    Ok(
        format!("From MAILER-DAEMON {date}\n{LENGTH}: {length}\n{headers}\n\n{body}\n")
            .into_bytes(),
    )
}

fn quoted(body: &str) -> String {
    let mut quoted = String::with_capacity(body.len() + 1);
    for line in body.lines() {
        if line.trim_start_matches('>').starts_with("From ") {
            quoted.push('>');
        }
        quoted.push_str(line);
        quoted.push('\n');
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn lines_that_look_like_a_beginning_are_quoted() {
        assert_eq!(
            quoted("From a\n>From b\nfrom c\nx From d"),
            ">From a\n>>From b\nfrom c\nx From d\n"
        );
        assert_eq!(quoted(""), "");
    }
}
