//! Connections as pairs of byte pipes that can be cut, with their bytes in flight.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// One direction of a connection.
#[derive(Debug, Default)]
pub(super) struct Pipe {
    bytes: VecDeque<u8>,
    /// No more bytes will follow.
    closed: bool,
    /// Its reader is gone.
    unread: bool,
}

/// The result of a read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Read {
    Bytes(Vec<u8>),
    Nothing,
    End,
}

impl Pipe {
    pub(super) fn write(&mut self, bytes: &[u8]) {
        if !self.closed && !self.unread {
            self.bytes.extend(bytes);
        }
    }

    pub(super) fn read(&mut self, bytes_max: usize) -> Read {
        match (self.bytes.len().min(bytes_max), self.closed) {
            (0, true) if self.bytes.is_empty() => Read::End,
            (0, _) => Read::Nothing,
            (len, _) => Read::Bytes(self.bytes.drain(..len).collect()),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }
}

/// A replica's connection to its master.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) replica: usize,
    pub(super) master: usize,
    pub(super) to_master: Pipe,
    pub(super) to_replica: Pipe,
    /// The history that the replica names in its PSYNC, and how much it has of it.
    pub(super) asked: Option<(String, u64)>,
}

/// All the connections, and which nodes cannot reach each other.
#[derive(Debug, Default)]
pub(super) struct Network {
    pub(super) wires: BTreeMap<u64, Wire>,
    apart: BTreeSet<(usize, usize)>,
    next: u64,
}

impl Network {
    pub(super) fn connect(
        &mut self,
        replica: usize,
        master: usize,
        asked: Option<(String, u64)>,
    ) -> u64 {
        self.next += 1;
        let (to_master, to_replica) = (Pipe::default(), Pipe::default());
        self.wires.insert(self.next, Wire { replica, master, to_master, to_replica, asked });
        self.next
    }

    pub(super) fn is_apart(&self, one: usize, other: usize) -> bool {
        self.apart.contains(&(one.min(other), one.max(other)))
    }

    /// Ends the connections between two nodes and prevents new ones.
    pub(super) fn part(&mut self, one: usize, other: usize) {
        self.apart.insert((one.min(other), one.max(other)));
        let between = |wire: &Wire| {
            (wire.replica, wire.master) == (one, other)
                || (wire.replica, wire.master) == (other, one)
        };
        let wires: Vec<_> =
            self.wires.iter().filter(|(_, wire)| between(wire)).map(|(&id, _)| id).collect();
        wires.into_iter().for_each(|id| self.cut(id));
    }

    pub(super) fn heal(&mut self) {
        self.apart.clear();
    }

    /// Cuts a connection: its bytes in flight are lost, and both ends notice eventually.
    pub(super) fn cut(&mut self, id: u64) {
        let Some(wire) = self.wires.get_mut(&id) else { return };
        for pipe in [&mut wire.to_master, &mut wire.to_replica] {
            pipe.bytes.clear();
            pipe.closed = true;
        }
    }

    /// The replica ends a connection.
    pub(super) fn leave_as_replica(&mut self, id: u64) {
        self.leave(id, |wire| (&mut wire.to_master, &mut wire.to_replica));
    }

    /// The master ends a connection.
    pub(super) fn leave_as_master(&mut self, id: u64) {
        self.leave(id, |wire| (&mut wire.to_replica, &mut wire.to_master));
    }

    fn leave(&mut self, id: u64, sides: fn(&mut Wire) -> (&mut Pipe, &mut Pipe)) {
        let Some(wire) = self.wires.get_mut(&id) else { return };
        let (outgoing, incoming) = sides(wire);
        outgoing.closed = true;
        incoming.unread = true;
        incoming.bytes.clear();
        if outgoing.unread {
            self.wires.remove(&id);
        }
    }
}
