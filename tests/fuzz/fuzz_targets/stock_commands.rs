//! libFuzzer on [`holdfast_fuzz::stock_commands`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    holdfast_fuzz::stock_commands::check(input);
});
