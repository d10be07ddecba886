//! Reads a mailbox to find what it holds and whether its end is torn.

use std::collections::HashSet;
use std::io::{BufRead, Read};

use super::format::{BEGIN, LENGTH, MESSAGE_ID};

/// A header longer than this is none of ours.
const LONGEST_LINE: u64 = 64 * 1024;

/// What a mailbox holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Contents {
    /// The Message-IDs, with their angle brackets.
    pub(super) message_ids: HashSet<String>,
    /// How many bytes are whole messages; what is behind them is torn.
    pub(super) whole: u64,
}

/// Reads all messages. A torn one can only be the last: whatever follows the first message that does not end is cut.
pub(super) fn scan(mut file: impl BufRead) -> std::io::Result<Contents> {
    let mut contents = Contents::default();
    while let Some(message) = message(&mut file)? {
        contents.whole += message.bytes;
        contents.message_ids.extend(message.id);
    }
    Ok(contents)
}

struct Message {
    bytes: u64,
    id: Option<String>,
}

/// The next message, or `None` at the end and at a torn one.
fn message(file: &mut impl BufRead) -> std::io::Result<Option<Message>> {
    let Some(begin) = line(file)?.filter(|line| line.starts_with(BEGIN)) else {
        return Ok(None);
    };
    let mut bytes = begin.len() as u64;
    let (mut id, mut length) = (None, None);
    loop {
        let Some(line) = line(file)? else {
            return Ok(None);
        };
        bytes += line.len() as u64;
        if line == b"\n" {
            break;
        }
        let text = String::from_utf8_lossy(&line);
        let Some((name, value)) = text.split_once(':') else {
            continue;
        };
        if name.eq_ignore_ascii_case(LENGTH) {
            length = value.trim().parse::<u64>().ok();
        } else if name.eq_ignore_ascii_case(MESSAGE_ID) {
            id = Some(value.trim().to_owned());
        }
    }
    let Some(length) = length else {
        return Ok(None);
    };
    // After a power cut a file can be as long as it should be and hold zeros where nothing was written.
    if !is_text(&mut file.by_ref().take(length), length)?
        || line(file)?.is_none_or(|line| line != b"\n")
    {
        return Ok(None);
    }
    Ok(Some(Message {
        bytes: bytes + length + 1,
        id,
    }))
}

/// A line with its end, or `None` where the file ends before the line does.
fn line(file: &mut impl BufRead) -> std::io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    file.by_ref()
        .take(LONGEST_LINE)
        .read_until(b'\n', &mut line)?;
    Ok(line.ends_with(b"\n").then_some(line))
}

fn is_text(body: &mut impl BufRead, mut length: u64) -> std::io::Result<bool> {
    loop {
        let chunk = body.fill_buf()?;
        if chunk.is_empty() {
            return Ok(length == 0);
        }
        if chunk.contains(&0) {
            return Ok(false);
        }
        let read = chunk.len();
        length -= read as u64;
        body.consume(read);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: u32, body: &str) -> Vec<u8> {
        format!(
            "From MAILER-DAEMON Sat Nov 21 11:00:00 2026\nContent-Length: {}\nMessage-ID: <{id}@x>\n\n{body}\n",
            body.len()
        )
        .into_bytes()
    }

    #[test]
    fn knows_all_messages() {
        let mut file = entry(1, "Olá,\n\nFrom where?\n\n");
        file.extend(entry(2, ""));
        let contents = scan(&file[..]).unwrap();
        assert_eq!(contents.whole, file.len() as u64);
        assert_eq!(
            contents.message_ids,
            HashSet::from(["<1@x>".to_owned(), "<2@x>".to_owned()])
        );
        assert_eq!(scan(&b""[..]).unwrap(), Contents::default());
    }

    #[test]
    fn a_torn_message_is_found_wherever_it_was_torn() {
        let whole = entry(1, "first\n");
        let second = entry(2, "second\n\nFrom me\n");
        for torn in 1..second.len() {
            let file = [&whole[..], &second[..torn]].concat();
            let contents = scan(&file[..]).unwrap();
            assert_eq!(
                contents.whole,
                whole.len() as u64,
                "torn after {torn} bytes"
            );
            assert_eq!(contents.message_ids.len(), 1);
        }
    }

    #[test]
    fn zeros_are_not_a_message() {
        let mut second = entry(2, "second\n");
        let start = second.len() - 5;
        second[start..start + 3].fill(0);
        let file = [entry(1, "first\n"), second].concat();
        assert_eq!(scan(&file[..]).unwrap().message_ids.len(), 1);
    }
}
