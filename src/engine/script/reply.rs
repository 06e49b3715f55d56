//! A script's result as the reply to its client.

use crate::node::stats::WorkerStats;
use crate::number::double::DoubleText;
use crate::resp::Output;
use crate::scripting::{Counted, ReplyWriter};

/// Writes the result in the protocol of the client's connection.
#[derive(Debug)]
pub(super) struct Reply<'r> {
    pub(super) output: &'r mut Output,
    pub(super) stats: &'r WorkerStats,
    /// The last error that was written.
    pub(super) failure: Option<Vec<u8>>,
}

impl ReplyWriter for Reply<'_> {
    fn bulk(&mut self, bytes: &[u8]) {
        self.output.bulk(bytes);
    }

    fn integer(&mut self, value: i64) {
        self.output.integer(value);
    }

    fn simple(&mut self, text: &[u8]) {
        self.output.raw(b"+");
        self.output.raw(text);
        self.output.raw(b"\r\n");
    }

    fn error(&mut self, text: &[u8], counted: Counted) {
        self.output.error(text);
        if counted == Counted::NotYet {
            self.stats.error(text);
        }
        self.failure = Some(text.to_vec());
    }

    fn null(&mut self) {
        self.output.null();
    }

    fn boolean(&mut self, value: bool) {
        self.output.boolean(value);
    }

    fn double(&mut self, value: f64) {
        self.output.double(DoubleText::new(value).as_bytes());
    }

    fn big_number(&mut self, digits: &[u8]) {
        self.output.big_number(digits);
    }

    fn verbatim(&mut self, format: [u8; 3], text: &[u8]) {
        self.output.verbatim(&format, text);
    }

    fn array(&mut self, len: usize) {
        self.output.array(len);
    }

    fn map(&mut self, pairs: usize) {
        self.output.map(pairs);
    }

    fn set(&mut self, len: usize) {
        self.output.set(len);
    }
}
