//! Goal: a state far larger than one edit may be survives a rewrite, in records of bounded size. Method: 100 000 tables,
//! and one table as large as an edit can be.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::path::Path;
use std::sync::Arc;

use base::header::{DatabaseId, FileHeader, FileKind, HEADER_BYTES};
use base::record::Scanner;
use base::vfs::{Access, MemVfs, Vfs};
use manifest::{Edit, FILE_NAME, FORMAT_VERSION, Manifest, TableMeta};

#[test]
fn a_hundred_thousand_tables() {
    let vfs = MemVfs::new();
    let directory = Path::new("db");
    vfs.create_dir_all(directory).unwrap();
    let mut manifest = Manifest::create(Arc::new(vfs.clone()), directory, DatabaseId([1; 16])).unwrap();
    manifest.commit(Edit { numbers_below: Some(200_000), ..Edit::default() }).unwrap();
    for batch in 0..20 {
        let tables_added = (batch * 5000..(batch + 1) * 5000).map(|n| TableMeta {
            number: 1 + n,
            level: 1 + (n % 6) as u8,
            smallest: format!("key/{n:010}/a").into_bytes(),
            largest: format!("key/{n:010}/z").into_bytes(),
            entries: n,
            ..TableMeta::default()
        });
        manifest.commit(Edit { tables_added: tables_added.collect(), ..Edit::default() }).unwrap();
    }
    let state = manifest::read(&vfs, directory).unwrap();
    assert_eq!(&state, manifest.state());
    assert_eq!(state.tables().len(), 100_000);
    let manifest = Manifest::reopen(Arc::new(vfs.clone()), directory, state).unwrap();
    assert_eq!(&manifest::read(&vfs, directory).unwrap(), manifest.state());
    let parts = record_lengths(&vfs, directory);
    assert!(parts.len() > 10 && parts.iter().all(|&len| len <= 1 << 20), "{parts:?}");
}

#[test]
fn a_table_as_large_as_an_edit() {
    let vfs = MemVfs::new();
    let directory = Path::new("db");
    vfs.create_dir_all(directory).unwrap();
    let mut manifest = Manifest::create(Arc::new(vfs.clone()), directory, DatabaseId([1; 16])).unwrap();
    let table = TableMeta { number: 1, largest: vec![b'z'; 16_700_000], ..TableMeta::default() };
    manifest.commit(Edit { tables_added: vec![table], ..Edit::default() }).unwrap();
    let manifest = Manifest::reopen(Arc::new(vfs.clone()), directory, manifest.state().clone()).unwrap();
    assert_eq!(&manifest::read(&vfs, directory).unwrap(), manifest.state());
    assert!(record_lengths(&vfs, directory).iter().any(|&len| len > 16_700_000));
}

fn record_lengths(vfs: &MemVfs, directory: &Path) -> Vec<u32> {
    let file = vfs.open(&directory.join(FILE_NAME), Access::Read).unwrap();
    let header = FileHeader::read(&*file, FileKind::Manifest, FORMAT_VERSION).unwrap();
    let mut scanner = Scanner::new(file, header.seed(), HEADER_BYTES as u64).unwrap();
    let mut lengths = Vec::new();
    while let Some(located) = scanner.next_header().unwrap() {
        lengths.push(located.header.payload_len);
    }
    lengths
}
