-- The tables of the two others. Daybook's own come from its migrations.

-- What a careful person writes without a library: the facts of Daybook's row but book, request and chain; the position
-- from an identity, one stream's sequences unique.
CREATE TABLE plain_events (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stream_id uuid NOT NULL,
    sequence bigint NOT NULL,
    session_id uuid,
    event_id uuid NOT NULL,
    event_type text NOT NULL,
    event_version smallint NOT NULL,
    occurred_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    actor_id text NOT NULL,
    correlation_id uuid,
    causation_id uuid,
    payload json NOT NULL,
    metadata json NOT NULL,
    UNIQUE (stream_id, sequence)
);

-- Its head, for who takes positions from a row: with room for old versions, which autovacuum clears early.
CREATE TABLE plain_head (
    position bigint NOT NULL
) WITH (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
INSERT INTO plain_head VALUES (0);

-- The events table of postgres-es 0.5, as its repository ships it, under another name.
CREATE TABLE postgres_es_events (
    aggregate_type text                         NOT NULL,
    aggregate_id   text                         NOT NULL,
    sequence       bigint CHECK (sequence >= 0) NOT NULL,
    event_type     text                         NOT NULL,
    event_version  text                         NOT NULL,
    payload        json                         NOT NULL,
    metadata       json                         NOT NULL,
    PRIMARY KEY (aggregate_type, aggregate_id, sequence)
);
