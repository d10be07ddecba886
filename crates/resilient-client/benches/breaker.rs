//! What a closed and an open breaker cost per call: ours beside `failsafe` and `recloser`, in one run on one machine.
//!
//! Read the ratios, not the nanoseconds. Each guarded call is a function that returns at once.

use std::{hint::black_box, time::Duration};

use commerce_resilient_client::breaker::{BreakerPolicy, Circuit};
use criterion::{Criterion, criterion_group, criterion_main};
use failsafe::CircuitBreaker as _;

#[derive(Debug)]
struct Down;

fn ours() -> Circuit {
    Circuit::new(BreakerPolicy::default().open_for(Duration::from_hours(1)))
}

/// By its success rate, as ours: for the closed circuit.
fn others_failsafe() -> impl failsafe::CircuitBreaker {
    let backoff = failsafe::backoff::constant(Duration::from_hours(1));
    let window = Duration::from_secs(30);
    let policy = failsafe::failure_policy::success_rate_over_time_window(0.5, 20, window, backoff);
    failsafe::Config::new().failure_policy(policy).build()
}

/// By failures in a row: its time window cannot open before it has passed once.
fn others_failsafe_in_a_row() -> impl failsafe::CircuitBreaker {
    let backoff = failsafe::backoff::constant(Duration::from_hours(1));
    let policy = failsafe::failure_policy::consecutive_failures(20, backoff);
    failsafe::Config::new().failure_policy(policy).build()
}

fn others_recloser() -> recloser::Recloser {
    recloser::Recloser::custom()
        .error_rate(0.5)
        .closed_len(100)
        .open_wait(Duration::from_hours(1))
        .build()
}

fn call(circuit: &Circuit, failed: bool) {
    if let Ok(permit) = circuit.admit() {
        black_box(permit.settle(black_box(failed)));
    }
}

fn closed(c: &mut Criterion) {
    let mut group = c.benchmark_group("closed");
    let circuit = ours();
    group.bench_function("ours", |b| b.iter(|| call(&circuit, false)));
    let circuit = others_failsafe();
    group.bench_function("failsafe", |b| {
        b.iter(|| circuit.call(|| Ok::<_, Down>(black_box(7))));
    });
    let circuit = others_recloser();
    group.bench_function("recloser", |b| {
        b.iter(|| circuit.call(|| Ok::<_, Down>(black_box(7))));
    });
    group.finish();
}

fn open(c: &mut Criterion) {
    let mut group = c.benchmark_group("open");
    let circuit = ours();
    for _ in 0..1_000 {
        call(&circuit, true);
    }
    assert!(circuit.admit().is_err(), "open");
    group.bench_function("ours", |b| b.iter(|| call(&circuit, true)));
    let circuit = others_failsafe_in_a_row();
    for _ in 0..1_000 {
        let _ = circuit.call(|| Err::<(), _>(Down));
    }
    assert!(!circuit.is_call_permitted(), "open");
    group.bench_function("failsafe", |b| {
        b.iter(|| circuit.call(|| Err::<(), _>(black_box(Down))));
    });
    let circuit = others_recloser();
    for _ in 0..1_000 {
        let _ = circuit.call(|| Err::<(), _>(Down));
    }
    assert!(
        matches!(
            circuit.call(|| Err::<(), _>(Down)),
            Err(recloser::Error::Rejected)
        ),
        "open"
    );
    group.bench_function("recloser", |b| {
        b.iter(|| circuit.call(|| Err::<(), _>(black_box(Down))));
    });
    group.finish();
}

criterion_group!(benches, closed, open);
criterion_main!(benches);
