use std::collections::BTreeSet;

use super::*;

/// Every event ever stored, one line each: type, version and a payload with every field set.
const FIXTURES: &str = include_str!("../../fixtures/events.jsonl");

fn fixtures() -> impl Iterator<Item = (String, i16, serde_json::Value)> {
    FIXTURES.lines().map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let version = i16::try_from(line["version"].as_i64().unwrap()).unwrap();
        (line["type"].as_str().unwrap().to_owned(), version, line["payload"].clone())
    })
}

#[test]
fn every_stored_type_has_a_fixture() {
    let fixtures: BTreeSet<_> = fixtures().map(|(name, version, _)| (name, version)).collect();
    let stored: BTreeSet<_> = Event::all_stored().map(|t| (t.name.to_owned(), t.version)).collect();
    assert_eq!(stored.difference(&fixtures).collect::<Vec<_>>(), Vec::<&(String, i16)>::new());
    assert_eq!(Event::all_stored().count(), stored.len(), "a stored name stands twice");
}

/// Fails when a shape changes without a new version: what is written must be, field by field, what was written.
#[test]
fn every_fixture_decodes_and_is_written_again_as_it_was() {
    for (name, version, payload) in fixtures() {
        let event = Event::decode(&name, version, &payload.to_string()).unwrap();
        assert_eq!(event.stored_type().name, name);
        let written: serde_json::Value = serde_json::from_str(&event.payload()).unwrap();
        assert_eq!(written, payload, "{name}");
    }
}

#[test]
fn unknown_types_versions_and_fields_are_refused() {
    assert!(matches!(Event::decode("no.such", 1, "{}"), Err(DecodeError::Unknown { .. })));
    assert!(matches!(Event::decode("run.requested", 99, "{}"), Err(DecodeError::Unknown { .. })));
    assert!(matches!(Event::decode("tests.skipped", 1, "{}"), Err(DecodeError::Malformed { .. })));
    let extra = r#"{"reason":"none","extra":1}"#;
    assert!(matches!(Event::decode("tests.skipped", 1, extra), Err(DecodeError::Malformed { .. })));
}
