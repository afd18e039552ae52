//! How numbers are written. Committed results are compared by their bytes, so the format is saerun's own and pinned by a test.

/// A float that reads back as the same bits: the shortest such digits, always with a point or an exponent, so that it
/// stays a float. Zero keeps its sign; `NaN`, `inf` and `-inf` are spelled like this.
pub fn exact(x: f64) -> String {
    match x {
        _ if x.is_nan() => "NaN".to_string(),
        _ if x.is_infinite() => if x > 0.0 { "inf" } else { "-inf" }.to_string(),
        0.0 => format!("{x:?}"),
        _ if (1e-5..1e16).contains(&x.abs()) => format!("{x:?}"),
        _ => format!("{x:e}"),
    }
}

/// A float for reading: four significant digits, whole numbers in full up to ten million, an exponent for the rest.
pub fn rounded(x: f64) -> String {
    rounded_to(x, 4)
}

/// As [`rounded`], with so many significant digits.
pub fn rounded_to(x: f64, digits: usize) -> String {
    if x == 0.0 {
        return "0".to_string();
    }
    if !x.is_finite() {
        return exact(x);
    }
    let after = digits.max(1) - 1;
    let size = x.abs();
    if !(1e-4..1e7).contains(&size) {
        let text = format!("{x:.after$e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        return format!("{}e{exponent}", trim(digits));
    }
    if x.fract() == 0.0 {
        return format!("{x:.0}");
    }
    // The power of ten after rounding: 9.9996 to four digits is 10.00 and not 10.000.
    let power: i32 = format!("{x:.after$e}").split_once('e').and_then(|(_, e)| e.parse().ok()).unwrap_or(0);
    let decimals = (after as i32 - power).max(0) as usize;
    format!("{x:.decimals$}")
}

/// How many significant digits tell numbers apart that are `step` from each other, at least four.
pub fn digits_for(values: impl Iterator<Item = f64>, step: f64) -> usize {
    let largest = values.filter(|x| x.is_finite()).fold(0.0f64, |largest, x| largest.max(x.abs()));
    let digits = (largest / step).log10().ceil() + 1.0;
    if digits.is_finite() { (digits as usize).clamp(4, 17) } else { 4 }
}

fn trim(digits: &str) -> &str {
    if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits }
}

/// Seconds as a person says them: `0.4s`, `3m12s`, `1h04m`.
pub fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..=9 => format!("{seconds:.1}s"),
        10..=59 => format!("{whole}s"),
        60..=3599 => format!("{}m{:02}s", whole / 60, whole % 60),
        _ => format!("{}h{:02}m", whole / 3600, whole % 3600 / 60),
    }
}
