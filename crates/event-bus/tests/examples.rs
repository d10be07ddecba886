//! The examples do what they say.

#[path = "../examples/custom-backend.rs"]
#[expect(dead_code, reason = "its main is not called here")]
mod custom_backend;
#[path = "../examples/publish.rs"]
#[expect(dead_code, reason = "its main is not called here")]
mod publish;
#[path = "../examples/redrive.rs"]
#[expect(dead_code, reason = "its main is not called here")]
mod redrive;
#[path = "../examples/subscribe.rs"]
#[expect(dead_code, reason = "its main is not called here")]
mod subscribe;

fn text(out: Vec<u8>) -> String {
    String::from_utf8(out).unwrap()
}

#[tokio::test(start_paused = true)]
async fn publish_tells_every_outcome() {
    let mut out = Vec::new();
    publish::publish("memory:", &mut out).await.unwrap();
    assert_eq!(
        text(out),
        "order-1 accepted\naccepted\nFailed, never again: order-3\naccepted\nthe last one was for later: order-5\n"
    );
}

#[tokio::test(start_paused = true)]
async fn subscribe_keeps_the_order_and_retries() {
    let mut out = Vec::new();
    subscribe::subscribe("memory:", &mut out).await.unwrap();
    assert_eq!(
        text(out),
        "order-1: the carrier does not answer\norder-2: shipped in attempt 1\norder-1: shipped in attempt 2\n\
         in flight: 0\nclosed: true\n"
    );
}

#[tokio::test(start_paused = true)]
async fn redrive_gives_some_another_life() {
    let mut out = Vec::new();
    redrive::redrive("memory:", &mut out).await.unwrap();
    let reason = "the card network is unknown (attempts: 1)";
    assert_eq!(
        text(out),
        format!(
            "br/1: {reason}\npt/2: {reason}\nbr/3: {reason}\nredriven: 2\nbr/1: charged in attempt 1\n\
             br/3: charged in attempt 1\nforgotten: 1\n"
        )
    );
}

#[tokio::test(start_paused = true)]
async fn a_backend_of_ones_own_conforms() {
    let mut out = Vec::new();
    custom_backend::judge(&mut out).await.unwrap();
    assert_eq!(text(out), "conforms: true\n");
}
