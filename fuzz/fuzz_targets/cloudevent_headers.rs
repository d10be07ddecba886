//! Binary mode: any headers are an event or an error; an event is written as it was read.
#![no_main]

use arbitrary::Arbitrary;
use bytes::Bytes;
use commerce_contracts::binding;
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input {
    attributes: Vec<(Attribute, String)>,
    headers: Vec<(String, String)>,
    content_type: Option<String>,
    data: Option<Vec<u8>>,
}

/// Names that a fuzzer would take long to find.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Attribute {
    SpecVersion,
    Id,
    Source,
    Type,
    Subject,
    Time,
    DataSchema,
    DataContentType,
    PartitionKey,
    Sequence,
}

impl Attribute {
    const fn header(self) -> &'static str {
        match self {
            Self::SpecVersion => "ce_specversion",
            Self::Id => "ce_id",
            Self::Source => "ce_source",
            Self::Type => "ce_type",
            Self::Subject => "ce_subject",
            Self::Time => "ce_time",
            Self::DataSchema => "ce_dataschema",
            Self::DataContentType => "ce_datacontenttype",
            Self::PartitionKey => "ce_partitionkey",
            Self::Sequence => "ce_sequence",
        }
    }
}

fuzz_target!(|input: Input| {
    let attributes = input
        .attributes
        .iter()
        .map(|(name, value)| match (name, value.as_str()) {
            // The one value that is allowed.
            (Attribute::SpecVersion, "") => (name.header(), "1.0"),
            (name, value) => (name.header(), value),
        });
    let others = input
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    let content_type = input.content_type.as_deref();
    let data = input.data.map(Bytes::from);
    let read = binding::from_headers(&["ce_"], attributes.chain(others), content_type, data);
    if let Ok(event) = read {
        let headers = binding::to_headers(&event, "ce_");
        let headers = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        let again = binding::from_headers(
            &["ce_"],
            headers,
            event.data_content_type(),
            event.data().cloned(),
        );
        assert_eq!(again.expect("what was written can be read"), event);
    }
});
