//! What `#[derive(Event)]` accepts, and what it says about what it does not.
#![cfg(all(feature = "derive", feature = "validation", feature = "vocabulary"))]

#[test]
fn mistakes_are_shown_where_they_are_with_their_remedy() {
    let cases = trybuild::TestCases::new();
    for topic in [
        "attributes",
        "deprecated",
        "key",
        "name",
        "personal",
        "shape",
        "topic",
        "upcasts",
        "version",
    ] {
        cases.compile_fail(format!("tests/ui/{topic}/*.rs"));
    }
    cases.pass("tests/ui/pass/*.rs");
}
