//! Which subject of a registry a contract is.

use std::collections::{BTreeMap, BTreeSet};

use clap::ValueEnum;
use commerce_contracts::gate::{ContractId, RecordedContract, SchemaSet};
use serde_json::Value;

use super::failure::RegistryFailure;

/// The naming strategies of Confluent's serialisers, and the contract's own name. The default is by record: one topic carries events of
/// several types here, and by topic they would have to share one subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Naming {
    /// The name of the record: Avro's full name, JSON Schema's `title` (RecordNameStrategy).
    Record,
    /// TOPIC-value, for topics that carry one type (TopicNameStrategy).
    Topic,
    /// TOPIC-RECORD (TopicRecordNameStrategy).
    TopicRecord,
    /// The contract: orders.order.placed.v1.
    Contract,
}

impl Naming {
    /// The subjects of each contract: more than one where its two schemas have different names.
    pub(super) fn subjects(
        self,
        set: &SchemaSet,
    ) -> Result<BTreeMap<ContractId, BTreeSet<String>>, RegistryFailure> {
        let mut all = BTreeMap::new();
        let mut taken = BTreeMap::<String, &ContractId>::new();
        for (id, contract) in set.iter() {
            let subjects = self.subjects_of(id, contract)?;
            for subject in &subjects {
                if let Some(other) = taken.insert(subject.clone(), id) {
                    return Err(RegistryFailure::SharedSubject {
                        subject: subject.clone(),
                        contracts: [other.to_string(), id.to_string()],
                    });
                }
            }
            all.insert(id.clone(), subjects);
        }
        Ok(all)
    }

    fn subjects_of(
        self,
        id: &ContractId,
        contract: &RecordedContract,
    ) -> Result<BTreeSet<String>, RegistryFailure> {
        let topic = || {
            contract.topic().ok_or_else(|| RegistryFailure::NoTopic {
                contract: id.to_string(),
                file: format!("{}/v{}.json", id.name, id.version),
            })
        };
        let records = || {
            let json = contract.on_write.as_ref().and_then(title);
            let avro = contract.avro.as_ref().and_then(full_name);
            let names: BTreeSet<String> = json.into_iter().chain(avro).collect();
            if names.is_empty() {
                return Err(RegistryFailure::NoRecordName(id.to_string()));
            }
            Ok(names)
        };
        Ok(match self {
            Self::Record => records()?,
            Self::Topic => [format!("{}-value", topic()?)].into(),
            Self::TopicRecord => {
                let topic = topic()?;
                let records = records()?.into_iter();
                records.map(|record| format!("{topic}-{record}")).collect()
            }
            Self::Contract => [id.to_string()].into(),
        })
    }
}

fn title(schema: &Value) -> Option<String> {
    schema.get("title")?.as_str().map(str::to_owned)
}

/// The full name of a named Avro type.
pub(super) fn full_name(schema: &Value) -> Option<String> {
    let name = schema.get("name")?.as_str()?;
    let namespace = schema.get("namespace").and_then(Value::as_str);
    Some(match namespace {
        Some(namespace) if !namespace.is_empty() && !name.contains('.') => {
            format!("{namespace}.{name}")
        }
        _ => name.trim_start_matches('.').to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn set(files: &[(&str, Value)]) -> SchemaSet {
        let files = files
            .iter()
            .map(|(path, schema)| ((*path).to_owned(), schema.to_string().into_bytes()));
        SchemaSet::from_files(files).unwrap()
    }

    fn names(naming: Naming, set: &SchemaSet) -> Vec<String> {
        let subjects = naming.subjects(set).unwrap();
        subjects.into_values().flatten().collect()
    }

    #[test]
    fn each_strategy_has_its_own_names() {
        let set = set(&[
            (
                "shop.order.placed/v1.json",
                json!({"title": "OrderPlaced", "x-contract": {"topic": "orders", "key": "id"}}),
            ),
            (
                "shop.order.placed/v1.avsc",
                json!({"type": "record", "namespace": "shop", "name": "OrderPlaced", "fields": []}),
            ),
        ]);
        assert_eq!(
            names(Naming::Record, &set),
            ["OrderPlaced", "shop.OrderPlaced"]
        );
        assert_eq!(names(Naming::Topic, &set), ["orders-value"]);
        assert_eq!(
            names(Naming::TopicRecord, &set),
            ["orders-OrderPlaced", "orders-shop.OrderPlaced"]
        );
        assert_eq!(names(Naming::Contract, &set), ["shop.order.placed.v1"]);
    }

    #[test]
    fn contracts_that_would_share_a_subject_are_named() {
        let schema = json!({"title": "OrderPlaced", "x-contract": {"topic": "orders"}});
        let set = set(&[
            ("shop.order.placed/v1.json", schema.clone()),
            ("shop.order.placed/v2.json", schema),
        ]);
        for naming in [Naming::Record, Naming::Topic] {
            let told = naming.subjects(&set).unwrap_err().to_string();
            assert!(
                told.contains("shop.order.placed.v1 and shop.order.placed.v2"),
                "{told}"
            );
        }
        assert_eq!(names(Naming::Contract, &set).len(), 2);
    }

    #[test]
    fn what_a_strategy_needs_and_is_not_recorded_is_told() {
        let set = set(&[("shop.order.placed/v1.json", json!({"type": "object"}))]);
        let told = Naming::Record.subjects(&set).unwrap_err().to_string();
        assert!(told.contains("title"), "{told}");
        let told = Naming::Topic.subjects(&set).unwrap_err().to_string();
        assert!(told.contains("x-contract"), "{told}");
    }
}
