//! Writes sent when they are due, whether or not earlier ones were answered. A write's latency
//! counts from its due time, so a server's stalls show.

use std::io::{Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use super::{Client, Server, command};

const CONNECTIONS: usize = 4;
/// The sender's wake-up interval.
const TICK: Duration = Duration::from_micros(100);

/// The load of writes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) writes_per_second: u64,
    /// Number of different keys.
    pub(crate) keys: usize,
}

/// A write's due time, from the beginning of the load, and its latency.
pub(crate) type Timed = (Duration, Duration);

impl Load {
    /// Sends writes for a while from `began` on.
    pub(crate) fn run(
        self,
        server: &Server,
        began: Instant,
        duration: Duration,
        seed: u64,
    ) -> Vec<Timed> {
        let per_second = self.writes_per_second;
        let total = per_second * duration.as_millis() as u64 / 1000;
        let clients: Vec<Client> = (0..CONNECTIONS).map(|_| server.connect()).collect();
        let due = move |write: u64| Duration::from_nanos(write * 1_000_000_000 / per_second);
        let mut readers = Vec::new();
        let mut writers = Vec::new();
        for (index, client) in clients.into_iter().enumerate() {
            let Client { mut reader, writer } = client;
            writers.push(writer);
            let own: Vec<u64> = (0..total).skip(index).step_by(CONNECTIONS).collect();
            readers.push(thread::spawn(move || {
                let mut latencies = Vec::with_capacity(own.len());
                let mut reply = [0; 5];
                for write in own {
                    reader.read_exact(&mut reply).expect("a reply");
                    assert_eq!(&reply, b"+OK\r\n");
                    latencies.push((due(write), began.elapsed().saturating_sub(due(write))));
                }
                latencies
            }));
        }
        let mut random = seed | 1;
        let mut sent = 0;
        while sent < total {
            let now = began.elapsed();
            let mut bytes: [Vec<u8>; CONNECTIONS] = Default::default();
            while sent < total && due(sent) <= now {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                let key = format!("key:{:012}", random % self.keys as u64);
                let value = format!("value:{:010}", sent % 10_000_000_000);
                let connection = sent as usize % CONNECTIONS;
                command(&mut bytes[connection], &[b"SET", key.as_bytes(), value.as_bytes()]);
                sent += 1;
            }
            for (writer, bytes) in writers.iter_mut().zip(&bytes) {
                writer.write_all(bytes).expect("it reads");
            }
            thread::sleep(TICK);
        }
        readers.into_iter().flat_map(|reader| reader.join().expect("no panic")).collect()
    }
}

/// A percentile of the latencies, in milliseconds.
pub(crate) fn percentile(writes: &[Timed], share: f64) -> f64 {
    let mut latencies: Vec<Duration> = writes.iter().map(|(_, latency)| *latency).collect();
    latencies.sort_unstable();
    latencies[((latencies.len() - 1) as f64 * share) as usize].as_secs_f64() * 1000.0
}
