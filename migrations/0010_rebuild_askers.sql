-- Who wants a rebuild given up, by which request; and who works on one just now, for everybody to see.

ALTER TABLE builds
    -- Who asked for `cancel`; null where nobody in particular did.
    ADD COLUMN cancel_by text,
    -- The requests that asked for it. Asked again, they ask for nothing more: another rebuild may have begun meanwhile.
    ADD COLUMN cancel_requests uuid[] NOT NULL DEFAULT '{}';

-- The lock of whoever works on a projection's builds. It lives as long as its owner's connection.
CREATE FUNCTION rebuild_lock(projection text) RETURNS bigint LANGUAGE sql IMMUTABLE AS
$$ SELECT hashtextextended('daybook rebuild ' || projection, 0) $$;

-- Whether somebody works on a projection's builds just now, in whatever process.
CREATE FUNCTION is_being_rebuilt(projection text) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT 1 FROM pg_locks l JOIN pg_database d ON d.oid = l.database
                   WHERE d.datname = current_database() AND l.locktype = 'advisory' AND l.objsubid = 1 AND l.granted
                     AND (l.classid::bigint << 32 | l.objid::bigint) = rebuild_lock(projection))
$$;
