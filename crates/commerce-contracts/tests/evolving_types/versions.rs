//! Events in the many forms that they can have from one commit to the next. Within its group each is a version of each other.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, Utc};
use commerce_contracts::Event;
use commerce_contracts::avro::AvroSchema;
use commerce_contracts::commerce::Money;
use proptest::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Version;
use crate::sample::Sample;

macro_rules! versions {
    ($([$($(#[$outer:meta])* $version:ident { $($(#[$attribute:meta])* $field:ident: $type:ty,)* })+])+) => {
        $($(mod $version {
            use super::*;

            #[derive(Clone, Debug, Event, Serialize, Deserialize, JsonSchema)]
            #[event(name = "tests.order.changed", version = 1, topic = "tests", key = "id")]
            $(#[$outer])*
            pub(super) struct Order {
                id: String,
                $($(#[$attribute])* $field: $type,)*
            }

            impl Sample for Order {
                fn sample() -> BoxedStrategy<Self> {
                    ("[a-z]{1,8}", $(<$type>::sample(),)*)
                        .prop_map(|(id, $($field,)*)| Self { id, $($field,)* })
                        .boxed()
                }
            }
        })+)+

        pub(crate) fn groups() -> Vec<Vec<Version>> {
            vec![$(vec![$(Version::of::<$version::Order>(stringify!($version)),)+],)+]
        }
    };
}

versions! {
    [
        // A field comes and goes, is renamed, may be left out.
        bare {}
        #[serde(deny_unknown_fields)]
        closed {}
        note { note: String, }
        note_or_null { note: Option<String>, }
        note_left_out { #[serde(default, skip_serializing_if = "Option::is_none")] note: Option<String>, }
        note_by_default { #[serde(default)] note: String, }
        note_often_left_out { #[serde(default, skip_serializing_if = "String::is_empty")] note: String, }
        #[serde(deny_unknown_fields)]
        note_closed { note: String, }
        note_boxed { note: Box<String>, }
        note_and_remark { note: String, remark: String, }
        note_and_remark_by_default { note: String, #[serde(default)] remark: String, }
        remark { remark: String, }
        remark_once_note { #[serde(alias = "note")] remark: String, }
        remark_once_note_by_default { #[serde(alias = "note", default)] remark: String, }
        remark_once_note_or_word { #[serde(alias = "note", alias = "word")] remark: String, }
        remark_written_as_note { #[serde(rename = "note")] remark: String, }
    ]
    [
        // What one value can be.
        flag { value: bool, }
        tiny { value: u8, }
        small { value: i16, }
        middle { value: i32, }
        large { value: i64, }
        small_unsigned { value: u16, }
        middle_unsigned { value: u32, }
        large_unsigned { value: u64, }
        few { value: Few, }
        fewer { value: Fewer, }
        single { value: f32, }
        double { value: f64, }
        letter { value: char, }
        text { value: String, }
        code { value: Code, }
        long_code { value: LongCode, }
        identifier { value: Uuid, }
        date { value: NaiveDate, }
        instant { value: DateTime<Utc>, }
        middle_or_null { value: Option<i32>, }
        large_or_null { value: Option<i64>, }
        large_by_default { #[serde(default)] value: i64, }
        large_left_out { #[serde(default, skip_serializing_if = "Option::is_none")] value: Option<i64>, }
    ]
    [
        // Choices.
        two_grades { value: two::Grade, }
        three_grades { value: three::Grade, }
        open_grades { value: open::Grade, }
        renamed_grade { value: renamed::Grade, }
        grade_or_null { value: Option<three::Grade>, }
        grades { value: Vec<two::Grade>, }
        more_grades { value: Vec<three::Grade>, }
        grades_by_name { value: BTreeMap<String, two::Grade>, }
        more_grades_by_name { value: BTreeMap<String, three::Grade>, }
    ]
    [
        // Many values.
        bytes { value: Vec<u8>, }
        seal { value: [u8; 4], }
        longer_seal { value: [u8; 8], }
        integers { value: Vec<i32>, }
        longs { value: Vec<i64>, }
        longs_or_nulls { value: Vec<Option<i64>>, }
        set_of_longs { value: BTreeSet<i64>, }
        map_of_integers { value: BTreeMap<String, i32>, }
        map_of_longs { value: BTreeMap<String, i64>, }
        map_by_id { value: BTreeMap<Uuid, i32>, }
        map_by_day { value: BTreeMap<NaiveDate, i32>, }
        map_by_letter { value: BTreeMap<char, i32>, }
        map_by_number { value: BTreeMap<u16, i32>, }
        map_by_id_in_boxes { value: Vec<Option<BTreeMap<Box<Uuid>, i64>>>, }
        map_by_name_in_boxes { value: Vec<Option<BTreeMap<String, i32>>>, }
    ]
    [
        // Records in records.
        money { value: Money, }
        money_or_null { value: Option<Money>, }
        line { value: first::Line, }
        line_with_more { value: second::Line, }
        line_with_less { value: third::Line, }
        line_or_null { value: Option<second::Line>, }
        lines { value: Vec<first::Line>, }
        lines_with_more { value: Vec<second::Line>, }
        lines_with_renamed { value: Vec<fourth::Line>, }
        lines_by_name { value: BTreeMap<String, second::Line>, }
        tree { value: first::Tree, }
        tree_with_less { value: third::Tree, }
        tree_with_more { value: second::Tree, }
        tree_with_renamed { value: fourth::Tree, }
    ]
}

macro_rules! within {
    ($($(#[$limit:meta])* $name:ident($type:ty) in $values:expr;)+) => {$(
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, AvroSchema)]
        #[serde(transparent)]
        pub(crate) struct $name($(#[$limit])* $type);

        impl Sample for $name {
            fn sample() -> BoxedStrategy<Self> {
                $values.prop_map(Self).boxed()
            }
        }
    )+};
}

within! {
    #[schemars(range(min = 1, max = 9))] Few(u32) in 1..=9_u32;
    #[schemars(range(min = 1, max = 5))] Fewer(u32) in 1..=5_u32;
    #[schemars(regex(pattern = "^[A-Z]{3}$"))] Code(String) in "[A-Z]{3}";
    #[schemars(length(min = 1, max = 12))] LongCode(String) in "[A-Za-z0-9é]{1,12}";
}

macro_rules! grades {
    ($($module:ident { $($(#[$attribute:meta])* $grade:ident),+ })+) => {$(
        mod $module {
            use super::*;

            #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema, AvroSchema)]
            pub(crate) enum Grade { $($(#[$attribute])* $grade),+ }

            impl Sample for Grade {
                fn sample() -> BoxedStrategy<Self> {
                    proptest::sample::select(vec![$(Self::$grade),+]).boxed()
                }
            }
        }
    )+};
}

grades! {
    two { Good, Fair }
    three { Good, Fair, Poor }
    open { Good, #[serde(other)] Other }
    renamed { Good, #[serde(rename = "Decent", alias = "Fair")] Fair }
}

macro_rules! lines {
    ($($module:ident { $($(#[$attribute:meta])* $field:ident: $type:ty,)* })+) => {$(
        mod $module {
            use super::*;

            #[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, AvroSchema)]
            pub(crate) struct Line { $($(#[$attribute])* $field: $type,)* }

            impl Sample for Line {
                fn sample() -> BoxedStrategy<Self> {
                    ($(<$type>::sample(),)*).prop_map(|($($field,)*)| Self { $($field,)* }).boxed()
                }
            }

            /// It holds itself.
            #[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, AvroSchema)]
            pub(crate) struct Tree {
                line: Line,
                branches: Vec<Tree>,
            }

            impl Sample for Tree {
                fn sample() -> BoxedStrategy<Self> {
                    let leaf = Line::sample().prop_map(|line| Self { line, branches: Vec::new() });
                    leaf.prop_recursive(3, 8, 3, |inner| {
                        (Line::sample(), proptest::collection::vec(inner, 0..3))
                            .prop_map(|(line, branches)| Self { line, branches })
                    })
                    .boxed()
                }
            }
        }
    )+};
}

lines! {
    first { sku: String, quantity: i32, }
    second { sku: String, quantity: i64, #[serde(default)] gift: bool, }
    third { quantity: f64, }
    fourth { #[serde(alias = "sku")] product: String, quantity: i64, }
}
