//! The rules for names and topics. Each check answers with the remedy.

/// The longest name or topic: Kafka allows 249 bytes, and subscriptions append their own name.
const LONGEST: usize = 200;

/// `orders.order.created`: two or more segments, each beginning with a letter.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    check_length("name", name)?;
    let segments: Vec<&str> = name.split('.').collect();
    if segments.contains(&"") {
        return Err(
            "a segment of the name is empty: write one dot between segments and none at the ends"
                .to_owned(),
        );
    }
    if let Some(segment) = segments.iter().find(|segment| !is_word(segment)) {
        return Err(format!(
            "`{segment}` cannot be a segment of an event name: write lower-case letters, digits and single hyphens, \
             beginning with a letter, as in `orders.order.payment-pending`"
        ));
    }
    if segments.len() < 2 {
        return Err("an event name has two segments or more, where it happened and what happened, as in `orders.order.created`".to_owned());
    }
    if segments.last().is_some_and(|last| is_version(last)) {
        return Err("leave the version out of the name: `version` is appended to it, as in `orders.order.created.v1`".to_owned());
    }
    Ok(())
}

/// `orders.order.created.v2`: a name and a version.
pub(crate) fn check_type(event_type: &str) -> Result<(), String> {
    let parts = event_type.rsplit_once(".v").filter(|(_, version)| {
        version
            .parse::<u32>()
            .is_ok_and(|number| number >= 1 && number.to_string() == *version)
    });
    match parts {
        Some((name, _)) => check_name(name),
        None => Err(format!(
            "`{event_type}` has no version at its end, and each version of an event is a type of its own: write name and version, as in \
             `orders.order.placed.v2`"
        )),
    }
}

/// `2026-01-31`: a day of the calendar.
pub(crate) fn is_day(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let [year, month, day] = parts[..] else {
        return false;
    };
    let number = |digits: &str, length: usize| {
        let fits = digits.len() == length && digits.bytes().all(|byte| byte.is_ascii_digit());
        fits.then(|| digits.parse::<u32>().ok()).flatten()
    };
    let (Some(year), Some(month), Some(day)) = (number(year, 4), number(month, 2), number(day, 2))
    else {
        return false;
    };
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if is_leap => 29,
        2 => 28,
        _ => return false,
    };
    (1..=last).contains(&day)
}

/// `orders` or `orders.archive`: the rule of the event bus for topic names.
pub(crate) fn check_topic(topic: &str) -> Result<(), String> {
    check_length("topic", topic)?;
    let fits = |segment: &str| {
        !segment.is_empty()
            && segment
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    if topic.starts_with(|first: char| first.is_ascii_lowercase()) && topic.split('.').all(fits) {
        return Ok(());
    }
    Err(format!(
        "`{topic}` cannot be a topic: begin with a lower-case letter; after it come lower-case letters, digits and hyphens, \
         with single dots between segments, as in `orders`"
    ))
}

fn check_length(what: &str, text: &str) -> Result<(), String> {
    match text.len() {
        0 => Err(format!(
            "the {what} is empty: write `{what} = \"{}\"`, for example",
            example(what)
        )),
        1..=LONGEST => Ok(()),
        length => Err(format!(
            "the {what} has {length} bytes, and {LONGEST} are allowed: shorten it"
        )),
    }
}

/// What a value of the attribute looks like, for messages.
pub(crate) fn example(attribute: &str) -> &'static str {
    match attribute {
        "name" => "orders.order.created",
        "topic" => "orders",
        _ => "order_id",
    }
}

fn is_word(segment: &str) -> bool {
    segment.starts_with(|first: char| first.is_ascii_lowercase())
        && segment.split('-').all(|part| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        })
}

fn is_version(segment: &str) -> bool {
    segment.strip_prefix('v').is_some_and(|digits| {
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::{check_name, check_topic, check_type, is_day};

    #[test]
    fn names_are_dotted_lower_case_words() {
        for good in [
            "orders.order.created",
            "orders.order.payment-pending",
            "a.b",
            "orders2.order.paid",
            "orders.v1.created",
        ] {
            assert_eq!(check_name(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "orders",
            "Orders.order",
            "orders..created",
            "orders.order-",
            "orders.-x",
            "orders.1st",
            "orders.a--b",
            "orders.order_created",
            "orders.order.v1",
            ".orders",
            "orders.",
        ] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
        assert!(check_name(&format!("a.{}", "b".repeat(199))).is_err());
    }

    #[test]
    fn a_type_is_a_name_with_its_version() {
        for good in ["orders.order.placed.v1", "a.b.v4294967295"] {
            assert_eq!(check_type(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "orders.order.placed",
            "a.b.v0",
            "a.b.v01",
            "a.b.v+1",
            "a.v1",
            "a.B.v1",
            "a.b.v4294967296",
            ".v1",
        ] {
            assert!(check_type(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        for good in ["2026-01-31", "2024-02-29", "2000-02-29", "0001-12-31"] {
            assert!(is_day(good), "{good}");
        }
        for bad in [
            "",
            "2026-1-31",
            "2026-02-29",
            "1900-02-29",
            "2026-04-31",
            "2026-13-01",
            "2026-00-01",
            "2026-01-00",
            "26-01-01",
            "2026-01-31T00:00:00Z",
            "2026/01/31",
            "+026-01-31",
        ] {
            assert!(!is_day(bad), "{bad}");
        }
    }

    #[test]
    fn topics_follow_the_rule_of_the_bus() {
        for good in ["orders", "orders.archive", "orders-2", "orders.2"] {
            assert_eq!(check_topic(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "Orders",
            "1orders",
            "orders.",
            ".orders",
            "orders..x",
            "orders_x",
            "orders x",
        ] {
            assert!(check_topic(bad).is_err(), "{bad}");
        }
    }
}
