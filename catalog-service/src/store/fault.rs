use sea_orm::{DbErr, RuntimeErr, sqlx};
use sqlx::error::DatabaseError;
use sqlx::mysql::MySqlDatabaseError;
use sqlx::postgres::PgDatabaseError;

/// What to do about a database error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A rival was faster (deadlock, lock timeout, duplicate key): the same work again,
    /// from the read.
    Conflict,
    /// The database refuses the values themselves (SQLSTATE 22xxx, 23xxx): repeating
    /// cannot help.
    Data,
    /// Anything else: the infrastructure is broken for now.
    Broken,
}

impl Fault {
    pub fn of(error: &DbErr) -> Self {
        let (DbErr::Conn(RuntimeErr::SqlxError(error))
        | DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error))) = error
        else {
            return Self::Broken;
        };
        match error.as_ref() {
            sqlx::Error::Database(error) => Self::of_database(error.as_ref()),
            _ => Self::Broken,
        }
    }

    fn of_database(error: &dyn DatabaseError) -> Self {
        let code = error.code().unwrap_or_default();
        if let Some(error) = error.try_downcast_ref::<MySqlDatabaseError>() {
            Self::of_mysql(error.number(), &code)
        } else if error.try_downcast_ref::<PgDatabaseError>().is_some() {
            Self::of_postgres(&code)
        } else {
            Self::of_sqlite(code.parse().unwrap_or(0))
        }
    }

    fn of_mysql(number: u16, state: &str) -> Self {
        match number {
            // Snapshot changed, duplicate key, lock wait timeout, deadlock.
            1020 | 1062 | 1205 | 1213 => Self::Conflict,
            // MySQL gives its CHECK violation no state of class 23.
            3819 => Self::Data,
            _ => Self::of_class(state),
        }
    }

    fn of_postgres(state: &str) -> Self {
        match state {
            // Unique violation, serialization failure, deadlock, lock not available.
            "23505" | "40001" | "40P01" | "55P03" => Self::Conflict,
            _ => Self::of_class(state),
        }
    }

    /// SQLite has result codes in place of SQLSTATE; the low byte is the primary code.
    fn of_sqlite(code: u32) -> Self {
        const CONSTRAINT_PRIMARYKEY: u32 = 1555;
        const CONSTRAINT_UNIQUE: u32 = 2067;
        match (code, code & 0xff) {
            // Busy, locked.
            (CONSTRAINT_PRIMARYKEY | CONSTRAINT_UNIQUE, _) | (_, 5 | 6) => Self::Conflict,
            // Too big, constraint, mismatch.
            (_, 18..=20) => Self::Data,
            _ => Self::Broken,
        }
    }

    fn of_class(state: &str) -> Self {
        match state.get(..2) {
            Some("22" | "23") => Self::Data,
            _ => Self::Broken,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rival_bad_values_and_broken_infrastructure_are_told_apart() {
        assert_eq!(Fault::of_mysql(1213, "40001"), Fault::Conflict);
        assert_eq!(Fault::of_mysql(1062, "23000"), Fault::Conflict);
        assert_eq!(Fault::of_mysql(4025, "23000"), Fault::Data);
        assert_eq!(Fault::of_mysql(1406, "22001"), Fault::Data);
        assert_eq!(Fault::of_mysql(1927, "70100"), Fault::Broken);
        assert_eq!(Fault::of_postgres("40P01"), Fault::Conflict);
        assert_eq!(Fault::of_postgres("23505"), Fault::Conflict);
        assert_eq!(Fault::of_postgres("23514"), Fault::Data);
        assert_eq!(Fault::of_postgres("22001"), Fault::Data);
        assert_eq!(Fault::of_postgres("57P01"), Fault::Broken);
        assert_eq!(Fault::of_sqlite(517), Fault::Conflict);
        assert_eq!(Fault::of_sqlite(1555), Fault::Conflict);
        assert_eq!(Fault::of_sqlite(275), Fault::Data);
        assert_eq!(Fault::of_sqlite(13), Fault::Broken);
        assert_eq!(Fault::of(&DbErr::RecordNotInserted), Fault::Broken);
    }
}
