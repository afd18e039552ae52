//! Ticks: round values on an axis, and texts that tell each from its neighbors.

use super::axis::Scale;
use super::theme::{TICK, text_width};

/// From here up, whole numbers are no longer all floats.
const WHOLE: f64 = 9_007_199_254_740_992.0;

/// A text with more digits than this is written with an exponent: no digit before the point but one.
const LONGEST: usize = 19;

/// A decimal number: `digits` times ten to the power of `power`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Decimal {
    digits: i64,
    power: i32,
}

impl Decimal {
    /// Without zeros at the end of the digits.
    fn new(mut digits: i64, mut power: i32) -> Decimal {
        while digits != 0 && digits % 10 == 0 {
            digits /= 10;
            power += 1;
        }
        Decimal { digits, power: if digits == 0 { 0 } else { power } }
    }

    /// The nearest float. Parsed, as powers of ten far from 1 are not exact by multiplication.
    fn value(self) -> f64 {
        self.exponent().parse().unwrap_or(f64::INFINITY)
    }

    /// How many decimals it has over ten to the power of `unit`.
    fn decimals(self, unit: i32) -> usize {
        if self.digits == 0 { 0 } else { (unit - self.power).max(0) as usize }
    }

    /// The number over ten to the power of `unit`, with so many decimals, which are enough.
    fn fixed(self, unit: i32, decimals: usize) -> String {
        if self.digits == 0 {
            return "0".to_string();
        }
        let shift = decimals as i32 + self.power - unit;
        let digits = i128::from(self.digits.unsigned_abs()) * 10i128.pow(shift.clamp(0, 19) as u32);
        let text = format!("{digits:0>width$}", width = decimals + 1);
        let (whole, part) = text.split_at(text.len() - decimals);
        let sign = if self.digits < 0 { "-" } else { "" };
        if part.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{part}") }
    }

    /// `1.5e-5`, with the digits that the number has.
    fn exponent(self) -> String {
        let text = self.digits.unsigned_abs().to_string();
        let (first, rest) = text.split_at(1);
        let sign = if self.digits < 0 { "-" } else { "" };
        match self.digits {
            0 => "0".to_string(),
            _ if rest.is_empty() => format!("{sign}{first}e{}", self.power),
            _ => format!("{sign}{first}.{rest}e{}", self.power + rest.len() as i32),
        }
    }
}

/// A step between ticks: 1, 2 or 5 times a power of ten.
#[derive(Debug, Clone, Copy)]
struct Step {
    factor: i64,
    power: i32,
}

impl Step {
    /// The least step that is at least `x`.
    fn at_least(x: f64) -> Step {
        let power = x.log10().floor() as i32;
        let steps = [(1, power), (2, power), (5, power), (1, power + 1)].map(|(factor, power)| Step { factor, power });
        let found = steps.into_iter().find(|step| step.value() >= x * (1.0 - 1e-9) && step.value().is_finite());
        found.unwrap_or(steps[0])
    }

    fn value(self) -> f64 {
        self.factor as f64 * 10f64.powi(self.power)
    }
}

/// The least of 1, 2, 5 times a power of ten that is at least `x`.
pub(super) fn round_step(x: f64) -> f64 {
    let power = 10f64.powf(x.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|s| s * power).find(|s| *s >= x * (1.0 - 1e-9)).unwrap_or(power)
}

impl Scale {
    /// Round values on the axis, about `n` of them, with their texts.
    pub(super) fn ticks(&self, n: usize) -> Vec<(f64, String)> {
        let decades = if self.log { self.decades() } else { Vec::new() };
        // Within a decade there may be no round value of a logarithmic axis.
        if decades.len() > 1 { decades } else { self.steps(n) }
    }

    /// As [`Scale::ticks`], so few that their texts have room beside each other.
    pub(super) fn ticks_across(&self, n: usize) -> Vec<(f64, String)> {
        let mut ticks = self.ticks(n);
        for fewer in (2..n).rev() {
            let widest = ticks.iter().map(|(_, text)| text_width(text, TICK)).fold(0.0, f64::max);
            let gap = ticks.windows(2).map(|pair| (self.at(pair[1].0) - self.at(pair[0].0)).abs());
            if widest <= gap.fold(f64::INFINITY, f64::min) {
                break;
            }
            ticks = self.ticks(fewer);
        }
        ticks
    }

    fn steps(&self, n: usize) -> Vec<(f64, String)> {
        let n = n.max(2) as f64;
        let length = self.hi - self.lo;
        let mut step = Step::at_least(if length.is_finite() { length / n } else { self.hi / n - self.lo / n });
        // Multiples of the step must be floats that differ.
        while self.lo.abs().max(self.hi.abs()) / step.value() > WHOLE {
            step = Step { power: step.power + 1, ..step };
        }
        let (first, last) = ((self.lo / step.value() - 1e-6).ceil(), (self.hi / step.value() + 1e-6).floor());
        let count = if last >= first { ((last - first) as usize).min(50) } else { return Vec::new() };
        let ticks = (0..=count).map(|i| Decimal::new((first as i64 + i as i64) * step.factor, step.power));
        let values: Vec<f64> = (0..=count).map(|i| (first + i as f64) * step.value() + 0.0).collect();
        let texts = texts(&ticks.collect::<Vec<_>>(), values.get(1).map(|second| second - values[0]));
        values.into_iter().zip(texts).collect()
    }

    /// Powers of ten, and twice and five times them on a short axis.
    fn decades(&self) -> Vec<(f64, String)> {
        let (low, high) = (self.lo.log10().floor() as i32, self.hi.log10().ceil() as i32);
        let every = ((high - low) / 8).max(1) as usize;
        let factors: &[i64] = if high - low <= 2 { &[1, 2, 5] } else { &[1] };
        let ticks = (low..=high).step_by(every).flat_map(|power| factors.iter().map(move |f| Decimal::new(*f, power)));
        let ticks = ticks.map(|tick| (tick.value(), tick)).filter(|(x, _)| *x > 0.0 && self.holds(*x));
        ticks.map(|(x, tick)| (x, texts(&[tick], None).concat())).collect()
    }
}

/// All ticks in one notation: plain, with a letter for millions and more, or with an exponent. None loses a digit, so no two
/// are the same. `apart` is how far they are from each other.
fn texts(ticks: &[Decimal], apart: Option<f64>) -> Vec<String> {
    let largest = ticks.iter().map(|tick| tick.value().abs()).fold(0.0, f64::max);
    let decimals = |unit: i32| {
        // Where the difference of two ticks is a little less than a power of ten, this asks for one decimal more than they need.
        let apart = apart.map_or(0.0, |apart| -(apart / 10f64.powi(unit)).log10().floor()).clamp(0.0, 9.0) as usize;
        ticks.iter().map(|tick| tick.decimals(unit)).max().unwrap_or(0).max(apart)
    };
    let fixed = |unit: i32, letter: &str| -> Vec<String> {
        let text = |tick: &Decimal| match tick.digits {
            0 => "0".to_string(),
            _ => tick.fixed(unit, decimals(unit)) + letter,
        };
        ticks.iter().map(text).collect()
    };
    let whole = format!("{largest:.0}").len();
    match largest {
        0.0 => fixed(0, ""),
        _ if (1e9..1e15).contains(&largest) && decimals(9) <= 3 => fixed(9, "G"),
        _ if (1e6..1e9).contains(&largest) && decimals(6) <= 3 => fixed(6, "M"),
        _ if (1e-4..1e15).contains(&largest) && whole + decimals(0) <= LONGEST => fixed(0, ""),
        _ => ticks.iter().map(|tick| tick.exponent()).collect(),
    }
}
