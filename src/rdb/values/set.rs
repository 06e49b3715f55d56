//! Sets: members one by one (type 2), an intset (type 11), and Redis 7.2's listpack (type 20).
//! Written as Redis 7.0 writes them: an intset as it is, all else member by member.

use std::io::{self, Read, Write};

use crate::limits::Collections;
use crate::rdb::decode::Decoder;
use crate::rdb::encode::Encoder;
use crate::rdb::error::{Error, ErrorKind};
use crate::rdb::format::type_code;
use crate::types::intset::Intset;
use crate::types::listpack::{Item, Listpack};
use crate::types::members::{self, SetRef};
use crate::types::{Damage, Encoding, StringView, Value};

/// A set being read.
struct Builder<'l> {
    set: Value,
    limits: &'l Collections,
    offset: u64,
}

impl<'l> Builder<'l> {
    /// For a set that claims so many members and was found at `offset`.
    fn new(len: u64, limits: &'l Collections, offset: u64) -> Self {
        Self { set: members::empty_for(len, limits), limits, offset }
    }

    fn add(&mut self, member: &[u8]) -> Result<(), Error> {
        if members::add(&mut self.set, member, self.limits) {
            return Ok(());
        }
        Err(Error::new(self.offset, ErrorKind::BadCollection("a set with a member twice")))
    }
}

/// Reads a set that is stored member by member.
pub(super) fn read<R: Read>(
    decoder: &mut Decoder<R>,
    limits: &Collections,
) -> Result<Value, Error> {
    let offset = decoder.position();
    let len = decoder.length()?;
    if len == 0 {
        return Err(Error::new(offset, ErrorKind::EmptyCollection));
    }
    let mut builder = Builder::new(len, limits, offset);
    for _ in 0..len {
        builder.add(&decoder.string()?)?;
    }
    Ok(builder.set)
}

/// Reads an intset.
pub(super) fn read_intset<R: Read>(
    decoder: &mut Decoder<R>,
    limits: &Collections,
) -> Result<Value, Error> {
    let offset = decoder.position();
    let bytes = decoder.string()?;
    let len = Intset::check(&bytes).map_err(|damage| damaged(offset, "Intset", damage))?;
    if members::is_intset(len, limits) {
        return Ok(Value::Packed(Encoding::IntSet, bytes));
    }
    Ok(members::hashed_copy_of(SetRef::Ints(Intset::new(&bytes))))
}

/// Reads a set that is stored as a listpack of its members.
pub(super) fn read_listpack<R: Read>(
    decoder: &mut Decoder<R>,
    limits: &Collections,
) -> Result<Value, Error> {
    let offset = decoder.position();
    let bytes = decoder.string()?;
    let len = Listpack::check(&bytes).map_err(|damage| damaged(offset, "Set listpack", damage))?;
    if len == 0 {
        return Err(Error::new(offset, ErrorKind::EmptyCollection));
    }
    let len = u64::try_from(len).unwrap_or(u64::MAX);
    let mut builder = Builder::new(len, limits, offset);
    for (_, member) in Listpack::new(&bytes).iter() {
        member.with_bytes(|member| builder.add(member))?;
    }
    Ok(builder.set)
}

fn damaged(offset: u64, form: &'static str, damage: Damage) -> Error {
    Error::new(offset, ErrorKind::DamagedValue { form, damage })
}

pub(super) fn type_code(set: SetRef<'_>) -> u8 {
    match set {
        SetRef::Ints(_) => type_code::SET_INTSET,
        SetRef::Packed(_) | SetRef::Table(_) => type_code::SET,
    }
}

pub(super) fn write<W: Write>(encoder: &mut Encoder<W>, set: SetRef<'_>) -> io::Result<()> {
    if let SetRef::Ints(ints) = set {
        return encoder.bytes(ints.as_bytes());
    }
    encoder.length(u64::try_from(set.len()).unwrap_or(u64::MAX))?;
    for member in set.iter() {
        match member {
            Item::Int(number) => encoder.string(StringView::Int(number))?,
            Item::Bytes(bytes) => encoder.bytes(bytes)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::rdb::decode::Checksum;
    use crate::settings::Settings;
    use crate::types::Place;

    fn read_as(code: u8, body: &[u8], ints_max: u64) -> Result<Value, Error> {
        let defaults = Settings::default().collections;
        let limits = Collections { set_intset_entries_max: ints_max, ..defaults };
        let mut decoder = Decoder::new(body, Checksum::Ignored);
        Ok(crate::rdb::values::read(&mut decoder, code, &limits)?.expect("a type of sets"))
    }

    /// Strings of up to 63 bytes, each with its length.
    fn strings(strings: &[&[u8]]) -> Vec<u8> {
        let mut encoder = Encoder::new(Vec::new(), None, None);
        strings.iter().for_each(|string| encoder.bytes(string).unwrap());
        encoder.into_parts().0
    }

    fn members_of(set: &Value) -> BTreeSet<Vec<u8>> {
        set.view().set().expect("a set").iter().map(Item::to_vec).collect()
    }

    fn listpack(members: &[&[u8]]) -> Vec<u8> {
        let mut pack = crate::types::listpack::EMPTY.to_vec();
        members.iter().for_each(|member| crate::types::listpack::push_back(&mut pack, member));
        pack
    }

    #[test]
    fn members_take_the_form_of_what_they_are() {
        let body = [&[3][..], &strings(&[b"3", b"1", b"2"])].concat();
        assert_eq!(read_as(2, &body, 3).unwrap().encoding(), Encoding::IntSet);
        assert_eq!(read_as(2, &body, 2).unwrap().encoding(), Encoding::SetPack);
        let body = [&[2][..], &strings(&[b"3", b"a"])].concat();
        assert_eq!(read_as(2, &body, 3).unwrap().encoding(), Encoding::SetPack);
        let numbers: Vec<String> = (0..200).map(|number| number.to_string()).collect();
        let numbers: Vec<&[u8]> = numbers.iter().map(String::as_bytes).collect();
        let body = [&[0x40, 200][..], &strings(&numbers)].concat();
        assert_eq!(read_as(2, &body, 200).unwrap().encoding(), Encoding::IntSet);
        assert_eq!(read_as(2, &body, 199).unwrap().encoding(), Encoding::Set);
    }

    #[test]
    fn an_intset_over_the_limit_is_converted() {
        let blob = [2, 0, 0, 0, 2, 0, 0, 0, 0xff, 0xff, 3, 0];
        let body = strings(&[&blob]);
        let members = BTreeSet::from([b"-1".to_vec(), b"3".to_vec()]);
        for (ints_max, encoding) in [(2, Encoding::IntSet), (1, Encoding::SetPack)] {
            let set = read_as(11, &body, ints_max).unwrap();
            assert_eq!((set.encoding(), members_of(&set)), (encoding, members.clone()));
        }
    }

    #[test]
    fn a_listpack_of_members_is_read() {
        let set = read_as(20, &strings(&[&listpack(&[b"1", b"word"])]), 512).unwrap();
        assert_eq!(set.encoding(), Encoding::SetPack);
        assert_eq!(members_of(&set), BTreeSet::from([b"1".to_vec(), b"word".to_vec()]));
    }

    #[test]
    fn sets_that_contradict_themselves_are_refused() {
        let refused = |code, body: &[u8]| read_as(code, body, 512).unwrap_err().to_string();
        let twice = "at byte 0: integrity check failed: a set with a member twice";
        for members in [[&b"a"[..], b"b", b"a"], [b"1", b"2", b"1"], [b"1", b"a", b"1"]] {
            assert_eq!(refused(2, &[&[3][..], &strings(&members)].concat()), twice);
            assert_eq!(refused(20, &strings(&[&listpack(&members)])), twice);
        }
        // An integer that is stored as a string beside itself.
        let disguised = [12, 0, 0, 0, 2, 0, 5, 1, 0x81, b'5', 2, 0xff];
        assert_eq!(refused(20, &strings(&[&disguised])), twice);
        let empty = "at byte 0: a collection without elements";
        assert_eq!(refused(2, &[0]), empty);
        assert_eq!(refused(20, &strings(&[&listpack(&[])])), empty);
        let unsorted = [2, 0, 0, 0, 2, 0, 0, 0, 3, 0, 3, 0];
        let damaged = "at byte 0: Intset integrity check failed: an intset's element out of order at its byte 10";
        assert_eq!(refused(11, &strings(&[&unsorted])), damaged);
        let none = [2, 0, 0, 0, 0, 0, 0, 0];
        assert!(refused(11, &strings(&[&none])).contains("without elements"));
        assert!(
            refused(20, &strings(&[b"nonsense"])).contains("Set listpack integrity check failed")
        );
        assert!(refused(2, &[0x81, 0, 0, 0x40, 0, 0, 0, 0, 0, 1, b'a']).contains("unexpected end"));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            members in prop::collection::btree_set(
                prop_oneof![
                    any::<i64>().prop_map(|number| number.to_string().into_bytes()),
                    prop::collection::vec(any::<u8>(), 0..70),
                ],
                1..200,
            ),
            ints_max in 0..100_u64,
        ) {
            let limits =
                Collections { set_intset_entries_max: ints_max, ..Settings::default().collections };
            let items = members.iter().map(|member| Item::Bytes(member));
            let set = members::of_members(items, members.len(), &limits);
            let view = set.view();
            let mut encoder = Encoder::new(Vec::new(), None, None);
            crate::rdb::values::write(&mut encoder, view).unwrap();
            let code = crate::rdb::values::type_code(view);
            let read = read_as(code, &encoder.into_parts().0, ints_max).unwrap();
            prop_assert_eq!(read.encoding(), set.encoding());
            prop_assert_eq!(members_of(&read), members);
        }

        #[test]
        fn arbitrary_bytes_never_panic(code in prop::sample::select(vec![2_u8, 11, 20]), body: Vec<u8>) {
            drop(read_as(code, &body, 4));
            drop(read_as(code, &[&[body.len().min(63) as u8][..], &body].concat(), 4));
        }
    }
}
