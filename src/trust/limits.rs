//! Budgets (rule O5): what a stranger's objects may cost before any of them is trusted.

/// The largest commit, in bytes.
pub(super) const COMMIT: u64 = 1 << 20;
/// The largest tree, in bytes.
pub(super) const TREE: u64 = 16 << 20;
/// The largest file that is read, in bytes.
pub(super) const FILE: u64 = 1 << 20;
/// Commits in one step from the anchor, or from the introduction, to a new head.
pub(super) const COMMITS: usize = 10_000;
/// Commits in such a step that have to be generations of their own: each is applied by
/// itself, and no newer commit overtakes it.
pub(super) const STAGES: usize = 100;
/// Parents of one commit.
pub(super) const PARENTS: usize = 8;
/// Bytes of a name, as on Linux. A path is made for each file of a folder: below one
/// folder with a name of megabytes these would fill any memory.
pub(super) const NAME: usize = 255;
/// Components of a path below `manifests/` or `.writ/`.
pub(super) const DEPTH: usize = 16;
/// Bytes of any path as it is shown; Linux opens none that is longer (`PATH_MAX`).
pub(super) const PATH: usize = 4096;
/// Files below `manifests/`.
pub(super) const FILES: usize = 10_000;
/// The bytes of all these files together.
pub(super) const FILE_BYTES: usize = 64 << 20;
/// Paths in the difference between a commit and its first parent. Trees that
/// name one subtree many times make this number explode; the files do not exist.
pub(super) const CHANGES: usize = 50_000;
/// The bytes of all objects that are read to decide on a new head, each time one is.
pub(super) const READ: u64 = 1 << 30;
/// The bytes of the files among them: policies stay in memory while it is decided.
pub(super) const READ_FILES: u64 = 128 << 20;
