//! Splits a byte stream into server-sent events.
//!
//! Source of the format: <https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream>.
//! Two things go beyond it, because servers do them: a field named `error` is an event of that name (llama.cpp), and the
//! last event counts even if the stream ends without the empty line. Never looks into the data, and never holds more
//! than the event at hand.

/// One event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// The event's name; empty for most.
    pub name: String,
    /// The data lines, joined with line feeds.
    pub data: String,
}

/// The parser: feed it bytes cut anywhere.
#[derive(Debug, Default)]
pub struct Parser {
    line: Vec<u8>,
    after_carriage_return: bool,
    past_first_line: bool,
    event: Event,
    has_data: bool,
}

impl Parser {
    /// Takes the next bytes and hands out the events they complete.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        for &byte in bytes {
            let follows_carriage_return = std::mem::replace(&mut self.after_carriage_return, byte == b'\r');
            match byte {
                b'\n' if follows_carriage_return => {}
                b'\n' | b'\r' => events.extend(self.end_line()),
                _ => self.line.push(byte),
            }
        }
        events
    }

    /// The event that was still open when the stream ended.
    pub fn finish(&mut self) -> Option<Event> {
        self.end_line().or_else(|| self.dispatch())
    }

    fn end_line(&mut self) -> Option<Event> {
        let bytes = std::mem::take(&mut self.line);
        let text = String::from_utf8_lossy(&bytes);
        let mut line = text.as_ref();
        if !std::mem::replace(&mut self.past_first_line, true) {
            line = line.trim_start_matches('\u{feff}');
        }
        if line.is_empty() {
            return self.dispatch();
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => self.add_data(value),
            "event" => self.event.name = value.to_owned(),
            "error" => {
                "error".clone_into(&mut self.event.name);
                self.add_data(value);
            }
            // A comment (an empty field name), `id`, `retry`, or nothing we know.
            _ => {}
        }
        None
    }

    fn add_data(&mut self, value: &str) {
        if self.has_data {
            self.event.data.push('\n');
        }
        self.has_data = true;
        self.event.data.push_str(value);
    }

    fn dispatch(&mut self) -> Option<Event> {
        let event = std::mem::take(&mut self.event);
        std::mem::take(&mut self.has_data).then_some(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Vec<(String, String)> {
        let mut parser = Parser::default();
        let mut events = parser.push(text.as_bytes());
        events.extend(parser.finish());
        events.into_iter().map(|event| (event.name, event.data)).collect()
    }

    fn data(text: &str) -> (String, String) {
        (String::new(), text.into())
    }

    #[test]
    fn lines_may_end_in_any_of_three_ways() {
        for text in ["data: a\n\ndata: b\n\n", "data: a\r\n\r\ndata: b\r\n\r\n", "data: a\r\rdata: b\r\r"] {
            assert_eq!(parse(text), [data("a"), data("b")], "{text:?}");
        }
    }

    #[test]
    fn comments_and_unknown_fields_are_skipped() {
        assert_eq!(parse(": keep-alive\n\nid: 1\nretry: 5\n\ndata: a\n\n"), [data("a")]);
    }

    #[test]
    fn data_lines_are_joined_and_only_one_space_is_taken_off() {
        assert_eq!(parse("data:a\ndata:  b\ndata\n\n"), [data("a\n b\n")]);
    }

    #[test]
    fn events_may_have_a_name() {
        assert_eq!(parse("event: error\ndata: x\n\n"), [("error".into(), "x".into())]);
        assert_eq!(parse("error: {}\n\n"), [("error".into(), "{}".into())]);
    }

    #[test]
    fn a_byte_order_mark_and_a_missing_last_line_end_do_no_harm() {
        assert_eq!(parse("\u{feff}data: a\n\ndata: b"), [data("a"), data("b")]);
    }
}
