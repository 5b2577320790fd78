-- +goose Up

-- What a member of staff asked for who was shown a customer; empty in all other acts.
ALTER TABLE acts ADD COLUMN route text NOT NULL DEFAULT '';

-- +goose Down

ALTER TABLE acts DROP COLUMN route;
