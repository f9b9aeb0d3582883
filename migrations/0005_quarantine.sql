-- What projections could not take in, and how each build fares in each book.

-- A partition (a session, or a stream outside of any) that a build does not post on from `position`, because the event
-- there cannot be taken in. The events wait in the log; the rows are those of the events before it. Where `stops` is
-- set, the whole book waits: a projection of money leaves nothing out.
CREATE TABLE quarantine (
    schema_name text NOT NULL REFERENCES builds (schema_name) ON DELETE CASCADE,
    book_id uuid NOT NULL,
    partition_id uuid NOT NULL,
    position bigint NOT NULL CHECK (position > 0),
    event_type text NOT NULL,
    error text NOT NULL,
    stops boolean NOT NULL,
    since timestamptz NOT NULL DEFAULT now(),
    -- The newest order about quarantine that this entry has seen, and the releases that have tried it.
    seen bigint NOT NULL,
    tried_by text[] NOT NULL,
    PRIMARY KEY (schema_name, book_id, partition_id)
);
CREATE INDEX quarantine_book ON quarantine (book_id);

ALTER TABLE quarantine ENABLE ROW LEVEL SECURITY;
CREATE POLICY writer ON quarantine TO daybook_writer USING (true) WITH CHECK (true);
CREATE POLICY reader ON quarantine FOR SELECT TO daybook_reader USING (book_id = current_book());
GRANT SELECT, INSERT, UPDATE, DELETE ON quarantine TO daybook_writer;
GRANT SELECT ON quarantine TO daybook_reader;

-- Who moved a checkpoint last, when, at what rate, and what went wrong last. `pace` is a count of events that fades
-- over a minute.
ALTER TABLE checkpoints
    ADD COLUMN worker_id uuid,
    ADD COLUMN moved_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN pace double precision NOT NULL DEFAULT 0,
    ADD COLUMN error text,
    ADD COLUMN failed_at timestamptz;

-- A reader may see whether the process that posts its book lives; a heartbeat says nothing of anybody's work.
GRANT SELECT (worker_id, beat_at) ON workers TO daybook_reader;
