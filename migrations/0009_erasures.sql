-- Which erasures are over, for which session a blob was put, and marks on blobs that can be told apart.

-- The erasures whose payloads and salts are all gone: nobody needs to look at them again.
CREATE TABLE finished_erasures (
    book_id uuid NOT NULL,
    position bigint NOT NULL,
    PRIMARY KEY (book_id, position)
);
ALTER TABLE finished_erasures ENABLE ROW LEVEL SECURITY;
CREATE POLICY writer ON finished_erasures TO daybook_writer USING (true) WITH CHECK (true);
GRANT SELECT, INSERT ON finished_erasures TO daybook_writer;

-- For which session a blob was put. An event may never come to name it, because what was to append it was refused; it is
-- content of the session all the same.
CREATE TABLE put_blobs (
    book_id uuid NOT NULL,
    session_id uuid NOT NULL,
    sha256 bytea NOT NULL,
    PRIMARY KEY (book_id, session_id, sha256)
);
ALTER TABLE put_blobs ENABLE ROW LEVEL SECURITY;
CREATE POLICY writer ON put_blobs TO daybook_writer USING (true) WITH CHECK (true);
GRANT SELECT ON put_blobs TO daybook_writer;

-- Each marking has a number of its own: who found a blob to be named takes away the mark that was there before the look,
-- and not one that came meanwhile.
CREATE SEQUENCE erasing_marks;
ALTER TABLE erasing_blobs ADD COLUMN mark bigint NOT NULL DEFAULT nextval('erasing_marks');

-- The lock that keeps those who put blobs for a session and those who erase it apart.
CREATE FUNCTION session_blobs_lock(wanted_book uuid, wanted_session uuid) RETURNS bigint LANGUAGE sql IMMUTABLE AS
$$ SELECT hashtextextended('daybook blobs ' || wanted_book::text || wanted_session::text, 0) $$;

-- Stores a blob for a session, or notes that it is wanted once more. One that comes after its session was erased is
-- marked at once.
CREATE FUNCTION put_blob(wanted_book uuid, wanted_session uuid, name bytea, bytes bytea) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    newest text;
BEGIN
    PERFORM pg_advisory_xact_lock_shared(session_blobs_lock(wanted_book, wanted_session));
    INSERT INTO blobs (book_id, sha256, content) VALUES (wanted_book, name, bytes)
    ON CONFLICT (book_id, sha256) DO UPDATE SET put_at = now() WHERE blobs.put_at < now() - interval '1 minute';
    -- An erasure is the last event of its session.
    SELECT e.event_type INTO newest FROM events e WHERE e.book_id = wanted_book AND e.session_id = wanted_session
    ORDER BY e.position DESC LIMIT 1;
    IF newest = 'content.erased' THEN
        INSERT INTO erasing_blobs (book_id, sha256) VALUES (wanted_book, name)
        ON CONFLICT (book_id, sha256) DO UPDATE SET mark = DEFAULT;
    ELSE
        INSERT INTO put_blobs (book_id, session_id, sha256) VALUES (wanted_book, wanted_session, name)
        ON CONFLICT DO NOTHING;
    END IF;
END
$$;

-- As before, and more: ranges that hold nothing are passed over, and what was put for the session goes too.
CREATE OR REPLACE FUNCTION erase_content(wanted_book uuid, erasure bigint, after bigint, most integer)
RETURNS TABLE (erased bigint, reached bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    wanted_session uuid;
    named int8multirange;
    picked bigint[];
BEGIN
    SELECT e.session_id, (SELECT range_agg(int8range(r.first, r.last + 1))
                          FROM (SELECT (p->>'first')::bigint AS first, least((p->>'last')::bigint, erasure - 1) AS last
                                FROM json_array_elements(e.payload->'positions') AS p) AS r
                          WHERE r.first <= r.last)
    INTO wanted_session, named
    FROM events e WHERE e.book_id = wanted_book AND e.position = erasure AND e.event_type = 'content.erased';
    IF wanted_session IS NULL THEN
        RAISE EXCEPTION 'position % of book % erases nothing', erasure, wanted_book;
    END IF;
    PERFORM pg_advisory_xact_lock(snapshot_lock(wanted_book));
    PERFORM pg_advisory_xact_lock(session_blobs_lock(wanted_book, wanted_session));
    SELECT array_agg(p.position) INTO picked FROM (
        SELECT e.position FROM events e
        WHERE e.book_id = wanted_book AND e.session_id = wanted_session AND e.position > after AND e.position < erasure
          AND e.position <@ named AND (e.payload IS NOT NULL OR e.salt IS NOT NULL)
        ORDER BY e.position LIMIT most
    ) AS p;
    WITH put AS (
        DELETE FROM put_blobs p WHERE p.book_id = wanted_book AND p.session_id = wanted_session RETURNING p.sha256
    ), lost AS (
        SELECT n.sha256 FROM events e CROSS JOIN LATERAL named_blobs(e.payload::text) AS n (sha256)
        WHERE e.book_id = wanted_book AND e.position = ANY (picked)
        UNION SELECT put.sha256 FROM put
    )
    INSERT INTO erasing_blobs (book_id, sha256)
    SELECT wanted_book, b.sha256 FROM lost JOIN blobs b ON b.book_id = wanted_book AND b.sha256 = lost.sha256
    ORDER BY b.sha256
    ON CONFLICT (book_id, sha256) DO UPDATE SET mark = DEFAULT;
    DELETE FROM snapshots s WHERE s.book_id = wanted_book AND s.stream_id IN (
        SELECT e.stream_id FROM events e WHERE e.book_id = wanted_book AND e.position = ANY (picked));
    UPDATE events e SET payload = NULL, salt = NULL WHERE e.book_id = wanted_book AND e.position = ANY (picked);
    RETURN QUERY SELECT coalesce(array_length(picked, 1), 0)::bigint,
                        (SELECT max(p) FROM unnest(picked) AS p);
END
$$;

REVOKE ALL ON FUNCTION put_blob FROM PUBLIC;
GRANT EXECUTE ON FUNCTION put_blob TO daybook_writer;
