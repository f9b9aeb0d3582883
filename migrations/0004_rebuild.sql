-- Rebuilds: the next build of a projection is made beside the one that serves, compared with it and put in its place.

-- building: the scratch of a check. rebuilding: being loaded. following: loaded, and posted to like the one that serves.
-- retired: served before, kept for an undo. failed, cancelled: given up, its tables are gone.
ALTER TABLE builds DROP CONSTRAINT builds_state_check;
ALTER TABLE builds ADD CONSTRAINT builds_state_check
    CHECK (state IN ('building', 'rebuilding', 'following', 'serving', 'retired', 'failed', 'cancelled'));

ALTER TABLE builds
    ADD COLUMN created_at timestamptz NOT NULL DEFAULT now(),
    -- When it began to serve for the last time; null for one that never did.
    ADD COLUMN served_at timestamptz,
    -- The request that asked for it: asked again, it is the same build.
    ADD COLUMN request_id uuid,
    -- Who works on it, for people. The lock that makes it one is the session's.
    ADD COLUMN owner text,
    -- Somebody wants it given up. Looked at between ranges.
    ADD COLUMN cancel boolean NOT NULL DEFAULT false,
    -- How far it has come, as its owner last said.
    ADD COLUMN progress jsonb,
    -- How it compared with the one that served.
    ADD COLUMN compared jsonb,
    -- Why it was given up.
    ADD COLUMN failure text;
CREATE UNIQUE INDEX one_build_per_request ON builds (projection, request_id);
CREATE UNIQUE INDEX one_build_under_way ON builds (projection) WHERE state IN ('rebuilding', 'following');
UPDATE builds SET served_at = now() WHERE state IN ('serving', 'retired');
