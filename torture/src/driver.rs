//! Runs the cases of a campaign on all cores, until it has done enough or time is up; catches panics, watches for hangs, and
//! shrinks what is found.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use parking_lot::Mutex;

use crate::campaign::{Campaign, Case, Goal, Size};
use crate::counters::Counters;
use crate::finding::{Checked, Finding};
use crate::script::Script;
use crate::shrink::shrink;
use crate::starvation::Account;

/// A case that takes longer hangs; the time that it waits for a processor does not count.
const HANG_AFTER: Duration = Duration::from_secs(180);
/// Enough to see what they have in common.
const FINDINGS_MAX: usize = 5;
/// How many scripts are tried to make one shorter.
const SHRINK_TRIES: usize = 200;

/// What to run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Case number n has the seed `seed + n`.
    pub seed: u64,
    /// Only the case of this number.
    pub case: Option<u64>,
    /// How much.
    pub size: Size,
    /// For how long at most.
    pub time: Option<Duration>,
    /// Only this script.
    pub script: Option<Script>,
    /// How many cases at once; campaigns may want fewer.
    pub workers: usize,
    /// The first finding ends it, told as it is and not made shorter.
    pub only_first: bool,
}

/// A finding with what replays it.
#[derive(Clone, Debug)]
pub struct Found {
    /// The number of the case.
    pub case: u64,
    /// What is wrong.
    pub what: String,
    /// The shortest script that shows it.
    pub script: Option<Script>,
}

/// What a campaign has done.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Its name.
    pub campaign: &'static str,
    /// What was counted.
    pub counters: Counters,
    /// What should have been reached.
    pub goals: Vec<Goal>,
    /// What was found.
    pub findings: Vec<Found>,
    /// How long it took.
    pub elapsed: Duration,
}

impl Summary {
    /// True when nothing was found.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }
}

thread_local! {
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Keeps the message of a panic for the finding that it becomes, instead of printing it. Campaigns cause panics on purpose.
pub fn keep_panics_quiet() {
    std::panic::set_hook(Box::new(|info| {
        PANIC.with_borrow_mut(|kept| *kept = Some(info.to_string()));
    }));
}

/// The message of the last panic that was caught on this thread.
pub(crate) fn take_panic() -> String {
    PANIC.with_borrow_mut(Option::take).unwrap_or_default()
}

/// Runs `work`; a panic is a finding.
///
/// # Errors
/// That of `work`, or the panic.
pub fn catching<T>(work: impl FnOnce() -> Checked<T>) -> Checked<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        let message = PANIC.with_borrow_mut(Option::take).unwrap_or_default();
        Err(Finding::new(format!("panic: {message}")))
    })
}

fn run_case(campaign: &dyn Campaign, case: &mut Case<'_>) -> Checked {
    catching(|| campaign.run(case))
}

/// A case under way.
struct Running {
    case: u64,
    since: Instant,
    account: Account,
    /// What the account said when the case began.
    waited_before: Duration,
}

impl Running {
    fn begin(case: u64) -> Self {
        let account = Account::of_this_thread();
        let waited_before = account.waited();
        Self { case, since: Instant::now(), account, waited_before }
    }

    fn hangs(&self) -> bool {
        let elapsed = self.since.elapsed();
        elapsed > HANG_AFTER
            && elapsed.saturating_sub(self.account.waited().saturating_sub(self.waited_before)) > HANG_AFTER
    }
}

struct Shared<'a> {
    campaign: &'a dyn Campaign,
    plan: &'a Plan,
    next: AtomicU64,
    is_over: AtomicBool,
    started: Instant,
    summary: Mutex<Summary>,
    /// What each worker is at.
    running: Vec<Mutex<Option<Running>>>,
}

impl Shared<'_> {
    fn next_case(&self) -> Option<u64> {
        let index = self.next.fetch_add(1, Ordering::Relaxed);
        if let Some(case) = self.plan.case {
            return (index == 0).then_some(case);
        }
        let cases = if self.plan.script.is_some() { Some(1) } else { self.campaign.cases(self.plan.size) };
        let is_late = self.plan.time.is_some_and(|time| self.started.elapsed() >= time);
        let is_over =
            is_late || self.is_over.load(Ordering::Relaxed) || cases.is_some_and(|cases| index >= cases);
        (!is_over).then_some(index)
    }

    fn work(&self, worker: usize) {
        while let Some(index) = self.next_case() {
            let slot = self.running.get(worker);
            slot.into_iter().for_each(|slot| *slot.lock() = Some(Running::begin(index)));
            let seed = self.plan.seed.wrapping_add(index);
            let mut case = Case::new(seed, index, self.plan.size, self.plan.script.as_ref());
            let outcome = run_case(self.campaign, &mut case);
            let found = outcome.err().map(|finding| self.shrunk(&case, finding));
            slot.into_iter().for_each(|slot| *slot.lock() = None);
            self.record(&case.counters, found);
        }
    }

    fn record(&self, counters: &Counters, found: Option<Found>) {
        let mut summary = self.summary.lock();
        summary.counters.count("cases");
        summary.counters.merge(counters);
        summary.findings.extend(found);
        let reached = summary.goals.iter().all(|goal| summary.counters.get(goal.counter) >= goal.at_least);
        let findings_max = if self.plan.only_first { 1 } else { FINDINGS_MAX };
        if (reached && !summary.goals.is_empty()) || summary.findings.len() >= findings_max {
            self.is_over.store(true, Ordering::Relaxed);
        }
    }

    fn shrunk(&self, case: &Case<'_>, finding: Finding) -> Found {
        let fails = |script: &Script| {
            let mut again = Case::new(case.seed, case.index, case.size, Some(script));
            run_case(self.campaign, &mut again).is_err()
        };
        let script = case.ran.as_ref().map(|script| {
            // What does not fail a second time is told as it was.
            if !self.plan.only_first && fails(script) {
                shrink(script, SHRINK_TRIES, fails)
            } else {
                script.clone()
            }
        });
        Found { case: case.index, what: finding.to_string(), script }
    }

    fn hanging(&self) -> Option<u64> {
        self.running.iter().find_map(|slot| {
            slot.lock().as_ref().filter(|running| running.hangs()).map(|running| running.case)
        })
    }
}

/// Runs `campaign`. A case that hangs ends it with a finding, its thread left behind.
///
/// # Panics
/// Never: what panics is a case, and a finding.
pub fn run(campaign: &dyn Campaign, plan: &Plan, bar: &ProgressBar) -> Summary {
    let workers = campaign.workers_max().unwrap_or(plan.workers).min(plan.workers).max(1);
    let summary = Summary {
        campaign: campaign.name(),
        counters: Counters::default(),
        goals: if plan.case.is_some() || plan.script.is_some() {
            Vec::new()
        } else {
            campaign.goals(plan.size)
        },
        findings: Vec::new(),
        elapsed: Duration::ZERO,
    };
    let shared = Shared {
        campaign,
        plan,
        next: AtomicU64::new(0),
        is_over: AtomicBool::new(false),
        started: Instant::now(),
        summary: Mutex::new(summary),
        running: (0..workers).map(|_| Mutex::new(None)).collect(),
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..workers)
            .map(|worker| {
                let shared = &shared;
                scope.spawn(move || shared.work(worker))
            })
            .collect();
        while threads.iter().any(|thread| !thread.is_finished()) {
            std::thread::sleep(Duration::from_millis(20));
            show(bar, &shared);
            if let Some(case) = shared.hanging() {
                // The thread cannot be ended: say what hangs, and leave.
                eprintln!("kv-torture: {}: case {case} hangs (seed {})", campaign.name(), plan.seed);
                eprintln!("{}", so_far(&shared.summary.lock()));
                std::process::exit(1);
            }
        }
    });
    let mut summary = shared.summary.into_inner();
    summary.elapsed = shared.started.elapsed();
    summary
}

fn show(bar: &ProgressBar, shared: &Shared<'_>) {
    bar.set_message(so_far(&shared.summary.lock()));
}

fn so_far(summary: &Summary) -> String {
    let counts = summary.counters.iter().map(|(name, count)| format!("{count} {name}"));
    format!("{}: {}", summary.campaign, counts.collect::<Vec<_>>().join(", "))
}
