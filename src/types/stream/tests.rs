use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::types::listpack;

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

pub(super) const DEFAULT_LIMITS: BlockLimits = BlockLimits { bytes: 4096, entries: 100 };

fn add(stream: &mut Stream, id: StreamId, pairs: &Pairs, limits: BlockLimits) {
    let fields = pairs.iter().map(|(field, value)| (&field[..], &value[..]));
    stream.append(id, fields, limits).unwrap();
}

fn pairs_of(entry: Entry<'_>) -> (StreamId, Pairs) {
    let pairs = entry.fields.map(|(field, value)| (field.to_vec(), value.to_vec()));
    (entry.id, pairs.collect())
}

fn id(seq: u64) -> StreamId {
    StreamId::new(seq / 7, seq % 7)
}

/// The stream from its parts, as if it had been stored and loaded.
fn rebuilt(stream: &Stream) -> Stream {
    let mut builder = StreamBuilder::default();
    for (first, pack) in stream.blocks() {
        builder.block(first, pack.to_vec()).unwrap();
    }
    builder.counters(stream.counters()).unwrap();
    for (name, group) in stream.groups().iter() {
        let mut parts = GroupBuilder::new(group.last_id, group.entries_read);
        for (id, pending) in group.pending_from(StreamId::MIN) {
            parts.pending(id, pending.delivered_ms, pending.deliveries).unwrap();
        }
        for (_, consumer) in group.consumers() {
            parts.consumer(consumer.name(), consumer.seen_ms).unwrap();
            consumer.pending_from(StreamId::MIN).for_each(|id| parts.claim(id).unwrap());
        }
        builder.group(name, parts).unwrap();
    }
    builder.finish()
}

/// Bytes by a look at everything.
fn bytes_counted(stream: &Stream) -> usize {
    let sealed: usize = stream.sealed.iter().map(|(_, block)| block.allocated_bytes()).sum();
    let tail = stream.tail.as_ref();
    let tail = tail.map_or(0, |tail| memory::shared::<Tail>() + memory::vector(&tail.pack));
    let groups = stream.groups().iter().map(|(name, group)| {
        let consumers = group.consumers().map(|(_, consumer)| consumer.owned_bytes_counted());
        memory::shared_slice(name.len()) + group.own_node_bytes() + consumers.sum::<usize>()
    });
    let groups = groups.sum::<usize>() + stream.groups().own_node_bytes();
    stream.sealed.node_bytes() + sealed + tail + groups
}

#[derive(Clone, Debug, Default)]
struct Model {
    entries: BTreeMap<StreamId, Pairs>,
    counters: Counters,
    pending: BTreeMap<StreamId, (u8, i64, u64)>,
}

#[derive(Clone, Debug)]
enum Step {
    Add(u64, Pairs),
    AddMany(u64),
    Delete(u64),
    Trim(Trim),
    Deliver(u64, u8),
    Acknowledge(u64),
    RemoveConsumer(u8),
    Clone,
}

fn step() -> impl Strategy<Value = Step> {
    let text = prop_oneof![
        "[a-c]{1,2}".prop_map(String::into_bytes),
        any::<i32>().prop_map(|number| number.to_string().into_bytes()),
        prop::collection::vec(any::<u8>(), 0..200),
    ];
    let pairs = prop::collection::vec(("[a-b]{1}".prop_map(String::into_bytes), text), 1..4);
    let until = prop_oneof![
        (0..80_u64).prop_map(Until::Length),
        (0..700_u64).prop_map(|seq| Until::Id(id(seq))),
    ];
    let precision = prop_oneof![Just(Precision::Exact), Just(Precision::Approximate)];
    let trim = (until, precision, prop_oneof![Just(0_u64), 0..30_u64])
        .prop_map(|(until, precision, limit)| Trim { until, precision, limit });
    prop_oneof![
        6 => (1..9_u64, pairs).prop_map(|(gap, pairs)| Step::Add(gap, pairs)),
        2 => (1..60_u64).prop_map(Step::AddMany),
        6 => (0..700_u64).prop_map(Step::Delete),
        2 => trim.prop_map(Step::Trim),
        5 => (0..700_u64, 0..3_u8).prop_map(|(seq, consumer)| Step::Deliver(seq, consumer)),
        3 => (0..700_u64).prop_map(Step::Acknowledge),
        1 => (0..3_u8).prop_map(Step::RemoveConsumer),
        1 => Just(Step::Clone),
    ]
}

const LIMITS: BlockLimits = BlockLimits { bytes: 512, entries: 20 };

impl Model {
    fn add(&mut self, stream: &mut Stream, gap: u64, pairs: &Pairs) {
        let last = self.counters.last_id;
        let new = id(last.ms * 7 + last.seq + gap);
        add(stream, new, pairs, LIMITS);
        self.entries.insert(new, pairs.clone());
        self.counters.last_id = new;
        self.counters.entries_added += 1;
    }

    /// Trims the model by as many as the stream did; checks that it was allowed to.
    fn trim(&mut self, stream: &mut Stream, trim: Trim) {
        let removed = stream.trim(trim).entries;
        let excess = match trim.until {
            Until::Length(most) => (self.entries.len() as u64).saturating_sub(most),
            Until::Id(least) => self.entries.range(..least).count() as u64,
        };
        assert!(removed <= excess);
        if trim.precision == Precision::Exact && trim.limit == 0 {
            assert_eq!(removed, excess);
        }
        (0..removed).for_each(|_| drop(self.entries.pop_first()));
    }

    fn apply(&mut self, stream: &mut Stream, step: &Step, stamp: i64) {
        match step {
            Step::Add(gap, pairs) => self.add(stream, *gap, pairs),
            Step::AddMany(many) => (0..*many).for_each(|n| {
                let pairs = vec![(b"a".to_vec(), n.to_string().into_bytes())];
                self.add(stream, 1, &pairs);
            }),
            Step::Delete(seq) => {
                let deleted = self.entries.remove(&id(*seq)).is_some();
                assert_eq!(stream.delete(id(*seq)), deleted);
                if deleted {
                    self.counters.max_deleted_id = self.counters.max_deleted_id.max(id(*seq));
                }
            }
            Step::Trim(trim) => self.trim(stream, *trim),
            Step::Deliver(seq, consumer) => {
                let name = [b'c', *consumer];
                self.pending.insert(id(*seq), (*consumer, stamp, 1));
                let deliver = |group: &mut Group| {
                    let new = group.create_consumer(&name, stamp);
                    let number = new.or_else(|| group.number(&name)).unwrap();
                    group.deliver(id(*seq), number, stamp);
                };
                stream.groups_mut().update(b"group", deliver).unwrap();
            }
            Step::Acknowledge(seq) => {
                let was = self.pending.remove(&id(*seq)).is_some();
                let groups = stream.groups_mut();
                assert_eq!(groups.update(b"group", |group| group.acknowledge(id(*seq))), Some(was));
            }
            Step::RemoveConsumer(consumer) => {
                let len = self.pending.len();
                self.pending.retain(|_, pending| pending.0 != *consumer);
                let name = [b'c', *consumer];
                let groups = stream.groups_mut();
                let removed =
                    groups.update(b"group", |group| group.remove_consumer(&name)).unwrap();
                let pending = removed.map_or(0, |consumer| consumer.pending_len());
                assert_eq!(pending, len - self.pending.len());
            }
            Step::Clone => {}
        }
        self.counters.length = self.entries.len() as u64;
        self.counters.first_id = self.entries.keys().next().copied().unwrap_or_default();
    }

    fn check(&self, stream: &Stream) {
        assert_eq!(stream.counters(), self.counters);
        let all = || self.entries.iter().map(|(id, pairs)| (*id, pairs.clone()));
        assert!(stream.range(StreamId::MIN, StreamId::MAX).map(pairs_of).eq(all()));
        assert!(stream.range_back(StreamId::MIN, StreamId::MAX).map(pairs_of).eq(all().rev()));
        assert_eq!(stream.allocated_bytes(), bytes_counted(stream));
        let group = stream.groups().get(b"group").unwrap();
        let pending = group.pending_from(StreamId::MIN).map(|(id, pending)| {
            let name = group.consumer(pending.consumer).name();
            (id, (name[1], pending.delivered_ms, pending.deliveries))
        });
        assert!(pending.eq(self.pending.iter().map(|(id, pending)| (*id, *pending))));
        for (_, consumer) in group.consumers() {
            let own = self.pending.iter().filter(|(_, pending)| pending.0 == consumer.name()[1]);
            assert!(consumer.pending_from(StreamId::MIN).eq(own.map(|(id, _)| *id)));
        }
    }

    fn check_range(&self, stream: &Stream, a: u64, b: u64) {
        let (from, to) = (id(a.min(b)), id(a.max(b)));
        let own = || self.entries.range(from..=to).map(|(id, pairs)| (*id, pairs.clone()));
        assert!(stream.range(from, to).map(pairs_of).eq(own()));
        assert!(stream.range_back(from, to).map(pairs_of).eq(own().rev()));
        assert_eq!(stream.contains(from), self.entries.contains_key(&from));
        assert_eq!(stream.range(to, from).count(), usize::from(from == to && stream.contains(to)));
    }
}

proptest! {
    #[test]
    fn a_stream_keeps_its_entries_and_clones_keep_their_state(
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let (mut stream, mut model) = (Stream::default(), Model::default());
        prop_assert!(stream.groups_mut().create(b"group", Group::new(StreamId::MIN, Some(0))));
        let mut kept = Vec::new();
        for (stamp, step) in steps.iter().enumerate() {
            model.apply(&mut stream, step, stamp as i64);
            let stamp = stamp as u64;
            model.check_range(&stream, stamp * 617 % 700, stamp * 331 % 700);
            if matches!(step, Step::Clone) {
                kept.push((stream.clone(), model.clone()));
            }
        }
        kept.push((stream, model));
        for (stream, model) in &kept {
            model.check(stream);
            let loaded = rebuilt(stream);
            model.check(&loaded);
            prop_assert!(loaded.blocks().eq(stream.blocks()));
        }
    }

    #[test]
    fn no_bytes_panic_and_accepted_blocks_can_be_used(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        deleted in prop::collection::vec(0..40_u64, 0..10),
        seed in 0..40_u64,
    ) {
        let mut stream = Stream::default();
        for seq in 1..20 + seed {
            let field = if seq % 5 == 0 { b"x".to_vec() } else { b"a".to_vec() };
            add(&mut stream, id(seq), &vec![(field, vec![b'v'; (seq % 9) as usize])], LIMITS);
        }
        for seq in deleted {
            stream.delete(id(seq));
        }
        let mut builder = StreamBuilder::default();
        for (first, pack) in stream.blocks() {
            let mut pack = pack.to_vec();
            for (at, byte) in &changes {
                let at = at.index(pack.len());
                pack[at] = *byte;
            }
            if builder.block(first, pack).is_err() {
                return Ok(());
            }
        }
        let (length, last_id) = (builder.live, StreamId::MAX.predecessor().unwrap());
        let counters = builder.old_counters(length, last_id);
        if builder.counters(counters).is_err() {
            return Ok(());
        }
        use_all(builder.finish(), length);
    }
}

/// Reads, changes and removes all entries.
fn use_all(mut stream: Stream, length: u64) {
    let all: Vec<_> = stream.range(StreamId::MIN, StreamId::MAX).map(pairs_of).collect();
    assert_eq!(all.len() as u64, length);
    let mut back: Vec<_> = stream.range_back(StreamId::MIN, StreamId::MAX).map(pairs_of).collect();
    back.reverse();
    assert_eq!(back, all);
    let mut trimmed = stream.clone();
    let until = Until::Length(length / 2);
    let exact = Trim { until, precision: Precision::Exact, limit: 0 };
    assert_eq!(trimmed.trim(exact).entries, length - length / 2);
    assert!(
        trimmed
            .range(StreamId::MIN, StreamId::MAX)
            .map(pairs_of)
            .eq(all.iter().skip((length - length / 2) as usize).cloned())
    );
    add(&mut stream, StreamId::MAX, &vec![(b"a".to_vec(), b"b".to_vec())], LIMITS);
    assert!(all.iter().all(|(id, _)| stream.delete(*id)));
    assert_eq!(stream.len(), 1);
    assert_eq!(rebuilt(&stream).len(), 1);
}

fn hundred() -> Stream {
    let mut stream = Stream::default();
    for seq in 1..=100 {
        add(&mut stream, id(seq), &vec![(b"f".to_vec(), b"v".to_vec())], LIMITS);
    }
    stream
}

#[test]
fn inconsistent_parts_are_refused_by_name() {
    let stream = hundred();
    let blocks: Vec<_> = stream.blocks().map(|(first, pack)| (first, pack.to_vec())).collect();
    let mut builder = StreamBuilder::default();
    builder.block(blocks[1].0, blocks[1].1.clone()).unwrap();
    let refused = builder.block(blocks[0].0, blocks[0].1.clone());
    assert_eq!(refused, Err(Refusal::BlockOrder));
    let counters = builder.old_counters(20, id(39));
    assert_eq!(builder.counters(counters), Err(Refusal::LastId));
    assert_eq!(builder.counters(builder.old_counters(19, id(40))), Err(Refusal::Length));
    assert_eq!(builder.counters(builder.old_counters(20, id(40))), Ok(()));

    let mut group = GroupBuilder::new(id(3), None);
    group.pending(id(1), 5, 1).unwrap();
    assert_eq!(group.pending(id(1), 5, 1), Err(Refusal::PendingTwice));
    assert_eq!(group.claim(id(1)), Err(Refusal::PendingForNone));
    group.consumer(b"one", 5).unwrap();
    assert_eq!(group.claim(id(2)), Err(Refusal::PendingUnknown));
    group.claim(id(1)).unwrap();
    assert_eq!(group.consumer(b"one", 5), Err(Refusal::ConsumerTwice));
    group.consumer(b"two", 5).unwrap();
    assert_eq!(group.claim(id(1)), Err(Refusal::PendingForTwo));
    builder.group(b"group", group).unwrap();
    let empty = || GroupBuilder::new(id(3), None);
    assert_eq!(builder.group(b"group", empty()), Err(Refusal::GroupTwice));
    let mut unclaimed = empty();
    unclaimed.pending(id(1), 5, 1).unwrap();
    assert_eq!(builder.group(b"other", unclaimed), Err(Refusal::PendingForNone));
}

#[test]
fn a_damaged_block_is_refused_for_what_is_wrong() {
    let elements = |numbers: &[i64]| {
        let mut pack = listpack::EMPTY.to_vec();
        numbers.iter().for_each(|number| listpack::push_back_int(&mut pack, *number));
        pack
    };
    let refused = |numbers: &[i64]| {
        let outcome = StreamBuilder::default().block(id(9), elements(numbers));
        let Err(Refusal::Block(damage)) = outcome else { panic!("{outcome:?}") };
        damage.what
    };
    // One live entry of one field, then one that is deleted.
    let sound = [1, 1, 1, 7, 0, 2, 0, 0, 8, 4, 3, 0, 1, 8, 4];
    StreamBuilder::default().block(id(9), elements(&sound)).unwrap();
    let with = |at: usize, number: i64| {
        let mut numbers = sound;
        numbers[at] = number;
        refused(&numbers)
    };
    assert_eq!(with(0, -1), "a number in a stream's block that cannot be");
    assert_eq!(with(1, i64::MAX), "a number in a stream's block that cannot be");
    assert_eq!(with(2, 1 << 40), "a number in a stream's block that cannot be");
    assert_eq!(with(4, 1), "a stream's block whose fields do not end");
    assert_eq!(with(5, 6), "an entry of a stream with unknown flags");
    assert_eq!(with(9, 3), "an entry of a stream with another length than it states");
    assert_eq!(with(6, -1), "ids in a stream's block that do not rise");
    assert_eq!(with(10, 2), "a stream's block with another number of entries than it states");
    assert_eq!(with(1, 2), "a stream's block that ends within an entry");
    assert_eq!(with(1, 0), "a stream's block that goes on behind its entries");
    assert_eq!(refused(&[0, 0, 0, 0]), "a stream's block without entries");
    assert_eq!(refused(&[]), "a stream's block that ends within an entry");
}

#[test]
fn ids_are_made_as_xadd_asks() {
    let mut stream = Stream::default();
    stream.set_last_id(StreamId::new(5, u64::MAX));
    let new = |wanted, now_ms| stream.new_id(wanted, now_ms);
    assert_eq!(new(NewId::Auto, 9), Ok(StreamId::new(9, 0)));
    assert_eq!(new(NewId::Auto, 5), Ok(StreamId::new(6, 0)));
    assert_eq!(new(NewId::AutoSequence(5), 9), Err(AppendError::NotGreater));
    assert_eq!(new(NewId::AutoSequence(7), 9), Ok(StreamId::new(7, 0)));
    assert_eq!(new(NewId::AutoSequence(4), 9), Err(AppendError::NotGreater));
    assert_eq!(new(NewId::Exact(StreamId::new(5, 3)), 9), Err(AppendError::NotGreater));
    assert_eq!(new(NewId::Exact(StreamId::MIN), 9), Err(AppendError::Zero));
    stream.set_last_id(StreamId::MAX);
    assert_eq!(stream.new_id(NewId::Auto, 9), Err(AppendError::Exhausted));
}

#[test]
fn a_clone_of_much_that_is_pending_shares_it_but_for_what_is_written() {
    let mut stream = hundred();
    let mut group = Group::new(id(100), Some(100));
    let consumer = group.create_consumer(b"one", 1).unwrap();
    (0..100_000).for_each(|seq| group.deliver(id(seq), consumer, 2));
    stream.groups_mut().create(b"group", group);
    let mut kept = stream.clone();
    stream.groups_mut().update(b"group", |group| group.acknowledge(id(50_000)));
    // Freeing what is now the stream's own frees no more than one path of each list.
    let mut bytes = 0;
    loop {
        let freed = stream.free_some(Freed { bytes: 1000, objects: 100 });
        if freed == Freed::default() {
            break;
        }
        bytes += freed.bytes;
    }
    assert!((4000..60_000).contains(&bytes), "{bytes}");
    let group = kept.groups().get(b"group").unwrap();
    assert_eq!((group.pending_len(), group.consumer(consumer).pending_len()), (100_000, 100_000));
    let (all, mut freed) = (kept.allocated_bytes(), 0);
    loop {
        let part = kept.free_some(Freed { bytes: 10_000, objects: 100 });
        assert!(part.bytes < 20_000 && part.objects < 110);
        if part == Freed::default() {
            break;
        }
        freed += part.bytes;
    }
    // Names go uncounted.
    assert!(all - freed < 200, "{freed} of {all}");
}

#[test]
fn sealed_blocks_have_no_spare_room() {
    let mut stream = Stream::default();
    for n in 0..200_000_u64 {
        let sensor = format!("s{:04}", n % 1000).into_bytes();
        let pairs =
            vec![(b"sensor".to_vec(), sensor), (b"value".to_vec(), n.to_string().into_bytes())];
        add(&mut stream, StreamId::new(1_700_000_000_000 + n, 0), &pairs, DEFAULT_LIMITS);
    }
    let per_entry = stream.allocated_bytes() as f64 / 200_000.0;
    assert!(per_entry <= 21.2, "{per_entry}");
}

#[test]
fn large_blocks_are_shared_and_small_ones_copied() {
    let mut stream = Stream::default();
    let limits = BlockLimits { bytes: 0, entries: 2 };
    for seq in 1..100 {
        let len = if seq % 4 < 2 { 10 } else { 20_000 };
        add(&mut stream, id(seq), &vec![(b"f".to_vec(), vec![b'v'; len])], limits);
    }
    let kept = stream.clone();
    let all = |stream: &Stream| -> Vec<_> {
        stream.range(StreamId::MIN, StreamId::MAX).map(pairs_of).collect()
    };
    let before = all(&kept);
    (1..100).filter(|seq| seq % 3 > 0).for_each(|seq| assert!(stream.delete(id(seq))));
    assert!(all(&kept) == before);
    let left: Vec<_> = before.into_iter().filter(|(id, _)| (id.ms * 7 + id.seq) % 3 == 0).collect();
    assert!(all(&stream) == left);
    for stream in [&stream, &kept] {
        assert_eq!(stream.allocated_bytes(), bytes_counted(stream));
        assert!(all(&rebuilt(stream)) == all(stream));
    }
}

#[test]
fn the_lag_is_known_unless_a_deletion_lies_ahead() {
    let mut stream = hundred();
    let lag = |stream: &Stream, group: &Group| group.lag(&stream.counters());
    let mut group = Group::new(StreamId::MIN, None);
    assert_eq!(lag(&Stream::default(), &group), Some(0));
    assert_eq!(lag(&stream, &group), Some(100));
    group.advance(&stream.counters(), id(1));
    assert_eq!((group.entries_read, lag(&stream, &group)), (Some(1), Some(99)));
    group.advance(&stream.counters(), id(2));
    assert_eq!((group.entries_read, lag(&stream, &group)), (Some(2), Some(98)));
    assert!(!group.advance(&stream.counters(), id(2)));

    assert!(stream.delete(id(50)));
    assert_eq!(lag(&stream, &group), None);
    group.advance(&stream.counters(), id(3));
    assert_eq!((group.entries_read, lag(&stream, &group)), (None, None));
    group.advance(&stream.counters(), id(100));
    assert_eq!((group.entries_read, lag(&stream, &group)), (Some(100), Some(0)));
}

#[test]
fn an_approximate_trim_removes_whole_blocks_within_its_limit() {
    let trim = |until, precision, limit| {
        let mut stream = hundred();
        let trimmed = stream.trim(Trim { until, precision, limit });
        assert_eq!(stream.counters().first_id, id(trimmed.entries + 1));
        assert_eq!(stream.len(), 100 - trimmed.entries);
        (trimmed.entries, trimmed.removed.len())
    };
    // Blocks are of 20.
    assert_eq!(trim(Until::Length(50), Precision::Approximate, 0), (40, 2));
    assert_eq!(trim(Until::Length(50), Precision::Approximate, 39), (20, 1));
    assert_eq!(trim(Until::Length(50), Precision::Approximate, 19), (0, 0));
    assert_eq!(trim(Until::Length(50), Precision::Exact, 0), (50, 2));
    assert_eq!(trim(Until::Id(id(61)), Precision::Approximate, 0), (60, 3));
    assert_eq!(trim(Until::Id(id(60)), Precision::Approximate, 0), (40, 2));
    assert_eq!(trim(Until::Id(id(60)), Precision::Exact, 0), (59, 2));
    assert_eq!([0, 1, 100, 1 << 40].map(Trim::default_limit), [10_000, 100, 10_000, 1_000_000]);
}

#[test]
fn the_block_before_a_removed_tail_is_appended_to_again() {
    let mut stream = hundred();
    assert_eq!(stream.blocks_len(), 5);
    (81..=100).for_each(|seq| assert!(stream.delete(id(seq))));
    assert!(stream.delete(id(80)));
    assert_eq!((stream.blocks_len(), stream.counters().max_deleted_id), (4, id(100)));
    add(
        &mut stream,
        id(101),
        &vec![(b"f".to_vec(), b"v".to_vec())],
        BlockLimits { bytes: 0, entries: 21 },
    );
    assert_eq!((stream.blocks_len(), stream.last_entry().unwrap().id), (4, id(101)));
    assert!(stream.range_back(id(79), StreamId::MAX).map(|entry| entry.id).eq([id(101), id(79)]));
}
