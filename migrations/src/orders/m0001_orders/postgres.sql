CREATE TABLE IF NOT EXISTS orders (
    id              VARCHAR(36)  COLLATE "C" NOT NULL PRIMARY KEY,
    user_id         BIGINT       NOT NULL,
    product_id      BIGINT       NOT NULL,
    qty             INTEGER      NOT NULL,
    unit_price      BIGINT       NOT NULL,
    total_price     BIGINT       NOT NULL,
    created_at      TIMESTAMP(3) NOT NULL,
    idempotency_key VARCHAR(255) COLLATE "C" NULL
);
CREATE INDEX IF NOT EXISTS orders_by_user ON orders (user_id, created_at, id);
CREATE INDEX IF NOT EXISTS orders_by_time ON orders (created_at, id);
CREATE INDEX IF NOT EXISTS orders_by_key ON orders (user_id, idempotency_key);

CREATE TABLE IF NOT EXISTS order_outcomes (
    id         VARCHAR(64)  COLLATE "C" NOT NULL PRIMARY KEY,
    order_id   VARCHAR(36)  COLLATE "C" NOT NULL,
    status     VARCHAR(16)  COLLATE "C" NOT NULL,
    reason     VARCHAR(32)  COLLATE "C" NULL,
    decided_at TIMESTAMP(3) NOT NULL
);
CREATE INDEX IF NOT EXISTS order_outcomes_by_order ON order_outcomes (order_id);
