//! HTTP as every service speaks it: RFC 9457 problems for every error, health, metrics
//! and the API's own description.

mod auth;
mod body;
mod completion;
mod dead_letters;
mod health;
mod metrics;
mod page;
mod probe;
mod problem;
mod routes;
mod server;
mod traces;

pub use auth::{Admin, AuthError, Caller, admins_only};
pub use body::JsonBody;
pub use completion::to_the_end;
pub use dead_letters::{DeadLetter, ListError, ListLetters, ReplayAnswer};
pub use health::{Dependency, Health};
pub use page::{Page, bad_cursor, page_limit};
pub use probe::{ProbeError, ask_ready};
pub use problem::{FieldError, Problem, ProblemDocument};
pub use routes::{idempotency_key, method_not_allowed, prefer_wait};
pub use server::{Common, HttpServer, ServeError, serve};
pub use traces::trace_parent_of;
