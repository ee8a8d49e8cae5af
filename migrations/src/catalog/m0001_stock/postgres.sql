CREATE TABLE IF NOT EXISTS stock (
    product_id BIGINT       NOT NULL PRIMARY KEY,
    name       VARCHAR(255) NOT NULL,
    unit_price BIGINT       NOT NULL,
    qty        BIGINT       NOT NULL CONSTRAINT stock_is_never_negative CHECK (qty >= 0),
    updated_at TIMESTAMP(3) NOT NULL
);

CREATE TABLE IF NOT EXISTS stock_ledger (
    reference  VARCHAR(300) COLLATE "C" NOT NULL,
    kind       VARCHAR(8)   COLLATE "C" NOT NULL,
    product_id BIGINT       NOT NULL,
    delta      BIGINT       NOT NULL,
    status     VARCHAR(16)  COLLATE "C" NULL,
    reason     VARCHAR(255) NULL,
    decided_at TIMESTAMP(3) NOT NULL,
    PRIMARY KEY (reference, kind)
);
CREATE INDEX IF NOT EXISTS stock_ledger_by_product
    ON stock_ledger (product_id, decided_at, reference, kind);
