-- What an account is signed in with, and how often signing in failed lately.

CREATE TABLE sessions (
    id            UUID        NOT NULL PRIMARY KEY, -- in each of its access tokens
    user_id       UUID        NOT NULL REFERENCES users (id),
    token_hash    BYTEA       NOT NULL, -- SHA-256 of its refresh token's secret
    previous_hash BYTEA,                -- of the one before
    seed          BYTEA,                -- what made the present one of the one before
    created_at    TIMESTAMPTZ NOT NULL,
    rotated_at    TIMESTAMPTZ NOT NULL, -- when the present refresh token was given out
    expires_at    TIMESTAMPTZ NOT NULL, -- when it counts no more
    tokens_until  TIMESTAMPTZ NOT NULL, -- when the last of its access tokens expires
    ended_at      TIMESTAMPTZ           -- null: it was not ended before its time
);
CREATE INDEX sessions_of_user ON sessions (user_id, rotated_at);
CREATE INDEX sessions_expired ON sessions (expires_at);
-- What every process holds in memory, and reads again each second.
CREATE INDEX sessions_ended ON sessions (tokens_until) WHERE ended_at IS NOT NULL;

CREATE TABLE login_attempts (
    name         BYTEA       NOT NULL PRIMARY KEY, -- HMAC of an account, of a client's address, or of both
    failures     INTEGER     NOT NULL,             -- not yet forgiven at failed_at
    failed_at    TIMESTAMPTZ NOT NULL,             -- the last one; an attempt counts as failed until it has succeeded
    succeeded_at TIMESTAMPTZ,                      -- of an account at an address: when it last signed in there
    forget_at    TIMESTAMPTZ NOT NULL              -- when the row means nothing any more
);
CREATE INDEX login_attempts_forgotten ON login_attempts (forget_at);
