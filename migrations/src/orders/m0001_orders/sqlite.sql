-- Timestamps are text of one width, YYYY-MM-DDTHH:MM:SS.mmm+00:00, so that text order
-- is time order.
CREATE TABLE IF NOT EXISTS orders (
    id              TEXT    NOT NULL PRIMARY KEY,
    user_id         INTEGER NOT NULL,
    product_id      INTEGER NOT NULL,
    qty             INTEGER NOT NULL,
    unit_price      INTEGER NOT NULL,
    total_price     INTEGER NOT NULL,
    created_at      TEXT    NOT NULL,
    idempotency_key TEXT    NULL
);
CREATE INDEX IF NOT EXISTS orders_by_user ON orders (user_id, created_at, id);
CREATE INDEX IF NOT EXISTS orders_by_time ON orders (created_at, id);
CREATE INDEX IF NOT EXISTS orders_by_key ON orders (user_id, idempotency_key);

CREATE TABLE IF NOT EXISTS order_outcomes (
    id         TEXT NOT NULL PRIMARY KEY,
    order_id   TEXT NOT NULL,
    status     TEXT NOT NULL,
    reason     TEXT NULL,
    decided_at TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS order_outcomes_by_order ON order_outcomes (order_id);
