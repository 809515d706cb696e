-- What the whole storefront keeps: the catalogue's life, carts, people, the history of orders.

ALTER TABLE products
    -- A retired product is neither listed nor sold; carts and orders that have it still name it.
    ADD COLUMN retired_at DATETIME(3) NULL,
    -- The most units that one buyer may ever have of a drop.
    ADD COLUMN buyer_limit BIGINT NULL;

ALTER TABLE orders
    -- 1 when the order was made of its buyer's cart, which its sale empties.
    ADD COLUMN from_cart TINYINT NOT NULL DEFAULT 0;

-- Each change of orders.status, written in the transaction that makes it and never again. `version`
-- is that of the order after it.
CREATE TABLE order_history (
    order_id BINARY(16)   NOT NULL,
    version  BIGINT       NOT NULL,
    status   VARCHAR(16)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    reason   VARCHAR(64)  CHARACTER SET ascii COLLATE ascii_bin NULL,
    -- shopper, support, operator, provider or system; and which user of the shop, where it is one.
    actor    VARCHAR(16)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    actor_id BINARY(16)   NULL,
    note     VARCHAR(255) NULL,
    at       DATETIME(3)  NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    PRIMARY KEY (order_id, version)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- Of an order that is older than its history, only how it stands is known.
INSERT INTO order_history (order_id, version, status, reason, actor, at)
SELECT id, version, status, reason, 'system', updated_at FROM orders;

-- What is known of sessions while Redis is away, and after it has lost them: begun and ended before
-- it is answered, the time of the last request written behind.
CREATE TABLE sessions (
    id             BINARY(16)  NOT NULL,
    -- SHA-256 of the secret.
    digest         BINARY(32)  NOT NULL,
    -- A user's id, or a guest's own.
    user_id        BINARY(16)  NOT NULL,
    roles          VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    longest_idle_ms BIGINT     NOT NULL,
    idle_until     DATETIME(3) NOT NULL,
    absolute_until DATETIME(3) NOT NULL,
    -- Once it is set, nothing begins the session again.
    ended_at       DATETIME(3) NULL,
    PRIMARY KEY (id),
    KEY sessions_by_user (user_id),
    KEY sessions_idle (idle_until),
    KEY sessions_ended (ended_at)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

ALTER TABLE products
    -- Counts the changes of what the catalogue says of the product, and of nothing else: of two
    -- readings the one with the higher revision is the newer.
    ADD COLUMN revision BIGINT NOT NULL DEFAULT 1,
    ADD FULLTEXT KEY products_words (name, description);

-- Counted up on the primary all the time: which count a replica shows says how far it has come.
CREATE TABLE replica_heartbeat (
    id   TINYINT NOT NULL,
    beat BIGINT  NOT NULL,
    PRIMARY KEY (id)
) ENGINE = InnoDB;
INSERT INTO replica_heartbeat (id, beat) VALUES (1, 0);

ALTER TABLE order_lines
    -- 1 when buyer_purchases counts it: its product had a buyer_limit when it was ordered.
    ADD COLUMN is_counted TINYINT NOT NULL DEFAULT 0;

-- What each buyer has of products with a buyer_limit: added to by the transaction that records an
-- order, given back by the one that calls it off.
CREATE TABLE buyer_purchases (
    sku         VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    user_id     BINARY(16)  NOT NULL,
    quantity    BIGINT      NOT NULL,
    -- The limit under which the last unit was let through; one that is lowered later takes nothing
    -- back.
    buyer_limit BIGINT      NOT NULL,
    PRIMARY KEY (sku, user_id),
    -- The last guard, below every other one.
    CONSTRAINT buyer_purchases_within_limit CHECK (quantity BETWEEN 0 AND buyer_limit)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
