//! Opening a database: lock, manifest, recovery, and what is made durable before `open` returns.
//!
//! # Invariants
//! 1. Nothing is created, changed or removed before everything that must be readable has been read.
//! 2. What `open` shows is durable: replayed commits are in synced tables, their values in synced segments, and one edit
//!    retired the generations that they came from.
//! 3. Files are swept only after that edit; the logs that it has let go are left to the background, which takes them as those
//!    of a flush: to give back their space takes as long as to write the tables.
//! 4. After a clean close there is nothing to make durable, and nothing is written: the first commit opens the first
//!    generation, and with it replaces the manifest.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use base::clock::Clock;
use base::header::{DatabaseId, FileIdentity};
use base::seeded::{self, Bug};
use base::vfs::{Access, FileLock, LockKind, Vfs};
use base::{Error, Halt, Result, SharedVersion, Version};
use keyring::Registry;
use manifest::{Edit, Manifest, SegmentMeta, State};
use memtable::{ArenaPool, Memtable};
use parking_lot::Mutex;
use sstable::{BlockCache, TableAccess};
use vlog::Ledger;

use crate::Options;
use crate::core::Core;
use crate::counters::Counters;
use crate::directory::{LOCK, NUMBER_MAX, NumberedFile, STRAY_NUMBER_MAX};
use crate::files::{LivingFile, Reaper};
use crate::generation::Generation;
use crate::guarded::Guarded;
use crate::helpers::Helpers;
use crate::inner::{Inner, Writing};
use crate::journal::{Journal, Limits, Start};
use crate::ledger::read_ledger;
use crate::recovery::{
    CopyUnconfirmed, InPlace, LogSurvey, RecoveryReport, Sequence, SortedWrites, check_strays, replay,
    sequence, survey, write_tables,
};
use crate::step::Jobs;
use crate::structure::Structure;
use crate::table_set::{TableHandle, TableSet};
use crate::view::{SegmentHandle, View, Views};

/// What the engine is given to live in.
#[derive(Clone, Debug)]
pub struct Environment {
    /// Files.
    pub vfs: Arc<dyn Vfs>,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

/// Everything that was read before anything is changed.
struct Found {
    state: State,
    names: Vec<String>,
    logs: Vec<LogSurvey>,
    sequence: Sequence,
    /// What the manifest says is known to be durable, not only readable.
    is_durable: bool,
    ledger: Option<Ledger>,
}

pub(crate) fn open(
    directory: &Path,
    options: Options,
    environment: Environment,
    helpers: &dyn Helpers,
) -> Result<Inner> {
    let started = Instant::now();
    options.validate()?;
    let vfs = &environment.vfs;
    let lock_path = directory.join(LOCK);
    if !vfs.exists(directory)? {
        vfs.create_dir_all(directory)?;
    } else if !vfs.exists(&lock_path)? {
        // What is not ours gets no LOCK either.
        check_directory(directory, &vfs.list(directory)?)?;
    }
    let lock = vfs.lock(&lock_path, LockKind::Exclusive)?;
    // Not before: a list that is read while another process replaces its MANIFEST may lack that name.
    check_directory(directory, &vfs.list(directory)?)?;
    let created = !vfs.exists(&directory.join(manifest::FILE_NAME))?;
    let (found, structure) = if created {
        create(vfs, directory)?
    } else {
        let found = find(&**vfs, directory, options.access)?;
        let first_number = first_free_number(directory, &found)?;
        let mut structure = Structure::resume(Arc::clone(vfs), directory, found.state.clone(), first_number)?;
        structure.ledger_segments = found.ledger.as_ref().map(|ledger| ledger.segments.clone());
        (found, structure)
    };
    let mut report = RecoveryReport { created, ..report_of(&found) };
    let core = core(directory, options, environment, &found, Some(structure));
    let inner = recover(core, found, &mut report, lock, helpers)?;
    report.duration = started.elapsed();
    tracing::info!(?report, "opened the database");
    Ok(Inner { report, ..inner })
}

pub(crate) fn open_read_only(directory: &Path, options: Options, environment: Environment) -> Result<Inner> {
    let started = Instant::now();
    options.validate()?;
    let vfs = &environment.vfs;
    if !vfs.exists(directory)? {
        let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
        return Err(Error::io("open", directory, missing));
    }
    // Skipped where the lock file cannot be opened, on a read-only medium say.
    let lock = match vfs.lock(&directory.join(LOCK), LockKind::Shared) {
        Ok(lock) => Some(lock),
        Err(error @ Error::Locked { .. }) => return Err(error),
        Err(_) => None,
    };
    check_directory(directory, &vfs.list(directory)?)?;
    if seeded::is(Bug::WriteInReadOnlyOpen) {
        vfs.create_dir_all(&directory.join("cache"))?;
    }
    if !vfs.exists(&directory.join(manifest::FILE_NAME))? {
        return Err(not_a_database(directory, "there is no MANIFEST in it"));
    }
    let found = find(&**vfs, directory, options.access)?;
    let mut report = report_of(&found);
    let core = core(directory, options, environment, &found, None);
    let memtable = Arc::new(Memtable::new(&core.pool));
    replay(&found.logs, &found.sequence, &memtable, &mut InPlace)?;
    let mut segments = living_segments(&core, &found.state);
    for log in found.logs.iter().filter(|log| log.is_vlog) {
        let identity = FileIdentity { database_id: core.database_id, file_number: log.file_number };
        let segment = vlog::Segment::open_positional(&*core.vfs, &log.path, identity)?;
        let file = LivingFile::new(log.path.clone(), &core.reaper);
        segments.insert(log.file_number, Arc::new(SegmentHandle::growing(Arc::new(segment), file)));
    }
    let view = View {
        memtables: vec![memtable],
        tables: Arc::new(living_tables(&core, &found.state)),
        segments: Arc::new(segments),
    };
    let last = last_version(&found);
    report.last_version = last;
    report.duration = started.elapsed();
    let views = Arc::new(Views::new(view, directory, &core.reaper));
    let visible = Arc::new(SharedVersion::new(last));
    Ok(Inner { core, visible, views, report, writing: None, lock: Mutex::new(lock) })
}

fn not_a_database(directory: &Path, why: &'static str) -> Error {
    Error::NotADatabase { path: directory.to_path_buf(), why: why.into() }
}

/// Refuses a directory that holds something else, and one whose manifest is gone.
fn check_directory(directory: &Path, names: &[String]) -> Result<()> {
    if names.iter().any(|name| name == manifest::FILE_NAME) {
        return Ok(());
    }
    if let Some(name) = names.iter().find(|name| NumberedFile::parse(name).is_some()) {
        let what = format!("the file is missing, but {name} is there: the directory was partly deleted");
        return Err(Error::corruption(&directory.join(manifest::FILE_NAME), 0, what));
    }
    // What a creation that did not finish may have left.
    let is_ours = |name: &&String| [LOCK, keyring::FILE_NAME].contains(&name.as_str()) || is_temporary(name);
    if names.iter().all(|name| is_ours(&name)) {
        return Ok(());
    }
    Err(not_a_database(
        directory,
        "it holds other files; choose an empty directory, or one that does not exist",
    ))
}

fn is_temporary(name: &str) -> bool {
    [manifest::FILE_NAME, keyring::FILE_NAME, vlog::LEDGER_FILE_NAME]
        .iter()
        .any(|known| base::vfs::temporary_name(Path::new(known)) == Path::new(name))
}

fn create(vfs: &Arc<dyn Vfs>, directory: &Path) -> Result<(Found, Structure)> {
    let database_id = DatabaseId::random(&**vfs)?;
    Registry { database_id, keys: Vec::new() }.write(&**vfs, directory)?;
    let manifest = Manifest::create_with_lease(Arc::clone(vfs), directory, database_id, Generation::LOGS)?;
    let state = manifest.state().clone();
    let sequence = sequence(&[], 0)?;
    let names = vfs.list(directory)?;
    let found = Found { state, names, logs: Vec::new(), sequence, is_durable: true, ledger: None };
    Ok((found, Structure::new(manifest, 1)))
}

/// Above the lease, and above every number in the directory.
fn first_free_number(directory: &Path, found: &Found) -> Result<u64> {
    if seeded::is(Bug::ReuseFileNumbers) {
        return Ok(living_files(&found.state).map(NumberedFile::number).max().unwrap_or(0) + 1);
    }
    let numbered = found.names.iter().filter_map(|name| NumberedFile::parse(name));
    let seen = numbered.map(NumberedFile::number).filter(|number| *number <= STRAY_NUMBER_MAX).max();
    let first = found.state.numbers_below().max(seen.unwrap_or(0) + 1);
    if first > NUMBER_MAX {
        let path = directory.join(manifest::FILE_NAME);
        return Err(Error::corruption(&path, 0, "it leaves no file numbers"));
    }
    Ok(first)
}

/// Reads everything that must be readable; changes nothing.
fn find(vfs: &dyn Vfs, directory: &Path, access: TableAccess) -> Result<Found> {
    let (state, is_durable) = manifest::read_with_proof(vfs, directory)?;
    let registry = keyring::read(vfs, directory)?;
    if registry.database_id != state.database_id() {
        let path = directory.join(keyring::FILE_NAME);
        return Err(Error::corruption(&path, 16, "the file belongs to another database"));
    }
    let ledger = read_ledger(vfs, directory, state.database_id())?;
    let names = vfs.list(directory)?;
    let living: HashSet<NumberedFile> = living_files(&state).collect();
    check_files_exist(directory, &living, &names)?;
    check_strays(vfs, directory, &state, &living, &names)?;
    let mut logs = Vec::new();
    for generation in state.generations() {
        for log in [NumberedFile::Wal(generation.wal), NumberedFile::ValueLog(generation.vlog)] {
            logs.push(survey(vfs, directory, log, state.database_id(), access)?);
        }
    }
    let sequence = sequence(&logs, state.last_commit())?;
    Ok(Found { state, names, logs, sequence, is_durable, ledger })
}

fn check_files_exist(directory: &Path, living: &HashSet<NumberedFile>, names: &[String]) -> Result<()> {
    let present: HashSet<NumberedFile> = names.iter().filter_map(|name| NumberedFile::parse(name)).collect();
    match living.difference(&present).min() {
        _ if seeded::is(Bug::OpenWithoutCensus) => Ok(()),
        Some(file) => {
            let what = "the file is missing, and the database needs it: restore it from a backup";
            Err(Error::corruption(&file.path(directory), 0, what))
        }
        None => Ok(()),
    }
}

fn living_files(state: &State) -> impl Iterator<Item = NumberedFile> {
    let tables = state.tables().map(|table| NumberedFile::Table(table.number));
    let segments = state.segments().map(|segment| NumberedFile::ValueLog(segment.meta.number));
    let logs = state
        .generations()
        .flat_map(|generation| [NumberedFile::Wal(generation.wal), NumberedFile::ValueLog(generation.vlog)]);
    tables.chain(segments).chain(logs)
}

fn report_of(found: &Found) -> RecoveryReport {
    RecoveryReport {
        clean: found.sequence.commits.is_empty() && found.sequence.torn_bytes == 0,
        generations: found.logs.len() / 2,
        commits_replayed: found.sequence.commits.len() as u64,
        torn_bytes: found.sequence.torn_bytes,
        ..RecoveryReport::default()
    }
}

fn last_version(found: &Found) -> Version {
    Version(found.sequence.highest_version).max(found.state.last_version())
}

fn core(
    directory: &Path,
    options: Options,
    environment: Environment,
    found: &Found,
    structure: Option<Structure>,
) -> Core {
    let halt = Arc::new(Halt::new());
    Core {
        vfs: environment.vfs,
        clock: environment.clock,
        directory: directory.to_path_buf(),
        database_id: found.state.database_id(),
        reaper: Arc::new(Reaper::default()),
        pool: ArenaPool::new(options.idle_arena_bytes),
        cache: BlockCache::with_capacity(options.cache_bytes as u64),
        counters: Counters::default(),
        has_damage: AtomicBool::new(false),
        opened_state: structure.is_none().then(|| found.state.clone()),
        structure: structure.map(|structure| Guarded::new(structure, &halt, "a change of the manifest")),
        halt,
        options,
    }
}

fn living_tables(core: &Core, state: &State) -> TableSet {
    let handle = |meta: &Arc<manifest::TableMeta>| {
        let path = NumberedFile::Table(meta.number).path(&core.directory);
        let file = LivingFile::new(path, &core.reaper);
        Arc::new(TableHandle::new((**meta).clone(), file, core.table_opener()))
    };
    TableSet::new(state.tables().map(handle))
}

fn living_segments(core: &Core, state: &State) -> BTreeMap<u64, Arc<SegmentHandle>> {
    state.segments().map(|segment| (segment.meta.number, core.segment_handle(&segment.meta))).collect()
}

/// Makes the replayed commits durable, retires their generations, and sweeps.
fn recover(
    core: Core,
    found: Found,
    report: &mut RecoveryReport,
    lock: Box<dyn FileLock>,
    helpers: &dyn Helpers,
) -> Result<Inner> {
    let last = last_version(&found);
    report.last_version = last;
    let first_number = core.structure()?.lock().peek_number();
    let made_durable = make_durable(&core, found, report, last, helpers);
    let state = made_durable.inspect_err(|_| give_up(&core, first_number))?;
    let view = View {
        memtables: Vec::new(),
        tables: Arc::new(living_tables(&core, &state)),
        segments: Arc::new(living_segments(&core, &state)),
    };
    let views = Arc::new(Views::new(view, &core.directory, &core.reaper));
    let visible = Arc::new(SharedVersion::new(last));
    let limits = Limits {
        memtable_bytes: core.options.memtable_bytes,
        segment_bytes: core.options.segment_bytes,
        group_bytes: core.options.group_bytes,
        allocation_step_bytes: core.options.allocation_step_bytes(),
    };
    let start = Start { last_commit: state.last_commit(), last_version: last };
    let journal =
        Journal::new(Arc::clone(&core.halt), Arc::clone(&visible), Arc::clone(&views), limits, start);
    let jobs = Guarded::new(Jobs::default(), &core.halt, "background work");
    let writing = Some(Writing { journal, starting: Mutex::new(()), jobs, ledger: Mutex::new(()) });
    Ok(Inner { core, visible, views, report: report.clone(), writing, lock: Mutex::new(Some(lock)) })
}

/// Everything of a recovery that writes. Returns what the manifest says then.
fn make_durable(
    core: &Core,
    found: Found,
    report: &mut RecoveryReport,
    last: Version,
    helpers: &dyn Helpers,
) -> Result<State> {
    let was_closed = found.state.closed().is_some();
    let logs: Vec<NumberedFile> = found.logs.iter().map(LogSurvey::name).collect();
    if found.state.generations().len() > 0 {
        recover_generations(core, &found, report, last, helpers)?;
    } else if !found.is_durable {
        // Replaces the manifest: what was read of it may be in the cache only.
        core.commit_edit(&mut core.structure()?.lock(), Edit::default())?;
    }
    drop(found);
    let state = core.structure()?.lock().manifest.state().clone();
    if !was_closed {
        cut_segments(core, &state);
    }
    let mut kept: HashSet<NumberedFile> = living_files(&state).collect();
    for log in logs {
        if kept.insert(log) {
            // Dropped at once, so the reaper gets it.
            LivingFile::new(log.path(&core.directory), &core.reaper).retire();
        }
    }
    report.files_swept = sweep(core, &kept)?;
    Ok(state)
}

/// Removes what this open has written in vain, files numbered from `first_number`: left there, it would take the space that the
/// next attempt needs. Best effort, and never when it is in doubt what the manifest lists.
fn give_up(core: &Core, first_number: u64) {
    let Ok(structure) = core.structure().map(Guarded::lock) else { return };
    if core.halt.is_tripped() || structure.manifest.is_halted() {
        return;
    }
    let living: HashSet<NumberedFile> = living_files(structure.manifest.state()).collect();
    let names = core.vfs.list(&core.directory).unwrap_or_default();
    let numbered = names.iter().filter_map(|name| NumberedFile::parse(name));
    for file in numbered.filter(|file| file.number() >= first_number && !living.contains(file)) {
        let _swept_later = core.vfs.remove(&file.path(&core.directory));
    }
}

/// Makes the replayed commits durable and retires their generations.
fn recover_generations(
    core: &Core,
    found: &Found,
    report: &mut RecoveryReport,
    last: Version,
    helpers: &dyn Helpers,
) -> Result<()> {
    let mut values = CopyUnconfirmed::new(core);
    let writes = SortedWrites::collect(&found.logs, &found.sequence, &mut values)?;
    report.values_copied = values.copied;
    let copied_segment = values.finish()?;
    let ids = || found.state.generations().map(|generation| generation.id);
    let generations = ids().min().unwrap_or(0)..=ids().max().unwrap_or(0);
    let outputs = write_tables(core, &writes, generations, last, helpers)?;
    report.tables_written = outputs.len();
    core.vfs.sync_dir(&core.directory)?;
    let used = |number: u64| {
        let mut uses = outputs.iter().flat_map(|output| &output.meta.value_use);
        uses.any(|value_use| value_use.segment == number)
    };
    let mut segments_added: Vec<SegmentMeta> = copied_segment.into_iter().collect();
    for log in found.logs.iter().filter(|log| log.is_vlog) {
        segments_added.push(sealed(log, found.sequence.mark)?);
    }
    segments_added.retain(|segment| used(segment.number));
    let edit = Edit {
        tables_added: outputs.iter().map(|output| output.meta.clone()).collect(),
        generations_retired: found.state.generations().map(|generation| generation.id).collect(),
        segments_added,
        last_version: Some(last.0),
        last_commit: Some(found.sequence.highest_number.max(found.sequence.last)),
        ..Edit::default()
    };
    if seeded::is(Bug::RecoveryUnlinksFirst) {
        found.logs.iter().filter(|log| !log.is_vlog).try_for_each(|log| core.vfs.remove(&log.path))?;
    }
    core.commit_edit(&mut core.structure()?.lock(), edit)
}

/// Gives back the space behind the sealed part of recovered value logs. Nobody has mapped them yet. All segments are looked at,
/// for an open before this one may have died just before it did so; it is only space, so that a failure is left to the next.
fn cut_segments(core: &Core, state: &State) {
    for segment in state.segments().map(|segment| &segment.meta) {
        let path = NumberedFile::ValueLog(segment.number).path(&core.directory);
        let _tried_again_later = core
            .vfs
            .open(&path, Access::ReadWrite)
            .and_then(|file| if file.len()? > segment.bytes { file.set_len(segment.bytes) } else { Ok(()) });
    }
}

/// The part of a value log that was known to be durable, as a segment.
fn sealed(log: &LogSurvey, mark: u64) -> Result<SegmentMeta> {
    let durable: Vec<_> = log.commits.iter().take_while(|commit| commit.number() <= mark).collect();
    let values = durable.last().map_or(0, |commit| commit.values.end);
    let records = log.values.get(..values).unwrap_or_default();
    // The last record counts without its padding, so the file may end inside that.
    let end = durable.last().map_or(base::header::CONTENT_START, |commit| commit.end());
    Ok(SegmentMeta {
        number: log.file_number,
        bytes: end.min(log.file.len()?),
        values: values as u64,
        value_record_bytes: records.iter().map(|value| value.header.record_bytes()).sum(),
    })
}

/// Removes temporary files, and numbered ones except `kept`.
fn sweep(core: &Core, kept: &HashSet<NumberedFile>) -> Result<usize> {
    let mut swept = 0;
    for name in core.vfs.list(&core.directory)? {
        let is_stray = NumberedFile::parse(&name).is_some_and(|file| !kept.contains(&file));
        if is_stray || is_temporary(&name) {
            core.vfs.remove(&core.directory.join(&name))?;
            swept += 1;
        }
    }
    if swept > 0 {
        core.vfs.sync_dir(&core.directory)?;
    }
    Ok(swept)
}
