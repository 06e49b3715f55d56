//! How much of its master's stream a replica's disk has, for WAITAOF on the master.

use std::collections::VecDeque;

use crate::aof::Mode;
use crate::node::Node;

/// Most offsets kept; beyond them the last one moves.
const MARKS_MAX: usize = 64;

/// Offsets of the stream beside those of the append only file, as of the last acknowledgements.
#[derive(Debug, Default)]
pub(super) struct Durable {
    /// Offsets of the stream whose effects are in the file up to an offset of its own, in order.
    marks: VecDeque<(u64, u64)>,
    offset: u64,
}

impl Durable {
    /// The offset up to which the disk has what the stream has done; `None` without a whole file.
    pub(super) fn offset(&mut self, node: &Node) -> Option<u64> {
        // In this order: the effects of what is in the log are in the file already.
        let stream = node.log.offset();
        let Some(file) = node.log.recording_file().filter(|file| file.mode() == Mode::On) else {
            self.marks.clear();
            return None;
        };
        let mark = (stream, file.appended());
        let full = self.marks.len() >= MARKS_MAX;
        match self.marks.back_mut() {
            Some(last) if full => *last = mark,
            Some(last) if last.0 == mark.0 => {}
            _ => self.marks.push_back(mark),
        }
        let durable = file.progress().durable;
        let on_disk = self.marks.partition_point(|mark| mark.1 <= durable);
        if let Some((offset, _)) = self.marks.drain(..on_disk).next_back() {
            self.offset = offset;
        }
        Some(self.offset)
    }
}
