//! Looks at the pair while a page is open, and makes one snapshot for all of them.

mod databases;
mod fleet;
mod letters;
mod scrape;
mod services;
mod topics;

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future;
use parking_lot::Mutex;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use shared::service::Tasks;
use tokio::task::spawn_blocking;
use tokio::time::{Interval, MissedTickBehavior};

use self::fleet::Fleet;
use self::letters::LetterBox;
use self::services::Kind;
use self::topics::{TopicWatch, Topography};
use crate::hub::Hub;
use crate::race::Race;
use crate::settings::Settings;
use crate::snapshot::{DatabaseState, Letters, Product, ServiceState, Snapshot};
use crate::{Databases, Looks};

/// What stops, or freezes, is seen to have done so within a second: at the next look, which takes no
/// longer than [`ANSWER`].
const EVERY: Duration = Duration::from_millis(500);
/// They are read from their topic each time.
const DEAD_LETTERS_EVERY: Duration = Duration::from_secs(5);
/// To say how it is takes a service no time: one that takes longer is as good as away.
const ANSWER: Duration = Duration::from_millis(400);
const TIMEOUT: Duration = Duration::from_millis(900);

pub(crate) struct Gatherer {
    pub(crate) settings: Settings,
    pub(crate) client: reqwest::Client,
    pub(crate) hub: Arc<Hub>,
    pub(crate) looks: Looks,
    pub(crate) race: Option<Arc<Race>>,
}

/// What was seen last, each by its own task: one that is slow delays no other.
#[derive(Default)]
struct Seen {
    services: Mutex<Vec<Vec<ServiceState>>>,
    topics: Mutex<Topography>,
    databases: Mutex<Vec<DatabaseState>>,
    dead_letters: Mutex<Letters>,
}

#[derive(Deserialize)]
struct Page<T> {
    items: Vec<T>,
    next_cursor: Option<String>,
}

/// The times to look, while anybody watches.
struct Pace {
    hub: Arc<Hub>,
    ticks: Interval,
}

impl Pace {
    async fn next(&mut self) {
        loop {
            self.ticks.tick().await;
            if self.hub.is_watched() {
                return;
            }
        }
    }
}

impl Gatherer {
    pub(crate) fn spawn(self, tasks: &mut Tasks) {
        let this = Arc::new(self);
        let seen = Arc::new(Seen::default());
        let fleets = this.fleets();
        seen.services.lock().resize(fleets.len(), Vec::new());
        for (at, fleet) in fleets.into_iter().enumerate() {
            let work = Arc::clone(&this).look_at_services(Arc::clone(&seen), at, fleet);
            spawn(tasks, "services", work);
        }
        spawn(tasks, "products", Arc::clone(&this).look_at_products());
        let letters = Arc::clone(&this).look_at_dead_letters(Arc::clone(&seen));
        spawn(tasks, "dead letters", letters);
        let databases = Arc::clone(&this).look_at_databases(Arc::clone(&seen));
        spawn(tasks, "databases", databases);
        this.spawn_topics(&seen, tasks);
        spawn(tasks, "snapshot", this.publish(seen));
    }

    fn pace(&self, every: Duration) -> Pace {
        let mut ticks = tokio::time::interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let hub = Arc::clone(&self.hub);
        Pace { hub, ticks }
    }

    fn fleets(&self) -> [Fleet; 3] {
        let settings = &self.settings;
        let one = std::slice::from_ref;
        [
            Fleet::new(Kind::Orders, &settings.order_services),
            Fleet::new(Kind::Catalog, one(&settings.catalog_service)),
            Fleet::new(
                Kind::Sink(settings.connector.clone()),
                one(&settings.connect),
            ),
        ]
    }

    async fn look_at_services(self: Arc<Self>, seen: Arc<Seen>, at: usize, mut fleet: Fleet) {
        let mut pace = self.pace(EVERY);
        loop {
            pace.next().await;
            let states = fleet.look(&self.client).await;
            seen.services.lock()[at] = states;
        }
    }

    async fn look_at_products(self: Arc<Self>) {
        let mut pace = self.pace(EVERY);
        loop {
            pace.next().await;
            if let Some(products) = self.products().await {
                self.looks.shop.set_products(products);
            }
        }
    }

    async fn look_at_dead_letters(self: Arc<Self>, seen: Arc<Seen>) {
        let mut pace = self.pace(DEAD_LETTERS_EVERY);
        let mut boxes = self.settings.letter_sources().map(LetterBox::new);
        loop {
            pace.next().await;
            future::join_all(boxes.iter_mut().map(|letters| letters.look(&self.client))).await;
            *seen.dead_letters.lock() = letters::newest(&boxes);
        }
    }

    async fn look_at_databases(self: Arc<Self>, seen: Arc<Seen>) {
        let mut pace = self.pace(EVERY);
        let Databases { orders, catalog } = &self.looks.databases;
        loop {
            pace.next().await;
            let catalog = databases::look("catalog", catalog);
            let (catalog, orders) = tokio::join!(catalog, databases::look("orders", orders));
            *seen.databases.lock() = vec![catalog, orders];
        }
    }

    fn spawn_topics(&self, seen: &Arc<Seen>, tasks: &mut Tasks) {
        let watch = TopicWatch::new(&self.settings);
        let (hub, seen, stop) = (Arc::clone(&self.hub), Arc::clone(seen), tasks.stop_signal());
        let watching = spawn_blocking(move || {
            watch.run(&hub, &stop, |topography| *seen.topics.lock() = topography);
        });
        tasks.spawn("topics", watching);
    }

    async fn publish(self: Arc<Self>, seen: Arc<Seen>) {
        let mut pace = self.pace(EVERY);
        loop {
            pace.next().await;
            self.hub.publish(&self.snapshot(&seen));
        }
    }

    /// `None` while the catalog-service does not answer: what was seen last stays.
    async fn products(&self) -> Option<Vec<Product>> {
        let url = format!("{}/catalog?limit=200", self.settings.catalog_service);
        let page = page(&self.client, url, TIMEOUT).await.ok()?;
        Some(page.items)
    }

    fn snapshot(&self, seen: &Seen) -> Snapshot {
        let topics = seen.topics.lock().clone();
        Snapshot {
            services: seen.services.lock().concat(),
            databases: seen.databases.lock().clone(),
            topics: topics.topics,
            broker: topics.problem,
            products: self.looks.shop.products(),
            orders: self.looks.audit.journeys(),
            burst: self.looks.shop.burst(),
            proof: self.looks.audit.proof(),
            dead_letters: seen.dead_letters.lock().clone(),
            breakable: self.race.is_some(),
            race: self.race.as_ref().and_then(|race| race.score()),
        }
    }
}

async fn page<T: DeserializeOwned>(
    client: &reqwest::Client,
    url: String,
    patience: Duration,
) -> reqwest::Result<Page<T>> {
    let answer = client.get(url).timeout(patience).send().await?;
    answer.error_for_status()?.json().await
}

/// Until the console stops.
fn spawn(tasks: &mut Tasks, name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
    let stop = tasks.stop_signal();
    tasks.spawn(name, async move {
        stop.run_until_cancelled(work).await;
        Ok::<_, Infallible>(())
    });
}
