//! Peaks, hubs, and numbers that no function of geometry should be given.

use std::time::Duration;

use super::{Project, fails, prints};

/// Draws normals by the program itself: `count` around `mean`.
const NORMALS: &str = "fn normals(count, mean, sd, seed) { (tensor::randn([count], seed) * sd + mean).to_array() }\n";

#[test]
fn a_hill_beside_a_spike_that_holds_most_values_is_found() {
    // S1
    let script = format!(
        "{NORMALS}
        for seed in 0..6 {{
            for of in [[6000, 0.05, 0.0002, 2000, 0.3, 0.05], [7300, 0.06, 0.00003, 869, 0.198, 0.002], [500, -2.0, 0.001, 90, 4.0, 0.5]] {{
                let values = normals(of[0], of[1], of[2], 2 * seed) + normals(of[3], of[4], of[5], 2 * seed + 1);
                let found = geometry::peaks(values, #{{ bootstrap: 0 }});
                assert(found.len() == 2, `${{found}}`);
                assert((found[0].location - of[1]).abs() < of[2], `${{found}}`);
                assert((found[1].location - of[4]).abs() < of[5], `${{found}}`);
                assert((found[1].count - of[3]).abs() <= 2 + of[3] / 50, `${{found}}`);
            }}
        }}"
    );
    prints(&script);
}

#[test]
fn a_density_that_is_cut_off_peaks_at_the_cut() {
    // S1: proportional to the value up to 0.3784, which a kernel alone puts at 0.34; and the mirror image.
    prints(
        "let u = tensor::rand([20_000], 3);
        for sign in [1.0, -1.0] {
            let found = geometry::peaks(u.sqrt() * (0.3784 * sign), #{ bandwidth: 0.02, bootstrap: 0 });
            assert(found.len() == 1, `${found}`);
            assert((found[0].location.abs() - 0.3784).abs() < 0.001 && found[0].edge, `${found}`);
            let found = geometry::peaks(u.sqrt() * (0.3784 * sign), #{ bootstrap: 0 });
            assert(found.len() == 1 && (found[0].location.abs() - 0.3784).abs() < 0.02, `${found}`);
        }
        let found = geometry::peaks(tensor::randn([20_000], 3), #{ bootstrap: 0 });
        assert(found.len() == 1 && !found[0].edge && found[0].location.abs() < 0.2, `${found}`);",
    );
}

#[test]
fn values_without_structure_show_one_peak() {
    // S1: what chance makes of a level density is no peak.
    prints(
        "let several = 0;
        for seed in 0..20 {
            for values in [tensor::rand([2000], seed), tensor::randn([2000], seed), -(tensor::rand([2000], seed).log())] {
                if geometry::peaks(values, #{ bootstrap: 0 }).len() != 1 { several += 1; }
            }
        }
        assert(several <= 3, `${several} of 60`);
        assert(geometry::peaks([0.25, 0.25, 0.25]).len() == 1 && geometry::peaks([0.1, 0.9]).len() == 1 && geometry::peaks([]).len() == 0);",
    );
}

#[test]
fn intervals_hold_the_mode_of_the_law() {
    // A12: nominal 95 %; 60 draws that hold it 53 times or fewer would have a chance of 2 %.
    prints(
        "let mode = geometry::random_null(300, 20).mode;
        let held = 0;
        for seed in 0..60 {
            let near = geometry::nearest_neighbors(tensor::random_directions(300, 20, seed));
            let peak = geometry::peaks(near, #{ bootstrap: 100, seed: seed })[0];
            if peak.ci_low <= mode && mode <= peak.ci_high { held += 1; }
        }
        assert(held >= 54, `${held} of 60`);",
    );
}

#[test]
fn a_hub_in_a_window_is_seen_and_chance_is_not() {
    // S2: of 400 random directions the upper fifth by cosine.
    prints(
        "let called = 0;
        let half = 0;
        for seed in 0..100 {
            let near = geometry::nearest_neighbors(tensor::random_directions(400, 100, seed));
            let cos = near.cos;
            cos.sort();
            let p = geometry::hubs(near, #{ from: cos[320] }).p_value;
            if p <= 0.05 { called += 1; }
            if p <= 0.5 { half += 1; }
        }
        assert(called <= 11 && half > 5, `${called} and ${half} of 100`);
        // 12 of 2,000 rows lean on one and the same.
        let w = tensor::random_directions(2000, 64, 1).to_array();
        for i in 1..13 { w[i] = (tensor::from_values(w[0]) * 0.9 + tensor::from_values(w[i]) * 0.43).to_array(); }
        let hubs = geometry::hubs(geometry::nearest_neighbors(tensor::from_rows(w)), #{ from: 0.8 });
        assert(hubs.count == 13 && hubs.top_index == 0 && hubs.p_value < 1e-12, `${hubs}`);",
    );
}

#[test]
fn statistics_of_a_window_are_of_the_window() {
    // S2: two pairs among 40 rows that are far from each other are pairs, whatever the others do.
    prints(
        "let w = tensor::eye(44).to_array();
        w[1] = w[0]; w[3] = w[2];
        let hubs = geometry::hubs(geometry::nearest_neighbors(tensor::from_rows(w)), #{ from: 0.9 });
        assert(hubs.count == 4 && hubs.verdict == \"pairs\", `${hubs}`);
        assert(hubs.gini == 0.0 && hubs.antihub_rate == 0.0 && hubs.skewness == 0.0 && hubs.robin_hood == 0.0, `${hubs}`);
        // One hub and its three leaves, one of which is the hub's own neighbor: in-degrees 3, 1, 0, 0.
        let w = tensor::eye(10).to_array();
        for i in 1..4 { w[i][0] = 1.0; }
        let hubs = geometry::hubs(geometry::nearest_neighbors(tensor::from_rows(w)), #{ from: 0.6 });
        assert(hubs.count == 4 && hubs.top_index == 0 && hubs.antihub_rate == 0.5 && hubs.gini == 0.625, `${hubs}`);",
    );
}

#[test]
fn numbers_that_no_search_can_use_are_out_of_range() {
    // A2
    for call in [
        "geometry::peaks([0.1, 0.2, 0.3], #{ bandwidth: 1e308 })",
        "geometry::peaks([0.1, 0.2, 0.3], #{ bandwidth: 1e200, bootstrap: 0 })",
        "geometry::peaks([0.1, 0.2, 0.3], #{ bootstrap: 9_000_000_000 })",
        "geometry::peaks(geometry::nearest_neighbors(tensor::eye(4)), #{ bootstrap: 9_223_372_036_854_775_807 })",
        "geometry::packing(4, 2, #{ steps: 9_000_000_000_000 })",
        "geometry::levenshtein_bound(4_611_686_018_427_387_904, 3)",
        "geometry::welch_bound(4, 4_611_686_018_427_387_904)",
        "geometry::random_null(4_611_686_018_427_387_904, 8)",
        "geometry::random_null_log10_cdf(0.5, 8, 4_611_686_018_427_387_904)",
        "geometry::histogram([0.1, 1e300], #{ bin_width: 1e-300 })",
    ] {
        fails(call, "out-of-range");
    }
    for call in [
        "geometry::packing(9_223_372_036_854_775_807, 9_223_372_036_854_775_807)",
        "tensor::random_directions(9_223_372_036_854_775_807, 2, 0)",
        "tensor::randn([4_294_967_296, 4_294_967_296], 0)",
    ] {
        fails(call, "too-large");
    }
}

#[test]
fn values_near_the_ends_of_floats_are_searched() {
    // A2: squares, spans and reciprocals of these overflow.
    prints(
        "for scale in [1e308, 1e-300, 1e-310, 1e160] {
            let found = geometry::peaks([0.1, 0.11, 0.12, 0.105, 0.115, 0.103, 0.108, 0.113, -0.9, -0.91, -0.92, -0.905, -0.915, -0.903, -0.908, -0.913].map(|v| v * scale), #{ bootstrap: 5 });
            assert(found.len() == 2, `${scale}: ${found}`);
            assert((found[0].location / scale + 0.9).abs() < 0.02, `${scale}: ${found}`);
            assert(found[0].ci_low <= found[0].location && found[0].location <= found[0].ci_high, `${found}`);
        }
        assert(geometry::peaks([-1.7e308, 1.7e308, 0.0]).len() >= 1);
        assert(geometry::peaks([5e-324, 0.0, 1e-323]).len() >= 1);
        assert(geometry::peaks([0.1, 0.2, 0.3], #{ bandwidth: 5e-324 }).len() >= 1);",
    );
}

#[test]
fn large_native_work_hears_a_stop() {
    // A11: each would take a minute or more.
    for call in [
        "geometry::peaks(tensor::rand([6_000_000], 0), #{ bootstrap: 2000 })",
        "let w = tensor::random_directions(40_000, 256, 0); for i in 0..100 { geometry::nearest_neighbors(w); }",
        "let w = tensor::randn([3000, 3000], 0); for i in 0..100 { reg::srip().value(w); }",
        "let w = tensor::ones([8_000, 8_000]); for i in 0..100 { w.matmul(w.t()); }",
        "let w = tensor::randn([3000, 3000], 0); for i in 0..100 { compare::procrustes(w, w.t()); }",
    ] {
        let ran = Project::with(call).saerun(&["case.rhai", "--timeout", "1.5"]);
        assert_eq!(ran.code, 124, "{call}\n{}", ran.stderr);
        assert!(ran.took < Duration::from_secs(8), "{call}: {:?}", ran.took);
    }
}

#[test]
fn rows_of_tensors_without_rows_can_be_selected() {
    // A3
    prints(
        "assert_eq(tensor::eye(3).select([]).shape, [0, 3]); let c = \"\";
        for t in [tensor::zeros([]), tensor::zeros([0, 3]), tensor::zeros([0])] {
            for rows in [[], [0], [-1]] { try { t.select(rows); c += \"none \"; } catch (e) { c += `${e.code} `; } }
        }
        assert(!c.contains(\"none\") && !c.contains(\"internal\"), c);",
    );
}

#[test]
fn the_flank_of_a_spike_is_not_the_place_of_the_hill_beside_it() {
    // S1, S3: on many values, where bandwidths are narrow
    let script = r#"
        let n = |k, m, s, seed| (tensor::randn([k], seed) * s + m).to_array();
        for seed in [1, 2] {
            let found = geometry::peaks(n.call(60000, 0.05, 0.0002, seed) + n.call(20000, 0.3, 0.05, seed + 50), #{ bootstrap: 20 });
            assert_eq(found.len(), 2);
            let hill = found[1];
            assert((hill.location - 0.3).abs() < 0.02, hill.location.to_string());
            assert(hill.from < hill.location && hill.location < hill.to);
            assert(hill.ci_low < hill.location && hill.ci_high - hill.ci_low < 0.1, `${hill.ci_low} ${hill.ci_high}`);
        }
        let found = geometry::peaks(n.call(6000, 0.05, 0.0002, 2) + n.call(2000, 0.3, 0.05, 102), #{ bootstrap: 100 });
        assert(found[1].ci_high - found[1].ci_low < 0.15, `${found[1].ci_low} ${found[1].ci_high}`);
    "#;
    prints(script);
}
