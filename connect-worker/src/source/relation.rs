use std::fmt;

use super::offsets::Partition;
use crate::dialect::{Dialect, TableName};

/// What rows come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Relation {
    Table(TableName),
    /// The connector's statement.
    Query(String),
}

impl Relation {
    /// An item of `FROM`, named `src`.
    pub(super) fn source(&self, dialect: &'static dyn Dialect) -> String {
        match self {
            Self::Table(table) => format!("{} src", dialect.quote_table(table)),
            // A comment at the query's end ends with its line.
            Self::Query(query) => format!("({query}\n) src"),
        }
    }

    pub(super) fn partition(&self) -> Partition {
        match self {
            Self::Table(table) => Partition::Table(table.to_string()),
            Self::Query(_) => Partition::Query,
        }
    }

    pub(super) fn topic(&self, prefix: &str) -> String {
        match self {
            Self::Table(table) => format!("{prefix}{}", table.name),
            Self::Query(_) => prefix.to_owned(),
        }
    }

    /// The name of the records' schema.
    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Self::Table(table) => Some(&table.name),
            Self::Query(_) => None,
        }
    }
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Table(table) => write!(f, "table {table}"),
            Self::Query(_) => f.write_str("query"),
        }
    }
}
