//! What is read: any bytes, without a panic, bounded, and with precise refusals.

use commerce_contracts::avro::{Decoder, Schema};
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::types::{Category, Method, Order, category_schema, method_schema, order_schema, orders};

fn decoder(json: &Value) -> Decoder {
    let schema = Schema::from_json(json).unwrap();
    Decoder::new(&schema, &schema).unwrap()
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(data: Vec<u8>, flip in any::<prop::sample::Index>(), byte: u8, order in orders()) {
        let order_decoder = Decoder::new(&order_schema(), &order_schema()).unwrap();
        let _ = order_decoder.decode::<Order>(&data);
        let _ = order_decoder.decode::<Value>(&data);
        let _ = Decoder::new(&category_schema(), &category_schema()).unwrap().decode::<Category>(&data);
        let _ = Decoder::new(&method_schema(), &method_schema()).unwrap().decode::<Method>(&data);
        // Nearly an order.
        let mut data = order_schema().encode(&order).unwrap();
        let place = flip.index(data.len());
        data[place] = byte;
        let _ = order_decoder.decode::<Order>(&data);
        data.truncate(place);
        prop_assert!(order_decoder.decode::<Order>(&data).is_err());
    }
}

#[test]
fn what_no_input_bounds_is_bounded() {
    let huge = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    let nulls = decoder(&json!({"type": "array", "items": "null"}));
    let error = nulls.decode::<Vec<()>>(&huge).unwrap_err();
    assert_eq!(error.reason(), "more than 65536 items that take no bytes");
    let numbers = decoder(&json!({"type": "array", "items": "long"}));
    let error = numbers.decode::<Vec<i64>>(&huge).unwrap_err();
    assert_eq!(error.reason(), "a block has more items than bytes");
    let text = decoder(&json!("string"));
    let error = text.decode::<String>(&huge).unwrap_err();
    assert_eq!(error.reason(), "the data ends before the value does");
    // A category in a category in a category, without end.
    let deep = [0x00, 0x02].repeat(100_000);
    let categories = Decoder::new(&category_schema(), &category_schema()).unwrap();
    let error = categories.decode::<Category>(&deep).unwrap_err();
    assert_eq!(
        error.reason(),
        "the data is nested more than 128 levels deep"
    );
    let error = categories
        .decode::<serde::de::IgnoredAny>(&deep)
        .unwrap_err();
    assert_eq!(
        error.reason(),
        "the data is nested more than 128 levels deep"
    );
    // A record that has no end has no value either.
    let endless =
        decoder(&json!({"type": "record", "name": "R", "fields": [{"name": "r", "type": "R"}]}));
    assert!(endless.decode::<serde::de::IgnoredAny>(&[]).is_err());
}

#[test]
fn blocks_may_be_many_and_may_tell_their_size() {
    let numbers = decoder(&json!({"type": "array", "items": "long"}));
    // Two blocks; the second with its size in bytes.
    let data = [0x04, 0x06, 0x36, 0x01, 0x02, 0x08, 0x00];
    assert_eq!(numbers.decode::<Vec<i64>>(&data).unwrap(), [3, 27, 4]);
    assert!(
        numbers.decode::<[i64; 2]>(&data).is_err(),
        "more items than the type takes"
    );
    assert!(numbers.decode::<[i64; 4]>(&data).is_err());
    assert_eq!(numbers.decode::<[i64; 3]>(&data).unwrap(), [3, 27, 4]);
}

#[test]
fn a_refusal_tells_the_place_and_never_the_value() {
    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only its reading matters")]
    struct Wrong {
        items: Vec<WrongItem>,
    }
    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only its reading matters")]
    struct WrongItem {
        sku: u32,
    }
    let order: Order = serde_json::from_value(json!({"order_id": "67e55044-10b1-426f-9247-bb680e5fe0c8", "number": 1, "state": "placed",
        "total": {"amount_minor": 1, "currency": "BRL"}, "labels": {},
        "items": [{"sku": "secret", "quantity": 1, "price": {"amount_minor": 1, "currency": "BRL"}}],
        "weight": 0.5, "gift": true, "due": "2026-11-21", "placed_at": "2026-11-21T10:00:00Z"})).unwrap();
    let data = order_schema().encode(&order).unwrap();
    let decoder = Decoder::new(&order_schema(), &order_schema()).unwrap();
    let error = decoder.decode::<Wrong>(&data).unwrap_err();
    assert_eq!(error.to_string(), "/items/0/sku: the value is not u32");
    let error = decoder
        .decode::<Order>(&data[..data.len() - 1])
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "/seals: the data ends before the value does"
    );
    let mut longer = data.clone();
    longer.push(0);
    let error = decoder.decode::<Order>(&longer).unwrap_err();
    assert_eq!(error.to_string(), "1 bytes are left after the value");
}

#[test]
fn bytes_that_mean_nothing_are_refused() {
    for (schema, data, reason) in [
        (json!("boolean"), &[2][..], "a boolean is neither 0 nor 1"),
        (json!("string"), &[2, 0xff], "a string is not UTF-8"),
        (
            json!("int"),
            &[0x80, 0x80, 0x80, 0x80, 0x20],
            "an int has more than 32 bits",
        ),
        (
            json!(["null", "int"]),
            &[4],
            "a branch of a union that the writer's schema does not have",
        ),
        (
            json!(["null", "int"]),
            &[1],
            "a branch of a union that the writer's schema does not have",
        ),
        (
            json!({"type": "enum", "name": "E", "symbols": ["A"]}),
            &[2],
            "a symbol of an enum that the writer's schema does not have",
        ),
        (
            json!({"type": "long", "logicalType": "timestamp-millis"}),
            &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
            "a date or a time is out of range",
        ),
        (
            json!({"type": "bytes", "logicalType": "decimal", "precision": 60}),
            &[34, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            "a decimal has more than 128 bits",
        ),
    ] {
        let error = decoder(&schema).decode::<Value>(data).unwrap_err();
        assert_eq!(error.reason(), reason, "{schema}");
    }
}

#[test]
fn texts_may_be_borrowed() {
    #[derive(Deserialize)]
    struct Money<'a> {
        currency: &'a str,
    }
    let money = decoder(&json!({"type": "record", "name": "Money", "fields": [
        {"name": "amount", "type": "long"}, {"name": "currency", "type": "string"}]}));
    let data = [2, 6, b'B', b'R', b'L'];
    let money: Money<'_> = money.decode(&data).unwrap();
    assert!(std::ptr::eq(money.currency.as_ptr(), &raw const data[2]));
}
