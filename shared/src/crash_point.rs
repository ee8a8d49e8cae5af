/// A window between two steps that belong together, where tests kill or freeze the process.
/// Without the feature `failpoints` this is nothing.
///
/// With it, the environment variable `FAILPOINTS` says what happens where, as the crate `fail`
/// reads it: `order::sent=pause`. A point that is armed says so in the log before it acts.
#[inline]
pub fn crash_point(name: &'static str) {
    #[cfg(feature = "failpoints")]
    armed::reach(name);
    #[cfg(not(feature = "failpoints"))]
    let _ = name;
}

#[cfg(feature = "failpoints")]
mod armed {
    use std::sync::Once;

    static SETUP: Once = Once::new();

    pub(super) fn reach(name: &'static str) {
        // Dropping the scenario would disarm every point.
        SETUP.call_once(|| std::mem::forget(fail::FailScenario::setup()));
        if fail::list().iter().any(|(armed, _)| armed == name) {
            tracing::warn!("crash point {name} reached");
        }
        fail::fail_point!(name);
    }
}
