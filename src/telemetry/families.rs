//! Metrics as they are registered, together with what a page about them says: name, kind, help, labels and their values.
//!
//! A family shows nothing until something is counted, so a page cannot be made from the exposition; and one that is made by
//! hand forgets the next metric. So whatever is registered must say its labels, or it does not compile.

use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry};

/// A label of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Label {
    /// Its name.
    pub name: &'static str,
    /// All its values; empty where they come from the policies that are loaded, or from elsewhere.
    pub values: &'static [&'static str],
}

/// What is known of a metric without counting anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// Name of the family as in `# TYPE`, with the prefix.
    pub name: String,
    /// `counter`, `gauge`, `histogram`, `info`.
    pub kind: &'static str,
    /// What it counts, one sentence without its stop.
    pub help: String,
    /// In the order in which they are written.
    pub labels: Vec<Label>,
}

/// The type of a label.
#[diagnostic::on_unimplemented(message = "`{Self}` does not say its values: make it with `label_values!`")]
pub(super) trait LabelType {
    /// All values, or none where they cannot be listed.
    const VALUES: &'static [&'static str];
}

impl LabelType for String {
    const VALUES: &'static [&'static str] = &[];
}

impl LabelType for &'static str {
    const VALUES: &'static [&'static str] = &[];
}

/// The labels of a family.
#[diagnostic::on_unimplemented(message = "`{Self}` does not say its labels: make it with `label_set!`")]
pub(super) trait LabelSet {
    /// In the order in which they are written.
    fn labels() -> Vec<Label>;
}

/// Makes a struct of labels that can be encoded and described.
macro_rules! label_set {
    ($(#[$doc:meta])* $vis:vis struct $name:ident { $($field_vis:vis $field:ident: $type:ty),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
        $vis struct $name { $($field_vis $field: $type),+ }

        impl LabelSet for $name {
            fn labels() -> Vec<$crate::telemetry::families::Label> {
                vec![$($crate::telemetry::families::Label {
                    name: stringify!($field),
                    values: <$type as $crate::telemetry::families::LabelType>::VALUES,
                }),+]
            }
        }
    };
}
pub(super) use label_set;

/// A metric that says its labels.
pub(super) trait Labelled: Metric {
    /// None, for a metric that is not a family.
    fn labels(&self) -> Vec<Label> {
        Vec::new()
    }
}

impl Labelled for Counter {}
impl Labelled for Gauge {}
impl Labelled for Gauge<f64, std::sync::atomic::AtomicU64> {}
impl Labelled for Histogram {}

impl Labelled for Info<Vec<(&'static str, &'static str)>> {
    fn labels(&self) -> Vec<Label> {
        vec![Label { name: "version", values: &[] }]
    }
}

impl<S: LabelSet, M, C> Labelled for Family<S, M, C>
where
    Self: Metric,
{
    fn labels(&self) -> Vec<Label> {
        S::labels()
    }
}

/// The registry, and what was registered.
#[derive(Debug)]
pub(super) struct Families {
    prefix: &'static str,
    registry: Registry,
    described: Vec<Described>,
}

impl Families {
    /// Nothing yet; the prefix comes before every name.
    pub(super) fn new(prefix: &'static str) -> Self {
        Self { prefix, registry: Registry::with_prefix(prefix), described: Vec::new() }
    }

    /// Registers a metric; `help` is one sentence without its stop.
    pub(super) fn register(&mut self, name: &str, help: &str, metric: impl Labelled) {
        let kind = match metric.metric_type() {
            MetricType::Counter => "counter",
            MetricType::Gauge => "gauge",
            MetricType::Histogram => "histogram",
            MetricType::Info => "info",
            _ => "unknown",
        };
        let labels = metric.labels();
        self.described.push(Described { name: format!("{}_{name}", self.prefix), kind, help: help.to_owned(), labels });
        self.registry.register(name, help, metric);
    }

    /// For the encoder.
    pub(super) const fn registry(&self) -> &Registry {
        &self.registry
    }

    /// In the order of registration.
    pub(super) fn described(&self) -> &[Described] {
        &self.described
    }
}
