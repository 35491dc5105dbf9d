//! Parses the command line, runs one command, and turns how it went into an exit code.
fn main() {}
