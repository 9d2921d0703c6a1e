DROP INDEX dead_letters_open;
ALTER TABLE dead_letters DROP COLUMN resolved_by;
ALTER TABLE dead_letters DROP COLUMN resolved_at;
ALTER TABLE dead_letters DROP COLUMN resolution;
ALTER TABLE dead_letters DROP COLUMN first_failed_at;
ALTER TABLE dead_letters DROP COLUMN attempts;
