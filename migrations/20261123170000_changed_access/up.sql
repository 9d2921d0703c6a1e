-- Each `serve` asks every second whose role or activity has changed lately. Accounts that never did need no entry: a busy night's
-- registrations would all be read each time.
DROP INDEX users_access_changed;
CREATE INDEX users_access_changed ON users (access_changed_at) WHERE access_changed_at <> created_at;
