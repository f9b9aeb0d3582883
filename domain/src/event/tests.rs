#![expect(
    clippy::disallowed_methods,
    reason = "these tests read and seal the fixtures; they are no part of the domain"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use sha2::{Digest, Sha256};

use super::*;

mod evolution;
mod fold;

/// Set to write the digests of new fixtures and the shapes of new versions. What is written already is never changed.
const UPDATE: &str = "UPDATE_FIXTURES";

/// A line of `fixtures/events.jsonl`: every type in every version ever stored, with every field set.
pub struct Fixture {
    pub name: String,
    pub version: i16,
    pub payload: serde_json::Value,
    line: String,
}

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

fn lines(name: &str) -> Vec<String> {
    std::fs::read_to_string(file(name)).unwrap_or_default().lines().map(str::to_owned).collect()
}

pub fn fixtures() -> Vec<Fixture> {
    let fixtures = lines("events.jsonl").into_iter().map(|line| {
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        let version = i16::try_from(value["version"].as_i64().unwrap()).unwrap();
        Fixture { name: value["type"].as_str().unwrap().to_owned(), version, payload: value["payload"].clone(), line }
    });
    fixtures.collect()
}

/// The shape of a payload: names, types and which of them may be absent; without the words that describe it.
pub(crate) fn shape<T: schemars::JsonSchema>() -> serde_json::Value {
    let settings = schemars::generate::SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let mut shape = settings.into_generator().into_root_schema_for::<T>().to_value();
    without_words(&mut shape);
    shape
}

fn without_words(shape: &mut serde_json::Value) {
    match shape {
        serde_json::Value::Object(fields) => {
            // A field of a payload stands below `properties`, so these two are always the schema's own.
            if fields.get("title").is_some_and(serde_json::Value::is_string) {
                fields.remove("title");
            }
            if fields.get("description").is_some_and(serde_json::Value::is_string) {
                fields.remove("description");
            }
            fields.values_mut().for_each(without_words);
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(without_words),
        _ => {}
    }
}

/// Adds lines to a file, where that is wanted.
fn update(name: &str, new: &[String]) -> bool {
    let wanted = std::env::var_os(UPDATE).is_some() && !new.is_empty();
    if wanted {
        let text: String = lines(name).iter().chain(new).map(|line| format!("{line}\n")).collect();
        std::fs::write(file(name), text).unwrap();
    }
    wanted
}

#[test]
fn every_version_ever_stored_has_a_fixture() {
    let fixtures: BTreeSet<_> = fixtures().into_iter().map(|fixture| (fixture.name, fixture.version)).collect();
    let readable: BTreeSet<_> = Event::all_readable().map(|t| (t.name.to_owned(), t.version)).collect();
    assert_eq!(readable.difference(&fixtures).collect::<Vec<_>>(), Vec::<&(String, i16)>::new());
    assert_eq!(Event::all_readable().count(), readable.len(), "a stored name stands twice");
    for StoredType { name, version } in Event::all_stored() {
        let known = readable.iter().filter(|(other, _)| other == name).map(|(_, version)| *version);
        assert_eq!(known.collect::<Vec<_>>(), (1..=version).collect::<Vec<_>>(), "{name}: no version is left out");
    }
}

/// A fixture is what some release really wrote. It stays as it is for ever.
#[test]
fn no_fixture_is_ever_changed_or_removed() {
    let digest = |fixture: &Fixture| {
        let hex: String = Sha256::digest(&fixture.line).iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{hex}  {} {}", fixture.name, fixture.version)
    };
    let kept = lines("events.sha256");
    let now: Vec<_> = fixtures().iter().map(digest).collect();
    let gone: Vec<_> = kept.iter().filter(|line| !now.contains(line)).collect();
    assert!(gone.is_empty(), "fixtures were changed or removed; put them back and add a version: {gone:#?}");
    let new: Vec<_> = now.into_iter().filter(|line| !kept.contains(line)).collect();
    assert!(update("events.sha256", &new) || new.is_empty(), "new fixtures; run again with {UPDATE}=1: {new:#?}");
}

/// Fails when a field is added, renamed, made optional or given another type, and the version stays.
#[test]
fn no_shape_changes_without_a_new_version() {
    let mut kept = BTreeMap::new();
    for line in lines("shapes.jsonl") {
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        kept.insert((value["type"].as_str().unwrap().to_owned(), value["version"].as_i64().unwrap()), value);
    }
    let mut new = vec![];
    for (StoredType { name, version }, shape) in Event::shapes() {
        let line = serde_json::json!({ "type": name, "version": version, "shape": shape });
        match kept.remove(&(name.to_owned(), version.into())) {
            Some(known) => assert_eq!(line, known, "{name} {version}: keep the old struct and add a version"),
            None => new.push(line.to_string()),
        }
    }
    assert!(kept.is_empty(), "these were stored once and can be read no more: {:?}", kept.keys());
    assert!(update("shapes.jsonl", &new) || new.is_empty(), "new shapes; run again with {UPDATE}=1: {new:#?}");
}

#[test]
fn every_fixture_can_be_read_and_the_present_ones_are_written_again_as_they_were() {
    for Fixture { name, version, payload, .. } in fixtures() {
        let event = Event::decode(&name, version, &payload.to_string()).unwrap();
        assert_eq!(event.stored_type().name, name);
        if Event::is_current(&name, version) {
            let written: serde_json::Value = serde_json::from_str(&event.payload()).unwrap();
            assert_eq!(written, payload, "{name}");
        }
    }
}

#[test]
fn unknown_types_versions_and_fields_are_refused() {
    assert!(matches!(Event::decode("no.such", 1, "{}"), Err(DecodeError::Unknown { .. })));
    assert!(matches!(Event::decode("run.requested", 99, "{}"), Err(DecodeError::Unknown { .. })));
    assert!(!Event::is_current("run.requested", 99) && Event::is_current("run.requested", 1));
    assert!(matches!(Event::decode("tests.skipped", 1, "{}"), Err(DecodeError::Malformed { .. })));
    let extra = r#"{"reason":"none","extra":1}"#;
    assert!(matches!(Event::decode("tests.skipped", 1, extra), Err(DecodeError::Malformed { .. })));
}
