-- What was tried with a dead letter, and what somebody decided about it.

ALTER TABLE dead_letters ADD COLUMN attempts INTEGER NOT NULL DEFAULT 1; -- how often storing it failed
ALTER TABLE dead_letters ADD COLUMN first_failed_at TIMESTAMPTZ;         -- null: when it was created
ALTER TABLE dead_letters ADD COLUMN resolution TEXT                      -- null: it waits for a decision
    CHECK (resolution IN ('replayed', 'discarded'));
ALTER TABLE dead_letters ADD COLUMN resolved_at TIMESTAMPTZ;
ALTER TABLE dead_letters ADD COLUMN resolved_by UUID;                    -- an account; null: an operator at the command line

CREATE INDEX dead_letters_open ON dead_letters (created_at DESC, id DESC) WHERE resolution IS NULL;
