//! Generators for property tests, such as nearly valid input, which gets further than random bytes.
//! `make fuzz CASES=1000000` tries more cases than the tests do.

#![allow(clippy::missing_panics_doc, reason = "a test may fail where it stands")]

use super::{
    Timestamp,
    ids::{OrderId, RecipeId, UserId},
    now,
    order::{Drink, MAX_LINES, NewOrder, OrderLine, Quantity},
    text::{Name, Note, Table},
};
use proptest::{collection::vec, option, prelude::*, sample::Index, string::string_regex};
use std::{ops::Range, sync::Mutex};
use uuid::Uuid;

/// More than any body may have.
const MAX_BYTES: usize = 70_000;

/// Bytes and fragments that are significant to some parser.
const BYTES: &[u8] = b"{}[]\"\\:,=;.- */&%\n\r\t\0\x1e\x7f\xff";
const FRAGMENTS: &[u8] = b"\xc3\xb1|\xf0\x9f\x8d\xb8|\\u0000|\\ud800|%00|%C3|null|true|{}|[]|\"\"|0|-1|2.0|2.5|1e308|1e999|\
    9223372036854775808|18446744073709551616|\"recipe\":|\"items\":|\"quantity\":|\"version\":|\"order\":|W/\"|wait|\
    wait=30|limit=|cursor=";

fn fragments() -> Vec<&'static [u8]> {
    BYTES.chunks(1).chain(FRAGMENTS.split(|byte| *byte == b'|')).collect()
}

/// A change of valid input.
#[derive(Debug, Clone)]
enum Change {
    Flip(Index, u8),
    Insert(Index, &'static [u8]),
    Nest(Index, u8, u16),
    Remove(Index, Index),
    Repeat(Index, Index, u8),
    End(Index),
}

fn change() -> impl Strategy<Value = Change> {
    let position = any::<Index>;
    prop_oneof![
        4 => (position(), any::<u8>()).prop_map(|(at, bits)| Change::Flip(at, bits)),
        4 => (position(), prop::sample::select(fragments())).prop_map(|(at, fragment)| Change::Insert(at, fragment)),
        2 => (position(), position()).prop_map(|(from, to)| Change::Remove(from, to)),
        2 => (position(), position(), any::<u8>()).prop_map(|(from, to, times)| Change::Repeat(from, to, times)),
        1 => (position(), prop::sample::select(b"[{(\"\\9a%".as_slice()), any::<u16>()).prop_map(|(at, byte, times)| Change::Nest(at, byte, times)),
        1 => position().prop_map(Change::End),
    ]
}

impl Change {
    fn apply(self, bytes: &mut Vec<u8>) {
        let at = |position: Index| position.index(bytes.len() + 1);
        let range = |from: Index, to: Index| -> Range<usize> { at(from).min(at(to))..at(from).max(at(to)) };
        match self {
            Self::Flip(position, bits) => {
                let at = at(position);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= bits;
                }
            }
            Self::Insert(position, fragment) => {
                let at = at(position);
                bytes.splice(at..at, fragment.iter().copied());
            }
            Self::Nest(position, byte, times) => {
                let at = at(position);
                bytes.splice(at..at, std::iter::repeat_n(byte, times.into()));
            }
            Self::Remove(from, to) => drop(bytes.drain(range(from, to))),
            Self::Repeat(from, to, times) => {
                let range = range(from, to);
                let times = usize::from(times).min(MAX_BYTES / range.len().max(1));
                let part = bytes[range.clone()].repeat(times);
                bytes.splice(range.end..range.end, part);
            }
            Self::End(position) => bytes.truncate(at(position)),
        }
        bytes.truncate(MAX_BYTES);
    }
}

/// Valid input after a few changes.
pub fn nearly(right: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    (right, vec(change(), 0..6)).prop_map(|(mut bytes, changes)| {
        for change in changes {
            change.apply(&mut bytes);
        }
        bytes
    })
}

/// One of these texts after a few changes.
pub fn nearly_one_of(right: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    nearly(prop::sample::select(right).prop_map(|text| text.as_bytes().to_vec()))
}

/// Runs `work`, and panics if it takes more memory at a time than this many bytes for each byte of the input, plus a constant.
#[track_caller]
pub fn within<T>(each: usize, input: &[u8], work: impl FnOnce() -> T) -> T {
    const CONSTANT_BYTES: usize = 32 * 1024;
    let done = Mutex::new(None);
    let taken = allocation_counter::measure(|| *done.lock().unwrap() = Some(work()));
    let (taken, limit) = (taken.bytes_max, (CONSTANT_BYTES + each * input.len()) as u64);
    assert!(taken <= limit, "{taken} bytes of memory for an input of {}", input.len());
    done.into_inner().unwrap().unwrap()
}

fn id() -> impl Strategy<Value = Uuid> {
    any::<u128>().prop_map(Uuid::from_u128)
}

/// Any timestamp that can be stored.
pub fn timestamp() -> impl Strategy<Value = Timestamp> {
    (Timestamp::EARLIEST.micros()..=Timestamp::LATEST.micros())
        .prop_map(|micros| Timestamp::from_micros(micros).unwrap())
}

/// Any visible text of at most `max` characters, with these spaces in it.
fn text(space: &str, max: usize) -> impl Strategy<Value = String> {
    let characters = "a-zñ🍸\"\\\\'";
    string_regex(&format!("[{characters}]([{characters}{space}]{{0,{}}}[{characters}])?", max - 2)).unwrap()
}

const LINE: &str = " ";
const PROSE: &str = " \n\t";

prop_compose! {
    fn line()(recipe in id(), name in text(LINE, Name::MAX), quantity in 1..=20i64, note in option::of(text(PROSE, Note::MAX))) -> OrderLine {
        OrderLine {
            recipe: Drink { id: RecipeId(recipe), name: name.try_into().unwrap() },
            quantity: Quantity::try_from(quantity).unwrap(),
            note: note.map(|note| note.try_into().unwrap()),
        }
    }
}

prop_compose! {
    pub fn order()(
        ids in [id(), id(), id()],
        lines in vec(line(), 1..=MAX_LINES),
        table in option::of(text(LINE, Table::MAX)),
        note in option::of(text(PROSE, Note::MAX)),
        priority in 1..=4u8,
        due_at in timestamp(),
        placed_at in timestamp(),
    ) -> NewOrder {
        let [id, customer, placer] = ids;
        NewOrder {
            id: OrderId(id),
            customer_id: UserId(customer),
            placed_by: UserId(placer),
            lines,
            table: table.map(|table| table.try_into().unwrap()),
            note: note.map(|note| note.try_into().unwrap()),
            priority,
            due_at,
            placed_at,
        }
    }
}

/// An order of one line that a customer placed just now.
pub fn order_of(customer_id: UserId, drinks: i64) -> NewOrder {
    NewOrder {
        id: OrderId::new_v7(),
        customer_id,
        placed_by: customer_id,
        lines: vec![OrderLine {
            recipe: Drink { id: RecipeId::new_v7(), name: Name::try_from("Negroni").unwrap() },
            quantity: Quantity::try_from(drinks).unwrap(),
            note: None,
        }],
        table: None,
        note: None,
        priority: 2,
        due_at: now(),
        placed_at: now(),
    }
}

#[test]
#[should_panic(expected = "bytes of memory")]
fn what_takes_more_memory_than_its_input_is_worth_is_found() {
    within(4, b"100000", || vec![0_u8; 100_000].len());
}
