//! Where people read.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use commerce_contracts_derive::PersonalData;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::avro::AvroSchema;

/// An e-mail address that mail programs write to and mail servers take: `name@domain`, in ASCII.
///
/// Whoever accepts an address promises that somebody can be told something there. So this is the part of RFC 5321 that is
/// in use and that every mail server knows: no quoted names, no comments, no IP addresses, at least two labels in the
/// domain, at most 254 characters. An international domain is written in its ASCII form (`xn--…`). Whether somebody
/// reads there, only a message tells.
///
/// It is somebody's: `Debug` does not show it.
///
/// ```
/// use commerce_contracts::commerce::EmailAddress;
///
/// let address: EmailAddress = "ana@shop.example".parse()?;
/// assert_eq!(address.as_str(), "ana@shop.example");
/// assert!("ana..b@shop.example".parse::<EmailAddress>().is_err());
/// # Ok::<(), commerce_contracts::commerce::InvalidEmailAddress>(())
/// ```
#[derive(
    Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, AvroSchema, PersonalData,
)]
#[serde(try_from = "String", into = "String")]
pub struct EmailAddress(String);

/// Nobody can be written to there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an e-mail address in ASCII such as ana@shop.example")]
#[non_exhaustive]
pub struct InvalidEmailAddress;

impl EmailAddress {
    const LONGEST: usize = 254;
    const LONGEST_NAME: usize = 64;
    const LONGEST_LABEL: usize = 63;

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Words of certain characters with single dots between.
fn is_name(name: &str) -> bool {
    let is_word = |word: &str| {
        !word.is_empty()
            && word
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte))
    };
    name.len() <= EmailAddress::LONGEST_NAME && name.split('.').all(is_word)
}

/// Two labels or more; the last one begins with a letter, which no number of an IP address does.
fn is_domain(domain: &str) -> bool {
    let is_label = |label: &str| {
        (1..=EmailAddress::LONGEST_LABEL).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let top = domain.rsplit_once('.').map(|(_, top)| top);
    domain.split('.').all(is_label)
        && top.is_some_and(|top| top.starts_with(|first: char| first.is_ascii_alphabetic()))
}

impl TryFrom<String> for EmailAddress {
    type Error = InvalidEmailAddress;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let parts = text.split_once('@');
        let valid = parts.is_some_and(|(name, domain)| is_name(name) && is_domain(domain));
        if valid && text.len() <= Self::LONGEST {
            Ok(Self(text))
        } else {
            Err(InvalidEmailAddress)
        }
    }
}

impl FromStr for EmailAddress {
    type Err = InvalidEmailAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.to_owned().try_into()
    }
}

impl From<EmailAddress> for String {
    fn from(address: EmailAddress) -> Self {
        address.0
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

/// The schema has the form; that a name has 64 characters at most it does not say.
impl JsonSchema for EmailAddress {
    fn schema_name() -> Cow<'static, str> {
        "EmailAddress".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "maxLength": Self::LONGEST,
            "pattern": "^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\\.)+[A-Za-z]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::EmailAddress;

    /// What is an address, and what is none.
    fn cases() -> (Vec<String>, Vec<String>) {
        let label = "d".repeat(63);
        let name = "n".repeat(64);
        let good = [
            "ana@shop.example",
            "Ana.Maria+loja@mail.shop.example",
            "o'neill_{x}!#$%&*/=?^`|~@x.example",
            "1@2.example",
            "ana@xn--loja-7qa.example",
            "ana@shop.xn--p1ai",
            &format!("{name}@{label}.{label}.{}.example", "d".repeat(53)),
        ]
        .map(str::to_owned);
        let bad = [
            "",
            "@",
            "ana",
            "ana at shop",
            "ana@",
            "@shop.example",
            "ana@shop",
            "ana..b@shop.example",
            ".ana@shop.example",
            "ana.@shop.example",
            "ana@shop..example",
            "ana@.shop.example",
            "ana@shop.example.",
            "ana@-shop.example",
            "ana@shop-.example",
            "ana@sh_op.example",
            "ana@b@shop.example",
            "ana b@shop.example",
            " ana@shop.example",
            "ana@shop.example\n",
            "ana,bia@shop.example",
            "\"ana\"@shop.example",
            "ana(loja)@shop.example",
            "Ana <ana@shop.example>",
            "ana@127.0.0.1",
            "ana@[127.0.0.1]",
            "ana@shop.1example",
            "joão@shop.example",
            "ana@maçã.example",
            &format!("{name}n@shop.example"),
            &format!("ana@{label}d.example"),
            &format!("{name}@{label}.{label}.{}.example", "d".repeat(54)),
        ]
        .map(str::to_owned);
        (good.into(), bad.into())
    }

    #[test]
    fn what_mail_servers_take_is_an_address_and_nothing_else() {
        let (good, bad) = cases();
        for text in good {
            let address: EmailAddress = text.parse().unwrap();
            assert_eq!(
                (address.as_str(), address.to_string()),
                (&*text, text.clone())
            );
        }
        for text in bad {
            assert!(text.parse::<EmailAddress>().is_err(), "{text}");
        }
    }

    #[cfg(feature = "validation")]
    #[test]
    fn the_schema_takes_every_address_and_refuses_the_common_mistakes() {
        let schema = schemars::schema_for!(EmailAddress);
        let schema = jsonschema::validator_for(schema.as_value()).unwrap();
        let (good, bad) = cases();
        for text in good {
            assert!(schema.is_valid(&text.clone().into()), "{text}");
        }
        let name_is_too_long = |text: &str| text.split('@').any(|name| name.len() == 65);
        for text in bad.into_iter().filter(|text| !name_is_too_long(text)) {
            assert!(!schema.is_valid(&text.clone().into()), "{text}");
        }
    }
}
