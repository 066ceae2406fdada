//! What several tests of this module share.

use crate::context::kinds::Kinds;
use crate::policy::api_versions::ApiVersions;
use proptest::prelude::*;
use serde_json::Value;
use std::sync::Arc;

/// Any JSON value of moderate size, with numbers that JSON writes and reads back unchanged.
pub(super) fn arbitrary_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1000_i32..1000).prop_map(|n| Value::from(f64::from(n) + 0.5)),
        "\\PC{0,12}".prop_map(Value::from),
        "(yes|no|on|off|null|~|0777|1e3|<<|- x|a: b|# c|\\*x|&x|!t|---|\\.\\.\\.| x |x\n y\n|2001-01-01|\t)"
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec(("[a-z/~.]{1,6}|yes|8080|\\PC{1,4}", inner), 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// The kinds with the old versions that the binary knows.
pub(super) fn kinds() -> Kinds {
    Kinds::new(Arc::new(ApiVersions::of_knowledge(&serde_json::Map::new()).unwrap()))
}
