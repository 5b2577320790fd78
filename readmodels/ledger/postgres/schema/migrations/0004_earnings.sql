-- +online Begin

-- What the entries of every hour (UTC) and channel come to, by kind: how many there are, and the sum of their points. at is when
-- the hour begins; channel is '' where the entries have none. It moves in the transaction that adds the entries. Pages are left half empty,
-- because every batch moves the row of the hour that it is, within its own.
--
-- Those of the version before, who go on writing, know nothing of it. So from here on a trigger adds what they add, until they can't any more
-- (version 5), and the entries of before are added by partitions, which takes some two seconds for every million. What is left to add is
-- in earnings_left, so that each partition is added once, whenever this is interrupted.
DO $begin$
DECLARE
    -- Rows are locked at the end, for a moment, and in the order in which everybody locks them.
    add_sums CONSTANT text := $sql$
        INSERT INTO earnings AS e (at, channel, awards, reversals, adjustments, awarded, reversed, adjusted)
        SELECT * FROM (
            SELECT date_trunc('hour', occurred_at, 'UTC') AS hour, channel,
                count(*) FILTER (WHERE kind = 'award'), count(*) FILTER (WHERE kind = 'reversal'), count(*) FILTER (WHERE kind = 'adjustment'),
                coalesce(sum(points) FILTER (WHERE kind = 'award'), 0), coalesce(sum(points) FILTER (WHERE kind = 'reversal'), 0),
                coalesce(sum(points) FILTER (WHERE kind = 'adjustment'), 0)
            FROM added GROUP BY hour, channel OFFSET 0) sums ORDER BY hour, channel COLLATE "C"
        ON CONFLICT (at, channel) DO UPDATE SET
            awards = e.awards + excluded.awards, reversals = e.reversals + excluded.reversals, adjustments = e.adjustments + excluded.adjustments,
            awarded = e.awarded + excluded.awarded, reversed = e.reversed + excluded.reversed, adjusted = e.adjusted + excluded.adjusted $sql$;
BEGIN
    IF to_regclass('earnings_left') IS NOT NULL THEN
        RETURN;
    END IF;
    -- Nobody adds entries between the position that is noted and the trigger.
    LOCK TABLE state IN SHARE ROW EXCLUSIVE MODE;
    CREATE TABLE earnings (
        at          timestamptz NOT NULL,
        awards      bigint NOT NULL,
        reversals   bigint NOT NULL,
        adjustments bigint NOT NULL,
        awarded     bigint NOT NULL,
        reversed    bigint NOT NULL,
        adjusted    bigint NOT NULL,
        channel     text   COLLATE "C" NOT NULL,
        PRIMARY KEY (at, channel)
    ) WITH (fillfactor = 50);
    CREATE TABLE earnings_left AS
        SELECT inhrelid AS part, false AS added, commit_position, prepare_position FROM pg_inherits CROSS JOIN state WHERE inhparent = 'entries'::regclass;
    EXECUTE format($create$
        CREATE FUNCTION earnings_add() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $body$
        BEGIN
            %s;
            RETURN NULL;
        END $body$ $create$, add_sums);
    CREATE TRIGGER earnings_add AFTER INSERT ON entries REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION earnings_add();
    -- earnings_fill adds the entries of at most so many partitions, NULL for all. One that is none any more counts as added.
    EXECUTE format($create$
        CREATE FUNCTION earnings_fill(most bigint) RETURNS void LANGUAGE plpgsql AS $body$
        DECLARE one record;
        BEGIN
            FOR one IN SELECT * FROM earnings_left WHERE NOT added ORDER BY part LIMIT most LOOP
                IF EXISTS (SELECT FROM pg_inherits WHERE inhrelid = one.part) THEN
                    EXECUTE format('WITH added AS (SELECT * FROM %%s WHERE (commit_position, prepare_position) <= ($1, $2))', one.part::regclass) || %L
                        USING one.commit_position, one.prepare_position;
                END IF;
                UPDATE earnings_left SET added = true WHERE part = one.part;
            END LOOP;
        END $body$ $create$, add_sums);
END $begin$;

-- +online Piece

SELECT earnings_fill(1);

-- +online Progress

SELECT count(*) FILTER (WHERE added), count(*) FROM earnings_left;

-- +goose Up

SELECT earnings_fill(NULL);
DROP FUNCTION earnings_fill;
DROP TABLE earnings_left;

-- +goose Down

DROP TRIGGER IF EXISTS earnings_add ON entries;
DROP FUNCTION IF EXISTS earnings_add;
DROP TABLE earnings;
