//! One path of the local store as a cache takes it: its NAR, compressed, in a file that
//! has no name.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use zstd::stream::write::Encoder;

use super::tally::Tally;
use super::text::Summary;
use crate::fault::Fault;
use crate::plan::closure::{PathInfo, nix_base32};
use crate::world::shelf::Content;

/// What nix compresses with where it is told zstd and no level.
const LEVEL: i32 = 3;
const CHUNK: usize = 128 << 10;

/// A packed NAR; its file is gone with it, however this process ends.
#[derive(Clone, Debug)]
pub(super) struct Packed {
    file: Arc<File>,
    hash: [u8; 32],
    size: u64,
}

impl Packed {
    pub(super) fn place(&self) -> String {
        format!("nar/{}.nar.zst", nix_base32(&self.hash))
    }

    pub(super) fn content(&self) -> Content {
        super::file(&self.file, self.size)
    }

    pub(super) fn summary(&self) -> Summary {
        Summary { place: self.place(), hash: self.hash, size: self.size }
    }
}

/// Packs a path, and compares it on the way with what nix's database says.
///
/// # Errors
/// It is not the same, or there is no room in the folder for temporary files.
pub(super) fn pack(
    programs: &Path,
    info: &PathInfo,
    tally: &Arc<Tally>,
) -> impl Future<Output = Result<Packed, Fault>> + Send + use<> {
    let (nix, info, tally) = (programs.join("nix-store"), info.clone(), Arc::clone(tally));
    async move {
        let doing = format!("pack {}", info.path);
        let packed = tokio::task::spawn_blocking(move || pack_now(&nix, &info, &tally)).await;
        packed.unwrap_or_else(|error| Err(Fault::wait(doing, error)))
    }
}

fn pack_now(nix: &Path, info: &PathInfo, tally: &Tally) -> Result<Packed, Fault> {
    let doing = format!("pack {}", info.path);
    let mut dump = Dump::start(nix, info)
        .map_err(|error| Fault::wait(&doing, format!("nix cannot be started: {error}")))?;
    let (packed, nar) = compress(&mut dump.nar(), tally).map_err(|error| {
        Fault::wait(&doing, error)
            .remedy("temporary files are in TMPDIR, or else in /tmp: see that there is room")
    })?;
    dump.end().map_err(|said| Fault::wait(&doing, format!("nix-store --dump failed: {said}")))?;
    if nar.hash == info.nar_hash && nar.size == info.nar_size {
        return Ok(packed);
    }
    Err(Fault::refuse(
        doing,
        "what is on the disk is not what nix's database says: the local store is damaged",
    )
    .remedy(format!(
        "nix-store --verify-path {0} tells; nix-store --repair-path {0} mends it",
        info.path
    )))
}

/// `nix-store --dump`, ended when it is dropped.
struct Dump(Child);

impl Dump {
    fn start(nix: &Path, info: &PathInfo) -> io::Result<Self> {
        let mut command = Command::new(nix);
        command.args(["--dump", info.path.as_str()]).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        // Ctrl-C is for us to answer, not for it.
        command.process_group(0).spawn().map(Self)
    }

    fn nar(&mut self) -> impl Read + use<> {
        self.0.stdout.take().expect("it is piped, and taken once")
    }

    fn end(&mut self) -> Result<(), String> {
        let mut said = String::new();
        if let Some(stderr) = &mut self.0.stderr {
            let _ = stderr.take(4096).read_to_string(&mut said);
        }
        match self.0.wait() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("{} ({status})", said.trim())),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl Drop for Dump {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Bytes that went by.
struct Sum {
    hash: [u8; 32],
    size: u64,
}

fn compress(nar: &mut impl Read, tally: &Tally) -> io::Result<(Packed, Sum)> {
    let file = Counted::new(tempfile::tempfile()?);
    let mut encoder = Encoder::new(file, LEVEL)?;
    let mut seen = Counted::new(io::sink());
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = nar.read(&mut chunk)?;
        if read == 0 {
            break;
        }
        seen.write_all(&chunk[..read])?;
        encoder.write_all(&chunk[..read])?;
        tally.packed(read as u64);
    }
    let (file, sum) = encoder.finish()?.sum();
    let packed = Packed { file: Arc::new(file), hash: sum.hash, size: sum.size };
    Ok((packed, seen.sum().1))
}

/// A writer that adds up what it writes.
struct Counted<W> {
    inner: W,
    hash: Context,
    size: u64,
}

impl<W> Counted<W> {
    fn new(inner: W) -> Self {
        Self { inner, hash: Context::new(&SHA256), size: 0 }
    }

    fn sum(self) -> (W, Sum) {
        let mut hash = [0; 32];
        hash.copy_from_slice(self.hash.finish().as_ref());
        (self.inner, Sum { hash, size: self.size })
    }
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
