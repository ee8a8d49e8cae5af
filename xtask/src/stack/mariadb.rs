use std::path::{Path, PathBuf};
use std::process::Command;

use super::certificate::Certificate;
use super::process::{self, Component};
use crate::prerequisites::{self, is_root};

/// Run at every start, before the port opens; safe to repeat.
const USERS: &str = "\
CREATE DATABASE IF NOT EXISTS orders CHARACTER SET utf8mb4;
CREATE DATABASE IF NOT EXISTS catalog CHARACTER SET utf8mb4;
CREATE USER IF NOT EXISTS orders@'%' IDENTIFIED BY 'orders';
CREATE USER IF NOT EXISTS catalog@'%' IDENTIFIED BY 'catalog';
CREATE USER IF NOT EXISTS test@'%' IDENTIFIED BY 'test';
GRANT ALL PRIVILEGES ON orders.* TO orders@'%';
GRANT ALL PRIVILEGES ON catalog.* TO catalog@'%';
GRANT ALL PRIVILEGES ON *.* TO test@'%' WITH GRANT OPTION;
";

/// As the user `test`, who may create databases.
pub(crate) fn url(port: u16) -> String {
    format!("mysql://test:test@127.0.0.1:{port}")
}

pub(crate) fn jdbc_url(port: u16, database: &str) -> String {
    format!("jdbc:mariadb://127.0.0.1:{port}/{database}")
}

pub(crate) struct MariaDb {
    home: PathBuf,
    port: u16,
    certificate: Certificate,
}

impl MariaDb {
    pub(crate) fn new(stack: &Path, port: u16) -> Self {
        Self {
            home: stack.join("mariadb"),
            port,
            certificate: Certificate::new(stack),
        }
    }

    fn users(&self) -> PathBuf {
        self.home.join("users.sql")
    }

    fn data_argument(&self) -> String {
        format!("--datadir={}", self.data().display())
    }

    fn program(&self, name: &str) -> anyhow::Result<Command> {
        let mut program = Command::new(prerequisites::program(name)?);
        // `--no-defaults` counts only as the first argument.
        program.args(["--no-defaults", &self.data_argument()]);
        if is_root() {
            program.arg("--user=root");
        }
        Ok(program)
    }
}

impl Component for MariaDb {
    fn name(&self) -> &str {
        "mariadb"
    }

    fn home(&self) -> &Path {
        &self.home
    }

    fn ports(&self) -> Vec<u16> {
        vec![self.port]
    }

    fn mark(&self) -> (&'static str, PathBuf) {
        ("mariadbd", self.data_argument().into())
    }

    fn initialise(&self) -> anyhow::Result<()> {
        process::write(&self.users(), USERS)?;
        // Without the test database it makes no anonymous user either, who would hide ours.
        let mut install = self.program("mariadb-install-db")?;
        install.args(["--skip-test-db", "--skip-name-resolve"]);
        process::run(&mut install, None, &self.log())
    }

    fn command(&self) -> anyhow::Result<Command> {
        let mut server = self.program("mariadbd")?;
        server
            .arg(format!("--port={}", self.port))
            .arg(format!("--init-file={}", self.users().display()))
            .arg(format!("--ssl-cert={}", self.certificate.path().display()))
            .arg(format!("--ssl-key={}", self.certificate.key().display()))
            // Relative to the data folder: an absolute path may exceed a socket's 107 bytes.
            .args([
                "--socket=mariadb.sock",
                "--bind-address=127.0.0.1",
                "--skip-name-resolve",
            ])
            .args(["--character-set-server=utf8mb4", "--max-connections=500"]);
        Ok(server)
    }

    fn answers(&self) -> bool {
        let Ok(client) = prerequisites::program("mariadb") else {
            return false;
        };
        process::connect(self.port).is_ok()
            && process::succeeds(
                Command::new(client)
                    .args(["--no-defaults", "--skip-ssl", "--protocol=tcp"])
                    .args(["--host=127.0.0.1", &format!("--port={}", self.port)])
                    .arg(format!(
                        "--connect-timeout={}",
                        process::PROBE_LIMIT.as_secs()
                    ))
                    .args([
                        "--user=test",
                        "--password=test",
                        "--execute=SELECT 1",
                        "orders",
                    ]),
            )
    }

    fn endpoints(&self) -> Vec<String> {
        let port = self.port;
        vec![
            format!("mysql://orders:orders@127.0.0.1:{port}/orders"),
            format!("mysql://catalog:catalog@127.0.0.1:{port}/catalog"),
            format!("{} (all privileges)", url(port)),
        ]
    }
}
