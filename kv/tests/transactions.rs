//! Goal: transactions are strictly serializable: the anomalies that have names do not happen, phantoms included, and nothing else is
//! refused. Method: each test plays one interleaving by hand; the names are those of the Hermitage suite.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use kv::{Db, Error, Options, Result, WriteTxn};

fn database() -> Db {
    let db = Options::tiny().open_in_memory().unwrap();
    db.set("1", "10").unwrap();
    db.set("2", "20").unwrap();
    db
}

fn text(value: Option<kv::Bytes>) -> Option<String> {
    value.map(|value| String::from_utf8(value.to_vec()).unwrap())
}

fn keys(range: kv::Range) -> Vec<String> {
    range.map(|item| String::from_utf8(item.unwrap().key().to_vec()).unwrap()).collect()
}

fn is_conflict<T>(result: &Result<T>) -> bool {
    result.as_ref().is_err_and(Error::is_conflict)
}

#[test]
fn a_transaction_sees_its_own_writes_and_nobody_else_does() {
    let db = database();
    let mut txn = db.begin_write().unwrap();
    txn.set("1", "11").unwrap();
    txn.set("3", "30").unwrap();
    txn.delete("2").unwrap();
    assert_eq!(text(txn.get("1").unwrap()), Some("11".into()));
    assert_eq!(txn.get("2").unwrap(), None);
    assert!(!txn.contains_key("2").unwrap() && txn.contains_key("3").unwrap());
    assert_eq!(keys(txn.iter().unwrap()), ["1", "3"]);
    assert_eq!(keys(txn.scan().reverse().iter().unwrap()), ["3", "1"]);
    assert_eq!(keys(db.iter().unwrap()), ["1", "2"]);
    let version = txn.commit().unwrap();
    assert_eq!(db.version(), version);
    assert_eq!(keys(db.iter().unwrap()), ["1", "3"]);
}

#[test]
fn an_iterator_keeps_what_it_was_made_with() {
    let db = database();
    let mut txn = db.begin_write().unwrap();
    let range = txn.iter().unwrap();
    let count = range
        .inspect(|item| {
            // Deleting while iterating: the transaction is not borrowed by its iterator.
            txn.delete(item.as_ref().unwrap().key()).unwrap();
            txn.set("9", "new").unwrap();
        })
        .count();
    assert_eq!(count, 2);
    assert_eq!(keys(txn.iter().unwrap()), ["9"]);
    txn.commit().unwrap();
    assert_eq!(keys(db.iter().unwrap()), ["9"]);
}

#[test]
fn both_ends_of_an_iterator_meet_among_own_and_stored_items() {
    let db = database();
    let mut txn = db.begin_write().unwrap();
    txn.set("0", "own").unwrap();
    txn.set("15", "own").unwrap();
    txn.set("3", "own").unwrap();
    let mut range = txn.iter().unwrap();
    let mut next = |from_back: bool| {
        let item = if from_back { range.next_back() } else { range.next() };
        item.map(|item| String::from_utf8(item.unwrap().key().to_vec()).unwrap())
    };
    let order: Vec<_> =
        [false, true, true, false, false, true, false].map(&mut next).into_iter().flatten().collect();
    assert_eq!(order, ["0", "3", "2", "1", "15"]);
}

#[test]
fn a_rolled_back_or_failed_transaction_leaves_nothing() {
    let db = database();
    let mut txn = db.begin_write().unwrap();
    txn.set("1", "x").unwrap();
    txn.rollback();
    let failed: Result<()> = db.update(|txn| {
        txn.set("1", "y")?;
        txn.set("", "refused")
    });
    assert!(matches!(failed, Err(Error::InvalidKey { .. })));
    assert_eq!(text(db.get("1").unwrap()), Some("10".into()));
    assert_eq!(db.version().0, 2);
}

#[test]
fn an_empty_commit_is_the_version_that_was_read() {
    let db = database();
    let txn = db.begin_write().unwrap();
    txn.get("1").unwrap();
    db.set("1", "changed").unwrap();
    assert_eq!(txn.commit().unwrap().0, 2);
}

#[test]
fn g0_and_g1_writes_show_at_commit_and_whole() {
    let db = database();
    let mut one = db.begin_write().unwrap();
    let mut other = db.begin_write().unwrap();
    one.set("1", "11").unwrap();
    other.set("1", "12").unwrap();
    one.set("2", "21").unwrap();
    assert_eq!(text(db.get("1").unwrap()), Some("10".into()));
    one.commit().unwrap();
    other.set("2", "22").unwrap();
    let between = db.begin_read().unwrap();
    // Neither has read anything: the second commit is simply later.
    other.commit().unwrap();
    assert_eq!(text(between.get("1").unwrap()), Some("11".into()));
    assert_eq!(text(between.get("2").unwrap()), Some("21".into()));
    assert_eq!(text(db.get("2").unwrap()), Some("22".into()));
}

#[test]
fn p4_no_update_is_lost() {
    let db = database();
    let (mut one, mut other) = (db.begin_write().unwrap(), db.begin_write().unwrap());
    for txn in [&mut one, &mut other] {
        assert_eq!(text(txn.get("1").unwrap()), Some("10".into()));
        txn.set("1", "11").unwrap();
    }
    one.commit().unwrap();
    assert!(is_conflict(&other.commit()));
}

#[test]
fn g_single_one_snapshot_is_read() {
    let db = database();
    let mut reader = db.begin_write().unwrap();
    assert_eq!(text(reader.get("1").unwrap()), Some("10".into()));
    db.update(|txn| {
        txn.set("1", "12")?;
        txn.set("2", "18")
    })
    .unwrap();
    assert_eq!(text(reader.get("2").unwrap()), Some("20".into()));
    reader.set("3", "sum 30").unwrap();
    assert!(is_conflict(&reader.commit()));
}

#[test]
fn g2_item_write_skew_is_refused() {
    let db = database();
    let (mut one, mut other) = (db.begin_write().unwrap(), db.begin_write().unwrap());
    for txn in [&one, &other] {
        txn.get("1").unwrap();
        txn.get("2").unwrap();
    }
    one.set("1", "11").unwrap();
    other.set("2", "21").unwrap();
    one.commit().unwrap();
    assert!(is_conflict(&other.commit()));
}

/// Both look for a row that is not there, and both add one.
#[test]
fn g2_phantoms_are_refused() {
    type Look = fn(&WriteTxn);
    let looks: [(&str, Look); 5] = [
        ("forward", |txn| assert_eq!(txn.prefix("a/").unwrap().count(), 0)),
        ("backward", |txn| assert_eq!(txn.scan().prefix("a/").reverse().iter().unwrap().count(), 0)),
        ("keys only", |txn| assert_eq!(txn.scan().range("a".."b").keys_only().iter().unwrap().count(), 0)),
        ("one key", |txn| assert_eq!(txn.get("a/1").unwrap(), None)),
        ("presence", |txn| assert!(!txn.contains_key("a/1").unwrap())),
    ];
    for (name, look) in looks {
        let db = database();
        let (mut one, mut other) = (db.begin_write().unwrap(), db.begin_write().unwrap());
        look(&one);
        look(&other);
        one.set("a/1", "x").unwrap();
        other.set("a/1", "y").unwrap();
        one.commit().unwrap();
        assert!(is_conflict(&other.commit()), "{name}");
    }
}

/// What a scan has not come to may change; what it has come to may not.
#[test]
fn only_the_visited_part_of_a_range_counts() {
    for (reverse, changed, expect_conflict) in [
        (false, "a", true),
        (false, "b0", false),
        (true, "c", true),
        (true, "b0", false),
        (false, "b", false),
    ] {
        let db = Options::tiny().open_in_memory().unwrap();
        for key in ["a", "b", "c"] {
            db.set(key, "x").unwrap();
        }
        let mut txn = db.begin_write().unwrap();
        let scan = txn.scan();
        let mut range = if reverse { scan.reverse() } else { scan }.iter().unwrap();
        range.next().unwrap().unwrap();
        txn.set("mine", "x").unwrap();
        db.set(changed, "y").unwrap();
        // The iterator is alive over the commit: what it visited counts all the same.
        assert_eq!(is_conflict(&txn.commit()), expect_conflict, "reverse {reverse}, {changed}");
        drop(range);
    }
}

#[test]
fn blind_writes_never_conflict_but_are_seen_by_those_who_read() {
    let db = database();
    let mut reader = db.begin_write().unwrap();
    reader.get("1").unwrap();
    reader.set("3", "x").unwrap();
    let mut blind = db.begin_write().unwrap();
    blind.set("2", "blind").unwrap();
    db.set("2", "first").unwrap();
    blind.commit().unwrap();
    let mut batch = db.write_batch();
    batch.set("1", "batch").unwrap();
    batch.commit().unwrap();
    assert!(is_conflict(&reader.commit()));
    assert_eq!(text(db.get("2").unwrap()), Some("blind".into()));
}

#[test]
fn an_own_write_answers_without_a_read() {
    let db = database();
    let mut txn = db.begin_write().unwrap();
    txn.set("1", "mine").unwrap();
    txn.get("1").unwrap();
    db.set("1", "theirs").unwrap();
    txn.commit().unwrap();
    assert_eq!(text(db.get("1").unwrap()), Some("mine".into()));
}

#[test]
fn update_runs_again_after_a_conflict_and_gives_up_in_the_end() {
    let db = Options::tiny().max_retries(3).open_in_memory().unwrap();
    let mut runs = 0;
    db.update(|txn| {
        runs += 1;
        txn.get("counter")?;
        if runs < 3 {
            db.set("counter", [runs])?;
        }
        txn.set("counter", "done")
    })
    .unwrap();
    assert_eq!(runs, 3);
    let mut runs = 0;
    let outcome = db.update(|txn| {
        runs += 1;
        txn.get("counter")?;
        db.set("counter", [runs])?;
        txn.set("counter", "never")
    });
    assert!(is_conflict(&outcome) && outcome.unwrap_err().is_retryable());
    assert_eq!(runs, 4, "one attempt and three more");
}

/// A transaction far larger than a memtable, up to the budget; above it `set` refuses, and the transaction can go on.
#[test]
fn a_transaction_may_be_larger_than_a_memtable_but_not_than_the_budget() {
    let db = Options::tiny().memory_budget(4 << 20).open_in_memory().unwrap();
    let mut txn = db.begin_write().unwrap();
    let mut written: u32 = 0;
    let refused = loop {
        match txn.set(written.to_be_bytes(), [7; 100]) {
            Ok(()) => written += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, Error::LimitExceeded { .. }) && refused.is_retryable(), "{refused}");
    assert!(written > 1_000, "{written}");
    let other = db.set("other", [1; 10_000]);
    assert!(other.is_err_and(|error| error.is_retryable()), "the budget is shared");
    txn.commit().unwrap();
    db.set("other", "now there is room").unwrap();
    assert_eq!(db.iter().unwrap().count(), written as usize + 1);
    db.compact().unwrap();
    assert_eq!(db.iter().unwrap().count(), written as usize + 1);
}

#[test]
fn handles_are_owned_and_may_go_to_other_threads() {
    fn owned<T: Send + 'static>() {}
    fn shared<T: Send + Sync + Clone + 'static>() {}
    shared::<Db>();
    shared::<kv::ReadOnlyDb>();
    shared::<kv::ReadTxn>();
    shared::<kv::Item>();
    shared::<Error>();
    owned::<WriteTxn>();
    owned::<kv::Range>();
    owned::<kv::WriteBatch>();
    // They keep the database open, too.
    let db = database();
    let range = db.iter().unwrap();
    drop(db);
    assert_eq!(keys(range), ["1", "2"]);
}

/// Of all versions, a transaction's own write is the newest one of its key, in both directions.
#[test]
fn own_writes_are_the_newest_of_all_versions() {
    let tiny = engine::Options { keep_versions: std::num::NonZeroU32::MAX, ..engine::Options::tiny() };
    let db = Options::tiny().with_engine_options(tiny).open_in_memory().unwrap();
    for value in ["1", "2"] {
        db.set("a", value).unwrap();
        db.set("b", value).unwrap();
    }
    let mut txn = db.begin_write().unwrap();
    txn.delete("a").unwrap();
    txn.set("aa", "own").unwrap();
    let shown = |scan: kv::Scan| {
        let row = |item: kv::Item| {
            let value = String::from_utf8(item.value().unwrap().to_vec()).unwrap();
            let value = if item.is_deleted() { "deleted".to_string() } else { value };
            (String::from_utf8(item.key().to_vec()).unwrap(), value)
        };
        scan.all_versions().iter().unwrap().map(|item| row(item.unwrap())).collect::<Vec<_>>()
    };
    let mut expected = [("a", "deleted"), ("a", "2"), ("a", "1"), ("aa", "own"), ("b", "2"), ("b", "1")]
        .map(|(key, value)| (key.to_string(), value.to_string()));
    assert_eq!(shown(txn.scan()), expected);
    expected.reverse();
    assert_eq!(shown(txn.scan().reverse()), expected);
}
