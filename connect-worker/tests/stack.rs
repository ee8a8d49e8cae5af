//! The sink on the databases of `cargo xtask stack up`.

#![allow(clippy::unwrap_used, reason = "this is a test")]

mod common;
mod tasks;

cases!(mariadb, test_database::on_mariadb);
cases!(postgres, test_database::on_postgres);
