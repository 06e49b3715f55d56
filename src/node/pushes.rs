//! Messages that a connection has not taken yet.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::resp::Output;
use crate::types::allocation::size_class;

#[derive(Debug, Default)]
pub(super) struct Pushes {
    output: Output,
    len: usize,
    counted: Option<Counted>,
}

/// Bytes that count in a total until this is dropped.
#[derive(Debug)]
struct Counted {
    bytes: usize,
    total: Arc<AtomicUsize>,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.total.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Pushes {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Adds messages, whose memory counts in a total until they are taken.
    pub(super) fn add(&mut self, messages: &Output, total: Option<&Arc<AtomicUsize>>) {
        self.len += messages.len();
        let before = self.allocated_bytes();
        self.output.append(messages);
        let Some(total) = total else { return };
        let grown = self.allocated_bytes().saturating_sub(before);
        let counted =
            self.counted.get_or_insert_with(|| Counted { bytes: 0, total: Arc::clone(total) });
        counted.bytes += grown;
        counted.total.fetch_add(grown, Ordering::Relaxed);
    }

    fn allocated_bytes(&self) -> usize {
        size_class(self.output.capacity())
    }

    pub(super) fn into_output(self) -> Output {
        self.output
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::Protocol;

    #[test]
    fn messages_count_until_they_are_taken_or_lost() {
        let total = Arc::new(AtomicUsize::new(0));
        let counted = || total.load(Ordering::Relaxed);
        let mut message = Output::new(Protocol::Resp3);
        message.bulk(&[b'k'; 1000]);
        let mut pushes = Pushes::default();
        pushes.add(&message, None);
        assert_eq!((pushes.len(), counted()), (message.len(), 0));
        pushes.add(&message, Some(&total));
        assert!(counted() >= message.len(), "{}", counted());
        assert_eq!(pushes.into_output().len(), 2 * message.len());
        assert_eq!(counted(), 0);
        let mut pushes = Pushes::default();
        pushes.add(&message, Some(&total));
        assert!(counted() >= message.len(), "{}", counted());
        drop(pushes);
        assert_eq!(counted(), 0);
    }
}
