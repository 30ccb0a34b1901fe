//! Goal: the transaction bugs that other engines had do not happen here. Method: the interleaving of each, played by hand, and
//! one story between threads. Numbers and sources are those of the hall of bugs.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]
#![allow(clippy::disallowed_methods, reason = "a test starts threads of its own")]

use kv::{Db, Durability, Error, Options, Result, WriteTxn};

fn database() -> Db {
    Options::tiny().durability(Durability::Buffered).open_in_memory().unwrap()
}

fn is_conflict<T>(result: &Result<T>) -> bool {
    result.as_ref().is_err_and(Error::is_conflict)
}

fn number(db: &Db, key: &str) -> i64 {
    i64::from_le_bytes(db.get(key).unwrap().unwrap()[..].try_into().unwrap())
}

/// badger #574: what had been written was forgotten after a read version had been given out, and an update was lost. Here a
/// transaction conflicts with a commit after its beginning, however many others came between and were forgotten.
#[test]
fn hb_67_no_update_is_lost_however_much_is_forgotten() {
    for others in [0, 1, 100, 400, 3_000] {
        let db = database();
        db.set("counter", 1_i64.to_le_bytes()).unwrap();
        let mut old = db.begin_write().unwrap();
        let read = old.get("counter").unwrap().unwrap();
        db.set("counter", 2_i64.to_le_bytes()).unwrap();
        for other in 0..others {
            db.update(|txn| {
                txn.get("other")?;
                txn.set("other", [other as u8])
            })
            .unwrap();
        }
        old.set("counter", read).unwrap();
        assert!(is_conflict(&old.commit()), "{others} commits between");
        assert_eq!(number(&db, "counter"), 2);
    }
}

/// The same, as a bank: transfers between accounts by threads never make money.
#[test]
fn hb_67_a_bank_never_makes_money() {
    const ACCOUNTS: u64 = 5;
    let db = database();
    let account = |index: u64| format!("account{}", index % ACCOUNTS);
    for index in 0..ACCOUNTS {
        db.set(account(index), 100_i64.to_le_bytes()).unwrap();
    }
    std::thread::scope(|scope| {
        for seed in 0..3 {
            let db = db.clone();
            scope.spawn(move || {
                let mut random = fastrand::Rng::with_seed(seed);
                for _ in 0..300 {
                    let (from, amount) = (random.u64(..ACCOUNTS), random.i64(1..20));
                    let to = from + random.u64(1..ACCOUNTS);
                    let moved: Result<()> = db.update(|txn| {
                        let balance = |key: &str| -> Result<i64> {
                            Ok(i64::from_le_bytes(txn.get(key)?.unwrap()[..].try_into().unwrap()))
                        };
                        let (left, right) =
                            (balance(&account(from))? - amount, balance(&account(to))? + amount);
                        txn.set(account(from), left.to_le_bytes())?;
                        txn.set(account(to), right.to_le_bytes())
                    });
                    assert!(moved.is_ok() || is_conflict(&moved));
                }
            });
        }
    });
    let sum: i64 = (0..ACCOUNTS).map(|index| number(&db, &account(index))).sum();
    assert_eq!(sum, 100 * ACCOUNTS as i64);
}

type Look = fn(&WriteTxn);

/// badger #1289: what an iterator read, and what a seek did not find, was in no read set. Here whoever looked for what was not
/// there conflicts with whoever put it there, whatever way it was looked for.
#[test]
fn hb_68_what_was_not_found_is_read_too() {
    let looks: [(&str, Look); 7] = [
        ("get", |txn| assert_eq!(txn.get("k").unwrap(), None)),
        ("item", |txn| assert!(txn.item("k").unwrap().is_none())),
        ("contains_key", |txn| assert!(!txn.contains_key("k").unwrap())),
        ("seek", |txn| assert!(txn.range("k".."m").unwrap().next().is_none())),
        ("seek back", |txn| assert!(txn.range("j".."l").unwrap().next_back().is_none())),
        ("prefix", |txn| assert!(txn.prefix("k").unwrap().next().is_none())),
        ("seek past it", |txn| {
            let mut range = txn.range("j"..).unwrap();
            assert_eq!(range.next().unwrap().unwrap().key(), b"z".as_slice());
        }),
    ];
    for (name, look) in looks {
        let db = database();
        db.set("a", "there").unwrap();
        db.set("z", "there").unwrap();
        let mut txn = db.begin_write().unwrap();
        look(&txn);
        txn.set("mine", "x").unwrap();
        db.set("k", "theirs").unwrap();
        assert!(is_conflict(&txn.commit()), "{name}");
    }
}

fn sum(txn: &WriteTxn, prefix: &str) -> i64 {
    let values = txn.prefix(prefix).unwrap().map(|item| item.unwrap().value().unwrap());
    values.map(|value| i64::from_le_bytes(value[..].try_into().unwrap())).sum()
}

/// badger #409, #2057: ranges were not tracked, so two transactions that each read what the other was about to add to both
/// committed. Here one of the two is refused: the "intersecting data" of the PostgreSQL manual.
#[test]
fn hb_69_predicate_write_skew_is_refused() {
    for first_commits_first in [true, false] {
        let db = database();
        for (key, value) in [("1/a", 10_i64), ("1/b", 20), ("2/a", 100), ("2/b", 200)] {
            db.set(key, value.to_le_bytes()).unwrap();
        }
        let (mut one, mut other) = (db.begin_write().unwrap(), db.begin_write().unwrap());
        let (sum_one, sum_two) = (sum(&one, "1/"), sum(&other, "2/"));
        one.set("2/c", sum_one.to_le_bytes()).unwrap();
        other.set("1/c", sum_two.to_le_bytes()).unwrap();
        let (early, late) = if first_commits_first { (one, other) } else { (other, one) };
        early.commit().unwrap();
        assert!(is_conflict(&late.commit()));
    }
}

/// surrealkv #28, slatedb #1710: a scanned range was tracked only as far as the keys that it returned. Here a key that comes
/// between, before the first and behind the last of them conflicts; behind the place where the scan stopped it does not.
#[test]
fn hb_70_ranges_are_read_to_their_bounds_or_to_the_stop() {
    // The scan is over ["b", "y"), which holds "d", "m" and "t".
    for (phantom, limit, reverse, expected) in [
        ("b", 9, false, true),
        ("c", 9, false, true),
        ("d", 9, false, true),
        ("f", 9, false, true),
        ("u", 9, false, true),
        ("x\u{7f}", 9, false, true),
        ("y", 9, false, false),
        ("a\u{7f}", 9, false, false),
        ("b", 9, true, true),
        ("u", 9, true, true),
        // Stopped at "m".
        ("b", 2, false, true),
        ("f", 2, false, true),
        ("m", 2, false, true),
        ("m\0", 2, false, false),
        ("t", 2, false, false),
        ("x", 2, true, true),
        ("n", 2, true, true),
        ("m", 2, true, true),
        ("l", 2, true, false),
        // Stopped before anything was shown.
        ("m", 0, false, false),
    ] {
        let db = database();
        for key in ["d", "m", "t", "z"] {
            db.set(key, "there").unwrap();
        }
        let mut txn = db.begin_write().unwrap();
        let scan = txn.scan().range("b".."y");
        let scan = if reverse { scan.reverse() } else { scan };
        assert!(scan.iter().unwrap().take(limit).all(|item| item.is_ok()));
        txn.set("mine", "x").unwrap();
        db.set(phantom, "phantom").unwrap();
        let committed = txn.commit();
        assert_eq!(is_conflict(&committed), expected, "{phantom:?}, {limit} of the range, reverse {reverse}");
    }
}
