//! One step of the reference job by part, and side by side with SAELens.

use std::hint::black_box;

use saerun::ops::adam::AdamStep;
use saerun::ops::decode::decode;
use saerun::ops::dense::Padded;
use saerun::ops::encode::encode;
use saerun::ops::matmul::{Threads, View, matmul};
use saerun::ops::nearest::nearest;
use saerun::ops::panels::Panels;
use saerun::ops::unit::UnitRows;
use saerun::ops::{Rows, Sign, kernel::kernel};
use saerun::regularizer::{Dictionary, Regularizer, ThreeTermOptions};
use saerun::sae::DecoderNorm;
use saerun::sae::engine::{Engine, Rule, Way};

use crate::cell::{Job, median, report, weights};
use crate::table::Table;

/// Each part of a step, against the encoder's product alone.
pub fn parts() -> Vec<Table> {
    let job = Job::default();
    rayon::ThreadPoolBuilder::new().num_threads(job.threads).build_global().expect("threads");
    let (weights, x) = weights(&job);
    let (n, d, m) = (job.batch, job.d_in, job.d_sae);
    let mut product = vec![0.0f32; n * m];
    let alone = median(|| {
        let encoder = View::new(&weights.w_enc.value, m, d);
        matmul(&mut product, m, 0.0, View::new(&x, n, d), encoder.t(), Threads::All);
    });
    drop(product);
    let mut table = Table::new(
        "step",
        "One step by part (d_in 512, d_sae 8192, batch 4096, L0 17, 2 threads)",
        &["part", "ms", "share_of_encoder_product"],
    );
    let mut row = |part: &str, seconds: f64| {
        table.row(vec![part.into(), format!("{:.1}", seconds * 1e3), format!("{:.3}", seconds / alone)]);
    };
    row("encoder product alone (gemm; output preallocated)", alone);

    let centered = Padded::centered(&x, &weights.b_dec.value);
    let decoder = weights.decoder();
    row("pack the encoder", median(|| drop(black_box(Panels::new(weights.encoder(), kernel().columns)))));
    row(
        "encode (packing included)",
        median(|| drop(black_box(encode(&centered, weights.encoder(), &weights.b_enc.value, None)))),
    );
    let codes = encode(&centered, weights.encoder(), &weights.b_enc.value, None).expect("sparse codes");
    let mut out = vec![0.0f32; n * d];
    row("decode", median(|| decode(&codes, decoder, &weights.b_dec.value, &mut out)));
    row("transpose the codes", median(|| drop(black_box(codes.by_latent()))));
    row("unit rows", median(|| drop(black_box(UnitRows::new(decoder, None)))));
    let unit = UnitRows::new(Rows { ..decoder }, None);
    row("nearest neighbors", median(|| drop(black_box(nearest(&unit, Sign::Signed)))));
    let penalty = Regularizer::three_term(ThreeTermOptions::default());
    let (mut dec, mut enc) = (vec![0.0f32; m * d], vec![0.0f32; m * d]);
    let dictionary = Dictionary { w_dec: decoder, w_enc: weights.encoder(), alive: None, seed: 0, step: 0 };
    row(
        "three-term penalty and its gradient",
        median(|| drop(black_box(penalty.add_gradient(&dictionary, &mut dec, &mut enc)))),
    );

    let mut engine = Engine::new(weights.clone(), DecoderNorm::Unit, Rule::Relu, 0.0);
    row(
        "forward",
        median(|| {
            black_box(engine.forward(&x, Way::Sparse));
        }),
    );
    let adam = AdamStep::new(1e-9, 0.9, 0.999, 1);
    row("gradients, Adam and projection", median(|| engine.update(0.01, &adam, None)));
    vec![table]
}

/// Both ways of a step over the share of active pairs: where the lines cross is `ops::dense::DENSE_ABOVE`.
pub fn crossover() -> Table {
    let mut table = Table::new(
        "crossover",
        "The sparse and the dense way over density (d_in 512, d_sae 8192, batch 4096, 2 threads)",
        &["density", "l0", "sparse_ms", "dense_ms", "sparse_over_dense"],
    );
    let mut job = Job::default();
    let _ = rayon::ThreadPoolBuilder::new().num_threads(job.threads).build_global();
    let adam = AdamStep::new(1e-9, 0.9, 0.999, 1);
    for density in [0.02, 0.04, 0.06, 0.08, 0.1, 0.12, 0.16] {
        job.l0 = density * job.d_sae as f64;
        let (weights, x) = weights(&job);
        let mut engine = Engine::new(weights, DecoderNorm::Unit, Rule::Relu, 0.0);
        let [sparse, dense] = [Way::Sparse, Way::Dense].map(|way| {
            median(|| {
                engine.forward(&x, way);
                engine.update(0.01, &adam, None);
            })
        });
        table.row(vec![
            format!("{density}"),
            format!("{:.0}", job.l0),
            format!("{:.1}", sparse * 1e3),
            format!("{:.1}", dense * 1e3),
            format!("{:.2}", sparse / dense),
        ]);
    }
    table
}

/// saerun and SAELens on the same job, three times in turn: medians of the three, as a shared machine is not equally fast all the time.
pub fn peer(python: &str) -> Table {
    let mut table = Table::new(
        "peer",
        "Side by side with SAELens (d_in 512, d_sae 8192, batch 4096, f32, ReLU and L1, Adam, 2 threads)",
        &["penalty", "saerun_ms", "saelens_ms", "speedup", "saerun_peak_mib", "saelens_peak_mib", "step_over_product"],
    );
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bench/peer.py");
    for penalty in ["none", "three_term"] {
        let turns: Vec<[f64; 6]> = (0..3)
            .map(|_| {
                let ours = report(&Job { penalty: penalty.into(), ..Job::default() });
                let output = std::process::Command::new(python).args([script, penalty]).output();
                let output = output.expect("the Python given");
                assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
                let theirs: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one line of JSON");
                let theirs = ["step", "peak_mib"].map(|key| theirs[key].as_f64().expect("a number"));
                let [step, peak] = theirs;
                [ours.step * 1e3, step * 1e3, step / ours.step, ours.peak_mib, peak, ours.step / ours.product]
            })
            .collect();
        let middle = |at: usize, digits: usize| {
            let mut values: Vec<f64> = turns.iter().map(|turn| turn[at]).collect();
            values.sort_by(f64::total_cmp);
            format!("{:.digits$}", values[1])
        };
        let mut row = vec![penalty.to_string()];
        row.extend([(0, 1), (1, 1), (2, 1), (3, 0), (4, 0), (5, 2)].map(|(at, digits)| middle(at, digits)));
        table.row(row);
    }
    table
}
