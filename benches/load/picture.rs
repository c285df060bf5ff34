//! The picture in the README: what a message and a client cost among ever more clients, as SVG
//! written by hand.

use std::fmt::Write;

/// What was measured among so many clients; first sotto's, then the peer's.
pub struct Point {
    pub count: usize,
    pub cpu: [f64; 2],
    pub bytes: [f64; 2],
}

const WIDTH: f64 = 370.0;
const HEIGHT: f64 = 190.0;
const TOP: f64 = 70.0;
const LEFTS: [f64; 2] = [30.0, 440.0];
const SERIES: [&str; 2] = ["sotto", "peer"];
/// A picture has one background whatever the page's, and colours that go with it.
const HEAD: &str = r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 840 320" role="img" aria-labelledby="title desc" font-family="system-ui, sans-serif" font-size="12">
<style>
svg { --ground: #fff; --ink: #222; --faint: #ddd; --sotto: #0a6b52; --peer: #a8480c }
@media (prefers-color-scheme: dark) { svg { --ground: #16191d; --ink: #e4e6e8; --faint: #3a3f45; --sotto: #4fd0a5; --peer: #f0a05a } }
.ground { fill: var(--ground) } text { fill: var(--ink) } .head { font-size: 15px; font-weight: 600 } .grid { stroke: var(--faint) }
.sotto { fill: var(--sotto) } .peer { fill: var(--peer) } polyline { fill: none !important; stroke-width: 2 }
polyline.sotto { stroke: var(--sotto) } polyline.peer { stroke: var(--peer) } .name { font-weight: 600 }
</style>
"#;

pub fn svg(points: &[Point]) -> String {
    let mut svg = HEAD.to_string();
    let mut desc = String::new();
    for Point { count, cpu, bytes } in points {
        let _ = write!(
            desc,
            "Among {} clients a message costs sotto {:.1} and the peer {:.1} microseconds, a client {:.0} and {:.0} bytes. ",
            grouped(*count),
            cpu[0],
            cpu[1],
            bytes[0],
            bytes[1]
        );
    }
    let _ = writeln!(
        svg,
        r#"<title id="title">What sotto and a tokio-tungstenite peer cost, by the number of clients</title>"#
    );
    let _ = writeln!(svg, r#"<desc id="desc">{}</desc>"#, desc.trim_end());
    let _ = writeln!(svg, r#"<rect class="ground" width="840" height="320" rx="6"/>"#);
    panel(
        &mut svg,
        LEFTS[0],
        "CPU for a message, µs",
        points,
        |point| point.cpu,
        |value| format!("{value:.1}"),
    );
    let bytes = |value: f64| grouped(value.round() as usize);
    panel(
        &mut svg,
        LEFTS[1],
        "Resident memory for a client, bytes",
        points,
        |point| point.bytes,
        bytes,
    );
    svg + "</svg>\n"
}

fn panel(
    svg: &mut String,
    left: f64,
    head: &str,
    points: &[Point],
    values: impl Fn(&Point) -> [f64; 2],
    text: impl Fn(f64) -> String,
) {
    let bottom = TOP + HEIGHT;
    let most = points.iter().flat_map(&values).fold(0.0, f64::max);
    let (first, last) = (
        points.first().map_or(1, |point| point.count),
        points.last().map_or(2, |point| point.count),
    );
    let (low, high) = ((first as f64).ln() - 0.4, (last as f64).ln() + 0.25);
    let x = |count: usize| left + WIDTH * ((count as f64).ln() - low) / (high - low);
    // Room above the highest for its text.
    let y = |value: f64| bottom - HEIGHT * value / (most * 1.12);
    let _ = writeln!(svg, r#"<text class="head" x="{left}" y="32">{head}</text>"#);
    let _ = writeln!(
        svg,
        r#"<line class="grid" x1="{left}" x2="{:.0}" y1="{bottom}" y2="{bottom}"/>"#,
        left + WIDTH
    );
    for point in points {
        let (at, count) = (x(point.count), grouped(point.count));
        let _ = writeln!(
            svg,
            r#"<line class="grid" x1="{at:.1}" x2="{at:.1}" y1="{TOP}" y2="{bottom}"/>"#
        );
        let _ = writeln!(
            svg,
            r#"<text x="{at:.1}" y="{:.0}" text-anchor="middle">{count}</text>"#,
            bottom + 18.0
        );
    }
    let _ = writeln!(
        svg,
        r#"<text x="{:.0}" y="{:.0}" text-anchor="middle">clients</text>"#,
        left + WIDTH / 2.0,
        bottom + 40.0
    );
    let sum = |series: usize| points.iter().map(|point| values(point)[series]).sum::<f64>();
    for (series, name) in SERIES.into_iter().enumerate() {
        let places: Vec<_> =
            points.iter().map(|point| (x(point.count), values(point)[series])).collect();
        let line: Vec<_> =
            places.iter().map(|&(x, value)| format!("{x:.1},{:.1}", y(value))).collect();
        let _ = writeln!(svg, r#"<polyline class="{name}" points="{}"/>"#, line.join(" "));
        // The upper line has its texts above, the lower one below, if there is room.
        let is_upper = sum(series) >= sum(1 - series);
        for (place, &(x, value)) in places.iter().enumerate() {
            let _ = writeln!(
                svg,
                r#"<circle class="{name}" cx="{x:.1}" cy="{:.1}" r="3.5"/>"#,
                y(value)
            );
            let under = !is_upper && y(value) < bottom - 30.0;
            let at = if under { y(value) + 18.0 } else { y(value) - 9.0 };
            let name_too = if place == 0 { format!("{name} ") } else { String::new() };
            let class = if place == 0 { format!("{name} name") } else { name.to_string() };
            let _ = writeln!(
                svg,
                r#"<text class="{class}" x="{x:.1}" y="{at:.1}" text-anchor="middle">{name_too}{}</text>"#,
                text(value)
            );
        }
    }
}

/// With commas: 19,000.
fn grouped(number: usize) -> String {
    match number {
        0..1000 => number.to_string(),
        _ => format!("{},{:03}", grouped(number / 1000), number % 1000),
    }
}
