//! Seeds that are always tried, and one that nobody has tried before.

use holdfast_simulation::simulation::run;

const STEPS: u64 = 3_000_000;

fn survives(seed: u64) {
    match run(seed, STEPS, None) {
        Ok(statistics) => println!("seed {seed}\n{statistics}"),
        Err(breach) => panic!("{breach}"),
    }
}

#[test]
fn known_seeds_survive() {
    (1..=8).for_each(survives);
}

#[test]
fn more_known_seeds_survive() {
    (101..=108).for_each(survives);
}

#[test]
fn a_new_seed_survives() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    survives(seed);
}

#[test]
fn the_same_seed_does_the_same_again() {
    let again = || run(7, 100_000, None).map(|statistics| statistics.to_string());
    let (first, second) = (again(), again());
    assert_eq!(
        first.expect("a seed that survives"),
        second.expect("the same seed")
    );
}
