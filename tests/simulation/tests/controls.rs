//! The simulation would notice: with any one guard taken away, a seed finds what it was for.

use std::time::Instant;

use clap::ValueEnum;
use holdfast_simulation::controls::Control;
use holdfast_simulation::simulation::run;

/// Steps after which a control counts as not noticed; each takes far fewer.
const MOST_STEPS: u64 = 100_000_000;

#[test]
fn each_missing_guard_is_noticed() {
    for control in Control::value_variants() {
        let began = Instant::now();
        let breach = run(1, MOST_STEPS, Some(*control)).expect_err("a guard is missing");
        println!(
            "{:<26} {:>10} steps {:>6.2} s  {}",
            control.name(),
            breach.step,
            began.elapsed().as_secs_f64(),
            breach.what
        );
        assert!(breach.to_string().contains("--seed 1"));
    }
}

#[test]
fn a_breach_is_found_again_by_its_seed() {
    let find = || run(3, MOST_STEPS, Some(Control::SettleUnconditional));
    let first = find().expect_err("a guard is missing");
    let again = find().expect_err("the same guard");
    assert_eq!(first.to_string(), again.to_string());
}
