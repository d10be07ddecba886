//! The stable names of what can be found.

use std::fmt;

use serde::{Serialize, Serializer};

macro_rules! rules {
    ($($(#[$documentation:meta])* $variant:ident = $id:literal,)*) => {
        /// What kind of difference was found. Its [`id`](Rule::id) is stable: tools may match on it. Where Confluent's checkers have a
        /// name for the same difference, it is that name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Rule { $($(#[$documentation])* $variant,)* }

        impl Rule {
            /// Every rule.
            pub const ALL: &'static [Rule] = &[$(Rule::$variant,)*];

            /// The stable name: `READER_FIELD_MISSING_DEFAULT_VALUE`.
            pub fn id(self) -> &'static str {
                match self { $(Rule::$variant => $id,)* }
            }
        }
    };
}

rules! {
    /// A schema is not one: the text does not parse, or a keyword has a value it cannot have.
    InvalidSchema = "INVALID_SCHEMA",
    /// The schemas are so large or so deeply nested that the check stopped.
    TooComplex = "TOO_COMPLEX",

    /// Avro: a record, enum or fixed has another name, and the reader has no alias for it.
    NameMismatch = "NAME_MISMATCH",
    /// Avro: a fixed has another size.
    FixedSizeMismatch = "FIXED_SIZE_MISMATCH",
    /// Avro: the writer's enum has symbols that the reader's does not, and that has no default symbol.
    MissingEnumSymbols = "MISSING_ENUM_SYMBOLS",
    /// Avro: the reader has a field without a default that the writer does not write.
    ReaderFieldMissingDefaultValue = "READER_FIELD_MISSING_DEFAULT_VALUE",
    /// Avro: the two types cannot be resolved.
    TypeMismatch = "TYPE_MISMATCH",
    /// Avro: the reader's union has no branch for something that the writer writes.
    MissingUnionBranch = "MISSING_UNION_BRANCH",
    /// Avro: the logical types differ (a decimal's precision or scale, the unit of a time, one side has none).
    LogicalTypeMismatch = "LOGICAL_TYPE_MISMATCH",
    /// Avro: bytes are read as a string, which fails on bytes that are not UTF-8.
    BytesReadAsString = "BYTES_READ_AS_STRING",
    /// Avro: through aliases one field of the reader matches several of the writer, or the other way round.
    FieldMatchedTwice = "FIELD_MATCHED_TWICE",
    /// Avro: through aliases one named type of the reader stands for several of the writer.
    TypeMatchedTwice = "TYPE_MATCHED_TWICE",
    /// Avro: a default does not fit the schema of its field.
    InvalidDefault = "INVALID_DEFAULT",

    /// JSON Schema: the reader accepts none of the writer's types there.
    TypeChanged = "TYPE_CHANGED",
    /// JSON Schema: the reader accepts fewer types there.
    TypeNarrowed = "TYPE_NARROWED",
    /// JSON Schema: the reader's `enum` or `const` lacks a value that the writer may write.
    EnumArrayNarrowed = "ENUM_ARRAY_NARROWED",
    /// JSON Schema: the reader has an `enum` or `const` where the writer has none.
    EnumArrayAdded = "ENUM_ARRAY_ADDED",
    /// JSON Schema: the reader requires a property that the writer may leave out.
    RequiredAttributeAdded = "REQUIRED_ATTRIBUTE_ADDED",
    /// JSON Schema: the reader describes a property that an open writer may write with any value.
    PropertyAddedToOpenContentModel = "PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL",
    /// JSON Schema: the writer's property is refused by the reader's closed object.
    PropertyRemovedFromClosedContentModel = "PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL",
    /// JSON Schema: the reader refuses further properties that the writer may write.
    AdditionalPropertiesRemoved = "ADDITIONAL_PROPERTIES_REMOVED",
    /// JSON Schema: the reader restricts the names of properties.
    PropertyNamesNarrowed = "PROPERTY_NAMES_NARROWED",
    /// JSON Schema: the reader's `unevaluatedProperties` refuses what the writer may write, as far as can be decided.
    UnevaluatedPropertiesRemoved = "UNEVALUATED_PROPERTIES_REMOVED",
    /// JSON Schema: `minProperties` where the writer has none.
    MinPropertiesAdded = "MIN_PROPERTIES_ADDED",
    /// JSON Schema: a higher `minProperties`.
    MinPropertiesIncreased = "MIN_PROPERTIES_INCREASED",
    /// JSON Schema: `maxProperties` where the writer has none.
    MaxPropertiesAdded = "MAX_PROPERTIES_ADDED",
    /// JSON Schema: a lower `maxProperties`.
    MaxPropertiesDecreased = "MAX_PROPERTIES_DECREASED",
    /// JSON Schema: `dependentRequired` that the writer does not promise.
    DependencyArrayAdded = "DEPENDENCY_ARRAY_ADDED",
    /// JSON Schema: the reader refuses items that the writer may write after its tuple.
    AdditionalItemsRemoved = "ADDITIONAL_ITEMS_REMOVED",
    /// JSON Schema: the reader's `unevaluatedItems` refuses what the writer may write, as far as can be decided.
    UnevaluatedItemsRemoved = "UNEVALUATED_ITEMS_REMOVED",
    /// JSON Schema: `minItems` where the writer has none.
    MinItemsAdded = "MIN_ITEMS_ADDED",
    /// JSON Schema: a higher `minItems`.
    MinItemsIncreased = "MIN_ITEMS_INCREASED",
    /// JSON Schema: `maxItems` where the writer has none.
    MaxItemsAdded = "MAX_ITEMS_ADDED",
    /// JSON Schema: a lower `maxItems`.
    MaxItemsDecreased = "MAX_ITEMS_DECREASED",
    /// JSON Schema: `uniqueItems` that the writer does not promise.
    UniqueItemsAdded = "UNIQUE_ITEMS_ADDED",
    /// JSON Schema: `contains`, `minContains` or `maxContains` that the writer does not promise.
    ContainsNarrowed = "CONTAINS_NARROWED",
    /// JSON Schema: `minLength` where the writer has none.
    MinLengthAdded = "MIN_LENGTH_ADDED",
    /// JSON Schema: a higher `minLength`.
    MinLengthIncreased = "MIN_LENGTH_INCREASED",
    /// JSON Schema: `maxLength` where the writer has none.
    MaxLengthAdded = "MAX_LENGTH_ADDED",
    /// JSON Schema: a lower `maxLength`.
    MaxLengthDecreased = "MAX_LENGTH_DECREASED",
    /// JSON Schema: `pattern` where the writer has none.
    PatternAdded = "PATTERN_ADDED",
    /// JSON Schema: another `pattern`. Whether one contains the other is not decided.
    PatternChanged = "PATTERN_CHANGED",
    /// JSON Schema: `format` where the writer has none.
    FormatAdded = "FORMAT_ADDED",
    /// JSON Schema: another `format`.
    FormatChanged = "FORMAT_CHANGED",
    /// JSON Schema: `minimum` or `exclusiveMinimum` where the writer has none.
    MinimumAdded = "MINIMUM_ADDED",
    /// JSON Schema: a higher `minimum` or `exclusiveMinimum`.
    MinimumIncreased = "MINIMUM_INCREASED",
    /// JSON Schema: `maximum` or `exclusiveMaximum` where the writer has none.
    MaximumAdded = "MAXIMUM_ADDED",
    /// JSON Schema: a lower `maximum` or `exclusiveMaximum`.
    MaximumDecreased = "MAXIMUM_DECREASED",
    /// JSON Schema: `multipleOf` where the writer has none.
    MultipleOfAdded = "MULTIPLE_OF_ADDED",
    /// JSON Schema: a `multipleOf` that does not divide the writer's.
    MultipleOfChanged = "MULTIPLE_OF_CHANGED",
    /// JSON Schema: no branch of the reader's `anyOf` or `oneOf` is known to accept all that the writer writes.
    SumTypeNarrowed = "SUM_TYPE_NARROWED",
    /// JSON Schema: two branches of the reader's `oneOf` may accept the same instance, which is then refused.
    OneOfOverlaps = "ONE_OF_OVERLAPS",
    /// JSON Schema: the writer may write what the reader's `not` refuses.
    NotTypeExtended = "NOT_TYPE_EXTENDED",
    /// JSON Schema: the reader's schema there is `false`: it accepts nothing.
    NothingAccepted = "NOTHING_ACCEPTED",
    /// JSON Schema: a `$ref` leads outside the document, or in a circle.
    ReferenceUnresolved = "REFERENCE_UNRESOLVED",
    /// JSON Schema: a keyword of the reader that this checker cannot judge.
    KeywordNotDecided = "KEYWORD_NOT_DECIDED",
}

impl fmt::Display for Rule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.id())
    }
}

impl Serialize for Rule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.id())
    }
}
