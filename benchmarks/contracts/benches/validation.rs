//! Validation against JSON Schema, beside jsonschema.

use commerce_contracts::Event;
use contracts_benchmarks::{OrderPlaced, Report, Target};

pub(crate) fn rows(report: &mut Report) {
    let order = OrderPlaced::sample();
    let contract = OrderPlaced::contract();
    let peer = jsonschema::validator_for(contract.schema_on_write()).expect("a schema");
    report.compare(
        "validate an order on produce",
        Target::Ratio(0.8),
        || contract.check(&order).expect("it is valid"),
        "serde_json::to_value and jsonschema::is_valid",
        || {
            let value = serde_json::to_value(&order).expect("JSON");
            assert!(peer.is_valid(&value));
        },
    );
}
