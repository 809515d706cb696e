//! libFuzzer on [`holdfast_fuzz::session_codec`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    holdfast_fuzz::session_codec::check(input);
});
