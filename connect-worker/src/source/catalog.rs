//! What the database says of its tables.

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr, QueryResult, Statement};

use super::column::{Column, Kind};
use crate::config::{NumericMapping, TableKinds};
use crate::dialect::TableName;

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

const MYSQL: &str = "SELECT CAST(column_name AS CHAR) AS name, CAST(data_type AS CHAR) AS type, \
     CAST(column_type AS CHAR) AS full_type, CAST(is_nullable AS CHAR) AS nullable, \
     CAST(extra AS CHAR) AS extra, CAST(COALESCE(numeric_precision, datetime_precision) AS CHAR) AS digits, \
     CAST(numeric_scale AS CHAR) AS scale FROM information_schema.columns \
     WHERE table_schema = ? AND table_name = ? ORDER BY ordinal_position";

/// A domain is what it is made of.
const POSTGRES: &str = "SELECT a.attname::text AS name, b.typname::text AS type, b.typtype::text AS full_type, \
     CASE WHEN a.attnotnull OR t.typnotnull THEN 'NO' ELSE 'YES' END AS nullable, \
     CASE WHEN a.attidentity <> '' OR pg_get_expr(d.adbin, d.adrelid) LIKE 'nextval(%' \
     THEN 'auto_increment' ELSE '' END AS extra, NULL::text AS digits, \
     CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END::text AS scale \
     FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid \
     JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_type t ON t.oid = a.atttypid \
     JOIN pg_type b ON b.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END \
     LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
     WHERE n.nspname = $1 AND c.relname = $2 AND a.attnum > 0 AND NOT a.attisdropped \
     ORDER BY a.attnum";

const SQLITE: &str = "SELECT name, type, type AS full_type, \
     CASE WHEN \"notnull\" OR pk THEN 'NO' ELSE 'YES' END AS nullable, \
     CASE WHEN pk AND upper(type) = 'INTEGER' THEN 'auto_increment' ELSE '' END AS extra, \
     NULL AS digits, NULL AS scale FROM pragma_table_info(?)";

/// The columns that have a place in a record; the others are warned about, as Confluent's
/// source does. None: there is no such table.
pub(super) async fn columns(
    db: &DatabaseConnection,
    table: &TableName,
    numeric: NumericMapping,
) -> Result<Vec<Column>, DbErr> {
    let backend = db.get_database_backend();
    let name = table.name.clone().into();
    let schema = table.schema.clone().into();
    let statement = match backend {
        DbBackend::Postgres => Statement::from_sql_and_values(backend, POSTGRES, [schema, name]),
        DbBackend::Sqlite => Statement::from_sql_and_values(backend, SQLITE, [name]),
        _ => Statement::from_sql_and_values(backend, MYSQL, [schema, name]),
    };
    let mut columns = Vec::new();
    for row in db.query_all_raw(statement).await? {
        let declared = Declared::read(&row)?;
        let kind = match backend {
            DbBackend::Postgres => declared.postgres(numeric),
            DbBackend::Sqlite => declared.sqlite(numeric),
            _ => declared.mysql(numeric),
        };
        let Some(kind) = kind else {
            let (column, kind) = (&declared.name, &declared.kind);
            tracing::warn!(%table, column, kind, "columns of this type are left out");
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

/// A column as the database declares it.
struct Declared {
    name: String,
    /// Lower case, without length.
    kind: String,
    full: String,
    nullable: bool,
    counted: bool,
    digits: Option<i32>,
    scale: Option<i32>,
}

impl Declared {
    fn read(row: &QueryResult) -> Result<Self, DbErr> {
        let text = |column: &str| row.try_get::<Option<String>>("", column);
        let number = |column: &str| -> Result<Option<i32>, DbErr> {
            Ok(text(column)?.and_then(|text| text.parse().ok()))
        };
        let full = text("full_type")?.unwrap_or_default().to_lowercase();
        let kind = text("type")?.unwrap_or_default().to_lowercase();
        let kind = kind.split('(').next().unwrap_or_default().trim();
        Ok(Self {
            name: text("name")?.unwrap_or_default(),
            kind: kind.to_owned(),
            nullable: text("nullable")?.as_deref() == Some("YES"),
            counted: text("extra")?.is_some_and(|extra| extra.contains("auto_increment")),
            digits: number("digits")?,
            scale: number("scale")?,
            full,
        })
    }

    fn mysql(&self, numeric: NumericMapping) -> Option<Kind> {
        let unsigned = self.full.contains("unsigned");
        let digits = u32::try_from(self.digits.unwrap_or(0)).unwrap_or(0);
        Some(match self.kind.as_str() {
            "tinyint" if unsigned => Kind::Int16,
            "tinyint" => Kind::Int8,
            "smallint" if !unsigned => Kind::Int16,
            "smallint" => Kind::Int32,
            "mediumint" | "int" if !unsigned => Kind::Int32,
            "mediumint" | "int" | "bigint" => Kind::Int64,
            "float" => Kind::Float32,
            "double" => Kind::Float64,
            "decimal" => number(numeric, self.digits, self.scale.unwrap_or(0)),
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

    /// `scale` is the type modifier.
    fn postgres(&self, numeric: NumericMapping) -> Option<Kind> {
        let modifier = self.scale.unwrap_or(-1);
        let digits = u32::try_from(modifier).unwrap_or(6);
        Some(match self.kind.as_str() {
            _ if self.full == "e" => Kind::Text,
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
            "bpchar" | "varchar" | "text" | "name" | "char" | "uuid" | "json" | "jsonb" | "xml"
            | "citext" => Kind::Text,
            "bytea" => Kind::Bytes,
            "date" => Kind::Date,
            "time" => Kind::Time,
            "timestamp" => Kind::Timestamp(digits),
            "timestamptz" => Kind::Instant(digits),
            _ => return None,
        })
    }

    fn sqlite(&self, numeric: NumericMapping) -> Option<Kind> {
        let arguments = self.full.split_once('(').map_or("", |(_, rest)| rest);
        let mut arguments = arguments.trim_end_matches(')').split(',');
        let mut argument = || arguments.next().and_then(|text| text.trim().parse().ok());
        Some(match self.kind.as_str() {
            "boolean" | "bool" => Kind::Bool,
            "tinyint" => Kind::Int8,
            "smallint" | "int2" => Kind::Int16,
            kind if kind.contains("int") => Kind::Int64,
            "float" | "real" | "double" | "double precision" => Kind::Float64,
            "decimal" | "numeric" => {
                let digits = argument();
                number(numeric, digits, argument().unwrap_or(0))
            }
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
