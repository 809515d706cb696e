//! libFuzzer on [`holdfast_fuzz::session_commands`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    holdfast_fuzz::session_commands::check(input);
});
