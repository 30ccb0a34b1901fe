//! Just enough SVG for three kinds of pictures; colours follow the reader's light or dark scheme.

use std::fmt::Write;

/// Readable on light and on dark ground; the first is ours.
const COLOURS: [&str; 12] = [
    "#e5484d", "#3b82f6", "#10b981", "#f59e0b", "#8b5cf6", "#06b6d4", "#ec4899", "#84cc16", "#a16207",
    "#64748b", "#f97316", "#14b8a6",
];

const STYLE: &str = "\
text{font:12px system-ui,sans-serif;fill:#1f2328}.ground{fill:#ffffff}.grid{stroke:#d0d7de;stroke-width:1}\
.title{font-weight:600;font-size:14px}.end{text-anchor:end}.middle{text-anchor:middle}\
polyline{fill:none;stroke-width:1.8}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.ground{fill:#0d1117}.grid{stroke:#30363d}}";

/// Where a text ends up about its point.
#[derive(Clone, Copy, Debug)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// A picture in the making; lengths are pixels, y grows downwards.
#[derive(Debug)]
pub(super) struct Canvas {
    width: f64,
    height: f64,
    body: String,
}

/// The colour of the engine at this place.
pub(super) fn colour(engine: usize) -> &'static str {
    COLOURS[engine % COLOURS.len()]
}

impl Canvas {
    pub(super) fn new(width: f64, height: f64, title: &str) -> Self {
        let mut canvas = Self { width, height, body: String::new() };
        canvas.push(format_args!(r#"<rect class="ground" width="{width}" height="{height}"/>"#));
        canvas.push(format_args!(r#"<text class="title" x="12" y="22">{}</text>"#, escaped(title)));
        canvas
    }

    fn push(&mut self, element: std::fmt::Arguments<'_>) {
        // Writing into a String cannot fail.
        let _ = writeln!(self.body, "{element}");
    }

    pub(super) fn text(&mut self, x: f64, y: f64, anchor: Anchor, text: &str) {
        let class = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        self.push(format_args!(r#"<text class="{class}" x="{x:.1}" y="{y:.1}">{}</text>"#, escaped(text)));
    }

    /// A line of the grid.
    pub(super) fn grid(&mut self, from: (f64, f64), to: (f64, f64)) {
        self.push(format_args!(
            r#"<line class="grid" x1="{:.1}" y1="{:.1}" x2="{:.1}" y2="{:.1}"/>"#,
            from.0, from.1, to.0, to.1
        ));
    }

    pub(super) fn bar(&mut self, x: f64, y: f64, width: f64, height: f64, colour: &str) {
        self.push(format_args!(
            r#"<rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" fill="{colour}"/>"#
        ));
    }

    pub(super) fn curve(&mut self, points: &[(f64, f64)], colour: &str) {
        let points: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        self.push(format_args!(r#"<polyline points="{}" stroke="{colour}"/>"#, points.join(" ")));
    }

    pub(super) fn finish(self) -> String {
        let (width, height) = (self.width, self.height);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\">\n\
             <style>{STYLE}</style>\n{}</svg>\n",
            self.body
        )
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
