-- Builds of projections: where each lives, which one serves, how far each has come in each book.

-- A build is one set of tables of one version of a projection, in a schema of its own.
CREATE TABLE builds (
    projection text NOT NULL,
    version integer NOT NULL,
    build integer NOT NULL,
    schema_name text NOT NULL UNIQUE,
    state text NOT NULL CHECK (state IN ('building', 'serving', 'retired')),
    PRIMARY KEY (projection, build)
);
CREATE UNIQUE INDEX one_serving_build ON builds (projection) WHERE state = 'serving';

-- The last position that a build has taken in, per book. Moves in the transaction that moves the rows.
CREATE TABLE checkpoints (
    schema_name text NOT NULL REFERENCES builds (schema_name) ON DELETE CASCADE,
    book_id uuid NOT NULL,
    position bigint NOT NULL CHECK (position >= 0),
    PRIMARY KEY (schema_name, book_id)
) WITH (fillfactor = 50);

-- Views with the rights of whoever asks stand here, one per projection, over the build that serves.
CREATE SCHEMA serving AUTHORIZATION daybook_writer;
GRANT USAGE ON SCHEMA serving TO daybook_reader;
GRANT SELECT, INSERT, UPDATE, DELETE ON builds, checkpoints TO daybook_writer;
GRANT SELECT ON builds TO daybook_reader;
-- A reader may wait for its own book's position, and sees no other's.
ALTER TABLE checkpoints ENABLE ROW LEVEL SECURITY;
CREATE POLICY writer ON checkpoints TO daybook_writer USING (true) WITH CHECK (true);
CREATE POLICY reader ON checkpoints FOR SELECT TO daybook_reader USING (book_id = current_book());
GRANT SELECT ON checkpoints TO daybook_reader;

-- Gives a new build its policies and grants: a reader sees the rows of its own book only.
CREATE FUNCTION protect_build(wanted text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    one record;
BEGIN
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO daybook_reader', wanted);
    FOR one IN SELECT tablename FROM pg_tables WHERE schemaname = wanted LOOP
        EXECUTE format('ALTER TABLE %I.%I ENABLE ROW LEVEL SECURITY', wanted, one.tablename);
        EXECUTE format('CREATE POLICY reader ON %I.%I FOR SELECT TO daybook_reader USING (book_id = public.current_book())',
                       wanted, one.tablename);
        EXECUTE format('GRANT SELECT ON %I.%I TO daybook_reader', wanted, one.tablename);
    END LOOP;
END
$$;
