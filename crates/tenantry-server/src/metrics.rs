//! Figures for Prometheus. Labels are bounded: route patterns and statuses, never paths or ids.

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::http::Method;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use tenantry_gateway::journal::Figures;

/// The labels of a counted answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    method: String,
    route: String,
    status: u16,
}

/// The labels of a timed route.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Timed {
    method: String,
    route: String,
}

/// All figures of one server.
pub struct Metrics {
    registry: Registry,
    answers: Family<Answered, Counter>,
    seconds: Family<Timed, Histogram>,
    connections: Gauge,
    accepted: Counter,
    mails_waiting: Gauge,
    mails_given_up: Gauge,
    usage: UsageFigures,
}

/// How metering is doing.
#[derive(Default)]
struct UsageFigures {
    records: Counter,
    waiting: Gauge,
    disk_failures: Counter,
    records_applied: Counter,
    batches_applied: Counter,
    batches_damaged: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("tenantry");
        let answers = Family::<Answered, Counter>::default();
        let seconds =
            Family::<Timed, Histogram>::new_with_constructor(|| Histogram::new(exponential_buckets(0.000_5, 2.0, 16)));
        let (connections, accepted) = (Gauge::default(), Counter::default());
        registry.register("http_requests", "Requests answered", answers.clone());
        registry.register(
            "http_request_seconds",
            "Time from the head of the request to the head of the answer",
            seconds.clone(),
        );
        registry.register("http_connections", "Open connections", connections.clone());
        registry.register("http_connections_accepted", "Connections that were opened", accepted.clone());
        let (mails_waiting, mails_given_up) = (Gauge::default(), Gauge::default());
        registry.register("mails_waiting", "Mails that are to be sent", mails_waiting.clone());
        registry.register("mails_given_up", "Mails that no server took", mails_given_up.clone());
        let usage = UsageFigures::registered(&mut registry);
        Self { registry, answers, seconds, connections, accepted, mails_waiting, mails_given_up, usage }
    }
}

impl UsageFigures {
    fn registered(registry: &mut Registry) -> Self {
        let figures = Self::default();
        let mut counter = |name: &str, about: &str, counter: &Counter| registry.register(name, about, counter.clone());
        counter("usage_records", "Records of usage that were taken", &figures.records);
        counter("usage_records_applied", "Records of usage that were added to the database", &figures.records_applied);
        counter("usage_batches_applied", "Batches of usage that were added to the database", &figures.batches_applied);
        counter("usage_batches_damaged", "Batches of usage that could not be read", &figures.batches_damaged);
        counter("usage_disk_failures", "How often usage could not be written down", &figures.disk_failures);
        registry.register("usage_bytes_waiting", "Bytes of usage that wait for the disk", figures.waiting.clone());
        figures
    }
}

impl Metrics {
    /// Counts one answer.
    pub(crate) fn answered(&self, method: &Method, route: &str, status: u16, took: Duration) {
        let (method, route) = (method_label(method).to_owned(), route.to_owned());
        self.answers.get_or_create(&Answered { method: method.clone(), route: route.clone(), status }).inc();
        self.seconds.get_or_create(&Timed { method, route }).observe(took.as_secs_f64());
    }

    /// What counts answers of one kind, for where many are given.
    pub(crate) fn counted(&self, method: &Method, route: &str, status: u16) -> Counted {
        let (method, route) = (method_label(method).to_owned(), route.to_owned());
        let labels = Answered { method: method.clone(), route: route.clone(), status };
        Counted {
            answers: self.answers.get_or_create_owned(&labels),
            seconds: self.seconds.get_or_create_owned(&Timed { method, route }),
        }
    }

    /// Notes how many mails wait, and how many were given up.
    pub(crate) fn mails(&self, waiting: i64, given_up: i64) {
        self.mails_waiting.set(waiting);
        self.mails_given_up.set(given_up);
    }

    /// Notes how the journal of usage is doing.
    pub(crate) fn usage_recorded(&self, figures: Figures) {
        let Figures { appended, waiting, failures } = figures;
        // It counts by itself; here is what it has counted.
        self.usage.records.inner().store(appended, Ordering::Relaxed);
        self.usage.disk_failures.inner().store(failures, Ordering::Relaxed);
        self.usage.waiting.set(i64::try_from(waiting).unwrap_or(i64::MAX));
    }

    /// Counts what was added to the database.
    pub(crate) fn usage_applied(&self, records: u64, batches: u64, damaged: u64) {
        self.usage.records_applied.inc_by(records);
        self.usage.batches_applied.inc_by(batches);
        self.usage.batches_damaged.inc_by(damaged);
    }

    /// Counts a connection until the answer is dropped.
    pub(crate) fn connected(&self) -> Connected {
        self.connections.inc();
        self.accepted.inc();
        Connected(self.connections.clone())
    }

    /// The figures in the text format of Prometheus.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Writing into a String cannot fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }
}

/// Clients can make up methods; labels must not follow them.
fn method_label(method: &Method) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or("other")
}

/// Answers of one kind.
#[derive(Clone)]
pub(crate) struct Counted {
    answers: Counter,
    seconds: Histogram,
}

impl Counted {
    /// Counts one.
    pub(crate) fn note(&self, took: Duration) {
        self.answers.inc();
        self.seconds.observe(took.as_secs_f64());
    }
}

/// One open connection.
pub(crate) struct Connected(Gauge);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.dec();
    }
}
