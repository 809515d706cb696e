-- What recovery, the relay and group commit must know of what they find.

ALTER TABLE orders
    -- 1 when nothing is left to do: Redis has acknowledged the end of every hold, and the money
    -- is where it belongs.
    RENAME COLUMN holds_settled TO settled,
    -- Which run of a saga recorded the order: a record that is repeated after a lost connection
    -- knows its own.
    ADD COLUMN saga_id BINARY(16) NULL,
    -- How often recovery has taken the order up; the next look waits longer each time.
    ADD COLUMN attempts INT UNSIGNED NOT NULL DEFAULT 0,
    -- Why a PARKED order needs a person.
    ADD COLUMN error VARCHAR(255) NULL;

ALTER TABLE outbox
    -- A row that Kafka refuses for good waits here for an operator, with every later row of its
    -- message key, so that nothing overtakes it.
    ADD COLUMN parked_at DATETIME(3) NULL,
    ADD COLUMN error VARCHAR(255) NULL,
    ADD KEY outbox_parked (parked_at, message_key);
