//! The e-mail: plain text in Brazilian Portuguese, from one template for each outcome.

use std::time::SystemTime;

use commerce_contracts::commerce::{Currency, Money, Outcome};
use lettre::Message;
use lettre::address::AddressError;
use lettre::message::header::ContentTransferEncoding;
use lettre::message::{Body, Mailbox as Address, SinglePart};

use crate::config::Sender;
use crate::notice::Notice;

/// The longest text from outside that goes into an e-mail.
const LONGEST_VALUE: usize = 200;

/// An e-mail before it is encoded for its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    message_id: String,
    from: Address,
    to: Address,
    subject: String,
    text: String,
    date: SystemTime,
}

/// Why there can be no e-mail. Nothing will change that.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LetterError {
    /// The mail library does not take the customer's address; it takes every one that the contract does.
    #[error("the customer's mail address cannot be used")]
    Address(#[from] AddressError),
    /// No template for this outcome.
    #[error("there is no text for this outcome")]
    Outcome,
    /// The text cannot be encoded.
    #[error("the e-mail cannot be encoded")]
    Encoding(#[source] lettre::error::Error),
}

impl Letter {
    /// Writes the e-mail of a notice. The same notice gives the same e-mail.
    pub fn write(notice: &Notice, from: &Sender) -> Result<Self, LetterError> {
        let template = match notice.outcome {
            Outcome::Received => include_str!("../templates/received.txt"),
            Outcome::PaymentPending => include_str!("../templates/payment_pending.txt"),
            Outcome::Cancelled => include_str!("../templates/cancelled.txt"),
            _ => return Err(LetterError::Outcome),
        };
        let (subject, text) = template.split_once("\n\n").unwrap_or(("", template));
        let name = one_line(&notice.customer.name);
        let values = [
            ("name", name.clone()),
            ("order", notice.order_id.to_string()),
            ("total", amount(notice.total)),
            ("attempt", notice.attempt.to_string()),
            (
                "reason",
                one_line(notice.reason.as_deref().unwrap_or_default()),
            ),
        ];
        let name = (!name.is_empty()).then_some(name);
        Ok(Self {
            message_id: format!("<{}@{}>", notice.id(), from.domain()),
            from: from.address().clone(),
            to: Address::new(name, notice.customer.email.as_str().parse()?),
            subject: fill(subject, &values),
            text: fill(text, &values),
            date: notice.happened_at.into(),
        })
    }

    /// What tells this e-mail from every other, with its angle brackets.
    pub fn message_id(&self) -> &str {
        &self.message_id
    }

    /// When what it tells about happened.
    pub fn date(&self) -> SystemTime {
        self.date
    }

    /// The whole message. Only `encoding` differs between the ways an e-mail can take.
    pub fn message(&self, encoding: ContentTransferEncoding) -> Result<Message, LetterError> {
        let body = Body::new_with_encoding(self.text.clone(), encoding)
            // It does not fit this encoding; there is one that fits everything.
            .unwrap_or_else(|text| Body::new(String::from_utf8_lossy(&text).into_owned()));
        Message::builder()
            .message_id(Some(self.message_id.clone()))
            .date(self.date)
            .from(self.from.clone())
            .to(self.to.clone())
            .subject(self.subject.clone())
            .singlepart(SinglePart::plain(body))
            .map_err(LetterError::Encoding)
    }
}

/// Replaces each `{name}` once; what a value holds is never a placeholder.
fn fill(template: &str, values: &[(&str, String)]) -> String {
    let mut text = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        let found = after.split_once('}').and_then(|(name, rest)| {
            let (_, value) = values.iter().find(|(known, _)| *known == name)?;
            Some((value, rest))
        });
        if let Some((value, after)) = found {
            text.push_str(value);
            rest = after;
        } else {
            text.push('{');
            rest = after;
        }
    }
    text.push_str(rest);
    text
}

/// A text from outside as part of one line.
fn one_line(text: &str) -> String {
    let words: Vec<_> = text
        .split(|c: char| c.is_control() || c.is_whitespace())
        .filter(|word| !word.is_empty())
        .collect();
    words.join(" ").chars().take(LONGEST_VALUE).collect()
}

/// An amount as it is written in Brazil: `R$ 1.234,56`.
fn amount(money: Money) -> String {
    let digits = usize::from(money.currency.exponent());
    let unit = 10_u64.pow(u32::from(money.currency.exponent()));
    let (whole, fraction) = (
        money.amount_minor.unsigned_abs() / unit,
        money.amount_minor.unsigned_abs() % unit,
    );
    let symbol = if money.currency == Currency::BRL {
        "R$"
    } else {
        money.currency.code()
    };
    let sign = if money.is_negative() { "-" } else { "" };
    let fraction = if digits > 0 {
        format!(",{fraction:0digits$}")
    } else {
        String::new()
    };
    format!("{symbol} {sign}{}{fraction}", grouped(whole))
}

fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('.');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use commerce_contracts::commerce::{
        Customer, CustomerId, EmailAddress, OrderId, OrganizationId,
    };
    use proptest::prelude::*;
    use proptest::strategy::ValueTree as _;

    use super::*;

    fn notice(outcome: Outcome) -> Notice {
        Notice {
            organization_id: OrganizationId::new(),
            order_id: OrderId::new(),
            outcome,
            attempt: 2,
            customer: Customer {
                customer_id: CustomerId::new(),
                name: "João\r\nBcc: x@y.example {total}".to_owned(),
                email: "joao@mail.example".parse().unwrap(),
            },
            total: Money::new(123_456, Currency::BRL),
            reason: Some("saldo insuficiente".to_owned()),
            happened_at: DateTime::from_timestamp(1_795_000_000, 0).unwrap(),
        }
    }

    #[test]
    fn every_outcome_has_a_text_without_holes() {
        for outcome in [
            Outcome::Received,
            Outcome::PaymentPending,
            Outcome::Cancelled,
        ] {
            let notice = notice(outcome);
            let letter = Letter::write(&notice, &Sender::default()).unwrap();
            assert!(letter.subject.contains(&notice.order_id.to_string()));
            assert!(letter.text.contains("R$ 1.234,56"), "{}", letter.text);
            let own = letter.text.replace("João Bcc: x@y.example {total}", "");
            assert!(!own.contains('{') && !own.contains('}'), "{own}");
        }
    }

    #[test]
    fn a_name_cannot_become_a_header() {
        let letter = Letter::write(&notice(Outcome::Received), &Sender::default()).unwrap();
        let message = letter.message(ContentTransferEncoding::EightBit).unwrap();
        let text = String::from_utf8(message.formatted()).unwrap();
        let (headers, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(
            !headers.lines().any(|line| line.starts_with("Bcc:")),
            "{headers}"
        );
        assert!(
            headers.contains("To: ") && headers.contains("joao@mail.example"),
            "{headers}"
        );
        assert!(
            body.contains("Olá, João Bcc: x@y.example {total}!"),
            "{body}"
        );
    }

    #[test]
    fn the_same_notice_gives_the_same_message() {
        let notice = notice(Outcome::Received);
        let bytes = || {
            let letter = Letter::write(&notice, &Sender::default()).unwrap();
            letter
                .message(ContentTransferEncoding::QuotedPrintable)
                .unwrap()
                .formatted()
        };
        assert_eq!(bytes(), bytes());
        let other = Notice {
            attempt: 3,
            ..notice.clone()
        };
        assert_ne!(other.id(), notice.id());
    }

    /// Texts that are nearly addresses: more of them than are, and all kinds of those that are.
    fn nearly_an_address() -> impl Strategy<Value = String> {
        let name = prop_oneof![
            "[a-zA-Z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}",
            r"[ -~]{1,20}",
            r"\PC{1,20}"
        ];
        let domain = prop_oneof![
            "([a-zA-Z0-9-]{1,12}\\.){0,4}[a-zA-Z0-9-]{1,12}",
            "[a-z0-9]{60,64}\\.[a-z]{1,63}",
            r"[ -~]{1,20}",
            r"\PC{1,20}"
        ];
        (name, domain).prop_map(|(name, domain)| format!("{name}@{domain}"))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        /// The one rule: an address that orders take is one that e-mails can be written to.
        #[test]
        fn every_address_of_the_contract_can_be_written_to(text in nearly_an_address()) {
            let Ok(address) = text.parse::<EmailAddress>() else {
                return Ok(());
            };
            let mut notice = notice(Outcome::Received);
            notice.customer.email = address;
            let letter = Letter::write(&notice, &Sender::default()).unwrap();
            let message = letter.message(ContentTransferEncoding::QuotedPrintable).unwrap();
            // Where the server is told to bring it, to the letter.
            let [to] = message.envelope().to() else {
                panic!("one recipient");
            };
            prop_assert_eq!(AsRef::<str>::as_ref(to), text.as_str());
            prop_assert!(text.is_ascii(), "servers without SMTPUTF8 refuse it");
        }
    }

    #[test]
    fn addresses_are_found_among_the_texts_that_nearly_are() {
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        let strategy = nearly_an_address();
        let valid = (0..1_000).filter(|_| {
            let text = strategy.new_tree(&mut runner).unwrap().current();
            text.parse::<EmailAddress>().is_ok()
        });
        let valid = valid.count();
        assert!((50..=950).contains(&valid), "{valid} of 1000");
    }

    #[test]
    fn amounts_are_written_as_in_brazil() {
        for (money, text) in [
            (Money::new(5, Currency::BRL), "R$ 0,05"),
            (Money::new(123_456_789, Currency::BRL), "R$ 1.234.567,89"),
            (Money::new(-100_000, Currency::EUR), "EUR -1.000,00"),
            (Money::new(1234, Currency::JPY), "JPY 1.234"),
        ] {
            assert_eq!(amount(money), text);
        }
    }
}
