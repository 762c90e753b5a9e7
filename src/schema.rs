//! How values that are written as texts look in a published JSON Schema.

/// Gives `$type` a schema of its own: a string, with what more is said of it (`"format"`, `"pattern"`, `"examples"`).
macro_rules! text_schema {
    ($type:ty, { $($more:tt)* }) => {
        impl schemars::JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", $($more)* })
            }
        }
    };
}
pub(crate) use text_schema;
