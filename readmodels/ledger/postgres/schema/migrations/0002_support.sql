-- +online Begin

-- What support looks for. Processes of the version before may go on reading and writing beside those of this one: all that they
-- do not know of has a default. Columns come in at once, however much there is. The indexes take about a second for every million entries;
-- they are built beforehand, one partition after another, while everybody reads and writes.

-- loyalty_id is that of an adjustment. Both are '' in the entries that were there before: a rebuild fills them in.
ALTER TABLE entries ADD COLUMN IF NOT EXISTS loyalty_id text NOT NULL DEFAULT '', ADD COLUMN IF NOT EXISTS correlation text NOT NULL DEFAULT '';

-- In which drawer of proxy names a customer is, 0 if it is not known. It is written once, with the account, so that a change
-- of a total still touches no index.
ALTER TABLE accounts ADD COLUMN IF NOT EXISTS drawer smallint NOT NULL DEFAULT 0;

-- +goose Up

CREATE INDEX IF NOT EXISTS accounts_drawer ON accounts (drawer) WHERE drawer > 0;

-- An index of entries takes those that its partitions have. Ids are compared byte by byte, which is also the quickest.
CREATE INDEX entries_order ON entries (order_id COLLATE "C");
CREATE INDEX entries_return ON entries (return_id COLLATE "C") WHERE return_id <> '';
CREATE INDEX entries_loyalty ON entries (loyalty_id COLLATE "C") WHERE loyalty_id <> '';

-- Returns and adjustments are few among awards: who looks for them alone reads no others.
CREATE INDEX entries_but_awards ON entries (customer, commit_position, prepare_position) WHERE kind <> 'award';

-- +goose Down

DROP INDEX entries_but_awards;
DROP INDEX entries_loyalty;
DROP INDEX entries_return;
DROP INDEX entries_order;
ALTER TABLE accounts DROP COLUMN drawer;
ALTER TABLE entries DROP COLUMN correlation, DROP COLUMN loyalty_id;
