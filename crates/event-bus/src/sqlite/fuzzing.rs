//! What fuzzers feed of SQLite: rows, as a file holds them that was damaged or written by somebody else.

#![expect(
    clippy::missing_panics_doc,
    reason = "a panic is what a fuzzer looks for"
)]

use bytes::Bytes;

use super::codec::{Row, Stored, decode, read_headers, wants, write_headers};
use super::config::Config;
use crate::error::Error;
use crate::fuzzing::{filters_agree, is_kept, is_same, lines_and_body, topic};

/// `:key`, `:attributes`, `:content-type` and `:headers`, and the data.
pub fn sqlite_row(input: &[u8]) {
    let (lines, data) = lines_and_body(input);
    let mut stored = Stored {
        data: data.map(Into::into),
        ..Stored::default()
    };
    for (name, value) in lines {
        let text = || {
            value
                .as_deref()
                .map(String::from_utf8_lossy)
                .map(Into::into)
        };
        match name.as_str() {
            ":key" => stored.key = text(),
            ":attributes" => stored.attributes = text().unwrap_or_default(),
            ":content-type" => stored.content_type = text(),
            ":headers" => stored.headers = value.map(Into::into),
            _ => {}
        }
    }
    let topic = topic();
    let (key, data) = (
        stored.key.clone().map(Bytes::from),
        stored.data.clone().map(Bytes::from),
    );
    match decode(&topic, stored) {
        Ok(message) => {
            // What would come back as another event is refused.
            let Ok(row) = Row::encode(&message) else {
                return assert!(message.ensure_comes_back().is_err());
            };
            filters_agree(&message.event, |filter| {
                wants(filter, &row.attributes, row.content_type.as_deref())
            });
            let stored = Stored {
                key: row.key,
                attributes: row.attributes,
                content_type: row.content_type,
                data: row.data.map(Into::into),
                headers: row.headers,
            };
            is_same(decode(&topic, stored), &message);
        }
        Err(undecodable) => is_kept(&undecodable, key.as_ref(), data.as_ref()),
    }
}

/// The headers of a row.
pub fn sqlite_headers(input: &[u8]) {
    if let Some(headers) = read_headers(Bytes::copy_from_slice(input)) {
        assert_eq!(write_headers(&headers), input);
    }
}

pub(crate) fn url(rest: &str) -> Result<(), Error> {
    Config::parse(rest).map(drop)
}
