# Read by the image's entrypoint when the volume is made. Nobody gets more than they use.

docker_process_sql <<SQL
CREATE DATABASE orders CHARACTER SET utf8mb4;
CREATE DATABASE catalog CHARACTER SET utf8mb4;

-- Migrates and reads. What it inserts is which migrations were applied.
CREATE USER orders@'%' IDENTIFIED BY '$ORDERS_DB_PASSWORD';
GRANT SELECT, CREATE, ALTER, INDEX ON orders.* TO orders@'%';
GRANT CREATE, INSERT ON orders.orders_migrations TO orders@'%';

CREATE USER sink@'%' IDENTIFIED BY '$SINK_DB_PASSWORD';
GRANT SELECT, INSERT, UPDATE ON orders.* TO sink@'%';

CREATE USER catalog@'%' IDENTIFIED BY '$CATALOG_DB_PASSWORD';
GRANT SELECT, INSERT, UPDATE, CREATE, ALTER, INDEX ON catalog.* TO catalog@'%';

CREATE USER verify@'%' IDENTIFIED BY '$VERIFY_DB_PASSWORD';
GRANT SELECT ON orders.* TO verify@'%';
GRANT SELECT ON catalog.* TO verify@'%';
SQL
