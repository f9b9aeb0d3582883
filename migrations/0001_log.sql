-- The log: events by book and position, their heads, blobs, secrets and workers; roles and row-level security.
-- docs/log-format.md says every byte of a row's hash.

DO $$
DECLARE
    role_name text;
BEGIN
    FOREACH role_name IN ARRAY ARRAY['daybook_writer', 'daybook_reader'] LOOP
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN', role_name);
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL; -- Roles belong to the whole cluster; another database of it made this one.
        END;
        BEGIN
            EXECUTE format('GRANT %I TO CURRENT_USER', role_name);
        EXCEPTION WHEN unique_violation THEN
            NULL;
        END;
    END LOOP;
    EXECUTE format('GRANT CREATE ON DATABASE %I TO daybook_writer', current_database());
END
$$;

-- The book that a connection was checked out for; null, and so no row at all, where none was named.
CREATE FUNCTION current_book() RETURNS uuid LANGUAGE sql STABLE AS
$$ SELECT nullif(current_setting('daybook.book', true), '')::uuid $$;

-- One row: facts of this installation. The epoch changes when a backup is restored, so that old cursors are known.
CREATE TABLE installation (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    epoch integer NOT NULL DEFAULT 1,
    system_book_id uuid NOT NULL,
    home_book_id uuid NOT NULL
);

-- The head of each book. Swapped by every append, so it is kept short and vacuumed eagerly.
CREATE TABLE book_heads (
    book_id uuid PRIMARY KEY,
    position bigint NOT NULL CHECK (position >= 0),
    hash bytea NOT NULL,
    recorded_at timestamptz NOT NULL
) WITH (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

CREATE TABLE events (
    book_id uuid NOT NULL,
    position bigint NOT NULL,
    stream_id uuid NOT NULL,
    sequence bigint NOT NULL,
    session_id uuid,
    event_id uuid NOT NULL,
    event_type text NOT NULL,
    event_version smallint NOT NULL,
    occurred_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    actor_id text NOT NULL,
    correlation_id uuid,
    causation_id uuid,
    request_id uuid,
    request_hash bytea,
    payload json,
    metadata json NOT NULL,
    salt bytea,
    commitment bytea NOT NULL,
    hash bytea NOT NULL,
    PRIMARY KEY (book_id, position)
);
ALTER TABLE events ALTER COLUMN payload SET COMPRESSION lz4;
CREATE UNIQUE INDEX events_stream ON events (book_id, stream_id, sequence);
CREATE UNIQUE INDEX events_request ON events (book_id, request_id) WHERE request_id IS NOT NULL;
CREATE INDEX events_session ON events (book_id, session_id, position) WHERE session_id IS NOT NULL;

-- Texts above 64 KiB, file versions and tool output, by the hash of their content.
CREATE TABLE blobs (
    book_id uuid NOT NULL,
    sha256 bytea NOT NULL,
    content bytea NOT NULL,
    PRIMARY KEY (book_id, sha256)
);
ALTER TABLE blobs ALTER COLUMN content SET COMPRESSION lz4;

-- The one table besides events and blobs that is not derived: hashes of tokens and keys. Never their plain text.
CREATE TABLE secrets (
    secret_id uuid PRIMARY KEY,
    book_id uuid NOT NULL,
    kind text NOT NULL,
    user_id uuid NOT NULL,
    hash bytea NOT NULL UNIQUE,
    expires_at timestamptz NOT NULL
);

-- One heartbeat per process, by the database's clock: it says whose work is free, and which model it asks.
CREATE TABLE workers (
    worker_id uuid PRIMARY KEY,
    model text NOT NULL,
    beat_at timestamptz NOT NULL
);

ALTER TABLE book_heads ENABLE ROW LEVEL SECURITY;
ALTER TABLE events ENABLE ROW LEVEL SECURITY;
ALTER TABLE blobs ENABLE ROW LEVEL SECURITY;
ALTER TABLE secrets ENABLE ROW LEVEL SECURITY;
CREATE POLICY writer ON book_heads TO daybook_writer USING (true) WITH CHECK (true);
CREATE POLICY writer ON events TO daybook_writer USING (true) WITH CHECK (true);
CREATE POLICY writer ON blobs TO daybook_writer USING (true) WITH CHECK (true);
CREATE POLICY writer ON secrets TO daybook_writer USING (true) WITH CHECK (true);
CREATE POLICY reader ON book_heads FOR SELECT TO daybook_reader USING (book_id = current_book());
CREATE POLICY reader ON events FOR SELECT TO daybook_reader USING (book_id = current_book());
CREATE POLICY reader ON blobs FOR SELECT TO daybook_reader USING (book_id = current_book());

GRANT SELECT ON installation TO daybook_writer, daybook_reader;
GRANT INSERT ON installation TO daybook_writer;
GRANT SELECT, INSERT, UPDATE ON book_heads TO daybook_writer;
-- Nobody may change or remove an event: there is no grant for it.
GRANT SELECT, INSERT ON events, blobs TO daybook_writer;
GRANT SELECT, INSERT, DELETE ON secrets TO daybook_writer;
GRANT SELECT, INSERT, UPDATE, DELETE ON workers TO daybook_writer;
GRANT SELECT ON book_heads, events, blobs TO daybook_reader;

-- Sign-in asks before it knows the book, so this look-up runs with its owner's rights and answers one row.
CREATE FUNCTION sign_in_lookup(wanted_kind text, wanted_hash bytea)
RETURNS TABLE (book_id uuid, user_id uuid, expires_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS
$$ SELECT s.book_id, s.user_id, s.expires_at FROM secrets s
   WHERE s.kind = wanted_kind AND s.hash = wanted_hash AND s.expires_at > now() $$;
REVOKE ALL ON FUNCTION sign_in_lookup FROM PUBLIC;
GRANT EXECUTE ON FUNCTION sign_in_lookup TO daybook_reader, daybook_writer;
