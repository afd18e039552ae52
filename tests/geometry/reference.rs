//! Bounds and random null against published and independently computed numbers.

use saerun::geometry::{levenshtein_bound, random_null, random_null_log10_cdf, welch_bound};
use saerun::ops::Sign;

use super::near;

#[test]
fn bounds_at_the_usual_sizes() {
    near(welch_bound(8192, 512).unwrap(), 0.042_793_436_788_905_84, 1e-16);
    for (n, d, welch, levenshtein) in [
        (8192, 512, 0.04279344, 0.0208589211),
        (4096, 256, 0.06052275, 0.0357070547),
        (2048, 128, 0.08560255, 0.0585091092),
        (1024, 64, 0.12108987, 0.0923628963),
    ] {
        near(welch_bound(n, d).unwrap(), welch, 5e-9);
        near(levenshtein_bound(n, d).unwrap(), levenshtein, 5e-11);
    }
    assert_eq!(welch_bound(3, 5).unwrap(), 0.0);
}

#[test]
fn levenshtein_is_sharp_where_it_is_known_to_be() {
    // Cross polytopes aside: E8 and Leech kissing arrangements, Schlaefli, Clebsch, the icosahedron.
    for (n, d, s) in [
        (240, 8, 0.5),
        (196_560, 24, 0.5),
        (27, 6, 0.25),
        (16, 5, 0.2),
        (6, 5, -0.2),
        (12, 3, 1.0 / 5f64.sqrt()),
        (275, 22, 1.0 / 6.0),
        (7, 2, (std::f64::consts::TAU / 7.0).cos()),
        (5, 1, 1.0),
    ] {
        near(levenshtein_bound(n, d).unwrap(), s, 1e-12);
    }
    // It grows with n, through every piece.
    let bounds: Vec<f64> = (2..3000).map(|n| levenshtein_bound(n, 4).unwrap()).collect();
    assert!(bounds.windows(2).all(|pair| pair[0] <= pair[1] && pair[1] < 1.0));
    assert!(levenshtein_bound(1_000_000, 3).unwrap() > 0.9999);
    for (n, d) in [(1, 5), (0, 5), (5, 0)] {
        assert!(levenshtein_bound(n, d).is_err() && welch_bound(n, d).is_err());
    }
}

#[test]
fn random_null_at_the_usual_sizes() {
    let (s, a) = (Sign::Signed, Sign::Abs);
    for (n, d, sign, mean, sd, mode, q05, median, q95, top) in [
        (8192, 512, s, 0.16708, 0.01330, 0.16203, 0.14866, 0.16531, 0.19154, 0.2392),
        (8192, 512, a, 0.17440, 0.01279, 0.16947, 0.15675, 0.17267, 0.19795, 0.2444),
        (4096, 256, s, 0.22432, 0.01924, 0.21721, 0.19749, 0.22185, 0.25963, 0.3195),
        (4096, 256, a, 0.23493, 0.01841, 0.22800, 0.20937, 0.23251, 0.26876, 0.3268),
        (2048, 128, s, 0.29878, 0.02754, 0.28900, 0.25999, 0.29541, 0.34913, 0.4213),
        (2048, 128, a, 0.31400, 0.02615, 0.30451, 0.27735, 0.31072, 0.36191, 0.4315),
        (1024, 64, s, 0.39352, 0.03859, 0.38076, 0.33828, 0.38918, 0.46367, 0.5453),
        (1024, 64, a, 0.41495, 0.03620, 0.40262, 0.36342, 0.41074, 0.48092, 0.5587),
    ] {
        let null = random_null(n, d, sign).unwrap();
        for (ours, theirs) in [
            (null.mean, mean),
            (null.sd, sd),
            (null.mode, mode),
            (null.q05, q05),
            (null.median, median),
            (null.q95, q95),
        ] {
            near(ours, theirs, 1e-5);
        }
        near(null.global_max_median, top, 1e-4);
    }
}

#[test]
fn random_null_in_closed_form() {
    // Two directions in three dimensions: the cosine is uniform.
    let null = random_null(2, 3, Sign::Signed).unwrap();
    near(null.mean, 0.0, 1e-9);
    near(null.sd, 1.0 / 3f64.sqrt(), 1e-9);
    near(null.median, 0.0, 1e-12);
    near(null.q95, 0.9, 1e-12);
    // The largest of n - 1 uniforms on [0, 1].
    let null = random_null(11, 3, Sign::Abs).unwrap();
    near(null.mean, 10.0 / 11.0, 1e-9);
    near(null.q05, 0.05f64.powf(0.1), 1e-12);
    // The plane: P(cos > t) = acos(t)/pi.
    let log = random_null_log10_cdf(0.3, 4, 2, Sign::Signed).unwrap();
    near(log, 3.0 * (1.0 - 0.3f64.acos() / std::f64::consts::PI).log10(), 1e-12);
}

#[test]
fn the_tail_of_the_null_is_exact() {
    near(random_null_log10_cdf(0.05, 8192, 512, Sign::Signed).unwrap(), -491.9, 0.05);
    near(1.0 - 10f64.powf(random_null_log10_cdf(0.3, 8192, 512, Sign::Signed).unwrap()), 1.6e-8, 5e-10);
    assert!(random_null_log10_cdf(-0.999, 8192, 4096, Sign::Signed).unwrap() < -1e7);
    assert_eq!(random_null_log10_cdf(1.0, 100, 8, Sign::Abs).unwrap(), 0.0);
    assert_eq!(random_null_log10_cdf(0.0, 100, 8, Sign::Abs).unwrap(), f64::NEG_INFINITY);
    assert!(random_null(1, 8, Sign::Abs).is_err() && random_null(8, 1, Sign::Abs).is_err());
    assert!(random_null_log10_cdf(f64::NAN, 8, 8, Sign::Abs).is_err());
}
