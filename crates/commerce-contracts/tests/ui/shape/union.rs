use commerce_contracts::Event;

#[derive(Event)]
#[event(name = "orders.order.changed", version = 1, topic = "orders", key = "order_id")]
union OrderChanged {
    order_id: u64,
    other_id: u32,
}

fn main() {}
