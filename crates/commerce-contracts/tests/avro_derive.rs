//! What `#[derive(AvroSchema)]` says about what it does not accept.
#![cfg(all(feature = "derive", feature = "validation", feature = "vocabulary"))]

#[test]
fn mistakes_are_shown_where_they_are_with_their_remedy() {
    trybuild::TestCases::new().compile_fail("tests/ui_avro/*.rs");
}
