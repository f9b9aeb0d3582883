//! A log to rebuild from: sessions with runs of several steps, every payload as the product writes it, loaded by COPY.
//! Only the hashes are not those of a chain, which no rebuild reads.

use std::collections::HashMap;

use domain::Event;
use sqlx::PgConnection;
use uuid::Uuid;

/// The book that everything is in.
pub const BOOK: Uuid = Uuid::from_u128(0x01900000_0000_7000_8000_0000000000b0);
/// Every stored event as an example: shapes to fill.
const FIXTURES: &str = include_str!("../../../../domain/fixtures/events.jsonl");
/// The id that stands in the examples.
const EXAMPLE: &str = ":01900000-0000-7000-8000-00000000000";
/// How many steps a run has; with what comes before and after, some 75 events.
const STEPS: usize = 5;
/// How many sessions are under way at once, taking turns.
const AT_ONCE: usize = 8;
const CHUNK: usize = 1024 * 1024;

const BEFORE: [&str; 6] = [
    "session.started",
    "workspace.created",
    "message.received",
    "run.requested",
    "run.phase_changed",
    "approval.requested",
];
const STEP: [&str; 13] = [
    "step.requested",
    "step.started",
    "spend.reserved",
    "thinking.completed",
    "assistant_message.completed",
    "tool_call.requested",
    "tool_call.approved",
    "tool_call.started",
    "file.modified",
    "tool_call.succeeded",
    "usage.metered",
    "usage.charged",
    "reservation.settled",
];
const AFTER: [&str; 4] = ["step.completed", "tests.ran", "run.phase_changed", "run.completed"];

/// Writes the events of one book.
pub async fn fill(db: &mut PgConnection, events: i64) -> anyhow::Result<()> {
    let examples = examples()?;
    let mut copy = db
        .copy_in_raw(
            "COPY events (book_id, position, stream_id, sequence, session_id, event_id, event_type, event_version, \
             occurred_at, recorded_at, actor_id, payload, metadata, salt, commitment, hash) FROM STDIN",
        )
        .await?;
    let mut sessions: Vec<Session> = (0..AT_ONCE).map(|n| Session::new(n as u128)).collect();
    let mut next = AT_ONCE as u128;
    let mut out = String::with_capacity(2 * CHUNK);
    for position in 1..=events {
        let turn = usize::try_from(position)? % AT_ONCE;
        if sessions[turn].is_over() {
            sessions[turn] = Session::new(next);
            next += 1;
        }
        sessions[turn].write(position, &examples, &mut out);
        if out.len() >= CHUNK {
            copy.send(out.as_bytes()).await?;
            out.clear();
        }
    }
    copy.send(out.as_bytes()).await?;
    copy.finish().await?;
    Ok(())
}

/// Examples by stored name, with texts of a usual length in place of `hello`.
fn examples() -> anyhow::Result<HashMap<String, String>> {
    let mut examples = HashMap::new();
    for line in FIXTURES.lines() {
        let line: serde_json::Value = serde_json::from_str(line)?;
        let (name, payload) = (line["type"].as_str().unwrap_or_default().to_owned(), line["payload"].to_string());
        let words = match name.as_str() {
            "thinking.completed" => 60,
            "assistant_message.completed" => 40,
            "tool_call.succeeded" => 90,
            "file.modified" => 120,
            _ => 8,
        };
        let text = "the parser keeps what it has read ".repeat(words / 6);
        let payload = payload.replace("\"text\":\"hello\"", &format!("\"text\":\"{text}\""));
        // What the product cannot read is no example; two versions of a name are two shapes of one event.
        if Event::decode(&name, 1, &payload).is_ok() {
            examples.insert(name, payload);
        }
    }
    Ok(examples)
}

struct Session {
    number: u128,
    at: usize,
    sequences: HashMap<Uuid, i64>,
}

impl Session {
    fn new(number: u128) -> Self {
        Self { number, at: 0, sequences: HashMap::new() }
    }

    fn is_over(&self) -> bool {
        self.at == BEFORE.len() + STEPS * STEP.len() + AFTER.len()
    }

    /// The id of one of its things: ordered by time in front, spread at the end, as those of the product are.
    fn id(&self, noun: &str, which: usize) -> Uuid {
        let noun = noun.bytes().fold(7_u128, |hash, byte| hash.wrapping_mul(31).wrapping_add(u128::from(byte)));
        let spread = (self.number << 24 | (which as u128) << 16 | noun & 0xffff).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let time = 0x0190_0000_0000_u128 + self.number;
        Uuid::from_u128(time << 80 | 0x7000 << 64 | 0x8000_0000_0000_0000 | spread & 0x3fff_ffff_ffff_ffff)
    }

    /// Writes its next event as a line of a COPY.
    fn write(&mut self, position: i64, examples: &HashMap<String, String>, out: &mut String) {
        use std::fmt::Write as _;
        let (step, name) = match self.at.checked_sub(BEFORE.len()) {
            None => (0, BEFORE[self.at]),
            Some(n) if n < STEPS * STEP.len() => (n / STEP.len(), STEP[n % STEP.len()]),
            Some(n) => (STEPS - 1, AFTER[n - STEPS * STEP.len()]),
        };
        self.at += 1;
        let stream = match name.split_once('.').map_or("", |(noun, _)| noun) {
            "session" | "message" => self.id("session", 0),
            "workspace" | "file" => self.id("workspace", 0),
            "spend" | "usage" | "reservation" => BOOK,
            _ => self.id("run", 0),
        };
        // One account per book: its sequence is the position, which is unique and rises as well.
        let sequence = match stream == BOOK {
            true => position,
            false => {
                let sequence = self.sequences.entry(stream).or_default();
                *sequence += 1;
                *sequence
            }
        };
        let payload = self.payload(&examples[name], step).replace('\\', "\\\\");
        let session = self.id("session", 0);
        let event_id = self.id("event", self.at);
        let _ = writeln!(
            out,
            "{BOOK}\t{position}\t{stream}\t{sequence}\t{session}\t{event_id}\t{name}\t1\t2026-01-02T03:04:05.678901Z\t\
             2026-01-02T03:04:05.678902Z\tuser:01900000-0000-7000-8000-000000000004\t{payload}\t{{}}\t\
             \\\\x{position:032x}\t\\\\x{position:064x}\t\\\\x{position:064x}"
        );
    }

    /// An example with this session's ids in it; what belongs to a step has one id per step.
    fn payload(&self, example: &str, step: usize) -> String {
        let mut payload = String::with_capacity(example.len());
        let mut rest = example;
        while let Some(at) = rest.find(EXAMPLE) {
            let (before, after) = rest.split_at(at);
            let noun = before.rsplit('"').next().unwrap_or_default();
            let which = if matches!(noun, "llm_call" | "tool_call" | "message" | "approval") { step + 1 } else { 0 };
            payload.push_str(before);
            if matches!(noun, "user" | "price" | "worker") {
                payload.push_str(&after[..EXAMPLE.len() + 1]);
            } else {
                payload.push_str(&format!(":{}", self.id(noun, which)));
            }
            rest = &after[EXAMPLE.len() + 1..];
        }
        payload.push_str(rest);
        payload
    }
}
