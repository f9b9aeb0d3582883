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

-- Who erased what is found without reading the log.
CREATE INDEX events_erasures ON events (book_id, position, session_id) WHERE event_type = 'content.erased';

-- When a blob was last wanted by somebody who is about to append an event that names it.
ALTER TABLE blobs ADD COLUMN put_at timestamptz NOT NULL DEFAULT now();
GRANT UPDATE (put_at) ON blobs TO daybook_writer;

-- Whether a blob was put so long ago that whatever event was to name it is in the log.
CREATE FUNCTION blob_is_settled(put_at timestamptz) RETURNS boolean LANGUAGE sql STABLE AS
$$ SELECT put_at < now() - interval '10 minutes' $$;

-- Blobs that erased events named, until each is removed or found to be named by another event.
CREATE TABLE erasing_blobs (
    book_id uuid NOT NULL,
    sha256 bytea NOT NULL,
    PRIMARY KEY (book_id, sha256)
);
ALTER TABLE erasing_blobs ENABLE ROW LEVEL SECURITY;
CREATE POLICY writer ON erasing_blobs TO daybook_writer USING (true) WITH CHECK (true);
GRANT SELECT, DELETE ON erasing_blobs TO daybook_writer;

-- The blobs that a payload names.
CREATE FUNCTION named_blobs(payload text) RETURNS SETOF bytea LANGUAGE sql IMMUTABLE AS
$$ SELECT DISTINCT decode(m[1], 'hex') FROM regexp_matches(payload, 'sha256:([0-9a-f]{64})', 'g') AS m
   WHERE payload LIKE '%sha256:%' $$;

-- The one way in which an event changes: payload and salt of events that a `content.erased` of the same session names,
-- and that stand before it, become null. `daybook_writer` has no grant to change an event otherwise. At most `most`
-- events after the position `after`; answers how many lost their content, and the last of them.
CREATE FUNCTION erase_content(wanted_book uuid, erasure bigint, after bigint, most integer)
RETURNS TABLE (erased bigint, reached bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    wanted_session uuid;
    named int8multirange;
    picked bigint[];
BEGIN
    SELECT e.session_id, (SELECT range_agg(int8range((r->>'first')::bigint, (r->>'last')::bigint, '[]'))
                          FROM json_array_elements(e.payload->'positions') AS r)
    INTO wanted_session, named
    FROM events e WHERE e.book_id = wanted_book AND e.position = erasure AND e.event_type = 'content.erased';
    IF wanted_session IS NULL THEN
        RAISE EXCEPTION 'position % of book % erases nothing', erasure, wanted_book;
    END IF;
    PERFORM pg_advisory_xact_lock(snapshot_lock(wanted_book));
    SELECT array_agg(p.position) INTO picked FROM (
        SELECT e.position FROM events e
        WHERE e.book_id = wanted_book AND e.session_id = wanted_session AND e.position > after AND e.position < erasure
          AND e.position <@ named AND (e.payload IS NOT NULL OR e.salt IS NOT NULL)
        ORDER BY e.position LIMIT most
    ) AS p;
    INSERT INTO erasing_blobs (book_id, sha256)
    SELECT DISTINCT wanted_book, b.sha256 FROM events e
    CROSS JOIN LATERAL named_blobs(e.payload::text) AS n (sha256)
    JOIN blobs b ON b.book_id = wanted_book AND b.sha256 = n.sha256
    WHERE e.book_id = wanted_book AND e.position = ANY (picked)
    ON CONFLICT DO NOTHING;
    DELETE FROM snapshots s WHERE s.book_id = wanted_book AND s.stream_id IN (
        SELECT e.stream_id FROM events e WHERE e.book_id = wanted_book AND e.position = ANY (picked));
    UPDATE events e SET payload = NULL, salt = NULL WHERE e.book_id = wanted_book AND e.position = ANY (picked);
    RETURN QUERY SELECT coalesce(array_length(picked, 1), 0)::bigint,
                        (SELECT max(p) FROM unnest(picked) AS p);
END
$$;

-- Removes blobs, but only those that an erased event named and that nobody has wanted lately.
CREATE FUNCTION erase_blobs(wanted_book uuid, wanted bytea[]) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    gone bigint;
BEGIN
    DELETE FROM blobs b USING erasing_blobs e
    WHERE b.book_id = wanted_book AND e.book_id = b.book_id AND e.sha256 = b.sha256 AND b.sha256 = ANY (wanted)
      AND blob_is_settled(b.put_at);
    GET DIAGNOSTICS gone = ROW_COUNT;
    DELETE FROM erasing_blobs e WHERE e.book_id = wanted_book AND e.sha256 = ANY (wanted)
      AND NOT EXISTS (SELECT 1 FROM blobs b WHERE b.book_id = e.book_id AND b.sha256 = e.sha256);
    RETURN gone;
END
$$;

REVOKE ALL ON FUNCTION erase_content, erase_blobs FROM PUBLIC;
GRANT EXECUTE ON FUNCTION erase_content, erase_blobs TO daybook_writer;
