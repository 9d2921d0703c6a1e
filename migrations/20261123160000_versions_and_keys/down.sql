DROP TABLE idempotency_keys;
ALTER TABLE users DROP COLUMN version;
ALTER TABLE recipes DROP COLUMN version;
