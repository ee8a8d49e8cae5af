-- Timestamps are text of one width, YYYY-MM-DDTHH:MM:SS.mmm+00:00, so that text order
-- is time order.
CREATE TABLE IF NOT EXISTS stock (
    product_id INTEGER NOT NULL PRIMARY KEY,
    name       TEXT    NOT NULL,
    unit_price INTEGER NOT NULL,
    qty        INTEGER NOT NULL CONSTRAINT stock_is_never_negative CHECK (qty >= 0),
    updated_at TEXT    NOT NULL
);

CREATE TABLE IF NOT EXISTS stock_ledger (
    reference  TEXT    NOT NULL,
    kind       TEXT    NOT NULL,
    product_id INTEGER NOT NULL,
    delta      INTEGER NOT NULL,
    status     TEXT    NULL,
    reason     TEXT    NULL,
    decided_at TEXT    NOT NULL,
    PRIMARY KEY (reference, kind)
);
CREATE INDEX IF NOT EXISTS stock_ledger_by_product
    ON stock_ledger (product_id, decided_at, reference, kind);
