//! A shape that changed twice, declared as the product's events are.

use serde::{Deserialize, Serialize};

use crate::event::StoredType;
use crate::event::declare::event_enum;

/// At first a note was one text.
#[derive(Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct NoteTakenV1 {
    text: String,
}

/// Then it had an author.
#[derive(Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct NoteTakenV2 {
    text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    author: Option<String>,
}

/// Now it has lines.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoteTaken {
    lines: Vec<String>,
    author: Option<String>,
}

/// Of the first shape only.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoteRead {}

impl From<NoteTakenV1> for NoteTakenV2 {
    fn from(NoteTakenV1 { text }: NoteTakenV1) -> Self {
        Self { text, author: None }
    }
}

impl From<NoteTakenV2> for NoteTaken {
    fn from(NoteTakenV2 { text, author }: NoteTakenV2) -> Self {
        Self { lines: text.lines().map(str::to_owned).collect(), author }
    }
}

event_enum! {
    /// What happens to a note.
    NoteEvent {
        NoteTaken = "note.taken" v 3 { 1 => NoteTakenV1, 2 => NoteTakenV2 },
        NoteRead = "note.read" v 1,
    }
}

fn read(version: i16, payload: &str) -> Option<NoteTaken> {
    match NoteEvent::decode("note.taken", version, payload)?.ok()? {
        NoteEvent::NoteTaken(taken) => Some(taken),
        NoteEvent::NoteRead(_) => None,
    }
}

#[test]
fn every_version_comes_out_in_the_present_shape() {
    let note = |author: Option<&str>| NoteTaken { lines: vec!["a".into(), "b".into()], author: author.map(Into::into) };
    assert_eq!(read(1, r#"{"text":"a\nb"}"#), Some(note(None)));
    assert_eq!(read(2, r#"{"text":"a\nb","author":"Ada"}"#), Some(note(Some("Ada"))));
    assert_eq!(read(3, r#"{"lines":["a","b"],"author":"Ada"}"#), Some(note(Some("Ada"))));
    assert_eq!(NoteEvent::from(note(None)).stored_type(), StoredType { name: "note.taken", version: 3 });
}

#[test]
fn each_version_is_held_to_its_own_shape() {
    assert_eq!(read(1, r#"{"text":"a","author":"Ada"}"#), None, "the first shape had no author");
    assert_eq!(read(3, r#"{"text":"a"}"#), None, "the present shape has lines");
    assert!(NoteEvent::decode("note.taken", 4, "{}").is_none(), "a later release wrote it");
    assert!(NoteEvent::decode("note.taken", 0, "{}").is_none());
    assert!(NoteEvent::decode("note.read", 2, "{}").is_none());
    assert!(matches!(NoteEvent::decode("note.read", 1, "{}"), Some(Ok(NoteEvent::NoteRead(_)))));
}

#[test]
fn what_can_be_read_and_what_is_written_are_told_apart() {
    let versions = |types: &[StoredType]| types.iter().map(|t| (t.name, t.version)).collect::<Vec<_>>();
    assert_eq!(versions(NoteEvent::STORED), [("note.taken", 3), ("note.read", 1)]);
    assert_eq!(
        versions(NoteEvent::READABLE),
        [("note.taken", 1), ("note.taken", 2), ("note.taken", 3), ("note.read", 1)]
    );
    assert!(NoteEvent::stores("note.taken") && NoteEvent::stores("note.read") && !NoteEvent::stores("note.lost"));
    assert_eq!(NoteEvent::from(NoteRead {}).payload(), "{}");
}

/// What the test of shapes compares: each of these is another shape, though no word of a comment is.
#[test]
fn a_shape_tells_names_types_and_what_may_be_absent() {
    let shapes = NoteEvent::shapes();
    let shape = |version| &shapes.iter().find(|(t, _)| t.name == "note.taken" && t.version == version).unwrap().1;
    assert_ne!(shape(1), shape(2), "an optional field was added");
    assert_ne!(shape(2), shape(3));
    assert_eq!(shape(1)["required"], serde_json::json!(["text"]));
    assert_eq!(shape(2)["required"], serde_json::json!(["text"]), "an author may be absent");
    assert_eq!(shape(1)["additionalProperties"], false);
    assert!(shape(1)["description"].is_null() && shape(1)["title"].is_null());
}
