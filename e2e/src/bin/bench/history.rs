//! Orders taken long ago, written by the database server itself: the pair would take hours.

use sea_orm::ConnectionTrait;
use shared::database;
use shared::settings::DatabaseSettings;

use crate::rows;

/// 2026-01-01T00:00:00Z, in milliseconds since 1970.
const BEGIN: u64 = 1_767_225_600_000;
const ORDERS_PER_USER: u64 = 100;

const ORDERS: &str = "\
INSERT INTO orders
  SELECT id, user_id, product_id, 1, 100, 100, at, CONCAT('key-', number) FROM history;
INSERT INTO order_outcomes SELECT CONCAT(id, ':reserve'), id, status, reason, at FROM history;
DROP VIEW history;
ANALYZE TABLE orders, order_outcomes";

/// The stock is the sum of the ledger.
const CATALOG: &str = "\
INSERT INTO stock_ledger
  SELECT id, 'reserve', product_id, IF(reason IS NULL, -1, 0), status, reason, at FROM history;
INSERT INTO stock_ledger
  SELECT product_id, 'initial', product_id, 1000000000, NULL, NULL, MIN(decided_at)
  FROM stock_ledger GROUP BY product_id;
INSERT INTO stock
  SELECT product_id, CONCAT('Product ', product_id), 100, SUM(delta), MAX(decided_at)
  FROM stock_ledger IGNORE INDEX (stock_ledger_by_product) GROUP BY product_id;
DROP VIEW history;
ANALYZE TABLE stock, stock_ledger";

/// So many orders, one each millisecond, over so many products. The oldest ten were rejected, which
/// whoever looks for them, newest first, finds last; all others were confirmed.
#[derive(Clone, Copy)]
pub(crate) struct History {
    pub(crate) orders: u64,
    pub(crate) products: u64,
}

impl History {
    /// Into the empty databases of a world.
    pub(crate) async fn write(self) -> anyhow::Result<()> {
        eprintln!("writing {} orders into the databases", self.orders);
        self.write_into("orders", ORDERS).await?;
        self.write_into("catalog", CATALOG).await
    }

    /// The id of one of them, counted from 1: a UUIDv7 of its millisecond.
    pub(crate) fn id(number: u64) -> String {
        let at = BEGIN + number;
        let (high, low) = (at >> 16, at & 0xffff);
        format!("{high:08x}-{low:04x}-7000-8000-{number:012x}")
    }

    /// The cursor of a page behind it.
    pub(crate) fn cursor(number: u64) -> String {
        format!("{}.{}", BEGIN + number, Self::id(number))
    }

    pub(crate) fn users(self) -> u64 {
        self.orders.div_ceil(ORDERS_PER_USER)
    }

    async fn write_into(self, name: &str, statements: &str) -> anyhow::Result<()> {
        let settings = DatabaseSettings::at(&format!("{}/{name}", rows::server()?));
        let database = database::connect(&settings).await?;
        let view = self.view();
        // Into an empty table, and without these checks, InnoDB sorts before it inserts.
        let all =
            format!("SET SESSION unique_checks = 0, foreign_key_checks = 0; {view}; {statements}");
        database.execute_unprepared(&all).await?;
        Ok(database.close().await?)
    }

    fn view(self) -> String {
        let Self { orders, products } = self;
        let users = self.users();
        let hex = |value: &str, digits| format!("LPAD(LOWER(HEX({value})), {digits}, '0')");
        let high = hex(&format!("({BEGIN} + seq) >> 16"), 8);
        let low = hex(&format!("({BEGIN} + seq) & 65535"), 4);
        let number = hex("seq", 12);
        format!(
            "CREATE VIEW history AS SELECT seq AS number, \
             CONCAT_WS('-', {high}, {low}, '7000', '8000', {number}) AS id, \
             seq % {users} + 1 AS user_id, seq % {products} + 1 AS product_id, \
             IF(seq <= 10, 'REJECTED', 'CONFIRMED') AS status, \
             IF(seq <= 10, 'OUT_OF_STOCK', NULL) AS reason, \
             '2026-01-01' + INTERVAL seq * 1000 MICROSECOND AS at \
             FROM seq_1_to_{orders}"
        )
    }
}
