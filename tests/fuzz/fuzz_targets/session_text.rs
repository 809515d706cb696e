//! libFuzzer on [`holdfast_fuzz::session_text`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    holdfast_fuzz::session_text::check(input);
});
