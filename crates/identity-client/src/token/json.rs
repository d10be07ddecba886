//! JSON without two readings.
//!
//! Parsers disagree about which of two members of the same name counts. Somebody who can make the signer and the verifier
//! disagree owns the difference, so such a document is refused, at any depth (RFC 7515, section 4, allows exactly that).

use std::{collections::HashSet, fmt};

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::Rejected;

/// Deeper than any claim needs to be, shallower than any stack.
const MAX_DEPTH: usize = 16;

/// Insists on one JSON object, with no member named twice in it or below.
pub(super) fn check_object(json: &[u8]) -> Result<(), Rejected> {
    const INVALID: Rejected =
        Rejected::Malformed("a member occurs twice, or the JSON is invalid or too deep");
    if !json.trim_ascii_start().starts_with(b"{") {
        return Err(Rejected::Malformed("not a JSON object"));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    Unique { depth: 0 }
        .deserialize(&mut deserializer)
        .map_err(|_| INVALID)?;
    deserializer.end().map_err(|_| INVALID)
}

/// Walks a value and keeps nothing but the names of the object at hand.
#[derive(Clone, Copy)]
struct Unique {
    depth: usize,
}

impl Unique {
    fn below<E: Error>(self) -> Result<Self, E> {
        if self.depth == MAX_DEPTH {
            Err(E::custom("too deep"))
        } else {
            Ok(Self {
                depth: self.depth + 1,
            })
        }
    }
}

impl<'de> DeserializeSeed<'de> for Unique {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unique {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let below = self.below()?;
        let mut names = HashSet::new();
        while let Some(name) = members.next_key::<String>()? {
            if !names.insert(name) {
                return Err(A::Error::custom("duplicate member"));
            }
            members.next_value_seed(below)?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        let below = self.below()?;
        while elements.next_element_seed(below)?.is_some() {}
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// Whether a member is there at all, be it `null`: for names that must not occur.
pub(super) fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    serde::Deserialize::deserialize(deserializer).map(|IgnoredAny| true)
}
