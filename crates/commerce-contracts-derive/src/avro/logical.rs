//! `#[avro(decimal(…))]`, `#[avro(timestamp_millis)]` and their like: the logical type that a newtype asks for.

use proc_macro2::TokenStream;
use quote::quote;
use syn::meta::ParseNestedMeta;
use syn::{GenericArgument, LitInt, Path, PathArguments, Token, Type};

use crate::mistakes::Mistakes;

/// What a type asks for, and where it does.
pub(crate) struct Logical {
    place: Path,
    what: What,
}

enum What {
    Decimal { precision: u32, scale: u32 },
    Time(&'static Time),
}

/// A date or a time: what the attribute is called, the type of Avro that it stands on, its name there, and the type of chrono that it is of.
struct Time {
    attribute: &'static str,
    on: &'static str,
    name: &'static str,
    of: &'static str,
}

macro_rules! times {
    ($($attribute:literal: $on:literal, $name:literal, $of:literal;)+) => {
        [$(Time { attribute: $attribute, on: $on, name: $name, of: $of },)+]
    };
}

static TIMES: [Time; 9] = times! {
    "date": "int", "date", "NaiveDate";
    "time_millis": "int", "time-millis", "NaiveTime";
    "time_micros": "long", "time-micros", "NaiveTime";
    "timestamp_millis": "long", "timestamp-millis", "DateTime";
    "timestamp_micros": "long", "timestamp-micros", "DateTime";
    "timestamp_nanos": "long", "timestamp-nanos", "DateTime";
    "local_timestamp_millis": "long", "local-timestamp-millis", "NaiveDateTime";
    "local_timestamp_micros": "long", "local-timestamp-micros", "NaiveDateTime";
    "local_timestamp_nanos": "long", "local-timestamp-nanos", "NaiveDateTime";
};

/// The most digits that always fit into 128 bits, which is what a decimal is read into.
const MOST_DIGITS: u32 = 38;

const DECIMAL: &str =
    "write `decimal(precision = 12, scale = 2)`: twelve digits, two of them after the point";

impl Logical {
    /// The logical type that an attribute of this name asks for; none where the name is no such one.
    pub(crate) fn read(name: &str, meta: &ParseNestedMeta<'_>) -> syn::Result<Option<Self>> {
        let what = if name == "decimal" {
            decimal(meta)?
        } else if let Some(time) = TIMES.iter().find(|time| time.attribute == name) {
            What::Time(time)
        } else {
            return Ok(None);
        };
        let place = meta.path.clone();
        Ok(Some(Self { place, what }))
    }

    /// The expression of the schema.
    pub(crate) fn schema(&self) -> TokenStream {
        match self.what {
            What::Decimal { precision, scale } => {
                quote! { ::commerce_contracts::avro::TypeSchema::decimal(#precision, #scale) }
            }
            What::Time(Time { on, name, .. }) => {
                quote! { ::commerce_contracts::avro::TypeSchema::logical(#on, #name) }
            }
        }
    }

    /// Refuses what serde cannot write in a form that the logical type takes. A type whose name says nothing is left to the encoder.
    pub(crate) fn refuse(&self, ty: &Type, mistakes: &mut Mistakes) {
        let name = name(ty);
        let held = match &name {
            Held::Named(name) => name.as_str(),
            Held::Many => {
                let message = format!("{} is one value: hold one", self.describe());
                return mistakes.on(ty, message);
            }
            Held::Unknown => return,
        };
        let why = match self.what {
            What::Decimal { scale, .. } => refuse_decimal(held, scale),
            What::Time(time) => refuse_time(held, time),
        };
        if let Some(why) = why {
            mistakes.on(ty, why);
        }
    }

    fn describe(&self) -> String {
        match self.what {
            What::Decimal { .. } => "a decimal".to_owned(),
            What::Time(time) => format!("a `{}`", time.name),
        }
    }

    /// Refuses a type that is more than one value, or that is no struct at all.
    pub(crate) fn refuse_shape(&self, mistakes: &mut Mistakes) {
        let message = format!(
            "{} is one value: put the attribute on a struct with one field, `struct Name(…)` or with `#[serde(transparent)]`",
            self.describe()
        );
        mistakes.on(&self.place, message);
    }
}

fn decimal(meta: &ParseNestedMeta<'_>) -> syn::Result<What> {
    if !meta.input.peek(syn::token::Paren) {
        return Err(meta.error(DECIMAL));
    }
    let mut precision = None;
    let mut scale = None;
    meta.parse_nested_meta(|meta| {
        let found = if meta.path.is_ident("precision") {
            &mut precision
        } else if meta.path.is_ident("scale") {
            &mut scale
        } else {
            return Err(meta.error(DECIMAL));
        };
        if found.is_some() {
            return Err(meta.error("it is said twice: leave one out"));
        }
        *found = Some(digits(&meta)?);
        Ok(())
    })?;
    let Some((precision, place)) = precision else {
        return Err(meta.error(DECIMAL));
    };
    if precision == 0 || precision > MOST_DIGITS {
        let message = format!(
            "the precision is how many digits a decimal has in all: 1 to {MOST_DIGITS}, which is what 128 bits hold"
        );
        return Err(syn::Error::new(place.span(), message));
    }
    let scale = match scale {
        Some((scale, place)) if scale > precision => {
            let message = format!(
                "the scale is how many of the {precision} digits are after the point: 0 to {precision}"
            );
            return Err(syn::Error::new(place.span(), message));
        }
        Some((scale, _)) => scale,
        None => 0,
    };
    Ok(What::Decimal { precision, scale })
}

fn digits(meta: &ParseNestedMeta<'_>) -> syn::Result<(u32, LitInt)> {
    if !meta.input.peek(Token![=]) {
        return Err(meta.error(DECIMAL));
    }
    let value = meta.value()?;
    let literal: LitInt = value
        .parse()
        .map_err(|error| syn::Error::new(error.span(), DECIMAL))?;
    let number = literal
        .base10_parse()
        .map_err(|_| syn::Error::new(literal.span(), DECIMAL))?;
    Ok((number, literal))
}

const WHOLE: [&str; 12] = [
    "i8", "i16", "i32", "i64", "i128", "isize", "u8", "u16", "u32", "u64", "u128", "usize",
];

const CHRONO: [&str; 4] = ["DateTime", "NaiveDate", "NaiveDateTime", "NaiveTime"];

fn refuse_decimal(held: &str, scale: u32) -> Option<String> {
    const TEXT: &str =
        "hold a type that serde writes as text, such as `String` or that of a crate for decimals";
    match held {
        "f32" | "f64" => Some(format!(
            "`{held}` holds most decimal numbers only nearly: {TEXT}"
        )),
        "bool" | "char" | "Uuid" => Some(format!("`{held}` is no decimal number: {TEXT}")),
        held if CHRONO.contains(&held) => Some(format!("`{held}` is no decimal number: {TEXT}")),
        held if WHOLE.contains(&held) && scale > 0 => Some(format!(
            "`{held}` has no digits after the point, and would have {scale} when it is read: leave the scale out, or {TEXT}"
        )),
        _ => None,
    }
}

fn refuse_time(held: &str, time: &Time) -> Option<String> {
    let Time { on, name, of, .. } = time;
    let narrow: &[&str] = match *on {
        "int" => &["i8", "i16", "i32", "u8", "u16"],
        _ => &["i8", "i16", "i32", "i64", "u8", "u16", "u32"],
    };
    match held {
        "String" | "str" => Some(format!(
            "JSON would take any text here, and Avro only a `{name}`: hold a `{of}`, from chrono"
        )),
        "bool" | "char" | "f32" | "f64" | "Uuid" => Some(format!(
            "`{held}` is no `{name}`: hold a `{of}`, from chrono"
        )),
        held if CHRONO.contains(&held) && held != *of => Some(format!(
            "a `{name}` is of a `{of}`: hold one, or take {}",
            fitting(held)
        )),
        held if WHOLE.contains(&held) && !narrow.contains(&held) => Some(format!(
            "`{held}` holds more than a `{name}`, which is an Avro `{on}`: hold a `{of}`, or an `{}`",
            if *on == "int" { "i32" } else { "i64" }
        )),
        _ => None,
    }
}

/// The attributes for a type of chrono.
fn fitting(held: &str) -> String {
    let fitting = TIMES.iter().filter(|time| time.of == held);
    let names: Vec<String> = fitting
        .map(|time| format!("`{}`", time.attribute))
        .collect();
    names.join(" or ")
}

/// What a type is called, as far as it can be seen here.
enum Held {
    Named(String),
    Many,
    Unknown,
}

fn name(ty: &Type) -> Held {
    let path = match ty {
        Type::Path(path) => path,
        Type::Reference(reference) => return name(&reference.elem),
        Type::Paren(inner) => return name(&inner.elem),
        Type::Array(_) | Type::Slice(_) | Type::Tuple(_) => return Held::Many,
        _ => return Held::Unknown,
    };
    let Some(last) = path.path.segments.last() else {
        return Held::Unknown;
    };
    match last.ident.to_string().as_str() {
        "Box" | "Rc" | "Arc" | "Cow" => boxed(&last.arguments).map_or(Held::Unknown, name),
        "Option" | "Vec" | "VecDeque" | "HashMap" | "BTreeMap" | "HashSet" | "BTreeSet" => {
            Held::Many
        }
        other => Held::Named(other.to_owned()),
    }
}

fn boxed(arguments: &PathArguments) -> Option<&Type> {
    let PathArguments::AngleBracketed(arguments) = arguments else {
        return None;
    };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    })
}
