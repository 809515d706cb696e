//! Holds the drawing in ARCHITECTURE.md against the machine: it is made of every step that the
//! machine takes. HOLDFAST_BLESS=1 draws it anew.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::machine::{
    Found, Reason, Sale, State, Step, begin, begin_cancel, begin_with_hold, begin_without_redis,
    next, resume,
};

const BEGIN: &str = "<!-- drawn from proxy/src/saga/machine.rs; HOLDFAST_BLESS=1 cargo test -p holdfast-proxy drawing -->\n";
const END: &str = "<!-- end of the drawing -->\n";

/// Every way in which a saga begins, in words.
fn starts() -> [(&'static str, Step); 9] {
    let undecided = |overdue| resume(Found::Undecided { overdue });
    [
        ("an order", begin()),
        ("a checkout hold is confirmed", begin_with_hold()),
        ("an order, while Redis is away", begin_without_redis()),
        (
            "the shopper or the shop cancels",
            begin_cancel(Reason::CancelledByShopper),
        ),
        ("recovery, undecided", undecided(false)),
        ("recovery, undecided for too long", undecided(true)),
        ("recovery, sold", resume(Found::Committed)),
        ("recovery, called off", resume(Found::Aborted)),
        ("recovery, sold and cancelled", resume(Found::Cancelled)),
    ]
}

/// The state without what it carries.
fn name(state: State) -> String {
    if state == State::Confirming(Sale::Cancelled) {
        return "ConfirmingCancelled".to_owned();
    }
    let text = format!("{state:?}");
    let ends = text.find(|letter: char| !letter.is_alphanumeric());
    text[..ends.unwrap_or(text.len())].to_owned()
}

/// The edges in the order in which the machine comes to them, each with all its inputs.
fn edges() -> Vec<(String, String, BTreeSet<String>)> {
    let mut edges: Vec<(String, String, BTreeSet<String>)> = Vec::new();
    let mut seen = HashSet::new();
    let mut open: Vec<Step> = starts().into_iter().rev().map(|(_, step)| step).collect();
    while let Some(step) = open.pop() {
        if !seen.insert(step.state) || step.state.is_at_rest() {
            continue;
        }
        let inputs = step
            .effects
            .last()
            .map_or(&[][..], |effect| effect.inputs());
        for input in inputs.iter().rev() {
            open.push(next(step.state, *input));
        }
        for input in inputs {
            let (from, to) = (name(step.state), name(next(step.state, *input).state));
            let label = format!("{input:?}");
            match edges
                .iter_mut()
                .find(|edge| (&edge.0, &edge.1) == (&from, &to))
            {
                Some((_, _, labels)) => drop(labels.insert(label)),
                None => edges.push((from, to, [label].into())),
            }
        }
    }
    edges
}

fn draw() -> String {
    let mut drawing = "```mermaid\nstateDiagram-v2\n".to_owned();
    for (words, step) in starts() {
        drawing += &format!("    [*] --> {}: {words}\n", name(step.state));
    }
    let mut left: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (from, to, inputs) in edges() {
        let inputs: Vec<String> = inputs.into_iter().collect();
        match to.as_str() {
            "Left" => left.entry(inputs.join(", ")).or_default().push(from),
            "Finished" => drawing += &format!("    {from} --> [*]: {}\n", inputs.join(", ")),
            _ => drawing += &format!("    {from} --> {to}: {}\n", inputs.join(", ")),
        }
    }
    drawing += "```\n\nLeft to recovery, and not drawn:";
    let left = left
        .into_iter()
        .map(|(inputs, states)| format!(" `{}` on {inputs}", states.join("` `")));
    drawing + &left.collect::<Vec<_>>().join(";") + ".\n"
}

#[test]
fn the_drawing_is_that_of_the_machine() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../ARCHITECTURE.md");
    let page = std::fs::read_to_string(&path).expect("the page");
    let (before, rest) = page.split_once(BEGIN).expect("the drawing's first line");
    let (drawn, after) = rest.split_once(END).expect("the drawing's last line");
    if std::env::var_os("HOLDFAST_BLESS").is_some() {
        let page = [before, BEGIN, &draw(), END, after].concat();
        std::fs::write(&path, page).expect("the page");
    } else {
        assert_eq!(drawn, draw(), "draw it anew with HOLDFAST_BLESS=1");
    }
}

#[test]
fn the_drawing_knows_the_ways_of_an_order() {
    let drawing = draw();
    for edge in [
        "[*] --> Reserving: an order",
        "Capturing --> Committing: Captured",
        "Aborting --> Cancelling: LostRace",
        "Refunding --> Parking: Refused",
    ] {
        assert!(drawing.contains(&format!("    {edge}\n")), "{drawing}");
    }
}
