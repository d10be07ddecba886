//! Reads a mailbox to find what it holds and whether its end is torn.

use std::io::{BufRead, Read};

use super::format::{BEGIN, LENGTH, MESSAGE_ID};

/// A header longer than this is none of ours.
const LONGEST_LINE: u64 = 64 * 1024;

/// Reads all messages and shows their Message-IDs, with their angle brackets, to `found`. Answers how many bytes are whole
/// messages: a torn one can only be the last, and whatever follows the first message that does not end is to be cut.
pub(super) fn scan(mut file: impl BufRead, mut found: impl FnMut(String)) -> std::io::Result<u64> {
    let mut whole = 0;
    while let Some(message) = message(&mut file)? {
        whole += message.bytes;
        message.id.map(&mut found);
    }
    Ok(whole)
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

    fn contents(file: &[u8]) -> (u64, Vec<String>) {
        let mut ids = Vec::new();
        let whole = scan(file, |id| ids.push(id)).unwrap();
        (whole, ids)
    }

    #[test]
    fn knows_all_messages() {
        let mut file = entry(1, "Olá,\n\nFrom where?\n\n");
        file.extend(entry(2, ""));
        let ids = vec!["<1@x>".to_owned(), "<2@x>".to_owned()];
        assert_eq!(contents(&file), (file.len() as u64, ids));
        assert_eq!(contents(b""), (0, Vec::new()));
    }

    #[test]
    fn a_torn_message_is_found_wherever_it_was_torn() {
        let whole = entry(1, "first\n");
        let second = entry(2, "second\n\nFrom me\n");
        for torn in 1..second.len() {
            let file = [&whole[..], &second[..torn]].concat();
            let (length, ids) = contents(&file);
            assert_eq!(length, whole.len() as u64, "torn after {torn} bytes");
            assert_eq!(ids.len(), 1);
        }
    }

    #[test]
    fn zeros_are_not_a_message() {
        let mut second = entry(2, "second\n");
        let start = second.len() - 5;
        second[start..start + 3].fill(0);
        let file = [entry(1, "first\n"), second].concat();
        assert_eq!(contents(&file).1.len(), 1);
    }
}
