//! Columns of read tables: their types, their values, and how values become the arrays of one statement.

use domain::Timestamp;
use sqlx::Postgres;
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use uuid::Uuid;

/// What a column holds. Every column but those of the key may be null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// `uuid`
    Uuid,
    /// `text`
    Text,
    /// `bigint`
    Int,
    /// `boolean`
    Bool,
    /// `timestamptz`
    Time,
    /// `jsonb`
    Json,
}

/// A column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub holds: Type,
}

/// A column by name and type.
pub const fn column(name: &'static str, holds: Type) -> Column {
    Column { name, holds }
}

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `uuid`
    Uuid(Option<Uuid>),
    /// `text`
    Text(Option<String>),
    /// `bigint`
    Int(Option<i64>),
    /// `boolean`
    Bool(Option<bool>),
    /// `timestamptz`
    Time(Option<Timestamp>),
    /// `jsonb`, as text
    Json(Option<String>),
}

impl From<Uuid> for Value {
    fn from(value: Uuid) -> Self {
        Self::Uuid(Some(value))
    }
}
impl From<Option<Uuid>> for Value {
    fn from(value: Option<Uuid>) -> Self {
        Self::Uuid(value)
    }
}
impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(Some(value.to_owned()))
    }
}
impl From<&String> for Value {
    fn from(value: &String) -> Self {
        Self::Text(Some(value.clone()))
    }
}
impl From<&Option<String>> for Value {
    fn from(value: &Option<String>) -> Self {
        Self::Text(value.clone())
    }
}
impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(Some(value))
    }
}
impl From<Option<i64>> for Value {
    fn from(value: Option<i64>) -> Self {
        Self::Int(value)
    }
}
impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(Some(value))
    }
}
impl From<Timestamp> for Value {
    fn from(value: Timestamp) -> Self {
        Self::Time(Some(value))
    }
}
impl From<Option<Timestamp>> for Value {
    fn from(value: Option<Timestamp>) -> Self {
        Self::Time(value)
    }
}

impl Value {
    /// Anything that has JSON.
    pub fn json(value: &impl serde::Serialize) -> Self {
        Self::Json(Some(serde_json::to_string(value).expect("rows hold nothing that JSON cannot")))
    }
}

impl Type {
    /// The type's name in SQL.
    pub fn sql(self) -> &'static str {
        match self {
            Self::Uuid => "uuid",
            Self::Text => "text",
            Self::Int => "bigint",
            Self::Bool => "boolean",
            Self::Time => "timestamptz",
            Self::Json => "jsonb",
        }
    }

    /// The type of the array that carries this column. JSON travels as text.
    pub fn sql_array(self) -> &'static str {
        match self {
            Self::Json => "text[]",
            Self::Uuid => "uuid[]",
            Self::Text => "text[]",
            Self::Int => "bigint[]",
            Self::Bool => "boolean[]",
            Self::Time => "timestamptz[]",
        }
    }
}

/// Values of one column, row by row.
pub(crate) enum Array {
    Uuid(Vec<Option<Uuid>>),
    Text(Vec<Option<String>>),
    Int(Vec<Option<i64>>),
    Bool(Vec<Option<bool>>),
    Time(Vec<Option<Timestamp>>),
}

impl Array {
    pub fn of(holds: Type) -> Self {
        match holds {
            Type::Uuid => Self::Uuid(vec![]),
            Type::Text | Type::Json => Self::Text(vec![]),
            Type::Int => Self::Int(vec![]),
            Type::Bool => Self::Bool(vec![]),
            Type::Time => Self::Time(vec![]),
        }
    }

    /// Appends a value. A value of another type than the column's is a mistake in the projection.
    pub fn push(&mut self, value: Value) {
        match (self, value) {
            (Self::Uuid(column), Value::Uuid(value)) => column.push(value),
            (Self::Text(column), Value::Text(value)) => column.push(value.map(without_null)),
            (Self::Text(column), Value::Json(value)) => column.push(value.map(without_escaped_null)),
            (Self::Int(column), Value::Int(value)) => column.push(value),
            (Self::Bool(column), Value::Bool(value)) => column.push(value),
            (Self::Time(column), Value::Time(value)) => column.push(value),
            (_, value) => panic!("a projection wrote {value:?} into a column of another type"),
        }
    }

    pub fn bind<'q>(self, query: Query<'q, Postgres, PgArguments>) -> Query<'q, Postgres, PgArguments> {
        match self {
            Self::Uuid(column) => query.bind(column),
            Self::Text(column) => query.bind(column),
            Self::Int(column) => query.bind(column),
            Self::Bool(column) => query.bind(column),
            Self::Time(column) => query.bind(column),
        }
    }
}

/// The beginning of a binary COPY: signature, no flags, no extension.
pub(crate) const COPY_HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// The end of a binary COPY.
pub(crate) const COPY_TRAILER: [u8; 2] = (-1_i16).to_be_bytes();
/// The first of January 2000, from which PostgreSQL counts, in microseconds since 1970.
pub(crate) const POSTGRES_EPOCH_US: i64 = 946_684_800_000_000;

impl Value {
    /// Writes the value as a field of a binary COPY, into a column of this type.
    pub(crate) fn copy_into(self, holds: Type, out: &mut Vec<u8>) {
        match (holds, self) {
            (Type::Uuid, Self::Uuid(Some(value))) => copy_field(out, value.as_bytes()),
            (Type::Text, Self::Text(Some(value))) => copy_field(out, without_null(value).as_bytes()),
            (Type::Json, Self::Json(Some(value))) => {
                let value = without_escaped_null(value);
                let length = i32::try_from(value.len() + 1).expect("a value is below a gigabyte");
                out.extend_from_slice(&length.to_be_bytes());
                out.push(JSONB_VERSION);
                out.extend_from_slice(value.as_bytes());
            }
            (Type::Int, Self::Int(Some(value))) => copy_field(out, &value.to_be_bytes()),
            (Type::Bool, Self::Bool(Some(value))) => copy_field(out, &[u8::from(value)]),
            (Type::Time, Self::Time(Some(value))) => {
                copy_field(out, &(value.timestamp_micros() - POSTGRES_EPOCH_US).to_be_bytes());
            }
            (Type::Uuid, Self::Uuid(None))
            | (Type::Text, Self::Text(None))
            | (Type::Json, Self::Json(None))
            | (Type::Int, Self::Int(None))
            | (Type::Bool, Self::Bool(None))
            | (Type::Time, Self::Time(None)) => out.extend_from_slice(&(-1_i32).to_be_bytes()),
            (_, value) => panic!("a projection wrote {value:?} into a column of another type"),
        }
    }
}

/// What precedes a `jsonb` in a binary COPY.
const JSONB_VERSION: u8 = 1;

/// Writes a field of a binary COPY: its length, then its bytes.
pub(crate) fn copy_field(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&i32::try_from(bytes.len()).expect("a value is below a gigabyte").to_be_bytes());
    out.extend_from_slice(bytes);
}

/// The text as a database can hold it. A null byte that a model or a tool wrote stands in the log for ever, and must
/// not stop a read model.
fn without_null(text: String) -> String {
    if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text }
}

/// The same for JSON, where a null byte is an escape and a backslash may itself be escaped.
fn without_escaped_null(json: String) -> String {
    if !json.contains("\\u0000") {
        return json;
    }
    let pieces: Vec<_> = json.split(r"\\").map(|piece| piece.replace("\\u0000", "\u{fffd}")).collect();
    pieces.join(r"\\")
}

/// Turns rows of values into one array per column.
pub(crate) fn arrays(columns: &[Column], rows: impl IntoIterator<Item = Vec<Value>>) -> Vec<Array> {
    let mut arrays: Vec<Array> = columns.iter().map(|column| Array::of(column.holds)).collect();
    for row in rows {
        debug_assert_eq!(row.len(), columns.len());
        for (array, value) in arrays.iter_mut().zip(row) {
            array.push(value);
        }
    }
    arrays
}
