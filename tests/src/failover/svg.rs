//! Draws a report: for each kind of request a row of stacked bars, one per 100 ms.

use std::fmt::Write as _;
use std::time::Duration;

use super::kind::Kind;
use super::report::Report;
use super::timeline::{Bar, STEP, bars};

/// Shown before the fault.
const BEFORE: Duration = Duration::from_secs(1);
const LEFT: f64 = 84.0;
const PLOT: f64 = 720.0;
const RIGHT: f64 = 96.0;
const TOP: f64 = 92.0;
const ROW: f64 = 30.0;
const BAR: f64 = 22.0;
/// Colours that people who see red and green alike can tell apart, with a set for dark pages.
const STYLE: &str = "text{font:12px system-ui,sans-serif;fill:#24292f}.page{fill:#fff}.title{font-size:15px;font-weight:600}\
.note{fill:#57606a}.line{stroke:#d0d7de}.fault{stroke:#24292f;stroke-dasharray:4 3}\
.served{fill:#5b9bd5}.refused{fill:#f2b134}.failed{fill:#b3261e}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.page{fill:#0d1117}.note{fill:#9198a1}.line{stroke:#3d444d}\
.fault{stroke:#e6edf3}.served{fill:#3d7ab8}.refused{fill:#d29922}.failed{fill:#f85149}}";

/// The drawing of a report, a whole SVG file.
pub fn draw(report: &Report) -> String {
    let begin = report.fault().saturating_sub(BEFORE);
    let skipped = steps(begin);
    let rows: Vec<(Kind, Vec<Bar>)> = Kind::ALL
        .iter()
        .map(|kind| (*kind, bars(&report.outcomes, &[*kind])))
        .map(|(kind, bars)| (kind, bars.into_iter().skip(skipped).collect()))
        .collect();
    let length = rows
        .iter()
        .map(|(_, bars)| bars.len())
        .max()
        .unwrap_or(0)
        .max(1);
    let scale = Scale {
        begin: STEP * skipped as u32,
        width: PLOT / length as f64,
    };

    let bottom = TOP + ROW * rows.len() as f64;
    let (width, height) = (LEFT + PLOT + RIGHT, bottom + 44.0);
    let title = escaped(report.scenario.title);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         role=\"img\" aria-label=\"{title}: requests served, refused and failed in time\">\n<style>{STYLE}</style>\n\
         <rect class=\"page\" width=\"{width}\" height=\"{height}\" rx=\"6\"/>\n\
         <text class=\"title\" x=\"16\" y=\"26\">{title}</text>\n"
    );
    legend(&mut svg);
    axis(&mut svg, report, &scale, bottom, length);
    for (place, (kind, bars)) in rows.iter().enumerate() {
        let base = TOP + ROW * (place + 1) as f64 - 4.0;
        let name = kind.name();
        let _ = writeln!(svg, "<text x=\"16\" y=\"{}\">{name}</text>", base - 6.0);
        row(&mut svg, bars, &scale, base);
        let gap = report.without_service(*kind);
        let gap = match gap.is_back {
            true => format!("{:.2} s", gap.lasted.as_secs_f64()),
            false => "not back".to_owned(),
        };
        let x = width - 16.0;
        let _ = writeln!(
            svg,
            "<text x=\"{x}\" y=\"{}\" text-anchor=\"end\">{gap}</text>",
            base - 6.0
        );
    }
    svg.push_str("</svg>\n");
    svg
}

/// Where moments are drawn.
struct Scale {
    begin: Duration,
    width: f64,
}

impl Scale {
    fn x(&self, moment: Duration) -> f64 {
        let since = moment.as_secs_f64() - self.begin.as_secs_f64();
        LEFT + since / STEP.as_secs_f64() * self.width
    }
}

fn legend(svg: &mut String) {
    let words = [
        ("served", "served"),
        (
            "refused",
            "refused: a proper answer, such as 503 with Retry-After",
        ),
        ("failed", "failed: no answer, or a wrong one"),
    ];
    for ((class, words), x) in words.into_iter().zip([16.0, 96.0, 456.0]) {
        let _ = writeln!(
            svg,
            "<rect class=\"{class}\" x=\"{x}\" y=\"38\" width=\"11\" height=\"11\"/><text x=\"{}\" y=\"48\">{words}</text>",
            x + 16.0
        );
    }
    let x = LEFT + PLOT + RIGHT - 16.0;
    let _ = writeln!(
        svg,
        "<text class=\"note\" x=\"{x}\" y=\"48\" text-anchor=\"end\">without service</text>"
    );
}

/// Seconds since the fault, and what was done when.
fn axis(svg: &mut String, report: &Report, scale: &Scale, bottom: f64, length: usize) {
    let end = scale.begin + STEP * length as u32;
    let span = (end - scale.begin).as_secs();
    let every = if span > 30 { 5 } else { 1 };
    for second in (-(BEFORE.as_secs() as i64)..=span as i64).filter(|second| second % every == 0) {
        let moment = report.fault().as_secs_f64() + second as f64;
        if moment < scale.begin.as_secs_f64() || moment > end.as_secs_f64() {
            continue;
        }
        let x = scale.x(Duration::from_secs_f64(moment));
        let _ = writeln!(
            svg,
            "<line class=\"line\" x1=\"{x:.1}\" y1=\"{TOP}\" x2=\"{x:.1}\" y2=\"{bottom}\"/>\
             <text class=\"note\" x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{second}</text>",
            bottom + 16.0
        );
    }
    let _ = writeln!(
        svg,
        "<text class=\"note\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">seconds since the fault; first attempts by when they \
         were due, a bar per 100 ms</text>",
        LEFT + PLOT / 2.0,
        bottom + 36.0
    );
    // What is done at about the same time is written in two rows.
    let mut free_from = [f64::MIN; 2];
    for mark in &report.marks {
        let x = scale.x(mark.at);
        let line = usize::from(free_from[0] > x);
        free_from[line] = x + 8.0 * mark.words.len() as f64;
        let y = TOP - 6.0 - 14.0 * line as f64;
        let _ = writeln!(
            svg,
            "<line class=\"fault\" x1=\"{x:.1}\" y1=\"{:.1}\" x2=\"{x:.1}\" y2=\"{bottom}\"/><text x=\"{x:.1}\" y=\"{y:.1}\">{}</text>",
            y + 3.0,
            escaped(mark.words)
        );
    }
}

/// One kind's bars, as high as its fullest one.
fn row(svg: &mut String, bars: &[Bar], scale: &Scale, base: f64) {
    let sum = |bar: &Bar| bar.served + bar.refused + bar.failed;
    let most = f64::from(bars.iter().map(sum).max().unwrap_or(0).max(1));
    for (class, part) in [
        ("served", (|bar| [0, bar.served]) as fn(&Bar) -> [u32; 2]),
        ("refused", |bar| [bar.served, bar.refused]),
        ("failed", |bar| [bar.served + bar.refused, bar.failed]),
    ] {
        let mut path = String::new();
        let mut x = LEFT;
        // Bars of one height that stand side by side are drawn as one.
        for run in bars.chunk_by(|left, right| part(left) == part(right)) {
            let width = scale.width * run.len() as f64;
            let [below, height] = part(&run[0]).map(|count| f64::from(count) / most * BAR);
            if height > 0.0 {
                let y = base - below;
                let _ = write!(path, "M{x:.1} {y:.1}v-{height:.1}h{width:.1}v{height:.1}z");
            }
            x += width;
        }
        if !path.is_empty() {
            let _ = writeln!(svg, "<path class=\"{class}\" d=\"{path}\"/>");
        }
    }
}

fn steps(time: Duration) -> usize {
    (time.as_millis() / STEP.as_millis()) as usize
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::super::fate::Fate;
    use super::super::report::Mark;
    use super::super::scenario::SCENARIOS;
    use super::super::timeline::Outcome;
    use super::*;

    fn outcome(due: u64, fate: Fate) -> Outcome {
        Outcome::of_an_order(Duration::from_millis(due), fate)
    }

    #[test]
    fn every_bar_from_before_the_fault_is_drawn_and_marked() {
        let mut outcomes: Vec<Outcome> = (0..60)
            .map(|step| outcome(step * 100, Fate::Served))
            .collect();
        outcomes[40] = outcome(4_000, Fate::Refused);
        outcomes[41] = outcome(4_100, Fate::Failed);
        let mark = |at, words| Mark {
            at: Duration::from_millis(at),
            words,
        };
        let report = Report {
            scenario: &SCENARIOS[0],
            marks: vec![mark(4_000, "killed <9>"), mark(4_050, "mended")],
            outcomes,
        };
        let svg = draw(&report);
        let path = |class: &str| {
            let begin = format!("<path class=\"{class}\" d=\"");
            svg.split(&begin).nth(1).map_or(0, |rest| {
                rest.split('"')
                    .next()
                    .unwrap_or_default()
                    .matches('M')
                    .count()
            })
        };
        assert_eq!((path("served"), path("refused"), path("failed")), (2, 1, 1));
        assert!(
            svg.contains("killed &lt;9>") && svg.contains(">0</text>"),
            "{svg}"
        );
        assert_eq!(svg.matches("<text").count(), svg.matches("</text>").count());
        assert_eq!(svg.matches("class=\"fault\"").count(), 2);
        assert!(svg.contains("prefers-color-scheme:dark"));
    }
}
