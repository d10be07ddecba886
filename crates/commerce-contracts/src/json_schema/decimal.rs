//! What a decimal of Avro says of its JSON: the texts and whole numbers that have no more digits than it holds.

use serde_json::{Map, Value, json};

/// Digits in all, digits after the point, and the types that JSON Schema gives the value; none where it tells no types.
pub(super) struct Decimal {
    precision: u32,
    scale: u32,
    types: Option<Vec<String>>,
}

impl Decimal {
    pub(super) fn new(precision: u32, scale: u32) -> Self {
        Self {
            precision,
            scale,
            types: None,
        }
    }

    pub(super) fn of_types(self, types: Option<Vec<String>>) -> Self {
        Self { types, ..self }
    }

    fn may_be(&self, kind: &str) -> bool {
        self.types
            .as_ref()
            .is_none_or(|types| types.iter().any(|known| known == kind))
    }

    pub(super) fn limit(&self, rules: &mut Map<String, Value>) {
        if let Some(types) = self.kept() {
            rules.insert("type".to_owned(), types);
        }
        if self.may_be("string") {
            put(rules, "pattern", self.pattern().into());
        }
        // Where it may be a text, a floating point number is not taken, and a whole one is.
        if self.may_be("integer") || (self.may_be("number") && !self.may_be("string")) {
            self.bound(rules);
        }
    }

    /// The types, without floating point numbers: they are not exact, and the encoder does not take them. None where nothing changes.
    fn kept(&self) -> Option<Value> {
        let types = self.types.as_ref()?;
        let mut kept: Vec<&str> = types.iter().map(String::as_str).collect();
        let number = kept.iter().position(|kind| *kind == "number")?;
        kept.remove(number);
        if !kept.contains(&"string") && !kept.contains(&"integer") {
            kept.insert(0, "integer");
        }
        Some(match kept[..] {
            [one] => one.into(),
            _ => json!(kept),
        })
    }

    /// Exactly the texts that the encoder takes: zeros without a meaning are counted neither by it nor here.
    fn pattern(&self) -> String {
        let whole = match self.precision - self.scale {
            0 => "0+".to_owned(),
            most => format!("0*[0-9]{{1,{most}}}"),
        };
        let fraction = match self.scale {
            0 => "0+".to_owned(),
            most => format!("[0-9]{{1,{most}}}0*"),
        };
        format!(r"^[-+]?{whole}(\.{fraction})?$")
    }

    /// What 64 bits cannot hold anyway needs no bound.
    fn bound(&self, rules: &mut Map<String, Value>) {
        let Some(beyond) = 10_u64.checked_pow(self.precision - self.scale) else {
            return;
        };
        let most = i128::from(beyond - 1);
        let own =
            |rules: &Map<String, Value>, keyword: &str| rules.get(keyword)?.as_number()?.as_i128();
        if own(rules, "maximum").is_none_or(|own| own > most) {
            put(rules, "maximum", (beyond - 1).into());
        }
        if let Ok(least) = i64::try_from(-most)
            && own(rules, "minimum").is_none_or(|own| own < -most)
        {
            put(rules, "minimum", least.into());
        }
    }
}

/// Adds a rule to those that the type has by itself.
fn put(rules: &mut Map<String, Value>, keyword: &str, rule: Value) {
    let Some(own) = rules.get(keyword) else {
        rules.insert(keyword.to_owned(), rule);
        return;
    };
    if *own == rule {
        return;
    }
    let rule = json!({keyword: rule});
    if let Value::Array(all) = rules.entry("allOf").or_insert_with(|| json!([]))
        && !all.contains(&rule)
    {
        all.push(rule);
    }
}

/// The types that a value may have at a place, wherever its references lead.
pub(super) fn types(root: &Value, at: &str) -> Option<Vec<String>> {
    /// References that lead in a circle describe nothing.
    const LONGEST: usize = 64;
    let mut place = root.pointer(at)?;
    for _ in 0..LONGEST {
        match &place["type"] {
            Value::String(kind) => return Some(vec![kind.clone()]),
            Value::Array(kinds) => {
                let kinds = kinds.iter().filter_map(Value::as_str);
                return Some(kinds.map(str::to_owned).collect());
            }
            _ => {}
        }
        place = root.pointer(place["$ref"].as_str()?.strip_prefix('#')?)?;
    }
    None
}
