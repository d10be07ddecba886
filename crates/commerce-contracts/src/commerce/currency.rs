//! Currencies: the codes of ISO 4217 and how many digits their minor unit has.

use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A currency of ISO 4217 that has a minor unit, with the number of digits of that unit: BRL 2, JPY 0, KWD 3, CLF 4.
///
/// Metals and test codes (XAU, XTS) have no minor unit and are no currencies here.
#[derive(Clone, Copy)]
pub struct Currency {
    code: &'static str,
    exponent: u8,
}

impl Currency {
    /// Brazilian real.
    pub const BRL: Self = Self {
        code: "BRL",
        exponent: 2,
    };
    /// Euro.
    pub const EUR: Self = Self {
        code: "EUR",
        exponent: 2,
    };
    /// Yen.
    pub const JPY: Self = Self {
        code: "JPY",
        exponent: 0,
    };
    /// US dollar.
    pub const USD: Self = Self {
        code: "USD",
        exponent: 2,
    };

    /// The code: three capital letters.
    pub const fn code(&self) -> &'static str {
        self.code
    }

    /// How many decimal digits the minor unit has: an amount of 1 is `10^exponent` minor units.
    pub const fn exponent(&self) -> u8 {
        self.exponent
    }
}

/// No currency of ISO 4217 with a minor unit has this code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the code of a currency: three capital letters of ISO 4217, such as BRL")]
#[non_exhaustive]
pub struct UnknownCurrency;

impl FromStr for Currency {
    type Err = UnknownCurrency;

    fn from_str(code: &str) -> Result<Self, Self::Err> {
        for (exponent, codes) in CODES {
            if let Ok(index) = codes.binary_search(&code) {
                return Ok(Self {
                    code: codes[index],
                    exponent,
                });
            }
        }
        Err(UnknownCurrency)
    }
}

impl PartialEq for Currency {
    fn eq(&self, other: &Self) -> bool {
        self.code == other.code
    }
}

impl Eq for Currency {}

impl Hash for Currency {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.code.hash(state);
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.code)
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.code)
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code)
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = Cow::<'_, str>::deserialize(deserializer)?;
        code.parse().map_err(serde::de::Error::custom)
    }
}

/// The schema has the form and not the list: a new code does not change the contract of every event with an amount.
impl JsonSchema for Currency {
    fn schema_name() -> Cow<'static, str> {
        "Currency".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "ISO 4217 code",
            "pattern": "^[A-Z]{3}$",
        })
    }
}

impl crate::avro::AvroSchema for Currency {
    fn avro_schema(_: &mut crate::avro::Definitions) -> crate::avro::TypeSchema {
        crate::avro::TypeSchema::new("string")
    }
}

/// Codes by the digits of their minor unit, each list sorted. Withdrawn codes stay as long as events hold them (BGN).
const CODES: [(u8, &[&str]); 4] = [
    (2, TWO_DIGITS),
    (0, NO_DIGITS),
    (3, THREE_DIGITS),
    (4, FOUR_DIGITS),
];

#[rustfmt::skip]
const TWO_DIGITS: &[&str] = &[
    "AED", "AFN", "ALL", "AMD", "AOA", "ARS", "AUD", "AWG", "AZN", "BAM", "BBD", "BDT", "BGN", "BMD", "BND", "BOB",
    "BOV", "BRL", "BSD", "BTN", "BWP", "BYN", "BZD", "CAD", "CDF", "CHE", "CHF", "CHW", "CNY", "COP", "COU", "CRC",
    "CUP", "CVE", "CZK", "DKK", "DOP", "DZD", "EGP", "ERN", "ETB", "EUR", "FJD", "FKP", "GBP", "GEL", "GHS", "GIP",
    "GMD", "GTQ", "GYD", "HKD", "HNL", "HTG", "HUF", "IDR", "ILS", "INR", "IRR", "JMD", "KES", "KGS", "KHR", "KPW",
    "KYD", "KZT", "LAK", "LBP", "LKR", "LRD", "LSL", "MAD", "MDL", "MGA", "MKD", "MMK", "MNT", "MOP", "MRU", "MUR",
    "MVR", "MWK", "MXN", "MXV", "MYR", "MZN", "NAD", "NGN", "NIO", "NOK", "NPR", "NZD", "PAB", "PEN", "PGK", "PHP",
    "PKR", "PLN", "QAR", "RON", "RSD", "RUB", "SAR", "SBD", "SCR", "SDG", "SEK", "SGD", "SHP", "SLE", "SOS", "SRD",
    "SSP", "STN", "SVC", "SYP", "SZL", "THB", "TJS", "TMT", "TOP", "TRY", "TTD", "TWD", "TZS", "UAH", "USD", "USN",
    "UYU", "UZS", "VED", "VES", "WST", "XAD", "XCD", "XCG", "YER", "ZAR", "ZMW", "ZWG",
];

#[rustfmt::skip]
const NO_DIGITS: &[&str] = &[
    "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF",
    "XPF",
];

const THREE_DIGITS: &[&str] = &["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"];

const FOUR_DIGITS: &[&str] = &["CLF", "UYW"];

#[cfg(test)]
mod tests {
    use super::{CODES, Currency};

    #[test]
    fn lists_are_sorted_and_disjoint() {
        let mut all: Vec<&str> = Vec::new();
        for (_, codes) in CODES {
            assert!(codes.is_sorted(), "{codes:?}");
            all.extend(codes);
        }
        assert!(
            all.iter()
                .all(|code| code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase()))
        );
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }

    #[test]
    fn constants_are_in_the_lists() {
        for constant in [Currency::BRL, Currency::EUR, Currency::JPY, Currency::USD] {
            let listed: Currency = constant.code().parse().unwrap();
            assert_eq!(listed.exponent(), constant.exponent(), "{constant}");
        }
    }

    /// In no list any more, and in events that are stored.
    const WITHDRAWN: [&str; 1] = ["BGN"];

    #[test]
    fn codes_and_exponents_are_those_of_iso_4217() {
        let list = include_str!("../../tests/standards/iso_4217.txt");
        let mut listed = Vec::new();
        for line in list.lines().filter(|line| !line.starts_with('#')) {
            let (code, digits) = line.split_once(' ').unwrap();
            let known = code.parse::<Currency>().ok();
            let known = known.map_or("N.A.".to_owned(), |known| known.exponent().to_string());
            assert_eq!(known, digits, "{code}");
            listed.push(code);
        }
        assert!(listed.len() > 170, "{}", listed.len());
        let ours = CODES.iter().flat_map(|(_, codes)| codes.iter().copied());
        let further: Vec<&str> = ours.filter(|code| !listed.contains(code)).collect();
        assert_eq!(further, WITHDRAWN);
        for unknown in ["brl", "BR", "", "R$"] {
            assert!(unknown.parse::<Currency>().is_err(), "{unknown}");
        }
    }
}
