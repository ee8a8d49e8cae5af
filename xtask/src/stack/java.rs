//! Jars by Maven, and the command line of a JVM that runs them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::Context;

use super::process;
use crate::prerequisites;

const POM: &str = include_str!("pom.xml");

#[derive(Clone)]
pub(crate) struct Jars {
    home: PathBuf,
    flags: &'static [&'static str],
}

impl Jars {
    /// `flags` are those of every JVM.
    pub(crate) fn new(home: PathBuf, flags: &'static [&'static str]) -> Self {
        Self { home, flags }
    }

    /// Fetched, all of them, for the versions of today's pom.
    pub(crate) fn are_there(&self) -> bool {
        fs::read_to_string(self.fetched()).is_ok_and(|pom| pom == POM)
    }

    pub(crate) fn fetch(&self) -> anyhow::Result<()> {
        if self.are_there() {
            return Ok(());
        }
        println!("fetching the jars of Kafka, Connect and Debezium by Maven");
        let began = Instant::now();
        if self.home.exists() {
            fs::remove_dir_all(&self.home).context("cannot delete the old jars")?;
        }
        fs::create_dir_all(&self.home)?;
        process::write(&self.home.join("pom.xml"), POM)?;
        process::run(
            Command::new(prerequisites::program("mvn")?)
                .args([
                    "--batch-mode",
                    "--quiet",
                    "-Dstyle.color=never",
                    "generate-resources",
                ])
                .current_dir(&self.home),
            None,
            &self.home.join("maven.log"),
        )?;
        println!("jars fetched in {:.1} s", began.elapsed().as_secs_f32());
        process::write(&self.fetched(), POM)
    }

    pub(crate) fn home(&self) -> &Path {
        &self.home
    }

    /// Where Connect looks for connectors, each in a folder of its own.
    pub(crate) fn plugins(&self) -> PathBuf {
        self.home.join("plugins")
    }

    pub(crate) fn command(&self, class: &str, home: &Path) -> anyhow::Result<Command> {
        let tmp = home.join("tmp");
        fs::create_dir_all(&tmp)?;
        let mut java = Command::new(prerequisites::java()?);
        java.args(self.flags)
            .arg("-Dorg.slf4j.simpleLogger.showDateTime=true")
            .arg("-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSS")
            .arg(format!("-Djava.io.tmpdir={}", tmp.display()))
            .arg("-classpath")
            .arg(self.home.join("libs").join("*"))
            .arg(class)
            .current_dir(home);
        Ok(java)
    }

    fn fetched(&self) -> PathBuf {
        self.home.join("fetched-pom.xml")
    }
}
