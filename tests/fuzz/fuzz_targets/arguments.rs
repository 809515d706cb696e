//! libFuzzer on [`holdfast_fuzz::arguments`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    holdfast_fuzz::arguments::check(input);
});
