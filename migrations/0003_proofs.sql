-- Proofs: the Merkle tree of each book in tiles, and checkpoints of it that were signed. docs/log-format.md says every
-- byte. Tiles follow from the log and can be made again; signed checkpoints cannot.

-- How far the tree of a book has come. Moves in the transaction that moves the tiles.
CREATE TABLE trees (
    book_id uuid PRIMARY KEY,
    size bigint NOT NULL CHECK (size > 0),
    hash bytea NOT NULL CHECK (octet_length(hash) = 32)
) WITH (fillfactor = 50);

-- Up to 256 hashes each: of leaves at level 0, of whole tiles of the level below above it. Only the last tile of a
-- level is ever written again.
CREATE TABLE tiles (
    book_id uuid NOT NULL,
    level smallint NOT NULL CHECK (level BETWEEN 0 AND 7),
    index bigint NOT NULL CHECK (index >= 0),
    hashes bytea NOT NULL CHECK (octet_length(hashes) BETWEEN 32 AND 8192 AND octet_length(hashes) % 32 = 0),
    PRIMARY KEY (book_id, level, index)
);
-- Hashes cannot be compressed.
ALTER TABLE tiles ALTER COLUMN hashes SET STORAGE EXTERNAL;

CREATE TABLE signed_checkpoints (
    book_id uuid NOT NULL,
    size bigint NOT NULL CHECK (size > 0),
    root bytea NOT NULL CHECK (octet_length(root) = 32),
    note text NOT NULL,
    signed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (book_id, size)
);

ALTER TABLE trees ENABLE ROW LEVEL SECURITY;
ALTER TABLE tiles ENABLE ROW LEVEL SECURITY;
ALTER TABLE signed_checkpoints ENABLE ROW LEVEL SECURITY;
CREATE POLICY writer ON trees TO daybook_writer USING (true) WITH CHECK (true);
CREATE POLICY writer ON tiles TO daybook_writer USING (true) WITH CHECK (true);
CREATE POLICY writer ON signed_checkpoints TO daybook_writer USING (true) WITH CHECK (true);
CREATE POLICY reader ON trees FOR SELECT TO daybook_reader USING (book_id = current_book());
CREATE POLICY reader ON tiles FOR SELECT TO daybook_reader USING (book_id = current_book());
CREATE POLICY reader ON signed_checkpoints FOR SELECT TO daybook_reader USING (book_id = current_book());

GRANT SELECT, INSERT, UPDATE ON trees, tiles TO daybook_writer;
-- Nobody may change or remove a signed checkpoint: there is no grant for it.
GRANT SELECT, INSERT ON signed_checkpoints TO daybook_writer;
GRANT SELECT ON trees, tiles, signed_checkpoints TO daybook_reader;
