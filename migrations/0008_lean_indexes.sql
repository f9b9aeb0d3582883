-- The indexes of the log begin with what tells rows apart. Every entry of a book has the same book_id, so in front it
-- was compared first each time and decided nothing; behind, it still keeps books apart. Measured: docs/benchmarks.md.

DROP INDEX events_stream;
CREATE UNIQUE INDEX events_stream ON events (stream_id, sequence, book_id);
DROP INDEX events_request;
CREATE UNIQUE INDEX events_request ON events (request_id, book_id) WHERE request_id IS NOT NULL;
-- The book is looked up in the row: two books have the same session only where both imported it.
DROP INDEX events_session;
CREATE INDEX events_session ON events (session_id, position) WHERE session_id IS NOT NULL;
