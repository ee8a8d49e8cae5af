CREATE TABLE IF NOT EXISTS orders (
    id              VARCHAR(36)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    user_id         BIGINT       NOT NULL,
    product_id      BIGINT       NOT NULL,
    qty             INT          NOT NULL,
    unit_price      BIGINT       NOT NULL,
    total_price     BIGINT       NOT NULL,
    created_at      DATETIME(3)  NOT NULL,
    idempotency_key VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NULL,
    PRIMARY KEY (id),
    INDEX orders_by_user (user_id, created_at, id),
    INDEX orders_by_time (created_at, id),
    INDEX orders_by_key (user_id, idempotency_key)
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS order_outcomes (
    id         VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    order_id   VARCHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    status     VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    reason     VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NULL,
    decided_at DATETIME(3) NOT NULL,
    PRIMARY KEY (id),
    INDEX order_outcomes_by_order (order_id)
) ENGINE = InnoDB;
