//! Readings: the server's figures as typed values with their names in INFO and in the metrics. A
//! row names a figure once; INFO and `/metrics` both render the rows.

use std::fmt::{self, Display};

use super::look::Look;
use crate::telemetry::counter::Distribution;

/// The value of a reading.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// No value now: neither a field nor a series.
    Absent,
    Integer(i128),
    /// INFO shows this many decimals; a metric shows all.
    Decimal(f64, usize),
    /// The metric's value is 1; the text is in its labels.
    Text(String),
    /// A word in INFO, 1 (good) or 0 as a metric.
    Status {
        good: bool,
        words: [&'static str; 2],
    },
    /// For metrics only.
    Durations(Box<Distribution>),
}

impl Value {
    /// The value of a gauge or counter.
    pub(crate) fn number(&self) -> Option<f64> {
        match self {
            Self::Absent | Self::Durations(_) => None,
            Self::Integer(value) => Some(*value as f64),
            Self::Decimal(value, _) => Some(*value),
            Self::Text(_) => Some(1.0),
            Self::Status { good, .. } => Some(f64::from(u8::from(*good))),
        }
    }

    /// `good` as INFO's words, the one for true first.
    pub(super) fn status(good: bool, words: [&'static str; 2]) -> Self {
        Self::Status { good, words }
    }

    pub(super) fn durations(of: Distribution) -> Self {
        Self::Durations(Box::new(of))
    }
}

/// Formats as in INFO.
impl Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent | Self::Durations(_) => Ok(()),
            Self::Integer(value) => write!(f, "{value}"),
            Self::Decimal(value, decimals) => write!(f, "{value:.decimals$}"),
            Self::Text(text) => f.write_str(text),
            Self::Status { good: true, words: [word, _] }
            | Self::Status { good: false, words: [_, word] } => f.write_str(word),
        }
    }
}

macro_rules! integers {
    ($($integer:ty),*) => {$(
        impl From<$integer> for Value {
            fn from(value: $integer) -> Self {
                Self::Integer(value.into())
            }
        }
    )*};
}

integers!(i32, i64, i128, u16, u32, u64);

impl From<usize> for Value {
    fn from(value: usize) -> Self {
        Self::Integer(value as i128)
    }
}

/// 1 and 0 in INFO.
impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Integer(value.into())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Absent, Into::into)
    }
}

/// The type of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Gauge,
    Counter,
    /// Durations in seconds.
    Histogram,
    /// Durations in microseconds.
    HistogramUsec,
    /// Percentiles of durations in microseconds.
    SummaryUsec,
}

/// Label names and values.
pub(crate) type Labels = Vec<(&'static str, String)>;

/// The name of a reading in the metrics. A name without `limpid_` is one of redis_exporter's and
/// gets the configured prefix.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Metric {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) help: &'static str,
    /// Divides the value, where the unit differs from INFO's.
    pub(crate) divisor: f64,
    label: Option<(&'static str, &'static str)>,
    labels: Option<fn(&Look<'_>) -> Labels>,
}

impl Metric {
    const fn new(kind: Kind, name: &'static str, help: &'static str) -> Self {
        Self { name, kind, help, divisor: 1.0, label: None, labels: None }
    }

    /// Adds a constant label.
    pub(super) const fn label(mut self, name: &'static str, value: &'static str) -> Self {
        self.label = Some((name, value));
        self
    }

    pub(super) const fn labels(mut self, labels: fn(&Look<'_>) -> Labels) -> Self {
        self.labels = Some(labels);
        self
    }

    /// Uses a unit of `divisor` INFO units.
    pub(super) const fn per(mut self, divisor: f64) -> Self {
        self.divisor = divisor;
        self
    }

    fn all_labels(&self, look: &Look<'_>, of_item: Labels) -> Labels {
        let mut all = of_item;
        all.extend(self.label.map(|(name, value)| (name, value.to_owned())));
        all.extend(self.labels.into_iter().flat_map(|labels| labels(look)));
        all
    }
}

pub(super) const fn gauge(name: &'static str, help: &'static str) -> Metric {
    Metric::new(Kind::Gauge, name, help)
}

pub(super) const fn counter(name: &'static str, help: &'static str) -> Metric {
    Metric::new(Kind::Counter, name, help)
}

pub(super) const fn histogram(name: &'static str, help: &'static str) -> Metric {
    Metric::new(Kind::Histogram, name, help)
}

pub(super) const fn histogram_usec(name: &'static str, help: &'static str) -> Metric {
    Metric::new(Kind::HistogramUsec, name, help)
}

pub(super) const fn summary_usec(name: &'static str, help: &'static str) -> Metric {
    Metric::new(Kind::SummaryUsec, name, help)
}

/// A series with its value.
#[derive(Debug)]
pub(crate) struct Series<'r> {
    pub(crate) metric: &'r Metric,
    pub(crate) labels: Labels,
    pub(crate) value: Value,
}

/// A field of INFO, a metric, or both.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    field: Option<&'static str>,
    /// Adds a second field, `_human`, with the bytes in human-readable form.
    human: bool,
    metric: Option<Metric>,
    read: fn(&Look<'_>) -> Value,
}

/// A field of INFO, without a metric until [`Row::is`] adds one.
pub(super) const fn field(name: &'static str, read: fn(&Look<'_>) -> Value) -> Row {
    Row::One(Reading { field: Some(name), human: false, metric: None, read })
}

/// A field in bytes, also in human-readable form.
pub(super) const fn bytes(name: &'static str, read: fn(&Look<'_>) -> Value) -> Row {
    Row::One(Reading { field: Some(name), human: true, metric: None, read })
}

/// A metric without a field in INFO.
pub(super) const fn only(metric: Metric, read: fn(&Look<'_>) -> Value) -> Row {
    Row::One(Reading { field: None, human: false, metric: Some(metric), read })
}

/// A row of the table: one reading, or the readings of each of several items.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Row {
    One(Reading),
    Each(&'static dyn Items),
}

impl Row {
    /// Also exports the field as this metric.
    pub(super) const fn is(self, metric: Metric) -> Self {
        match self {
            Self::One(mut reading) => {
                reading.metric = Some(metric);
                Self::One(reading)
            }
            Self::Each(_) => panic!("the parts of items name their metrics"),
        }
    }

    /// Appends the fields of INFO.
    pub(super) fn fields(&self, look: &Look<'_>, fields: &mut Vec<(String, String)>) {
        let reading = match self {
            Self::One(reading) => reading,
            Self::Each(items) => return items.fields(look, fields),
        };
        let Some(name) = reading.field else { return };
        let value = (reading.read)(look);
        if value == Value::Absent {
            return;
        }
        fields.push((name.to_owned(), value.to_string()));
        if let (true, Value::Integer(bytes)) = (reading.human, &value) {
            let bytes = u64::try_from(*bytes).unwrap_or_default();
            fields.push((format!("{name}_human"), human(bytes)));
        }
    }

    /// Passes the series of the metrics to `give`.
    pub(super) fn series(&self, look: &Look<'_>, give: &mut dyn FnMut(Series<'_>)) {
        let reading = match self {
            Self::One(reading) => reading,
            Self::Each(items) => return items.series(look, give),
        };
        let Some(metric) = &reading.metric else { return };
        let value = (reading.read)(look);
        if value != Value::Absent {
            give(Series { metric, labels: metric.all_labels(look, Vec::new()), value });
        }
    }
}

/// Formats a size as Redis does for humans.
fn human(bytes: u64) -> String {
    let units = [("B", 1_u64), ("K", 1 << 10), ("M", 1 << 20), ("G", 1 << 30), ("T", 1 << 40)];
    let (unit, size) = units.into_iter().rev().find(|(_, size)| bytes >= *size).unwrap_or(units[0]);
    if size == 1 { format!("{bytes}B") } else { format!("{:.2}{unit}", bytes as f64 / size as f64) }
}

/// A reading of an item: `name=value` in the item's field of INFO, a metric with the item's labels,
/// or both.
#[derive(Debug)]
pub(super) struct Part<T> {
    name: Option<&'static str>,
    metric: Option<Metric>,
    read: fn(&Look<'_>, &T) -> Value,
}

/// A part of INFO's field, without a metric until one is added.
pub(super) const fn part<T>(name: &'static str, read: fn(&Look<'_>, &T) -> Value) -> Part<T> {
    Part { name: Some(name), metric: None, read }
}

/// A metric of an item, without a part in INFO.
pub(super) const fn part_only<T>(metric: Metric, read: fn(&Look<'_>, &T) -> Value) -> Part<T> {
    Part { name: None, metric: Some(metric), read }
}

impl<T> Part<T> {
    pub(super) const fn is(mut self, metric: Metric) -> Self {
        self.metric = Some(metric);
        self
    }
}

/// Several items of a kind, such as databases or replicas, with the same readings for each.
#[derive(Debug)]
pub(super) struct Each<T: 'static> {
    pub(super) items: fn(&Look<'_>) -> Vec<T>,
    /// The item's field in INFO, given its index; `None`: not shown.
    pub(super) field: fn(usize, &T) -> Option<String>,
    pub(super) labels: fn(&T) -> Labels,
    pub(super) parts: &'static [Part<T>],
}

/// [`Each`], independent of the item type.
pub(crate) trait Items: Sync + fmt::Debug {
    fn fields(&self, look: &Look<'_>, fields: &mut Vec<(String, String)>);
    fn series(&self, look: &Look<'_>, give: &mut dyn FnMut(Series<'_>));
}

impl<T: fmt::Debug> Items for Each<T> {
    fn fields(&self, look: &Look<'_>, fields: &mut Vec<(String, String)>) {
        for (index, item) in (self.items)(look).iter().enumerate() {
            let Some(name) = (self.field)(index, item) else { continue };
            let named = self.parts.iter().filter_map(|part| Some((part.name?, part.read)));
            let told = named.map(|(name, read)| (name, read(look, item)));
            let told = told.filter(|(_, value)| *value != Value::Absent);
            let told: Vec<String> = told.map(|(name, value)| format!("{name}={value}")).collect();
            if !told.is_empty() {
                fields.push((name, told.join(",")));
            }
        }
    }

    fn series(&self, look: &Look<'_>, give: &mut dyn FnMut(Series<'_>)) {
        for item in (self.items)(look) {
            for part in self.parts {
                let Some(metric) = &part.metric else { continue };
                let value = (part.read)(look, &item);
                if value != Value::Absent {
                    let labels = metric.all_labels(look, (self.labels)(&item));
                    give(Series { metric, labels, value });
                }
            }
        }
    }
}

/// For items that INFO does not show.
pub(super) fn unshown<T>(_: usize, _: &T) -> Option<String> {
    None
}
