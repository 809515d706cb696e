//! Runs every check on the inputs that are kept for it, without libFuzzer: those that once led somewhere new, and those
//! that once uncovered a bug.

use std::fs;
use std::path::{Path, PathBuf};

use holdfast_fuzz::{TARGETS, Verdict, control, seeds};

fn inputs(folder: &str, target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(folder)
        .join(target);
    // A target that never failed has no regressions.
    let files = fs::read_dir(folder).into_iter().flatten();
    let paths = files.map(|file| file.expect("a folder that can be read").path());
    paths
        .map(|path| {
            (
                path.clone(),
                fs::read(path).expect("a file that can be read"),
            )
        })
        .collect()
}

#[test]
fn no_kept_input_uncovers_a_bug() {
    for (target, check) in TARGETS {
        let kept = [inputs("corpus", target), inputs("regressions", target)].concat();
        let (mut accepted, mut refused) = (0, 0);
        for (path, input) in &kept {
            // Read after a panic, to know which it was.
            println!("{}", path.display());
            match check(input) {
                Verdict::Accepted => accepted += 1,
                Verdict::Refused => refused += 1,
            }
        }
        // A corpus of which all is refused, as after a change of the encoding, begins far from what is to be tested.
        assert!(
            accepted > 0 && refused > 0,
            "{target}: {accepted} accepted, {refused} refused"
        );
    }
}

#[test]
fn what_the_code_writes_today_is_accepted() {
    let mut checks = TARGETS.to_vec();
    checks.push(("control", control::check));
    for (target, check) in checks {
        let mut seeds = seeds::seeds()
            .into_iter()
            .filter(|(name, _)| *name == target);
        assert!(
            seeds.all(|(_, seed)| check(&seed) == Verdict::Accepted),
            "{target}"
        );
    }
}

/// The page is held against the module's own table, so it names every command that there is.
#[test]
fn there_is_a_seed_for_every_command() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/commands.md");
    let page = fs::read_to_string(page).expect("the page of commands");
    let headings = page.lines().filter_map(|line| line.strip_prefix("## "));
    let commands: Vec<_> = headings.filter(|name| name.contains('.')).collect();
    assert!(commands.len() > 20, "{commands:?}");
    for command in commands {
        let mut seeds = seeds::COMMANDS.iter();
        assert!(
            seeds.any(|seed| seed.split(' ').next() == Some(command)),
            "no seed for {command}"
        );
    }
}
