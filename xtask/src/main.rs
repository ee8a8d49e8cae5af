//! `cargo xtask`: the real stack without Docker, the whole test run, the benchmark.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool talks to its user"
)]

mod bench;
mod browser;
mod chaos;
mod counts;
mod images;
mod prerequisites;
mod pulse;
mod rules;
mod stack;
mod test;
mod workspace;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::stack::Stack;
use crate::workspace::Workspace;

const HELP: &str = "\
Examples:
  cargo xtask test                    everything that CI runs, from cheap to dear
  cargo xtask test --only clippy --only unit
  cargo xtask stack up                Kafka, Connect, MariaDB, PostgreSQL; `stack down` stops them
  cargo xtask bench
  cargo xtask chaos --minutes 30";

#[derive(Parser)]
#[command(
    bin_name = "cargo xtask",
    about = "The chores of this workspace: tests, the real stack without Docker, benchmarks",
    version,
    help_expected = true,
    after_help = HELP
)]
enum Task {
    /// Kafka, Kafka Connect, MariaDB and PostgreSQL as local processes under target/stack
    #[command(after_help = STACK_HELP)]
    Stack {
        #[command(subcommand)]
        task: StackTask,
        /// That of chaos: three brokers, no PostgreSQL, under target/chaos-stack
        #[arg(long, global = true)]
        cluster: bool,
        /// That of benchmarks: JVMs as they are deployed, no PostgreSQL, under target/bench-stack
        #[arg(long, global = true, conflicts_with = "cluster")]
        bench: bool,
    },
    /// Run everything, from cheap to dear; the last line counts the tests
    #[command(after_help = test::HELP)]
    Test(test::Options),
    /// Count the instructions of the paths that every record takes, against a committed baseline
    #[command(after_help = counts::HELP)]
    Counts(counts::Options),
    /// Build the images of docker-compose.yml from binaries compiled on this machine
    #[command(after_help = IMAGES_HELP)]
    Images,
    /// Run the release build of e2e's `bench`, on a stack of its own, whose JVMs run as deployed
    #[command(disable_help_flag = true)]
    Bench {
        /// Passed on to `bench` (`--help` too)
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Test the console in headless Chromium; screenshots are left in target/browser
    #[command(after_help = BROWSER_HELP)]
    Browser {
        /// Only the tests whose names match this pattern (repeatable)
        #[arg(long, value_name = "PATTERN")]
        only: Vec<String>,
        /// Renew the README's two screenshots as well
        #[arg(long)]
        refresh: bool,
    },
    /// Check and test observability/: Prometheus's configuration and the alert rules
    #[command(after_help = RULES_HELP)]
    Rules {
        /// Only look for promtool, and fetch it where Debian has it
        #[arg(long)]
        find: bool,
    },
    /// Kill and freeze parts of the pair under load, on a stack of three brokers of its own
    #[command(disable_help_flag = true)]
    Chaos {
        /// Passed on to e2e's `chaos` (`--help` too)
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
}

const STACK_HELP: &str = "\
Examples:
  cargo xtask stack up                prints where everything answers
  cargo xtask stack status
  cargo xtask stack down
  cargo xtask stack up --cluster      another, of three brokers, beside it
  cargo xtask stack down --bench      what an interrupted `cargo xtask bench` has left";

const IMAGES_HELP: &str = "\
Examples:
  cargo xtask images && BINARIES=prebuilt docker compose up --wait";

const BROWSER_HELP: &str = "\
Examples:
  cargo xtask browser
  cargo xtask browser --only burst    the tests whose names have this word
  cargo xtask browser --refresh";

const RULES_HELP: &str = "\
Examples:
  cargo xtask rules
  cargo xtask rules --find            succeeds if there is a promtool now";

#[derive(Subcommand)]
enum StackTask {
    /// Start what is not running and wait until all of it answers; keeps the data of a crashed stack
    Up,
    /// Show what runs; exits with 1 unless all of it answers
    Status,
    /// Stop all of it and delete its data (logs and jars stay)
    Down,
}

fn main() -> ExitCode {
    run(Task::parse()).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn run(task: Task) -> anyhow::Result<ExitCode> {
    let workspace = Workspace::locate()?;
    let on = |layout| Stack::new(workspace.target(), layout);
    let stack = on(&stack::SINGLE);
    match task {
        Task::Stack {
            task,
            cluster,
            bench,
        } => {
            let layout = match (cluster, bench) {
                (true, _) => &stack::CLUSTER,
                (_, true) => &stack::BENCH,
                _ => &stack::SINGLE,
            };
            stack_task(&task, &on(layout))
        }
        Task::Test(options) => test::run(&workspace, &stack, &options),
        Task::Counts(options) => counts::run(&workspace, &options),
        Task::Images => images::run(&workspace, &stack),
        Task::Chaos { args } => chaos::run(&workspace, &on(&stack::CLUSTER), &args),
        Task::Rules { find } => rules::run(&workspace, find),
        Task::Browser { only, refresh } => browser::run(&workspace, &only, refresh),
        Task::Bench { args } => bench::run(&workspace, &on(&stack::BENCH), &args),
    }
}

fn stack_task(task: &StackTask, stack: &Stack) -> anyhow::Result<ExitCode> {
    match task {
        StackTask::Up => stack.up().map(|()| ExitCode::SUCCESS),
        StackTask::Status => Ok(stack.status()),
        StackTask::Down => stack.down().map(|()| ExitCode::SUCCESS),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn every_task_says_what_it_is_for_and_shows_an_example() {
        let mut tasks = Task::command();
        tasks.build();
        let help = tasks.render_long_help().to_string();
        assert!(help.contains("\n  cargo xtask test"), "{help}");
        for task in tasks.get_subcommands_mut() {
            // Those have the help of what they run.
            if ["bench", "chaos", "help"].contains(&task.get_name()) {
                continue;
            }
            let help = task.render_long_help().to_string();
            assert!(task.get_about().is_some(), "{help}");
            let example = format!("\n  cargo xtask {}", task.get_name());
            assert!(help.contains(&example), "{help}");
        }
    }
}
