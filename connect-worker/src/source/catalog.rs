//! What the database says of its tables.

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, QueryResult,
    Statement, TransactionTrait,
};

use super::column::{Column, Kind};
use super::relation::Relation;
use crate::config::{NumericMapping, TableKinds};
use crate::dialect::{self, TableName};

/// The tables of the connection's database, and schema where there are several.
pub(super) async fn tables(
    db: &DatabaseConnection,
    kinds: TableKinds,
) -> Result<Vec<TableName>, DbErr> {
    let backend = db.get_database_backend();
    let sql = match backend {
        DbBackend::Postgres => {
            "SELECT table_schema::text AS s, table_name::text AS t, table_type::text AS k \
             FROM information_schema.tables \
             WHERE table_schema NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2"
        }
        DbBackend::Sqlite => {
            "SELECT NULL AS s, name AS t, type AS k FROM sqlite_master \
             WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%' ORDER BY 2"
        }
        _ => {
            "SELECT CAST(table_schema AS CHAR) AS s, CAST(table_name AS CHAR) AS t, \
             CAST(table_type AS CHAR) AS k FROM information_schema.tables \
             WHERE table_schema = DATABASE() ORDER BY 2"
        }
    };
    let rows = db.query_all_raw(Statement::from_string(backend, sql));
    let mut tables = Vec::new();
    for row in rows.await? {
        let kind: String = row.try_get("", "k")?;
        let is_view = kind.eq_ignore_ascii_case("view");
        if (is_view && kinds.views) || (!is_view && kinds.tables) {
            tables.push(TableName {
                schema: row.try_get("", "s")?,
                name: row.try_get("", "t")?,
            });
        }
    }
    Ok(tables)
}

const MYSQL: &str = "SELECT CAST(column_name AS CHAR), CAST(column_type AS CHAR), \
     CAST(is_nullable AS CHAR), CAST(extra AS CHAR) FROM information_schema.columns \
     WHERE table_schema = ? AND table_name = ? ORDER BY ordinal_position";

/// A domain is what it is made of. In place of arguments a type has its modifier, and an
/// enum is one.
const POSTGRES: &str = "SELECT a.attname::text, \
     CASE WHEN b.typtype = 'e' THEN 'enum' ELSE b.typname::text END || \
     '(' || CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END || ')', \
     CASE WHEN a.attnotnull OR t.typnotnull THEN 'NO' ELSE 'YES' END, \
     CASE WHEN a.attidentity <> '' OR pg_get_expr(d.adbin, d.adrelid) LIKE 'nextval(%' \
     THEN 'auto_increment' ELSE '' END \
     FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid \
     JOIN pg_type b ON b.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END \
     LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
     WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped \
     ORDER BY a.attnum";

const SQLITE: &str = "SELECT name, type, \
     CASE WHEN \"notnull\" OR pk THEN 'NO' ELSE 'YES' END, \
     CASE WHEN pk AND upper(type) = 'INTEGER' THEN 'auto_increment' ELSE '' END \
     FROM pragma_table_info(?)";

/// What a query is described by. Sessions have it for themselves.
const TEMPORARY: &str = "connect_worker_query";

/// The columns that have a place in a record; the others are warned about, as Confluent's
/// source does. None: there is no such table.
pub(super) async fn columns(
    db: &DatabaseConnection,
    relation: &Relation,
    numeric: NumericMapping,
) -> Result<Vec<Column>, DbErr> {
    let backend = db.get_database_backend();
    let described = match relation {
        Relation::Table(table) => describe(db, table).await?,
        Relation::Query(_) => describe_query(db, relation).await?,
    };
    let mut columns = Vec::new();
    for declared in described {
        let kind = match backend {
            DbBackend::Postgres => declared.postgres(numeric),
            DbBackend::Sqlite => declared.sqlite(numeric),
            _ => declared.mysql(numeric),
        };
        let Some(kind) = kind else {
            let (column, kind) = (&declared.name, &declared.kind);
            tracing::warn!(%relation, column, kind, "columns of this type are left out");
            continue;
        };
        columns.push(Column {
            optional: declared.nullable,
            counted: declared.counted,
            name: declared.name,
            kind,
        });
    }
    Ok(columns)
}

async fn describe(db: &impl ConnectionTrait, table: &TableName) -> Result<Vec<Declared>, DbErr> {
    let backend = db.get_database_backend();
    let name = table.name.clone().into();
    let schema = table.schema.clone().into();
    let statement = match backend {
        DbBackend::Postgres => {
            let quoted = dialect::for_backend(backend).quote_table(table);
            Statement::from_sql_and_values(backend, POSTGRES, [quoted.into()])
        }
        DbBackend::Sqlite => Statement::from_sql_and_values(backend, SQLITE, [name]),
        _ => Statement::from_sql_and_values(backend, MYSQL, [schema, name]),
    };
    let rows = db.query_all_raw(statement).await?;
    rows.iter()
        .map(|row| Declared::read(row, row.try_get_by_index(3)?))
        .collect()
}

/// No database tells the types of a query's columns without running it, but of what is made
/// of a query all do. Nothing of that stays.
async fn describe_query(db: &DatabaseConnection, query: &Relation) -> Result<Vec<Declared>, DbErr> {
    let session = db.begin().await?;
    let backend = session.get_database_backend();
    let source = query.source(dialect::for_backend(backend));
    if backend == DbBackend::MySql {
        return describe_on_mysql(session, &source).await;
    }
    let create = format!("CREATE TEMPORARY VIEW {TEMPORARY} AS SELECT * FROM {source}");
    session
        .execute_raw(Statement::from_string(backend, create))
        .await?;
    let view = TableName {
        schema: (backend == DbBackend::Postgres).then(|| "pg_temp".to_owned()),
        name: TEMPORARY.to_owned(),
    };
    let mut described = describe(&session, &view).await?;
    if backend == DbBackend::Sqlite {
        for column in &mut described {
            type_by_value(&session, &source, column).await?;
        }
    }
    session.rollback().await?;
    Ok(described)
}

/// SQLite has types for columns, but for expressions only those of their values.
async fn type_by_value(
    session: &DatabaseTransaction,
    source: &str,
    column: &mut Declared,
) -> Result<(), DbErr> {
    if !matches!(column.kind.as_str(), "" | "num" | "blob") {
        return Ok(());
    }
    let backend = DbBackend::Sqlite;
    let name = dialect::for_backend(backend).quote(&column.name);
    let sql = format!("SELECT typeof({name}) FROM {source} WHERE {name} IS NOT NULL LIMIT 1");
    let row = session.query_one_raw(Statement::from_string(backend, sql));
    column.kind = match row.await? {
        Some(row) => row.try_get_by_index(0)?,
        None => "text".to_owned(),
    };
    Ok(())
}

/// MariaDB has no temporary views, and its catalog no temporary tables.
async fn describe_on_mysql(
    session: DatabaseTransaction,
    source: &str,
) -> Result<Vec<Declared>, DbErr> {
    let statement = |sql| Statement::from_string(DbBackend::MySql, sql);
    let drop = format!("DROP TEMPORARY TABLE IF EXISTS {TEMPORARY}");
    session.execute_raw(statement(drop.clone())).await?;
    let create = format!("CREATE TEMPORARY TABLE {TEMPORARY} AS SELECT * FROM {source} LIMIT 0");
    session.execute_raw(statement(create)).await?;
    let show = format!("SHOW COLUMNS FROM {TEMPORARY}");
    let rows = session.query_all_raw(statement(show)).await?;
    session.execute_raw(statement(drop)).await?;
    session.rollback().await?;
    rows.iter()
        .map(|row| Declared::read(row, String::new()))
        .collect()
}

/// A column as the database declares it.
struct Declared {
    name: String,
    /// Lower case, without arguments.
    kind: String,
    /// In parentheses after the type: digits and scale, where they are numbers.
    arguments: [Option<i32>; 2],
    unsigned: bool,
    nullable: bool,
    counted: bool,
}

impl Declared {
    /// From a row of name, type, and whether it may be null.
    fn read(row: &QueryResult, extra: String) -> Result<Self, DbErr> {
        let full: String = row.try_get_by_index(1)?;
        let full = full.to_lowercase();
        let (kind, rest) = full.split_once('(').unwrap_or((&full, ""));
        let (arguments, _) = rest.split_once(')').unwrap_or_default();
        let mut arguments = arguments.split(',').map(|text| text.trim().parse().ok());
        let nullable: String = row.try_get_by_index(2)?;
        Ok(Self {
            name: row.try_get_by_index(0)?,
            kind: kind.trim_end_matches(" unsigned").trim().to_owned(),
            arguments: [arguments.next().flatten(), arguments.next().flatten()],
            unsigned: full.contains(" unsigned"),
            nullable: nullable == "YES",
            counted: extra.contains("auto_increment"),
        })
    }

    fn number(&self, mapping: NumericMapping) -> Kind {
        let [digits, scale] = self.arguments;
        number(mapping, digits, scale.unwrap_or(0))
    }

    fn mysql(&self, numeric: NumericMapping) -> Option<Kind> {
        let unsigned = self.unsigned;
        let digits = u32::try_from(self.arguments[0].unwrap_or(0)).unwrap_or(0);
        Some(match self.kind.as_str() {
            "tinyint" if unsigned => Kind::Int16,
            "tinyint" => Kind::Int8,
            "smallint" if !unsigned => Kind::Int16,
            "smallint" => Kind::Int32,
            "mediumint" | "int" if !unsigned => Kind::Int32,
            "mediumint" | "int" | "bigint" => Kind::Int64,
            "float" => Kind::Float32,
            "double" => Kind::Float64,
            "decimal" => self.number(numeric),
            "bit" if digits <= 1 => Kind::Int8,
            "bit" => Kind::Bits(usize::try_from(digits.div_ceil(8)).unwrap_or(8)),
            "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" | "enum"
            | "set" | "json" | "uuid" | "inet4" | "inet6" => Kind::Text,
            "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob"
            | "geometry" | "point" | "linestring" | "polygon" => Kind::Bytes,
            "date" => Kind::Date,
            "year" => Kind::Year,
            "time" => Kind::Time,
            "datetime" => Kind::Timestamp(digits),
            "timestamp" => Kind::Instant(digits),
            _ => return None,
        })
    }

    fn postgres(&self, numeric: NumericMapping) -> Option<Kind> {
        let modifier = self.arguments[0].unwrap_or(-1);
        let digits = u32::try_from(modifier).unwrap_or(6);
        Some(match self.kind.as_str() {
            "bool" => Kind::Bool,
            "int2" => Kind::Int16,
            "int4" => Kind::Int32,
            "int8" | "oid" => Kind::Int64,
            "float4" => Kind::Float32,
            "float8" => Kind::Float64,
            "numeric" if modifier >= 4 => {
                let packed = modifier - 4;
                number(numeric, Some(packed >> 16 & 0xffff), packed & 0x7ff)
            }
            "numeric" => number(numeric, None, 0),
            "bit" if modifier <= 1 => Kind::Bool,
            "bpchar" => Kind::Padded,
            "varchar" | "text" | "name" | "char" | "uuid" | "json" | "jsonb" | "xml" | "citext"
            | "enum" => Kind::Text,
            "bytea" => Kind::Bytes,
            "date" => Kind::Date,
            "time" => Kind::Time,
            "timestamp" => Kind::Timestamp(digits),
            "timestamptz" => Kind::Instant(digits),
            _ => return None,
        })
    }

    fn sqlite(&self, numeric: NumericMapping) -> Option<Kind> {
        Some(match self.kind.as_str() {
            "boolean" | "bool" => Kind::Bool,
            "tinyint" => Kind::Int8,
            "smallint" | "int2" => Kind::Int16,
            kind if kind.contains("int") => Kind::Int64,
            "float" | "real" | "double" | "double precision" => Kind::Float64,
            "decimal" | "numeric" => self.number(numeric),
            "blob" | "" => Kind::Bytes,
            "date" => Kind::Date,
            "time" => Kind::Time,
            "datetime" | "timestamp" => Kind::Timestamp(3),
            _ => Kind::Text,
        })
    }
}

/// `numeric.mapping`, as Confluent documents it.
fn number(mapping: NumericMapping, digits: Option<i32>, scale: i32) -> Kind {
    let digits = digits.unwrap_or(i32::MAX);
    let fits = digits <= 18;
    match mapping {
        NumericMapping::None => Kind::Decimal(scale),
        _ if fits && scale == 0 => match digits {
            ..=2 => Kind::Int8,
            3..=4 => Kind::Int16,
            5..=9 => Kind::Int32,
            _ => Kind::Int64,
        },
        NumericMapping::BestFit if fits => Kind::Float64,
        NumericMapping::BestFitEagerDouble if scale > 0 => Kind::Float64,
        _ => Kind::Decimal(scale),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_mapped_as_the_key_says() {
        use NumericMapping::{BestFit, BestFitEagerDouble, None, PrecisionOnly};
        for (mapping, digits, scale, kind) in [
            (None, Some(4), 0, Kind::Decimal(0)),
            (PrecisionOnly, Some(2), 0, Kind::Int8),
            (PrecisionOnly, Some(4), 0, Kind::Int16),
            (PrecisionOnly, Some(9), 0, Kind::Int32),
            (PrecisionOnly, Some(18), 0, Kind::Int64),
            (PrecisionOnly, Some(19), 0, Kind::Decimal(0)),
            (PrecisionOnly, Some(5), 2, Kind::Decimal(2)),
            (BestFit, Some(5), 2, Kind::Float64),
            (BestFit, Some(20), 2, Kind::Decimal(2)),
            (BestFit, Option::None, 0, Kind::Decimal(0)),
            (BestFitEagerDouble, Some(20), 2, Kind::Float64),
        ] {
            assert_eq!(
                number(mapping, digits, scale),
                kind,
                "{mapping:?} {digits:?} {scale}"
            );
        }
    }
}
