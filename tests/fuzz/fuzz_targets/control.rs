//! libFuzzer on [`holdfast_fuzz::control`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    holdfast_fuzz::control::check(input);
});
