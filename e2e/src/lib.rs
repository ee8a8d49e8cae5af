//! The harness of the end-to-end tests: a [`World`] is the whole pair as processes of
//! their own, with clients for everything that can be seen of it from outside: both HTTP
//! interfaces, the topics, the databases.
//!
//! Nothing in here uses the services' code: what a test sees, a user could see.

mod answers;
mod catalog_service;
mod compose;
mod database;
mod dead_letters;
mod demo;
mod eventually;
mod http;
mod kafka;
mod order_service;
mod pace;
mod place;
mod process;
mod sink;
mod verify;
mod world;

pub use answers::{Answered, Answers, Recorder};
pub use catalog_service::{CatalogService, LedgerEntry, Product};
pub use compose::Compose;
pub use database::{CatalogDatabase, LedgerRow, OrderRow, OrdersDatabase, OutcomeRow};
pub use dead_letters::{DeadLetter, DeadLetters};
pub use demo::Demo;
pub use eventually::{PATIENCE, becomes, eventually, within};
pub use http::{Answer, Http, Problem};
pub use kafka::{Kafka, Record};
pub use order_service::{OrderBody, OrderPage, OrderService, PlaceOrder};
pub use pace::Pace;
pub use place::{NOWHERE, binary, free_address, log_folder};
pub use process::{Ended, Process, Signal, run_to_end};
pub use sink::Sink;
pub use verify::{Invariant, Line, Pair, Progress, Report, Topics, verify};
pub use world::{Kind, World};
