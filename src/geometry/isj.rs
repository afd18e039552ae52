//! A kernel bandwidth that neither smooths narrow modes away nor falls for ties: Botev, Grotowski and Kroese (2010),
//! "Kernel density estimation via diffusion", the improved Sheather-Jones rule, on binned data.

use std::f64::consts::PI;

/// Bins; a power of two for the transform.
const BINS: usize = 1 << 14;

/// Standard deviation of a Gaussian kernel for these sorted values, which should have no structural duplicates. `None` for fewer than
/// two different values. Falls back on Silverman's rule where the fixed point does not exist.
pub(super) fn bandwidth(sorted: &[f64]) -> Option<f64> {
    let (least, greatest) = (*sorted.first()?, *sorted.last()?);
    let spread = greatest - least;
    if spread <= 0.0 {
        return None;
    }
    let (from, range) = (least - 0.1 * spread, 1.2 * spread);
    let mut bins = vec![0.0; BINS];
    for v in sorted {
        let bin = ((v - from) / range * BINS as f64) as usize;
        bins[bin.min(BINS - 1)] += 1.0 / sorted.len() as f64;
    }
    let squares: Vec<f64> = cosine_transform(&bins).iter().skip(1).map(|a| a * a).collect();
    let unique = 1 + sorted.windows(2).filter(|pair| pair[0] != pair[1]).count();
    let gap = |t: f64| t - next_time(t, unique as f64, &squares);
    // The smallest root; time is the squared bandwidth in units of the range. Below a bin's width nothing can be told apart.
    let mut low = (1.0 / BINS as f64).powi(2);
    if gap(low) >= 0.0 {
        return Some(range / BINS as f64);
    }
    while low < 0.1 {
        let mut high = 1.3 * low;
        if gap(high) >= 0.0 {
            for _ in 0..40 {
                let t = 0.5 * (low + high);
                if gap(t) < 0.0 { low = t } else { high = t }
            }
            return Some(high.sqrt() * range);
        }
        low = high;
    }
    silverman(sorted)
}

/// 0.9 min(sd, IQR/1.34) n^(-1/5) of sorted values; with the standard deviation alone where the quartiles coincide.
pub(super) fn silverman(sorted: &[f64]) -> Option<f64> {
    let sd = deviation(sorted);
    let iqr = (quantile(sorted, 0.75) - quantile(sorted, 0.25)) / 1.34;
    rule(if iqr > 0.0 { sd.min(iqr) } else { sd }, sorted.len())
}

/// 0.9 sd n^(-1/5) of values.
pub(super) fn standard(values: &[f64]) -> Option<f64> {
    rule(deviation(values), values.len())
}

fn rule(scale: f64, n: usize) -> Option<f64> {
    Some(0.9 * scale * (n as f64).powf(-0.2)).filter(|h| *h > 0.0)
}

fn deviation(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt()
}

/// The quantile of sorted values by linear interpolation (type 7 of Hyndman and Fan). Zero when there are none.
pub(super) fn quantile(sorted: &[f64], p: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return 0.0 };
    let at = p.clamp(0.0, 1.0) * last as f64;
    let k = (at as usize).min(last);
    sorted[k] + (at - k as f64) * (sorted[(k + 1).min(last)] - sorted[k])
}

/// xi gamma^[7](t): the time that seven plug-in stages make of t.
fn next_time(t: f64, n: f64, squares: &[f64]) -> f64 {
    // Sum of k^2s a_k^2 exp(-k^2 pi^2 t) times 2 pi^2s; terms beyond an exponent of 100 vanish.
    let functional = |s: i32, t: f64| {
        let last = ((100.0 / t).sqrt() / PI).min(squares.len() as f64) as usize;
        let term = |(k, a): (usize, &f64)| {
            let k2 = ((k + 1) * (k + 1)) as f64;
            k2.powi(s) * a * (-k2 * PI * PI * t).exp()
        };
        2.0 * PI.powi(2 * s) * squares[..last].iter().enumerate().map(term).sum::<f64>()
    };
    let mut f = functional(7, t);
    for s in (2..7).rev() {
        let odd: f64 = (1..=s).map(|k| f64::from(2 * k - 1)).product();
        let k0 = odd / (2.0 * PI).sqrt();
        let constant = (1.0 + 0.5f64.powf(f64::from(s) + 0.5)) / 3.0;
        let time = (2.0 * constant * k0 / n / f).powf(2.0 / (3.0 + 2.0 * f64::from(s)));
        f = functional(s, time);
    }
    (2.0 * n * PI.sqrt() * f).powf(-0.4)
}

/// sum over j of x_j cos(pi k (2 j + 1) / (2 n)) for k = 0..n, by a transform of the mirrored sequence. n is a power of two.
fn cosine_transform(x: &[f64]) -> Vec<f64> {
    let n = x.len();
    let mut re: Vec<f64> = x.iter().chain(x.iter().rev()).copied().collect();
    let mut im = vec![0.0; 2 * n];
    fourier(&mut re, &mut im);
    (0..n)
        .map(|k| {
            let angle = PI * k as f64 / (2 * n) as f64;
            0.5 * (angle.cos() * re[k] + angle.sin() * im[k])
        })
        .collect()
}

/// The discrete Fourier transform with exp(-2 pi i j k / n), in place, radix two.
fn fourier(re: &mut [f64], im: &mut [f64]) {
    let n = re.len();
    let shift = usize::BITS - n.trailing_zeros();
    for i in 1..n {
        let j = i.reverse_bits() >> shift;
        if i < j {
            re.swap(i, j);
            im.swap(i, j);
        }
    }
    let mut half = 1;
    while half < n {
        let turns: Vec<(f64, f64)> = (0..half).map(|k| (-PI * k as f64 / half as f64).sin_cos()).collect();
        for block in (0..n).step_by(2 * half) {
            for (k, &(sin, cos)) in turns.iter().enumerate() {
                let (a, b) = (block + k, block + k + half);
                let (x, y) = (re[b] * cos - im[b] * sin, re[b] * sin + im[b] * cos);
                (re[b], im[b]) = (re[a] - x, im[a] - y);
                (re[a], im[a]) = (re[a] + x, im[a] + y);
            }
        }
        half *= 2;
    }
}
