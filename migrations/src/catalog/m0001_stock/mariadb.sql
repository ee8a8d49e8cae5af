CREATE TABLE IF NOT EXISTS stock (
    product_id BIGINT       NOT NULL,
    name       VARCHAR(255) CHARACTER SET utf8mb4 NOT NULL,
    unit_price BIGINT       NOT NULL,
    qty        BIGINT       NOT NULL,
    updated_at DATETIME(3)  NOT NULL,
    PRIMARY KEY (product_id),
    CONSTRAINT stock_is_never_negative CHECK (qty >= 0)
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS stock_ledger (
    reference  VARCHAR(300) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    kind       VARCHAR(8)   CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    product_id BIGINT       NOT NULL,
    delta      BIGINT       NOT NULL,
    status     VARCHAR(16)  CHARACTER SET ascii COLLATE ascii_bin NULL,
    reason     VARCHAR(255) CHARACTER SET utf8mb4 NULL,
    decided_at DATETIME(3)  NOT NULL,
    PRIMARY KEY (reference, kind),
    INDEX stock_ledger_by_product (product_id, decided_at, reference, kind)
) ENGINE = InnoDB;
