//! What holds for the state machine, whatever comes in whatever order.

use proptest::prelude::*;

use super::{Command, NotAllowed, Standing, State, decide};

fn created() -> Standing {
    Standing {
        state: State::Created,
        attempt: 0,
        payable: true,
    }
}

fn standings() -> impl Strategy<Value = Standing> {
    (
        prop::sample::select(State::ALL.to_vec()),
        0_u32..4,
        any::<bool>(),
    )
        .prop_map(|(state, attempt, payable)| Standing {
            state,
            attempt,
            payable,
        })
}

fn commands() -> impl Strategy<Value = Command> {
    prop_oneof![
        Just(Command::CheckOut),
        Just(Command::Cancel),
        (0_u32..5).prop_map(|attempt| Command::Confirm { attempt }),
        (0_u32..5).prop_map(|attempt| Command::Reject { attempt }),
    ]
}

/// What the provider says about each attempt. It says it once; the bus may say it often, late and in any order.
fn outcome(confirmed: &[bool], attempt: u32) -> Command {
    if confirmed[attempt as usize % confirmed.len()] {
        Command::Confirm { attempt }
    } else {
        Command::Reject { attempt }
    }
}

proptest! {
    #[test]
    fn a_final_state_is_never_left(standing in standings(), command in commands()) {
        if standing.state.is_final() {
            prop_assert!(decide(standing, command).is_err());
        }
    }

    #[test]
    fn attempts_grow_by_one_with_a_checkout_and_never_else(standing in standings(), command in commands()) {
        if let Ok(next) = decide(standing, command) {
            let made = u32::from(command == Command::CheckOut);
            prop_assert_eq!(next.attempt, standing.attempt + made);
            prop_assert_eq!(next.payable, standing.payable);
            prop_assert_ne!(next.state, standing.state);
        }
    }

    #[test]
    fn the_outcome_of_another_attempt_changes_nothing(standing in standings(), attempt: u32) {
        prop_assume!(attempt != standing.attempt);
        for outcome in [Command::Confirm { attempt }, Command::Reject { attempt }] {
            prop_assert!(decide(standing, outcome).is_err());
        }
    }

    /// Any mix of commands with outcomes that are duplicated and reordered at will.
    #[test]
    fn an_order_is_received_exactly_if_its_last_attempt_was_confirmed(
        confirmed in prop::collection::vec(any::<bool>(), 1..6),
        moves in prop::collection::vec((0_u8..4, any::<prop::sample::Index>()), 0..60),
    ) {
        let mut standing = created();
        for (kind, which) in moves {
            let command = match kind {
                0 => Command::CheckOut,
                1 => Command::Cancel,
                _ if standing.attempt == 0 => continue,
                _ => outcome(&confirmed, 1 + u32::try_from(which.index(standing.attempt as usize)).unwrap()),
            };
            let before = standing;
            match decide(standing, command) {
                Ok(next) => standing = next,
                Err(error) => prop_assert!(
                    !matches!(error, NotAllowed::Contradiction { .. } | NotAllowed::NeverMade { .. }),
                    "{error} for {command:?} at {before:?}"
                ),
            }
            prop_assert!(standing.attempt >= before.attempt);
            match standing.state {
                State::Received => prop_assert_eq!(outcome(&confirmed, standing.attempt), Command::Confirm { attempt: standing.attempt }),
                State::PaymentPending => prop_assert_eq!(outcome(&confirmed, standing.attempt), Command::Reject { attempt: standing.attempt }),
                State::Created => prop_assert_eq!(standing.attempt, 0),
                State::Checkout => prop_assert!(standing.attempt > 0),
                State::Cancelled => {}
            }
        }
        // Whatever was lost or late: once the outcome of the last attempt arrives, the order does not wait any more.
        if standing.state == State::Checkout {
            let settled = decide(standing, outcome(&confirmed, standing.attempt)).unwrap();
            prop_assert!(matches!(settled.state, State::Received | State::PaymentPending));
        }
    }
}

#[test]
fn the_way_to_a_paid_order_may_lead_over_a_rejection() {
    let checkout = decide(created(), Command::CheckOut).unwrap();
    let pending = decide(checkout, Command::Reject { attempt: 1 }).unwrap();
    assert_eq!(pending.state, State::PaymentPending);
    let again = decide(pending, Command::CheckOut).unwrap();
    assert_eq!((again.state, again.attempt), (State::Checkout, 2));
    assert_eq!(
        decide(again, Command::Reject { attempt: 1 }),
        Err(NotAllowed::Known { attempt: 1 })
    );
    assert_eq!(
        decide(again, Command::Cancel),
        Err(NotAllowed::Cancel(State::Checkout))
    );
    let received = decide(again, Command::Confirm { attempt: 2 }).unwrap();
    assert_eq!((received.state, received.attempt), (State::Received, 2));
}

#[test]
fn what_contradicts_itself_is_told_from_what_comes_twice() {
    let at = |state| Standing {
        state,
        attempt: 1,
        payable: true,
    };
    let (confirm, reject) = (
        Command::Confirm { attempt: 1 },
        Command::Reject { attempt: 1 },
    );
    let known = Err(NotAllowed::Known { attempt: 1 });
    let contradiction = |state| Err(NotAllowed::Contradiction { attempt: 1, state });
    assert_eq!(decide(at(State::Received), confirm), known);
    assert_eq!(
        decide(at(State::Received), reject),
        contradiction(State::Received)
    );
    assert_eq!(decide(at(State::PaymentPending), reject), known);
    assert_eq!(
        decide(at(State::PaymentPending), confirm),
        contradiction(State::PaymentPending)
    );
    assert_eq!(decide(at(State::Cancelled), reject), known);
    assert_eq!(
        decide(at(State::Cancelled), confirm),
        contradiction(State::Cancelled)
    );
}

#[test]
fn only_what_costs_something_is_checked_out() {
    let draft = Standing {
        payable: false,
        ..created()
    };
    assert_eq!(
        decide(draft, Command::CheckOut),
        Err(NotAllowed::NothingToPay)
    );
    assert_eq!(
        decide(draft, Command::Cancel).unwrap().state,
        State::Cancelled
    );
    let many = Standing {
        state: State::PaymentPending,
        attempt: u32::MAX,
        payable: true,
    };
    assert!(decide(many, Command::CheckOut).is_err());
}

#[test]
fn states_have_one_name_everywhere() {
    for state in State::ALL {
        assert_eq!(state.as_str().parse(), Ok(state));
        assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
    }
    assert!("created".parse::<State>().is_err());
}
