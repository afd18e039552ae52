//! The options of the plot functions, as scripts write them.

use serde::{Deserialize, Serialize};

use super::Frame;

/// Named values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValueSeries {
    /// Shown in the legend.
    #[serde(default)]
    pub name: String,
    /// The values; missing ones are left out.
    pub values: Vec<Option<f64>>,
}

/// Named points.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CurveSeries {
    /// Shown in the legend.
    #[serde(default)]
    pub name: String,
    /// Where each point is along the x axis.
    pub x: Vec<Option<f64>>,
    /// Where each point is along the y axis, as many as `x`.
    pub y: Vec<Option<f64>>,
}

/// A vertical line with a label.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelledLine {
    /// Where it stands on the x axis.
    pub at: f64,
    /// What it means.
    #[serde(default)]
    pub label: String,
}

/// Declares an option map with the keys that all plots share, and how they become a [`Frame`].
macro_rules! options {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $type,)*
            /// Above the chart.
            pub title: String,
            /// Below the x axis.
            pub x_label: String,
            /// Beside the y axis.
            pub y_label: String,
            /// Vertical lines with a label: `[#{ at: 0.043, label: "Welch bound" }]`.
            pub lines: Vec<LabelledLine>,
            /// Logarithmic x axis; values that are not above 0 are left out.
            pub log_x: bool,
            /// Logarithmic y axis; values that are not above 0 are left out.
            pub log_y: bool,
            /// Pixels across, 200 to 4000; default 720.
            pub width: Option<u32>,
            /// Pixels down, 150 to 4000; default 440.
            pub height: Option<u32>,
        }

        impl $name {
            pub(super) fn frame(&self) -> Frame {
                Frame {
                    title: self.title.clone(),
                    x_label: self.x_label.clone(),
                    y_label: self.y_label.clone(),
                    lines: self.lines.clone(),
                    log_x: self.log_x,
                    log_y: self.log_y,
                    width: self.width.unwrap_or(720),
                    height: self.height.unwrap_or(440),
                }
            }
        }
    };
}

options! {
    /// Options of `plot::histogram`.
    HistogramOptions {
        /// What is counted, overlaid in one chart.
        series: Vec<ValueSeries>,
        /// Width of a bin; default: a round number that makes about 60 bins.
        bin_width: Option<f64>,
        /// Left end; default: the least value, rounded down to a bin.
        from: Option<f64>,
        /// Right end; default: the largest value, rounded up to a bin.
        to: Option<f64>,
    }
}

options! {
    /// Options of `plot::line` and `plot::scatter`.
    CurveOptions {
        /// The points.
        series: Vec<CurveSeries>,
    }
}

options! {
    /// Options of `plot::bar`.
    BarOptions {
        /// Below each group of bars; default: 0, 1, ...
        labels: Vec<String>,
        /// One bar in every group each.
        series: Vec<ValueSeries>,
    }
}

options! {
    /// Options of `plot::heatmap`.
    HeatmapOptions {
        /// Rows of equal length, the first on top.
        values: Vec<Vec<Option<f64>>>,
        /// Below each column.
        x_labels: Vec<String>,
        /// Beside each row.
        y_labels: Vec<String>,
    }
}
