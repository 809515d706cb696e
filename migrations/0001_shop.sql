-- The truth of the shop. Only SQL that MySQL 8+ and MariaDB 10.6+ both take.
-- Identifiers are UUIDv7 in BINARY(16); money is DECIMAL in the order's currency.

CREATE TABLE products (
    sku         VARCHAR(64)   CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    name        VARCHAR(255)  NOT NULL,
    description TEXT          NOT NULL,
    price       DECIMAL(10,2) NOT NULL,
    currency    CHAR(3)       CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    stock       BIGINT        NOT NULL DEFAULT 0,
    version     BIGINT        NOT NULL DEFAULT 1,
    created_at  DATETIME(3)   NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    updated_at  DATETIME(3)   NOT NULL DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3),
    PRIMARY KEY (sku),
    -- The last guard against overselling, below every other one.
    CONSTRAINT products_stock_not_negative CHECK (stock >= 0)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

CREATE TABLE users (
    id            BINARY(16)   NOT NULL,
    email         VARCHAR(254) NOT NULL,
    password_hash VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    roles         VARCHAR(64)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    created_at    DATETIME(3)  NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    PRIMARY KEY (id),
    UNIQUE KEY users_email (email)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- user_id is a user's id or a guest session's owner id, so it references nothing.
CREATE TABLE orders (
    id            BINARY(16)    NOT NULL,
    user_id       BINARY(16)    NOT NULL,
    status        VARCHAR(16)   CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    version       BIGINT        NOT NULL DEFAULT 1,
    total         DECIMAL(14,2) NOT NULL,
    currency      CHAR(3)       CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    reason        VARCHAR(64)   CHARACTER SET ascii COLLATE ascii_bin NULL,
    payment_id    VARCHAR(64)   CHARACTER SET ascii COLLATE ascii_bin NULL,
    -- A saga belongs to whoever holds the lease; after it, to whoever takes it.
    lease_until   DATETIME(3)   NOT NULL,
    -- Becomes 1 when Redis has acknowledged the end of every hold of the order.
    holds_settled TINYINT       NOT NULL DEFAULT 0,
    created_at    DATETIME(3)   NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    updated_at    DATETIME(3)   NOT NULL DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3),
    PRIMARY KEY (id),
    KEY orders_by_user (user_id, id),
    KEY orders_unsettled (holds_settled, lease_until)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

CREATE TABLE order_lines (
    order_id BINARY(16)    NOT NULL,
    sku      VARCHAR(64)   CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    quantity BIGINT        NOT NULL,
    price    DECIMAL(10,2) NOT NULL,
    PRIMARY KEY (order_id, sku),
    KEY order_lines_by_sku (sku)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- The commit point of a saga: whoever inserts first decides, for ever.
CREATE TABLE hold_outcomes (
    order_id   BINARY(16)  NOT NULL,
    outcome    VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    decided_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    PRIMARY KEY (order_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- Every change of products.stock, with what caused it. A row that Redis must be told
-- about (an adjustment) has acknowledged_at NULL until Redis has taken it.
CREATE TABLE inventory_logs (
    id              BIGINT       NOT NULL AUTO_INCREMENT,
    sku             VARCHAR(64)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    delta           BIGINT       NOT NULL,
    stock_after     BIGINT       NOT NULL,
    reason          VARCHAR(32)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    order_id        BINARY(16)   NULL,
    adjustment_id   VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
    acknowledged_at DATETIME(3)  NULL,
    created_at      DATETIME(3)  NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    PRIMARY KEY (id),
    UNIQUE KEY inventory_logs_once (sku, adjustment_id),
    KEY inventory_logs_by_order (order_id),
    KEY inventory_logs_unacknowledged (acknowledged_at, id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- Events wait here, written in the transaction that made them true, until Kafka has them.
CREATE TABLE outbox (
    id          BIGINT      NOT NULL AUTO_INCREMENT,
    event_id    BINARY(16)  NOT NULL,
    event_type  VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    message_key VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    body        LONGTEXT    NOT NULL,
    created_at  DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    PRIMARY KEY (id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

CREATE TABLE idempotency_keys (
    scope           BINARY(16)   NOT NULL,
    idempotency_key VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    request_hash    BINARY(32)   NOT NULL,
    order_id        BINARY(16)   NOT NULL,
    created_at      DATETIME(3)  NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    expires_at      DATETIME(3)  NOT NULL,
    PRIMARY KEY (scope, idempotency_key),
    KEY idempotency_keys_expiry (expires_at)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
