//! What types say of themselves while they are compiled, for the checks of an ordering key. Written by the derives; no part of the API.

use std::marker::PhantomData;

use super::definition::AvroSchema;
use crate::PersonalData;
use crate::version::same_name;

/// Why a field cannot be an ordering key.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// It tells about a person.
    Personal,
    /// It is not in the data.
    LeftOut,
    /// It can be absent.
    Optional,
    /// It holds many values.
    Many,
    /// It has several texts for one value.
    Float,
}

/// A field of a struct, as the path of a key goes through it.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct KeyField {
    rust: &'static str,
    /// What it is called in the data; nothing where the data shows only what is in it.
    wire: Option<&'static str>,
    personal: bool,
    unfit: Option<Unfit>,
    fields: &'static [KeyField],
}

impl KeyField {
    pub const fn written<T: AvroSchema>(
        rust: &'static str,
        wire: &'static str,
        marked: bool,
    ) -> Self {
        let mut field = Self::seen_through::<T>(rust, marked);
        field.wire = Some(wire);
        field
    }

    pub const fn seen_through<T: AvroSchema>(rust: &'static str, marked: bool) -> Self {
        Self {
            rust,
            wire: None,
            personal: marked || T::PERSONAL,
            unfit: T::UNFIT,
            fields: T::FIELDS,
        }
    }

    /// Of a newtype that is written as a logical type, whatever is in it.
    pub const fn of_logical(rust: &'static str, personal: bool) -> Self {
        Self {
            rust,
            wire: None,
            personal,
            unfit: None,
            fields: &[],
        }
    }

    pub const fn left_out(rust: &'static str) -> Self {
        Self {
            rust,
            wire: None,
            personal: false,
            unfit: Some(Unfit::LeftOut),
            fields: &[],
        }
    }
}

/// Why what the path leads to cannot be an ordering key, as far as the types tell: one that describes itself by hand tells nothing.
#[doc(hidden)]
pub const fn unfit_key(mut fields: &[KeyField], path: &[&str]) -> Option<Unfit> {
    let mut at = 0;
    while at < path.len() {
        let Some(field) = find(fields, path[at]) else {
            return None;
        };
        if field.personal {
            return Some(Unfit::Personal);
        }
        if field.unfit.is_some() {
            return field.unfit;
        }
        fields = field.fields;
        at += 1;
    }
    // The text of a whole struct would show what is personal in it.
    if any_personal(fields) {
        return Some(Unfit::Personal);
    }
    None
}

/// Of a type that is written as another one: it may well have one text for many values, but none that makes up for what is not there.
#[doc(hidden)]
pub const fn unfit_newtype(inner: Option<Unfit>) -> Option<Unfit> {
    match inner {
        Some(Unfit::Many) => None,
        other => other,
    }
}

const fn find<'a>(fields: &'a [KeyField], name: &str) -> Option<&'a KeyField> {
    let mut index = 0;
    while index < fields.len() {
        if same_name(fields[index].rust, name) {
            return Some(&fields[index]);
        }
        index += 1;
    }
    None
}

const fn any_personal(fields: &[KeyField]) -> bool {
    let mut index = 0;
    while index < fields.len() {
        if fields[index].personal || any_personal(fields[index].fields) {
            return true;
        }
        index += 1;
    }
    false
}

/// The path by the names that travel. From a type on that describes itself by hand, they are taken to be those of Rust.
pub(crate) fn wire_path(mut fields: &[KeyField], path: &str) -> String {
    let mut wire = Vec::new();
    for segment in path.split('.') {
        let name = segment.strip_prefix("r#").unwrap_or(segment);
        if let Some(field) = find(fields, name) {
            wire.extend(field.wire);
            fields = field.fields;
        } else {
            wire.push(name);
            fields = &[];
        }
    }
    wire.join(".")
}

/// Whether a type that is written as another one hides itself, told by which of two constants of one name is nearer: that of the type,
/// where its bound holds, or that of the trait.
#[doc(hidden)]
#[derive(Debug)]
pub struct Hides<T: ?Sized>(PhantomData<T>);

impl<T: PersonalData + ?Sized> Hides<T> {
    pub const PERSONAL: bool = true;
}

#[doc(hidden)]
pub trait ShowsAll {
    const PERSONAL: bool = false;
}

impl<T: ?Sized> ShowsAll for Hides<T> {}

/// Whether what is in a newtype is personal, told in the same way: what has no schema does not tell.
#[doc(hidden)]
#[derive(Debug)]
pub struct Holds<T: ?Sized>(PhantomData<T>);

impl<T: AvroSchema + ?Sized> Holds<T> {
    pub const PERSONAL: bool = T::PERSONAL;
}

impl<T: ?Sized> ShowsAll for Holds<T> {}
