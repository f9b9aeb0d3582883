-- The head of a book is its last event. It had a row of its own, which every append changed: while anybody held a
-- snapshot, such as a backup, the old versions of that row stayed, and each append had to pass all of them.

LOCK TABLE book_heads IN ACCESS EXCLUSIVE MODE;

DO $$
DECLARE
    wrong record;
BEGIN
    SELECT h.book_id, h.position, coalesce(e.position, 0) AS last INTO wrong
    FROM book_heads h LEFT JOIN LATERAL
        (SELECT position, hash FROM events WHERE book_id = h.book_id ORDER BY position DESC LIMIT 1) e ON true
    WHERE h.position <> coalesce(e.position, 0) OR h.hash <> coalesce(e.hash, h.hash) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'the last event of book % is at position %, and its head says %', wrong.book_id, wrong.last, wrong.position
            USING HINT = 'the log is damaged; `daybook audit verify` of the release that wrote it says where';
    END IF;
END $$;

DROP TABLE book_heads;

-- Every book with events, and its last one. The first part goes from book to book by the primary key, whatever the
-- number of events.
CREATE VIEW book_heads WITH (security_invoker = true) AS
WITH RECURSIVE books AS (
    (SELECT book_id FROM events ORDER BY book_id LIMIT 1)
    UNION ALL
    SELECT (SELECT e.book_id FROM events e WHERE e.book_id > b.book_id ORDER BY e.book_id LIMIT 1)
    FROM books b WHERE b.book_id IS NOT NULL
)
SELECT b.book_id, e.position, e.hash, e.recorded_at
FROM books b CROSS JOIN LATERAL
    (SELECT position, hash, recorded_at FROM events WHERE book_id = b.book_id ORDER BY position DESC LIMIT 1) e;
GRANT SELECT ON book_heads TO daybook_writer, daybook_reader;

-- The lock of whoever appends to a book, until the commit. The primary key of `events` is what keeps two of them apart;
-- the lock makes them queue.
CREATE FUNCTION append_lock(wanted_book uuid) RETURNS bigint LANGUAGE sql IMMUTABLE AS
$$ SELECT uuid_hash_extended(wanted_book, 0) $$;
