-- The oldest schema whose program still works with this one. A migration that an older program can't work with, because it
-- removes or renames something, sets this to its own version. Programs older than this migration don't read it.
INSERT INTO settings (name, value) VALUES ('compatible_since', '20261127060000');
