//! The blobs that a payload refers to, found in its JSON: also of event types that this release does not know.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::content::Sha256;

/// What a payload says of a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reference {
    /// Its size, where the payload says so.
    pub bytes: Option<u64>,
    /// Whether it must be there. The version of a file may have been too large to be kept.
    pub kept: bool,
}

/// Members that name a file's version by its hash alone.
const VERSIONS: [&str; 2] = ["before_sha256", "after_sha256"];

/// The blobs that a payload refers to: `{"sha256":…,"bytes":…}` wherever it stands, and versions of files. A payload
/// that is no JSON refers to nothing.
pub fn references(payload: &str) -> BTreeMap<Sha256, Reference> {
    let mut found = BTreeMap::new();
    // Most payloads refer to nothing, and need not be read.
    if payload.contains("sha256:")
        && let Ok(value) = serde_json::from_str(payload)
    {
        collect(&value, &mut found);
    }
    found
}

fn collect(value: &Value, found: &mut BTreeMap<Sha256, Reference>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| collect(value, found)),
        Value::Object(members) => {
            if let (2, Some(sha256), Some(bytes)) =
                (members.len(), hash(members.get("sha256")), members.get("bytes").and_then(Value::as_u64))
            {
                let reference = found.entry(sha256).or_insert(Reference { bytes: Some(bytes), kept: true });
                *reference = Reference { bytes: Some(bytes), kept: true };
            }
            for sha256 in VERSIONS.iter().filter_map(|name| hash(members.get(*name))) {
                found.entry(sha256).or_insert(Reference { bytes: None, kept: false });
            }
            members.values().for_each(|value| collect(value, found));
        }
        _ => {}
    }
}

fn hash(value: Option<&Value>) -> Option<Sha256> {
    value?.as_str()?.parse().ok()
}
