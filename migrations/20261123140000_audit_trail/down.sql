DROP INDEX moves_of_actor;
DROP INDEX moves_newest;
ALTER TABLE order_moves DROP COLUMN request_id;
DROP TABLE audit_entries;
