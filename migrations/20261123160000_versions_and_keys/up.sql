-- What clients name when they change what they have seen, and what they may repeat.

ALTER TABLE recipes ADD COLUMN version INTEGER NOT NULL DEFAULT 1; -- counts its changes
ALTER TABLE users ADD COLUMN version INTEGER NOT NULL DEFAULT 1;   -- counts the changes of what others see of it

-- Requests under an Idempotency-Key and their answers, kept for a day at least. (Orders need no row: their ids are derived.)
CREATE TABLE idempotency_keys (
    name        BYTEA       NOT NULL PRIMARY KEY, -- SHA-256 of who asked and the key
    fingerprint BYTEA       NOT NULL,             -- SHA-256 of what was asked for
    answer      TEXT        NOT NULL,             -- empty while it is not known, which nobody else sees
    created_at  TIMESTAMPTZ NOT NULL
);
CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);
