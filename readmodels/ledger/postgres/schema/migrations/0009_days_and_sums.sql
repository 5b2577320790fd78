-- +goose Up

-- From here on entries go into a partition of the day (UTC) on which they occurred, so that what is written at random places is a day's; those of
-- months that have a partition stay there. That an event is entered once is what the checkpoint is for: no index has to say so.
--
-- What every customer has had is also kept by month, so that a season reads no entries and a trail only the days that have some. It is written for
-- every entry here, and nobody reads or writes meanwhile. Where that is too long, fold the log into another schema, and
-- give the processes its address (ADR 47).
LOCK TABLE state IN SHARE ROW EXCLUSIVE MODE;

-- Which ledger this is, so that whoever reads in several statements notices that a rebuild has put another in its place.
ALTER TABLE state ADD COLUMN ledger bigint NOT NULL DEFAULT (random() * 9e18)::bigint;

DO $drop$
DECLARE one record;
BEGIN
    FOR one IN SELECT conrelid::regclass AS part, conname FROM pg_constraint WHERE contype = 'u'
            AND conrelid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'entries'::regclass) LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', one.part, one.conname);
    END LOOP;
END $drop$;

-- What the entries of a month (UTC) come to, by customer. month counts from January of the year 0. changed_ is the place in the log of the last entry
-- of other than 0 points, which occurred at reached_at; first_commit and last_commit are at or around the first and the last of all. Bit n of days is set if
-- there are entries of day n + 1, and of others if there are any but awards.
CREATE TABLE sums (
    points          bigint  NOT NULL,
    entries         bigint  NOT NULL,
    reached_at      timestamptz,
    changed_commit  bigint  NOT NULL,
    changed_prepare bigint  NOT NULL,
    first_commit    bigint  NOT NULL,
    last_commit     bigint  NOT NULL,
    month           integer NOT NULL,
    days            integer NOT NULL,
    others          integer NOT NULL,
    customer        text    COLLATE "C" NOT NULL,
    PRIMARY KEY (customer, month)
) PARTITION BY RANGE (month);

DO $fill$
DECLARE one integer;
BEGIN
    CREATE TABLE filled AS
        SELECT sum(points)::bigint AS points, count(*) AS entries,
            to_timestamp(0) + (max(place) FILTER (WHERE points <> 0))[3] * interval '1 microsecond' AS reached_at,
            coalesce((max(place) FILTER (WHERE points <> 0))[1], 0) AS changed_commit, coalesce((max(place) FILTER (WHERE points <> 0))[2], 0) AS changed_prepare,
            min(commit_position) AS first_commit, max(commit_position) AS last_commit, month, bit_or(day) AS days,
            coalesce(bit_or(day) FILTER (WHERE kind <> 'award'), 0) AS others, customer
        FROM (SELECT *, ARRAY[commit_position, prepare_position, (extract(epoch FROM occurred_at) * 1000000)::bigint] AS place,
                (date_part('year', utc) + CASE WHEN date_part('year', utc) < 0 THEN 1 ELSE 0 END)::integer * 12 + date_part('month', utc)::integer - 1 AS month,
                1 << (date_part('day', utc)::integer - 1) AS day
            FROM (SELECT *, occurred_at AT TIME ZONE 'UTC' AS utc FROM entries) e) e
        GROUP BY customer, month;
    FOR one IN SELECT DISTINCT month FROM filled LOOP
        EXECUTE format('CREATE TABLE sums_%s_%s PARTITION OF sums FOR VALUES FROM (%s) TO (%s)',
            lpad((one / 12)::text, 4, '0'), lpad((one % 12 + 1)::text, 2, '0'), one, one + 1);
    END LOOP;
    INSERT INTO sums SELECT * FROM filled;
    DROP TABLE filled;
END $fill$;

-- The same of the month that an account's last entry is of, or 0 if there is none: it moves to sums with the first entry of a later month, so
-- that an entry touches no other row. An earlier month's entry goes into sums at once. What a customer has of a month is the sum of both.
-- The last of them is at or before commit_position. There is no default for the month of a new account, so that a process of the version
-- before can add no entries.
ALTER TABLE accounts
    ADD COLUMN month integer NOT NULL DEFAULT 0,
    ADD COLUMN month_days integer NOT NULL DEFAULT 0,
    ADD COLUMN month_others integer NOT NULL DEFAULT 0,
    ADD COLUMN month_entries bigint NOT NULL DEFAULT 0,
    ADD COLUMN month_points bigint NOT NULL DEFAULT 0,
    ADD COLUMN month_reached_at timestamptz,
    ADD COLUMN month_changed_commit bigint NOT NULL DEFAULT 0,
    ADD COLUMN month_changed_prepare bigint NOT NULL DEFAULT 0,
    ADD COLUMN month_first_commit bigint NOT NULL DEFAULT 0;
ALTER TABLE accounts ALTER COLUMN month DROP DEFAULT;

-- +goose Down

-- The version before knows months alone, in which event ids are unique.
DO $merge$
DECLARE one record;
BEGIN
    FOR one IN SELECT month, format('entries_%s_%s', lpad((month / 12)::text, 4, '0'), lpad((month % 12 + 1)::text, 2, '0')) AS name, array_agg(part) AS days
            FROM (SELECT inhrelid::regclass AS part, substr(relname, 9, 4)::integer * 12 + substr(relname, 14, 2)::integer - 1 AS month
                FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid WHERE inhparent = 'entries'::regclass AND relname ~ '^entries_\d{4}_\d\d_\d\d$') parts
            GROUP BY month LOOP
        EXECUTE format('CREATE TABLE %I (LIKE entries)', one.name);
        FOR i IN 1..array_length(one.days, 1) LOOP
            EXECUTE format('INSERT INTO %I SELECT * FROM %s', one.name, one.days[i]);
            EXECUTE format('DROP TABLE %s', one.days[i]);
        END LOOP;
        EXECUTE format('ALTER TABLE entries ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', one.name,
            (timestamp '2000-01-01' + make_interval(months => one.month - 24000)) AT TIME ZONE 'UTC',
            (timestamp '2000-01-01' + make_interval(months => one.month - 23999)) AT TIME ZONE 'UTC');
    END LOOP;
    FOR one IN SELECT inhrelid::regclass AS part FROM pg_inherits WHERE inhparent = 'entries'::regclass LOOP
        EXECUTE format('ALTER TABLE %s ADD UNIQUE (event_id)', one.part);
    END LOOP;
END $merge$;
DROP TABLE sums;
ALTER TABLE state DROP COLUMN ledger;
ALTER TABLE accounts DROP COLUMN month, DROP COLUMN month_days, DROP COLUMN month_others, DROP COLUMN month_entries, DROP COLUMN month_points,
    DROP COLUMN month_reached_at, DROP COLUMN month_changed_commit, DROP COLUMN month_changed_prepare, DROP COLUMN month_first_commit;
