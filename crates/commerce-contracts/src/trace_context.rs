//! The form of the two headers of W3C Trace Context.

/// The shape of `traceparent` in version 00 of W3C Trace Context: `00-<32 hex>-<16 hex>-<2 hex>`, identifiers not all zero.
/// Later versions may append fields.
pub(crate) fn is_trace_parent(text: &str) -> bool {
    let hex = |part: &str, length: usize| {
        part.len() == length
            && part
                .bytes()
                .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    };
    let not_zero = |part: &str| part.bytes().any(|byte| byte != b'0');
    let mut parts = text.splitn(5, '-');
    let (Some(version), Some(trace), Some(parent), Some(flags)) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    hex(version, 2)
        && version != "ff"
        && hex(trace, 32)
        && not_zero(trace)
        && hex(parent, 16)
        && not_zero(parent)
        && hex(flags, 2)
        && (version != "00" || parts.next().is_none())
}

/// The form of `tracestate`: at most 32 members `key=value` between commas, no key twice. Level 2, whose keys include those of level 1.
pub(crate) fn is_trace_state(text: &str) -> bool {
    let mut keys = Vec::new();
    for member in text.split(',') {
        let member = member.trim_matches([' ', '\t']);
        if member.is_empty() {
            continue;
        }
        let Some((key, value)) = member.split_once('=') else {
            return false;
        };
        if !is_key(key) || !is_value(value) || keys.contains(&key) || keys.len() == 32 {
            return false;
        }
        keys.push(key);
    }
    !keys.is_empty()
}

fn is_key(key: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    key.len() <= 256
        && key.bytes().next().is_some_and(plain)
        && key
            .bytes()
            .all(|byte| plain(byte) || b"_-*/@".contains(&byte))
}

/// Spaces at its end are the separator's.
fn is_value(value: &str) -> bool {
    (1..=256).contains(&value.len())
        && value
            .bytes()
            .all(|byte| (0x20..0x7f).contains(&byte) && byte != b',' && byte != b'=')
}
