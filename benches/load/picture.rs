//! The picture in the guide: the cost of a message and of a client among ever more clients, as SVG
//! written by hand.
//!
//! How the figures were measured is not known here.

use std::fmt::Write;

use crate::table::grouped;

/// The medians among `count` clients: sotto's, then the peer's.
pub struct Point {
    pub count: usize,
    /// Microseconds of CPU for a message.
    pub cpu: [f64; 2],
    /// Resident bytes for a client.
    pub bytes: [f64; 2],
}

const WIDTH: f64 = 370.0;
const HEIGHT: f64 = 190.0;
const TOP: f64 = 70.0;
const BOTTOM: f64 = TOP + HEIGHT;
const LEFTS: [f64; 2] = [30.0, 440.0];
const SERIES: [&str; 2] = ["sotto", "peer"];
/// The picture has a background of its own on every page, and colours that go with it.
const HEAD: &str = r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 840 320" role="img"
  aria-labelledby="title desc" font-family="system-ui, sans-serif" font-size="12">
<style>
svg { --ground: #fff; --ink: #222; --faint: #ddd; --sotto: #0a6b52; --peer: #a8480c }
@media (prefers-color-scheme: dark) {
  svg { --ground: #16191d; --ink: #e4e6e8; --faint: #3a3f45; --sotto: #4fd0a5; --peer: #f0a05a }
}
.ground { fill: var(--ground) } text { fill: var(--ink) }
.head { font-size: 15px; font-weight: 600 } .grid { stroke: var(--faint) }
.sotto { fill: var(--sotto) } .peer { fill: var(--peer) }
polyline { fill: none !important; stroke-width: 2 }
polyline.sotto { stroke: var(--sotto) } polyline.peer { stroke: var(--peer) }
.name { font-weight: 600 }
</style>
"#;

/// Adds a line to the picture.
macro_rules! draw {
    ($svg:expr, $($format:tt)*) => { writeln!($svg, $($format)*).expect("memory takes all") };
}

/// Draws both panels.
pub fn svg(points: &[Point]) -> String {
    let mut svg = HEAD.to_string();
    let title = "What sotto and a tokio-tungstenite peer cost, by the number of clients";
    let describe = |Point { count, cpu, bytes }: &Point| {
        format!(
            "Among {} clients a message costs sotto {:.1} and the peer {:.1} microseconds, \
             a client {:.0} and {:.0} bytes.",
            grouped(*count),
            cpu[0],
            cpu[1],
            bytes[0],
            bytes[1]
        )
    };
    let description: Vec<String> = points.iter().map(describe).collect();
    draw!(svg, r#"<title id="title">{title}</title>"#);
    draw!(svg, r#"<desc id="desc">{}</desc>"#, description.join(" "));
    draw!(svg, r#"<rect class="ground" width="840" height="320" rx="6"/>"#);
    let cpu = Panel::new(LEFTS[0], points, |point| point.cpu);
    cpu.draw(&mut svg, "CPU for a message, µs", |value| format!("{value:.1}"));
    let bytes = Panel::new(LEFTS[1], points, |point| point.bytes);
    bytes.draw(&mut svg, "Resident memory for a client, bytes", |value| {
        grouped(value.round() as usize)
    });
    svg + "</svg>\n"
}

/// A diagram of two series over the number of clients, which has a logarithmic axis.
struct Panel {
    left: f64,
    /// Numbers of clients, each with the value of each series.
    values: Vec<(usize, [f64; 2])>,
    /// Logarithms at the left and at the right end of the axis.
    ends: [f64; 2],
    value_max: f64,
}

impl Panel {
    fn new(left: f64, points: &[Point], value: fn(&Point) -> [f64; 2]) -> Panel {
        let values: Vec<_> = points.iter().map(|point| (point.count, value(point))).collect();
        let value_max = values.iter().flat_map(|(_, pair)| *pair).fold(0.0, f64::max);
        let first = points.first().map_or(1, |point| point.count) as f64;
        let last = points.last().map_or(2, |point| point.count) as f64;
        Panel { left, values, ends: [first.ln() - 0.4, last.ln() + 0.25], value_max }
    }

    fn x(&self, count: usize) -> f64 {
        let [low, high] = self.ends;
        self.left + WIDTH * ((count as f64).ln() - low) / (high - low)
    }

    /// Leaves space above the highest value for its text.
    fn y(&self, value: f64) -> f64 {
        BOTTOM - HEIGHT * value / (self.value_max * 1.12)
    }

    fn draw(&self, svg: &mut String, head: &str, text: impl Fn(f64) -> String) {
        self.draw_axes(svg, head);
        for series in [0, 1] {
            self.draw_series(svg, series, &text);
        }
    }

    fn draw_axes(&self, svg: &mut String, head: &str) {
        let left = self.left;
        draw!(svg, r#"<text class="head" x="{left}" y="32">{head}</text>"#);
        let right = left + WIDTH;
        draw!(
            svg,
            r#"<line class="grid" x1="{left}" x2="{right:.0}" y1="{BOTTOM}" y2="{BOTTOM}"/>"#
        );
        for &(count, _) in &self.values {
            let (x, y, count) = (self.x(count), BOTTOM + 18.0, grouped(count));
            draw!(svg, r#"<line class="grid" x1="{x:.1}" x2="{x:.1}" y1="{TOP}" y2="{BOTTOM}"/>"#);
            draw!(svg, r#"<text x="{x:.1}" y="{y:.0}" text-anchor="middle">{count}</text>"#);
        }
        let (x, y) = (left + WIDTH / 2.0, BOTTOM + 40.0);
        draw!(svg, r#"<text x="{x:.0}" y="{y:.0}" text-anchor="middle">clients</text>"#);
    }

    fn draw_series(&self, svg: &mut String, series: usize, text: impl Fn(f64) -> String) {
        let name = SERIES[series];
        let place = |&(count, pair): &(usize, [f64; 2])| (self.x(count), self.y(pair[series]));
        let places: Vec<(f64, f64)> = self.values.iter().map(place).collect();
        let line: Vec<String> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        draw!(svg, r#"<polyline class="{name}" points="{}"/>"#, line.join(" "));
        // The upper line has its texts above, the lower one below, if there is space.
        let sum = |series: usize| self.values.iter().map(|(_, pair)| pair[series]).sum::<f64>();
        let is_upper = sum(series) >= sum(1 - series);
        for (index, ((_, pair), &(x, y))) in self.values.iter().zip(&places).enumerate() {
            draw!(svg, r#"<circle class="{name}" cx="{x:.1}" cy="{y:.1}" r="3.5"/>"#);
            let y = if !is_upper && y < BOTTOM - 30.0 { y + 18.0 } else { y - 9.0 };
            let value = text(pair[series]);
            let (class, label) = match index {
                0 => (format!("{name} name"), format!("{name} {value}")),
                _ => (name.to_string(), value),
            };
            draw!(
                svg,
                r#"<text class="{class}" x="{x:.1}" y="{y:.1}" text-anchor="middle">{label}</text>"#
            );
        }
    }
}
