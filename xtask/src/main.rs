//! `cargo xtask`: the real stack without Docker, the whole test run, the benchmark.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool talks to its user"
)]

mod bench;
mod browser;
mod chaos;
mod images;
mod prerequisites;
mod stack;
mod test;
mod workspace;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::stack::Stack;
use crate::workspace::Workspace;

#[derive(Parser)]
#[command(bin_name = "cargo xtask", about = "The chores of this workspace")]
enum Task {
    /// Kafka, Kafka Connect, MariaDB and PostgreSQL as local processes under target/stack
    Stack {
        #[command(subcommand)]
        task: StackTask,
        /// The other stack: three brokers, no PostgreSQL, under target/chaos-stack
        #[arg(long, global = true)]
        cluster: bool,
    },
    /// Run everything, from cheap to dear; the last line counts the tests
    Test(test::Options),
    /// Build the images of docker-compose.yml from binaries compiled on this machine
    Images,
    /// Start the stack if it is down, then run the release build of e2e's `bench`
    #[command(disable_help_flag = true)]
    Bench {
        /// Passed on to `bench` (`--help` too)
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Test the console in headless Chromium; screenshots are left in target/browser
    Browser {
        /// Only the tests whose names match this pattern (repeatable)
        #[arg(long, value_name = "PATTERN")]
        only: Vec<String>,
        /// Renew the README's two screenshots as well
        #[arg(long)]
        refresh: bool,
    },
    /// Kill and freeze parts of the pair under load, on a stack of three brokers of its own
    #[command(disable_help_flag = true)]
    Chaos {
        /// Passed on to e2e's `chaos` (`--help` too)
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
}

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
    let stack = Stack::new(workspace.target(), &stack::SINGLE);
    match task {
        Task::Stack { task, cluster } => {
            let cluster = cluster.then(|| Stack::new(workspace.target(), &stack::CLUSTER));
            stack_task(&task, &cluster.unwrap_or(stack))
        }
        Task::Test(options) => test::run(&workspace, &stack, &options),
        Task::Images => images::run(&workspace, &stack),
        Task::Chaos { args } => {
            let cluster = Stack::new(workspace.target(), &stack::CLUSTER);
            chaos::run(&workspace, &cluster, &args)
        }
        Task::Browser { only, refresh } => browser::run(&workspace, &only, refresh),
        Task::Bench { args } => bench::run(&workspace, &stack, &args),
    }
}

fn stack_task(task: &StackTask, stack: &Stack) -> anyhow::Result<ExitCode> {
    match task {
        StackTask::Up => stack.up().map(|()| ExitCode::SUCCESS),
        StackTask::Status => Ok(stack.status()),
        StackTask::Down => stack.down().map(|()| ExitCode::SUCCESS),
    }
}
