use actix_web::web::Bytes;
use tokio::sync::watch;

use crate::snapshot::Snapshot;

/// The latest snapshot, rendered once for all who watch. Who is slow misses the ones between.
pub(crate) struct Hub(watch::Sender<Bytes>);

impl Default for Hub {
    fn default() -> Self {
        Self(watch::Sender::new(Bytes::new()))
    }
}

impl Hub {
    pub(crate) fn watch(&self) -> watch::Receiver<Bytes> {
        self.0.subscribe()
    }

    /// While nobody does, nothing need be gathered.
    pub(crate) fn is_watched(&self) -> bool {
        self.0.receiver_count() > 0
    }

    pub(crate) fn publish(&self, snapshot: &Snapshot) {
        match serde_json::to_string(snapshot) {
            Ok(json) => {
                let event = Bytes::from(format!("event: state\ndata: {json}\n\n"));
                self.0.send_replace(event);
            }
            Err(error) => tracing::warn!(%error, "the console's snapshot is not JSON"),
        }
    }
}
