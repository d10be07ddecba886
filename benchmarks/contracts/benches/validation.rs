//! Validation against JSON Schema, beside jsonschema.

use commerce_contracts::Event;
use commerce_contracts::commerce::OrderCreated;
use contracts_benchmarks::{OrderPlaced, Report, Target, order_created};
use serde::Serialize;

pub(crate) fn rows(report: &mut Report) {
    on_produce(
        report,
        "validate an order on produce",
        &OrderPlaced::sample(),
    );
    // Identifiers, times, currencies, an e-mail address: what is more than a plain text or number.
    let order: OrderCreated = order_created();
    on_produce(
        report,
        "validate an order of our vocabulary on produce",
        &order,
    );
}

fn on_produce<E: Event + Serialize>(report: &mut Report, what: &str, order: &E) {
    let contract = E::contract();
    // As the contract is validated: formats count.
    let peer = jsonschema::options()
        .should_validate_formats(true)
        .build(contract.schema_on_write())
        .expect("a schema");
    report.compare(
        what,
        Target::Ratio(0.8),
        || contract.check(order).expect("it is valid"),
        "serde_json::to_value and jsonschema::is_valid",
        || {
            let value = serde_json::to_value(order).expect("JSON");
            assert!(peer.is_valid(&value));
        },
    );
}
