-- The log in the columns of postgres-es, so that a repository of that library reads it as it is. Nothing is stored twice.
-- docs/log-format.md says how to point one at it.
CREATE SCHEMA postgres_es;

-- To which kind of aggregate an event type belongs: the stream of one aggregate holds events of several nouns.
CREATE FUNCTION postgres_es.aggregate_type(event_type text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE split_part(event_type, '.', 1)
        WHEN 'approval' THEN 'run'
        WHEN 'assistant_message' THEN 'run'
        WHEN 'fix' THEN 'run'
        WHEN 'plan' THEN 'run'
        WHEN 'step' THEN 'run'
        WHEN 'tests' THEN 'run'
        WHEN 'thinking' THEN 'run'
        WHEN 'tool_call' THEN 'run'
        WHEN 'content' THEN 'session'
        WHEN 'message' THEN 'session'
        WHEN 'file' THEN 'workspace'
        WHEN 'reservation' THEN 'account'
        WHEN 'spend' THEN 'account'
        WHEN 'usage' THEN 'account'
        ELSE split_part(event_type, '.', 1)
    END
$$;

-- With the rights of whoever asks: `daybook_reader` sees the events of its connection's book and no others.
-- The payload stands under the name of its type, as serde writes an enum; metadata there is a map of texts.
CREATE VIEW postgres_es.events WITH (security_invoker = true) AS
SELECT postgres_es.aggregate_type(event_type) AS aggregate_type,
       stream_id::text AS aggregate_id,
       sequence,
       event_type,
       event_version::text AS event_version,
       ('{' || to_json(event_type)::text || ':' || coalesce(payload::text, 'null') || '}')::json AS payload,
       json_strip_nulls(json_build_object(
           'book_id', book_id::text, 'position', position::text, 'event_id', event_id::text,
           'session_id', session_id::text, 'actor_id', actor_id, 'correlation_id', correlation_id::text,
           'causation_id', causation_id::text, 'request_id', request_id::text,
           'occurred_at', to_json(occurred_at)#>>'{}', 'recorded_at', to_json(recorded_at)#>>'{}')) AS metadata
FROM public.events;

GRANT USAGE ON SCHEMA postgres_es TO daybook_reader, daybook_writer;
GRANT SELECT ON postgres_es.events TO daybook_reader, daybook_writer;
