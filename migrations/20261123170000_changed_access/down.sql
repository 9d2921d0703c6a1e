DROP INDEX users_access_changed;
CREATE INDEX users_access_changed ON users (access_changed_at);
