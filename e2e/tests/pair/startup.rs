use std::net::TcpListener;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use e2e::{NOWHERE, World, binary, run_to_end};
use libtest_mimic::Trial;

use crate::session::{Session, tests, tests_without_world};

pub(crate) fn trials(session: &Arc<Session>) -> Vec<Trial> {
    tests_without_world![session;
        an_unknown_setting_stops_the_start_and_is_named,
        a_bad_value_stops_the_start_and_is_named,
        an_unreadable_settings_file_stops_the_start_and_is_named,
        an_address_that_others_reach_is_served_only_on_purpose,
        a_taken_port_stops_the_start_and_is_named,
        a_database_url_of_no_known_kind_stops_the_start,
        a_file_that_sqlite_cannot_open_stops_the_start,
        a_demo_without_a_folder_or_a_broker_says_what_to_do,
        verify_without_a_broker_says_so,
        every_program_says_what_it_is_for_and_shows_an_example,
        a_property_that_a_guarantee_rests_on_stops_the_start,
        a_protocol_of_traces_that_is_not_built_in_stops_the_start,
        the_health_check_fails_where_nothing_answers,
    ]
}

pub(crate) fn trials_on_real_kafka(session: &Arc<Session>) -> Vec<Trial> {
    tests![session; a_topic_with_too_few_partitions_stops_the_start_and_is_named]
}

/// Of every URL here that has one.
const PASSWORD: &str = "hunter2";

const PATIENCE: Duration = Duration::from_secs(20);

/// Each program and the prefix of its variables.
const SERVICES: [(&str, &str); 4] = [
    ("order-service", "ORDER_SERVICE"),
    ("catalog-service", "CATALOG_SERVICE"),
    ("connect-worker", "CONNECT_WORKER"),
    ("console", "CONSOLE"),
];

/// A service that would start, on a free port, with no broker to talk to.
fn service(name: &str, prefix: &str) -> anyhow::Result<Command> {
    let mut command = binary(name)?;
    command
        .env(format!("{prefix}__HTTP__BIND"), "127.0.0.1:0")
        .env(format!("{prefix}__KAFKA__BOOTSTRAP_SERVERS"), NOWHERE);
    let databases: &[&str] = match name {
        "connect-worker" => &[],
        "console" => &["ORDERS_DATABASE", "CATALOG_DATABASE"],
        _ => &["DATABASE"],
    };
    for database in databases {
        command.env(format!("{prefix}__{database}__URL"), "sqlite::memory:");
    }
    Ok(command)
}

/// It ends by itself, not successfully, with one sentence that has these words.
fn refuses(command: Command, words: &[&str]) -> anyhow::Result<()> {
    let shown = format!("{command:?}");
    let ended = run_to_end(command, PATIENCE)?;
    ensure!(!ended.status.success(), "{shown} succeeded");
    let stderr = ended.stderr.trim();
    for word in words {
        ensure!(
            stderr.contains(word),
            "{shown}: `{word}` is not in `{stderr}`"
        );
    }
    ensure!(
        stderr.lines().count() == 1,
        "{shown}: not one sentence: {stderr}"
    );
    ensure!(!stderr.contains(PASSWORD), "{shown} tells: {stderr}");
    Ok(())
}

async fn an_unknown_setting_stops_the_start_and_is_named() -> anyhow::Result<()> {
    for (name, prefix) in SERVICES {
        let variable = format!("{prefix}__HTTP__COLOUR");
        let mut command = service(name, prefix)?;
        command.env(&variable, "red");
        refuses(command, &[&variable, "expected"])?;
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(&file, "[http]\ncolour = \"red\"\n")?;
        let path = file.path().display().to_string();
        let mut command = service(name, prefix)?;
        command.args(["--config", &path]);
        refuses(command, &["http.colour", &path, "expected"])?;
    }
    Ok(())
}

async fn a_bad_value_stops_the_start_and_is_named() -> anyhow::Result<()> {
    for (name, prefix) in SERVICES {
        let variable = format!("{prefix}__HTTP__BIND");
        let mut command = service(name, prefix)?;
        command.env(&variable, "nowhere");
        refuses(command, &[&variable, "http.bind"])?;
    }
    Ok(())
}

async fn an_unreadable_settings_file_stops_the_start_and_is_named() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    for (name, prefix) in SERVICES {
        for path in [folder.path().join("missing.toml"), folder.path().to_owned()] {
            let mut command = service(name, prefix)?;
            command.arg("--config").arg(&path);
            refuses(command, &[&path.display().to_string()])?;
        }
    }
    Ok(())
}

async fn an_address_that_others_reach_is_served_only_on_purpose() -> anyhow::Result<()> {
    for (name, prefix) in SERVICES {
        let mut command = service(name, prefix)?;
        command.env(format!("{prefix}__HTTP__BIND"), "0.0.0.0:0");
        refuses(
            command,
            &["http.bind", "0.0.0.0:0", "http.auth.hs256_secret"],
        )?;
    }
    Ok(())
}

async fn a_taken_port_stops_the_start_and_is_named() -> anyhow::Result<()> {
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?.to_string();
    for (name, prefix) in SERVICES {
        let mut command = service(name, prefix)?;
        command.env(format!("{prefix}__HTTP__BIND"), &address);
        refuses(command, &[&address, "http.bind"])?;
    }
    Ok(())
}

async fn the_health_check_fails_where_nothing_answers() -> anyhow::Result<()> {
    for (name, prefix) in SERVICES {
        let mut command = service(name, prefix)?;
        command
            .env(format!("{prefix}__HTTP__BIND"), NOWHERE)
            .arg("--health");
        refuses(command, &["nothing answers", NOWHERE])?;
    }
    Ok(())
}

async fn a_database_url_of_no_known_kind_stops_the_start() -> anyhow::Result<()> {
    for (name, prefix) in [
        ("order-service", "ORDER_SERVICE"),
        ("catalog-service", "CATALOG_SERVICE"),
    ] {
        let bad_port = format!("mysql://me:{PASSWORD}@127.0.0.1:port/orders");
        let unknown = format!("oracle://me:{PASSWORD}@127.0.0.1/orders");
        for url in [&*bad_port, &*unknown, "no url"] {
            let mut command = service(name, prefix)?;
            command.env(format!("{prefix}__DATABASE__URL"), url);
            refuses(command, &["database.url", "mysql://USER:PASSWORD@"])?;
        }
    }
    Ok(())
}

async fn a_file_that_sqlite_cannot_open_stops_the_start() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("missing").join("some.db");
    for (name, prefix) in [
        ("order-service", "ORDER_SERVICE"),
        ("catalog-service", "CATALOG_SERVICE"),
    ] {
        let mut command = service(name, prefix)?;
        let url = format!("sqlite://{}?mode=rwc", file.display());
        command.env(format!("{prefix}__DATABASE__URL"), url);
        refuses(command, &["database.url", "folder"])?;
    }
    Ok(())
}

async fn a_demo_without_a_folder_or_a_broker_says_what_to_do() -> anyhow::Result<()> {
    let file = tempfile::NamedTempFile::new()?;
    let path = file.path().display().to_string();
    let mut command = binary("demo")?;
    command.args(["--base-port", "0", "--data-dir", &path]);
    refuses(command, &[&path, "--data-dir"])?;

    let folder = tempfile::tempdir()?;
    let mut command = binary("demo")?;
    command
        .args(["--base-port", "0", "--kafka", NOWHERE, "--data-dir"])
        .arg(folder.path());
    refuses(command, &["no broker answers", NOWHERE, "--kafka"])
}

async fn verify_without_a_broker_says_so() -> anyhow::Result<()> {
    let mut command = binary("verify")?;
    command
        .args(["--bootstrap-servers", NOWHERE])
        .args(["--orders-database", "sqlite://orders.db"])
        .args(["--catalog-database", "sqlite://catalog.db"]);
    refuses(command, &[NOWHERE, "--bootstrap-servers"])
}

async fn every_program_says_what_it_is_for_and_shows_an_example() -> anyhow::Result<()> {
    for (name, purpose) in [
        ("order-service", "Takes orders"),
        (
            "catalog-service",
            "Turns the quantity deltas of orders into stock",
        ),
        ("connect-worker", "Kafka Connect's JDBC sink"),
        ("console", "A web page that shows"),
        ("demo", "in one process"),
        ("verify", "checks the pair's invariants"),
        ("chaos", "SIGKILL and SIGSTOP for any part of the pair"),
        ("bench", "Measures each path of the pair"),
    ] {
        let run = |argument: &str| -> anyhow::Result<String> {
            let ended = binary(name)?.arg(argument).output()?;
            ensure!(ended.status.success(), "{name} {argument}: {ended:?}");
            Ok(String::from_utf8(ended.stdout)?)
        };
        let help = run("--help")?;
        let first = help.lines().next().unwrap_or_default();
        ensure!(first.contains(purpose), "{name}: {first}");
        ensure!(help.contains("\nExamples:\n  "), "{name}: {help}");
        let version = format!("{name} {}\n", env!("CARGO_PKG_VERSION"));
        assert_eq!(run("--version")?, version);
    }
    Ok(())
}

async fn a_property_that_a_guarantee_rests_on_stops_the_start() -> anyhow::Result<()> {
    for (name, prefix) in SERVICES {
        let mut command = service(name, prefix)?;
        command.env(
            format!("{prefix}__KAFKA__PROPERTIES__ISOLATION_LEVEL"),
            "read_uncommitted",
        );
        refuses(command, &["kafka.properties", "isolation.level"])?;
    }
    Ok(())
}

async fn a_protocol_of_traces_that_is_not_built_in_stops_the_start() -> anyhow::Result<()> {
    // The console looks from outside, and records nothing.
    let recording = SERVICES.into_iter().filter(|(name, _)| *name != "console");
    for (name, prefix) in recording {
        let mut command = service(name, prefix)?;
        command
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317")
            .env("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
        let words = ["OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "http/protobuf"];
        refuses(command, &words)?;
    }
    Ok(())
}

async fn a_topic_with_too_few_partitions_stops_the_start_and_is_named(
    world: &World,
) -> anyhow::Result<()> {
    // Topics outlive a run that fails.
    let topic = format!("narrow-{}", uuid::Uuid::now_v7());
    world.kafka.create_topic(&topic, 2).await?;
    for (name, prefix, setting) in [
        ("order-service", "ORDER_SERVICE", "ORDERS"),
        ("catalog-service", "CATALOG_SERVICE", "CATALOG_DELTAS"),
    ] {
        let mut command = service(name, prefix)?;
        command
            .env(
                format!("{prefix}__KAFKA__BOOTSTRAP_SERVERS"),
                world.kafka.bootstrap_servers(),
            )
            .env(format!("{prefix}__TOPICS__{setting}__NAME"), &topic);
        refuses(command, &[&topic, "2 partitions"])?;
    }
    world.kafka.delete_topics(&[&topic]).await
}
