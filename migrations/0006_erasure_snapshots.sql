-- Snapshots of long streams, and the erasure of a session's content.

-- The lock that keeps those who write snapshots of a book and those who erase from it apart.
CREATE FUNCTION snapshot_lock(wanted_book uuid) RETURNS bigint LANGUAGE sql IMMUTABLE AS
$$ SELECT hashtextextended('daybook snapshots ' || wanted_book::text, 0) $$;

-- One folded state per stream: a cache. `digest` is SHA-256 of the fingerprint of the folding code, of the hash of the
-- event at `sequence`, and of the state; whatever does not fit is not used.
CREATE TABLE snapshots (
    book_id uuid NOT NULL,
    stream_id uuid NOT NULL,
    sequence bigint NOT NULL CHECK (sequence > 0),
    fingerprint text NOT NULL,
    state bytea NOT NULL,
    digest bytea NOT NULL,
    PRIMARY KEY (book_id, stream_id)
);
ALTER TABLE snapshots ALTER COLUMN state SET COMPRESSION lz4;
ALTER TABLE snapshots ENABLE ROW LEVEL SECURITY;
CREATE POLICY writer ON snapshots TO daybook_writer USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON snapshots TO daybook_writer;
