//! A bundle on its way into a file: counted and hashed as it comes, its header read and
//! taken off, so that what is left is a pack.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::ops::ControlFlow;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::header::{BadBundle, Header};
use super::index::Digested;
use super::site::Site;
use crate::fault::Fault;

/// Why a bundle did not arrive.
#[derive(Debug)]
pub(super) enum Lost {
    /// It is not what the index says, or not there; another one may be in order.
    Broken(String),
    /// The place, this machine's disk or the network is at fault.
    Fault(Fault),
}

/// Takes one bundle and leaves its pack in a file; where that fails, half of it may be
/// there.
pub(super) async fn take(site: &Site, wanted: &Digested, pack: &Path) -> Result<Header, Lost> {
    let unwritten = |error: io::Error| Fault::wait(format!("write {}", pack.display()), error);
    let file = create(pack).map_err(|error| Lost::Fault(unwritten(error)))?;
    let mut incoming = Incoming::into(file, wanted.size);
    let mut stopped = None;
    let mut sink = |piece: &[u8]| match incoming.take(piece) {
        Ok(()) => ControlFlow::Continue(()),
        Err(why) => {
            stopped = Some(why);
            ControlFlow::Break(())
        }
    };
    let name = wanted.name();
    let there = site.carry(&name, &mut sink).await.map_err(Lost::Fault)?;
    match stopped {
        Some(Stop::Broken(why)) => return Err(Lost::Broken(why)),
        Some(Stop::Disk(error)) => return Err(Lost::Fault(unwritten(error))),
        None if !there => return Err(Lost::Broken("it is not there".to_owned())),
        None => {}
    }
    incoming.end(wanted).map_err(Lost::Broken)
}

fn create(pack: &Path) -> io::Result<File> {
    pack.parent().map_or(Ok(()), std::fs::create_dir_all)?;
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(pack)
}

enum Stop {
    Broken(String),
    Disk(io::Error),
}

struct Incoming {
    file: File,
    limit: u64,
    count: u64,
    hash: Sha256,
    /// What came of the header so far.
    begun: Vec<u8>,
    header: Option<Header>,
}

impl Incoming {
    fn into(file: File, limit: u64) -> Self {
        Self { file, limit, count: 0, hash: Sha256::new(), begun: Vec::new(), header: None }
    }

    fn take(&mut self, piece: &[u8]) -> Result<(), Stop> {
        self.count += piece.len() as u64;
        if self.count > self.limit {
            let why = format!("it is larger than the {} bytes of the index", self.limit);
            return Err(Stop::Broken(why));
        }
        self.hash.update(piece);
        if self.header.is_some() {
            return self.file.write_all(piece).map_err(Stop::Disk);
        }
        self.begun.extend_from_slice(piece);
        let header =
            Header::read(&self.begun).map_err(|bad| Stop::Broken(told(&bad, &self.begun)))?;
        if let Some(header) = header {
            self.file.write_all(&self.begun[header.length..]).map_err(Stop::Disk)?;
            self.begun = Vec::new();
            self.header = Some(header);
        }
        Ok(())
    }

    fn end(self, wanted: &Digested) -> Result<Header, String> {
        if self.count < wanted.size {
            return Err(format!("it ends after {} of {} bytes", self.count, wanted.size));
        }
        if Digested::of(self.hash, self.count) != *wanted {
            return Err("its bytes are others than those it is named by".to_owned());
        }
        self.header.ok_or_else(|| BadBundle::NoBundle.to_string())
    }
}

fn told(bad: &BadBundle, begun: &[u8]) -> String {
    match begun.trim_ascii_start().starts_with(b"<") {
        true => "it is a web page".to_owned(),
        false => bad.to_string(),
    }
}
