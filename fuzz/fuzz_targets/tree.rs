//! Tree objects as a stranger may write them.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| writ::trust::fuzzing::tree(bytes));
