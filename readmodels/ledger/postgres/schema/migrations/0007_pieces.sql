-- +goose Up

-- n grows with every batch. While somebody holds a long snapshot (a dump, a standby that is read), no former version of the row can be
-- removed: who looks for the one row walks over all of them, and so does the check of a key that stays the same. Who looks for the greatest n finds
-- it at once.
ALTER TABLE state ADD COLUMN n bigint NOT NULL DEFAULT 0;
ALTER TABLE state DROP CONSTRAINT state_pkey;
ALTER TABLE state ADD PRIMARY KEY (n);

-- Where in the log the account was changed last, or shortly after, up to the end of that batch: so accounts can be read in pieces, each as it
-- was at the position of the first. 0 in an account that has not changed since it had none. There is no default for a new account, so
-- that a process of the version before, which would leave out the change, can add no entries.
ALTER TABLE accounts ADD COLUMN commit_position bigint NOT NULL DEFAULT 0, ADD COLUMN prepare_position bigint NOT NULL DEFAULT 0;
ALTER TABLE accounts ALTER COLUMN commit_position DROP DEFAULT, ALTER COLUMN prepare_position DROP DEFAULT;

-- +goose Down

ALTER TABLE accounts DROP COLUMN prepare_position, DROP COLUMN commit_position;
ALTER TABLE state DROP CONSTRAINT state_pkey;
ALTER TABLE state DROP COLUMN n;
ALTER TABLE state ADD PRIMARY KEY (id);
