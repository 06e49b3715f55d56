use proptest::prelude::*;

use super::*;
use crate::types::sorted_set::Inserted;

/// The listpack of a real Redis 7.0.15 after the changes of the test below: the string in DUMP's reply.
const REAL: &str = concat!(
    "39010000220085666972737406842d696e6605dff902f1c7cf03f4ffffffffffffff7f09f1c7cf03e046787878",
    "787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878",
    "7878787878787878787878787878787878787878787848842d332e35050a010001847a65726f05000180019330",
    "2e3130303030303030303030303030303031148574656e74680693302e31303030303030303030303030303030",
    "311400010101836f6e65040101836f6e66040101010183322e35048362696704f400008a5d7845630109846564",
    "676505f4000000000000004009866265796f6e640796392e32323333373230333638353437373538652b313817",
    "84687567650597312e30303030303030303030303030303031652b33303018846c6173740583696e6604ff",
);

#[test]
fn the_packed_form_has_the_bytes_of_a_real_redis() {
    let long = "x".repeat(70);
    let added: [(&str, &str); 18] = [
        ("1", "one"),
        ("0.1", "tenth"),
        ("-0", "zero"),
        ("0", "10"),
        ("inf", "last"),
        ("-inf", "first"),
        ("1e17", "big"),
        ("1", "1"),
        ("1", "0"),
        ("0.1", ""),
        ("1e300", "huge"),
        ("4611686018427387904", "edge"),
        ("9223372036854775807", "beyond"),
        ("-3.5", &long),
        ("1", "onf"),
        ("1", "on"),
        ("-12345", "-7"),
        ("-12345", "9223372036854775807"),
    ];
    let mut pack = listpack::EMPTY.to_vec();
    for (score, member) in added {
        insert_packed(&mut pack, member.as_bytes(), double::parse(score.as_bytes()).unwrap());
    }
    assert_eq!(remove_packed(&mut pack, b"on"), Some(1.0));
    assert_eq!(remove_packed(&mut pack, b"on"), None);
    assert_eq!(remove_packed(&mut pack, b"1"), Some(1.0));
    insert_packed(&mut pack, b"1", 2.5);
    let hex: String = pack.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, REAL);
}

#[test]
fn a_packed_score_that_is_no_number_is_read_as_zero() {
    let mut pack = listpack::EMPTY.to_vec();
    for item in ["a", "nan", "b", "word", "c", "7"] {
        listpack::push_back(&mut pack, item.as_bytes());
    }
    let view = SortedSetRef::Packed(Listpack::new(&pack));
    assert_eq!(
        ["a", "b", "c"].map(|member| view.score(member.as_bytes())),
        [0.0, 0.0, 7.0].map(Some)
    );
    assert_eq!((view.score(b"nan"), view.score(b"7")), (None, None));
}

fn owned((member, score): (Item<'_>, f64)) -> (Vec<u8>, f64) {
    (member.to_vec(), score)
}

fn member() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        (-20..20_i64).prop_map(|number| number.to_string().into_bytes()),
        prop::collection::vec(any::<u8>(), 0..4),
        (0..5_u8, 60..300_usize).prop_map(|(byte, len)| vec![byte; len]),
    ]
}

fn score() -> impl Strategy<Value = f64> {
    prop_oneof![
        (-3..3_i32).prop_map(f64::from),
        any::<f64>().prop_filter("a score is a number", |score| !score.is_nan()),
        any::<i64>().prop_map(|number| number as f64),
    ]
}

/// Asks both forms the same.
fn compare(packed: SortedSetRef<'_>, tree: SortedSetRef<'_>, member: &[u8], score: f64) {
    assert_eq!(packed.len(), tree.len());
    assert_eq!(packed.is_empty(), tree.is_empty());
    assert_eq!(packed.score(member), tree.score(member));
    assert_eq!(packed.rank(member), tree.rank(member));
    assert_eq!(packed.rank_and_score(member), tree.rank_and_score(member));
    assert_eq!(packed.rank_of_score(score), tree.rank_of_score(score));
    assert_eq!(packed.rank_after_score(score), tree.rank_after_score(score));
    for rank in 0..packed.len() + 2 {
        assert_eq!(packed.get(rank).map(owned), tree.get(rank).map(owned));
        assert!(packed.iter_from(rank).map(owned).eq(tree.iter_from(rank).map(owned)));
        assert!(packed.iter_before(rank).map(owned).eq(tree.iter_before(rank).map(owned)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..<_>::default() })]

    #[test]
    fn both_forms_answer_alike(
        actions in prop::collection::vec((member(), score(), 0..4), 1..60),
        asked in prop::collection::vec((member(), score()), 10),
    ) {
        let (mut pack, mut set) = (listpack::EMPTY.to_vec(), SortedSet::new());
        for (member, score, action) in &actions {
            let removed = remove_packed(&mut pack, member);
            if *action == 0 {
                prop_assert_eq!(set.remove(member), removed);
            } else {
                insert_packed(&mut pack, member, *score);
                let expected = match removed {
                    None => Inserted::New,
                    Some(old) if old == *score => Inserted::Same,
                    Some(_) => Inserted::Moved,
                };
                prop_assert_eq!(set.insert(member, *score), expected);
            }
            prop_assert_eq!(Listpack::check(&pack), Ok(2 * set.len()));
        }
        let (packed, tree) = (SortedSetRef::Packed(Listpack::new(&pack)), SortedSetRef::Tree(&set));
        let used = actions.iter().take(10).map(|(member, score, _)| (member, score));
        for (member, score) in used.chain(asked.iter().map(|(member, score)| (member, score))) {
            compare(packed, tree, member, *score);
        }
    }

    #[test]
    fn both_forms_find_the_same_bounds_of_members(
        members in prop::collection::btree_set(member(), 1..60),
        asked in prop::collection::vec(member(), 10),
    ) {
        let (mut pack, mut set) = (listpack::EMPTY.to_vec(), SortedSet::new());
        for member in &members {
            insert_packed(&mut pack, member, 0.5);
            set.insert(member, 0.5);
        }
        let (packed, tree) = (SortedSetRef::Packed(Listpack::new(&pack)), SortedSetRef::Tree(&set));
        for member in members.iter().chain(&asked) {
            prop_assert_eq!(packed.rank_of_member(member), tree.rank_of_member(member));
            prop_assert_eq!(packed.rank_after_member(member), tree.rank_after_member(member));
        }
    }
}
