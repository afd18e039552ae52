//! Peaks of planted mixtures.

use saerun::geometry::{PeakOptions, nearest_neighbors, peaks, peaks_of_values, random_null};
use saerun::ops::{Rows, Sign};
use saerun::rng::Rng;

use super::near;

/// `n` normals around `mean`.
fn normals(n: usize, mean: f64, sd: f64, seed: u64) -> Vec<f64> {
    let mut rng = Rng::new(seed, "test peaks");
    (0..n).map(|_| mean + sd * rng.normal()).collect()
}

#[test]
fn a_spike_beside_a_broad_mode_is_found() {
    let mut values = normals(2000, 0.05, 2e-4, 0);
    values.extend(normals(6000, 0.3, 0.02, 1));
    let found = peaks_of_values(&values, &PeakOptions::default()).unwrap();
    assert_eq!(found.len(), 2, "{found:?}");
    near(found[0].location, 0.3, 5e-3);
    let spike = found.iter().find(|p| (p.location - 0.05).abs() < 1e-3).expect("no spike");
    assert_eq!(spike.count, 2000);
    near(spike.mass, 0.25, 1e-12);
    near(spike.location, 0.05, 5e-5);
    near(spike.width, 2e-4, 3e-5);
    assert!(spike.ci_low.unwrap() <= spike.location && spike.location <= spike.ci_high.unwrap());
    assert!(spike.ci_high.unwrap() - spike.ci_low.unwrap() < 3e-4);
    // With a bandwidth that suits the broad mode both are clean.
    let options = PeakOptions { bandwidth: Some(0.004), prominence: 0.02, ..Default::default() };
    let found = peaks_of_values(&values, &options).unwrap();
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!((found[0].count, found[1].count), (6000, 2000));
    near(found[0].location, 0.3, 5e-3);
    near(found[0].width, 0.02, 1e-3);
    assert!(found[0].prominence < 1.0 && found[1].prominence == 1.0);
    assert!(found[0].from == found[1].to);
    near(found.iter().map(|p| p.mass).sum(), 1.0, 1e-12);
}

#[test]
fn a_spike_on_a_shoulder_and_one_apart_leave_the_broad_mode_its_place() {
    let mut values = normals(6000, 0.3, 0.02, 4);
    values.extend(normals(800, 0.27, 2e-4, 5));
    values.extend(normals(1400, 0.05, 3e-4, 6));
    let found = peaks_of_values(&values, &PeakOptions::default()).unwrap();
    assert_eq!(found.len(), 3, "{found:?}");
    near(found[0].location, 0.3, 0.01);
    near(found[1].location, 0.05, 1e-4);
    near(found[2].location, 0.27, 1e-4);
    assert_eq!(found[1].count, 1400);
    for peak in found {
        assert!(peak.ci_low.unwrap() <= peak.location && peak.location <= peak.ci_high.unwrap(), "{peak:?}");
    }
}

#[test]
fn two_modes_are_two_and_one_is_one() {
    let mut values = normals(4000, 0.18, 0.01, 2);
    let one = peaks_of_values(&values, &PeakOptions::default()).unwrap();
    assert_eq!(one.len(), 1, "{one:?}");
    near(one[0].location, 0.18, 2e-3);
    near(one[0].width, 0.01, 5e-4);
    assert_eq!((one[0].mass, one[0].count, one[0].prominence), (1.0, 4000, 1.0));
    values.extend(normals(4000, 0.3, 0.01, 3));
    let two = peaks_of_values(&values, &PeakOptions::default()).unwrap();
    assert_eq!(two.len(), 2, "{two:?}");
    for mean in [0.18, 0.3] {
        let peak = two.iter().find(|p| (p.location - mean).abs() < 3e-3).expect("missing mode");
        assert_eq!(peak.count, 4000);
    }
}

#[test]
fn exact_values_are_spikes_of_no_width() {
    let found = peaks_of_values(&[0.25; 50], &PeakOptions::default()).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].location, found[0].width, found[0].ci_low), (0.25, 0.0, Some(0.25)));
    let mut values = vec![0.05; 300];
    values.extend(vec![0.3; 700]);
    let found = peaks_of_values(&values, &PeakOptions::default()).unwrap();
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!((found[0].count, found[1].count), (700, 300));
    near(found[0].location, 0.3, 1e-4);
    near(found[1].location, 0.05, 1e-4);
    assert!(peaks_of_values(&[], &PeakOptions::default()).unwrap().is_empty());
    assert_eq!(peaks_of_values(&[0.5], &PeakOptions::default()).unwrap()[0].ci_low, None);
    assert_eq!(peaks_of_values(&[0.1, f64::NAN], &PeakOptions::default()).unwrap()[0].count, 1);
}

#[test]
fn random_directions_have_one_peak_at_the_null_mode() {
    let data = Rng::new(7, "test").directions(2048, 128);
    let null = random_null(2048, 128, Sign::Signed).unwrap();
    let neighbors = nearest_neighbors(Rows::new(&data, 2048, 128).unwrap(), Sign::Signed);
    let found = peaks(&neighbors, &PeakOptions::default()).unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    near(found[0].location, null.mode, 0.006);
    let (low, high) = (found[0].ci_low.unwrap(), found[0].ci_high.unwrap());
    assert!(low < high && low - 0.005 < null.mode && null.mode < high + 0.005, "{low} {high}");
    // Mutual pairs are drawn together, so the interval is no narrower than that of single values.
    assert_eq!(found, peaks(&neighbors, &PeakOptions::default()).unwrap());
    let other = peaks(&neighbors, &PeakOptions { seed: 1, ..Default::default() }).unwrap();
    assert_eq!(other[0].location, found[0].location);
    let none = peaks(&neighbors, &PeakOptions { bootstrap: 0, ..Default::default() }).unwrap();
    assert_eq!((none[0].ci_low, none[0].ci_high), (None, None));
}

#[test]
fn duplicated_rows_make_a_peak_at_the_edge() {
    let mut data = Rng::new(8, "test").directions(600, 64);
    let copies = data[..150 * 64].to_vec();
    data.extend(copies);
    let neighbors = nearest_neighbors(Rows::new(&data, 750, 64).unwrap(), Sign::Signed);
    let found = peaks(&neighbors, &PeakOptions { bandwidth: Some(0.01), ..Default::default() }).unwrap();
    assert_eq!(found.len(), 2, "{found:?}");
    let edge = found.iter().find(|p| p.location > 0.99).expect("no peak at 1");
    assert_eq!(edge.count, 300);
    near(edge.location, 1.0, 1e-9);
}

#[test]
fn bad_options_are_refused() {
    for bad in [
        PeakOptions { prominence: 0.0, ..Default::default() },
        PeakOptions { prominence: f64::NAN, ..Default::default() },
        PeakOptions { bandwidth: Some(-1.0), ..Default::default() },
    ] {
        assert!(peaks_of_values(&[0.1, 0.2], &bad).is_err());
    }
}
