use super::*;
use crate::domain::{now, proptests::order_of};
use chrono::TimeDelta;
use proptest::prelude::*;
use uuid::{Builder, Uuid};

fn settings(limit: &str) -> OrderLimits {
    let open_orders = limit.parse().unwrap_or(Setting::Off);
    OrderLimits { open_orders, new_accounts_drinks: 60, drinks_per_order: 100 }
}

/// Makes the id of an account of this age.
fn aged(hours: i64) -> UserId {
    let made = now() - TimeDelta::hours(hours);
    let millis = u64::try_from(made.micros() / 1000).unwrap();
    let random = *Uuid::new_v4().as_bytes();
    UserId(Builder::from_unix_timestamp_millis(millis, random.last_chunk().unwrap()).into_uuid())
}

fn address(number: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, number])
}

/// Accepts the order if it is admitted, and returns whether it was.
fn places(open: &OpenOrders, customer: UserId, drinks: i64, from: IpAddr) -> Result<(), OpenOrdersError> {
    open.admit(&order_of(customer, drinks), from)
        .map(|reservation| reservation.expect("it is counted").accepted())
}

#[tokio::test]
async fn a_customer_has_as_many_open_orders_as_are_allowed() {
    let open = OpenOrders::new(&settings("10"));
    let (ana, ben) = (aged(2), aged(2));
    for _ in 0..10 {
        assert_eq!(places(&open, ana, 20, address(1)), Ok(()));
    }
    assert_eq!(places(&open, ana, 1, address(2)), Err(OpenOrdersError::Orders(10)));
    assert_eq!(places(&open, ben, 1, address(1)), Ok(()));
}

#[tokio::test]
async fn a_repeat_counts_once_and_what_is_not_accepted_does_not_count() {
    let open = OpenOrders::new(&settings("1"));
    let ana = aged(2);
    let first = order_of(ana, 1);
    open.admit(&first, address(1)).unwrap().unwrap().released();
    open.admit(&first, address(1)).unwrap().unwrap().accepted();
    let repeat = open.admit(&first, address(1)).unwrap().unwrap();
    // The first one was accepted all the same.
    repeat.released();
    assert_eq!(places(&open, ana, 1, address(1)), Err(OpenOrdersError::Orders(1)));
}

#[tokio::test]
async fn a_new_account_has_less() {
    let open = OpenOrders::new(&settings("10"));
    let (few, large) = (UserId::new_v7(), UserId::new_v7());
    for _ in 0..3 {
        assert_eq!(places(&open, few, 1, address(1)), Ok(()));
    }
    assert_eq!(places(&open, few, 1, address(1)), Err(OpenOrdersError::NewAccount(3)));
    assert_eq!(places(&open, large, 20, address(1)), Ok(()));
    assert_eq!(places(&open, large, 1, address(1)), Err(OpenOrdersError::NewAccount(3)));
    let strict = OpenOrders::new(&settings("2"));
    assert_eq!([places(&strict, few, 1, address(1)), places(&strict, few, 1, address(1))], [Ok(()); 2]);
    assert_eq!(places(&strict, few, 1, address(1)), Err(OpenOrdersError::NewAccount(2)));
}

#[tokio::test]
async fn registering_more_accounts_at_one_address_does_not_help() {
    let open = OpenOrders::new(&settings("10"));
    let total: usize = (0..50).filter(|_| places(&open, UserId::new_v7(), 20, address(1)).is_ok()).count();
    assert_eq!(total, 3, "of 20 drinks each");
    assert_eq!(
        places(&open, UserId::new_v7(), 1, address(1)),
        Err(OpenOrdersError::NewAccountsAtAddress(60))
    );
    // Others may order: from another address, or with an older account.
    assert_eq!(places(&open, UserId::new_v7(), 1, address(2)), Ok(()));
    assert_eq!(places(&open, aged(2), 20, address(1)), Ok(()));
    // An IPv6 network counts as one address.
    let six = |last: u16| IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, last]);
    let total: usize = (0..50).filter(|last| places(&open, UserId::new_v7(), 20, six(*last)).is_ok()).count();
    assert_eq!(total, 3);
}

#[tokio::test]
async fn nothing_is_counted_when_it_is_off() {
    let open = OpenOrders::new(&settings("off"));
    let ana = UserId::new_v7();
    assert!(
        (0..100).all(|_| open.admit(&order_of(ana, 20), address(1)).is_ok_and(|counted| counted.is_none()))
    );
}

#[tokio::test]
async fn memory_is_bounded() {
    let open = OpenOrders::new(&settings("10"));
    for _ in 0..2 * MAX_CUSTOMERS {
        assert!(open.admit(&order_of(aged(2), 1), address(1)).is_ok());
    }
    let remembered: usize = open.shards.iter().map(|shard| lock(shard).len()).sum();
    assert!(remembered <= MAX_CUSTOMERS && remembered > MAX_CUSTOMERS / 2, "{remembered}");
}

#[derive(Debug, Clone)]
enum Event {
    Places { customer: usize, drinks: i64, address: u8, accepted: bool },
    Answers { customer: usize, orders: u32, drinks: u32, seen: bool },
}

fn event() -> impl Strategy<Value = Event> {
    let places =
        (0..4_usize, 1..=20_i64, 0..3_u8, any::<bool>()).prop_map(|(customer, drinks, address, accepted)| {
            Event::Places { customer, drinks, address, accepted }
        });
    let answers = (0..4_usize, 0..3_u32, 0..30_u32, any::<bool>())
        .prop_map(|(customer, orders, drinks, seen)| Event::Answers { customer, orders, drinks, seen });
    prop_oneof![places, answers]
}

proptest! {
    /// The charges of networks equal the drinks of their new accounts.
    #[test]
    fn networks_are_charged_with_what_new_accounts_have(events in prop::collection::vec(event(), 0..60)) {
        let open = OpenOrders::new(&settings("10"));
        let customers = [UserId::new_v7(), UserId::new_v7(), UserId::new_v7(), aged(2)];
        for event in events {
            match event {
                Event::Places { customer, drinks, address: from, accepted } => {
                    if let Ok(Some(reservation)) = open.admit(&order_of(customers[customer], drinks), address(from)) {
                        if accepted { reservation.accepted() } else { reservation.released() }
                    }
                }
                Event::Answers { customer, orders, drinks, seen } => {
                    let id = customers[customer];
                    open.change(id, |customer, at| {
                        customer.answer(Load { orders, drinks }, |_| seen, at);
                        open.recharge(id, customer, customer.load(at), now());
                    });
                }
            }
            let mut expected = HashMap::new();
            for shard in &open.shards {
                for (id, customer) in lock(shard).iter() {
                    let drinks = if is_new(*id, now()) { customer.load(Instant::now()).drinks } else { 0 };
                    if drinks > 0 {
                        *expected.entry(customer.network).or_insert(0) += drinks;
                    }
                }
            }
            prop_assert_eq!(&*lock(&open.networks), &expected);
        }
    }
}
