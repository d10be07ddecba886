//! A bus whose topics are a test's own, on a broker that many tests share.

use commerce_event_bus::EventBus;
use uuid::Uuid;

/// The same broker, under a namespace that only this test knows: services name their topics and subscriptions
/// themselves, and tests need not.
pub fn isolated(bus: &EventBus) -> EventBus {
    crate::namespaced(bus, format!("t{}", Uuid::now_v7().simple()))
}
