//! One training job, measured in a process of its own.

use std::time::Instant;

use rayon::prelude::*;
use saerun::ops::adam::AdamStep;
use saerun::ops::matmul::{Threads, View, matmul};
use saerun::regularizer::{ALL, Dictionary, Regularizer};
use saerun::rng::Rng;
use saerun::sae::DecoderNorm;
use saerun::sae::engine::{Engine, Rule, Way, Weights};
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, Normal};

/// Repetitions that count.
pub const REPEATS: usize = 7;

/// What is trained: a ReLU SAE on normal activations, its biases set so that `l0` latents fire.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Job {
    pub d_in: usize,
    pub d_sae: usize,
    pub batch: usize,
    pub l0: f64,
    pub threads: usize,
    pub penalty: String,
}

impl Default for Job {
    fn default() -> Job {
        Job { d_in: 512, d_sae: 8192, batch: 4096, l0: 17.0, threads: 2, penalty: "none".into() }
    }
}

/// What one process says of its job.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    pub step: f64,
    pub product: f64,
    pub l0: f64,
    pub peak_mib: f64,
}

pub const COLUMNS: &[&str] = &[
    "d_sae",
    "batch",
    "l0",
    "threads",
    "penalty",
    "step_ms",
    "encoder_product_ms",
    "ratio",
    "tokens_per_s",
    "peak_mib",
];

/// Runs a job in a fresh process and gives its row.
pub fn measure(job: &Job) -> Vec<String> {
    let report = report(job);
    vec![
        job.d_sae.to_string(),
        job.batch.to_string(),
        format!("{:.1}", report.l0),
        job.threads.to_string(),
        job.penalty.clone(),
        format!("{:.1}", report.step * 1e3),
        format!("{:.1}", report.product * 1e3),
        format!("{:.2}", report.step / report.product),
        format!("{:.0}", job.batch as f64 / report.step),
        format!("{:.0}", report.peak_mib),
    ]
}

/// What a fresh process measures of a job.
pub fn report(job: &Job) -> Report {
    let program = std::env::current_exe().expect("this program");
    let words = serde_json::to_string(job).expect("a job as words");
    let output = std::process::Command::new(program).args(["cell", &words]).output().expect("a process");
    serde_json::from_slice(&output.stdout).expect("what the process measured")
}

/// The median time of `f`, in seconds.
pub fn median(mut f: impl FnMut()) -> f64 {
    f();
    let mut times: Vec<f64> = (0..REPEATS)
        .map(|_| {
            let start = Instant::now();
            f();
            start.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[REPEATS / 2]
}

/// Random unit rows with biases for the wanted L0, and a batch of standard normal activations.
pub fn weights(job: &Job) -> (Weights, Vec<f32>) {
    let mut rng = Rng::new(0, "bench");
    let directions = rng.directions(job.d_sae, job.d_in);
    let mut x = vec![0.0; job.batch * job.d_in];
    rng.fill_normal(&mut x, 1.0);
    let normal = Normal::new(0.0, 1.0).expect("a distribution");
    let bias = normal.inverse_cdf(job.l0 / job.d_sae as f64) as f32;
    let weights = Weights::new(directions.clone(), vec![bias; job.d_sae], directions, vec![0.0; job.d_in]);
    (weights, x)
}

/// In the fresh process: measures the job and prints a [`Report`].
pub fn run(words: &[&str]) {
    let job: Job = serde_json::from_str(words[0]).expect("a job");
    rayon::ThreadPoolBuilder::new().num_threads(job.threads).build_global().expect("threads");
    let (weights, x) = weights(&job);
    let mut engine = Engine::new(weights, DecoderNorm::Unit, Rule::Relu, 0.0);
    let regularizer = match job.penalty.as_str() {
        "none" => Regularizer::none(),
        name => {
            ALL.iter().find(|entry| entry.name == name).expect("a penalty").build(Vec::new()).expect("its defaults")
        }
    };
    let size = if regularizer.is_none() { 0 } else { job.d_sae * job.d_in };
    let (mut dec, mut enc) = (vec![0.0f32; size], vec![0.0f32; size]);
    let mut l0 = 0.0;
    let mut number = 0;
    let step = median(|| {
        number += 1;
        l0 = engine.forward(&x, Way::Measured).l0;
        for gradient in [&mut dec, &mut enc] {
            gradient.par_chunks_mut(1 << 16).for_each(|part| part.fill(0.0));
        }
        if size > 0 {
            let (w_dec, w_enc) = (engine.weights.decoder(), engine.weights.encoder());
            let dictionary = Dictionary { w_dec, w_enc, alive: None, seed: 0, step: number };
            regularizer.add_gradient(&dictionary, &mut dec, &mut enc).expect("a penalty");
        }
        // So small a step that L0 stays where it is.
        let adam = AdamStep::new(1e-9, 0.9, 0.999, number);
        engine.update(0.01, &adam, (size > 0).then_some((&dec, &enc)));
    });
    let peak_mib = peak_mib();
    let product = {
        let (n, d, m) = (job.batch, job.d_in, job.d_sae);
        let mut out = vec![0.0f32; n * m];
        let encoder = View::new(&engine.weights.w_enc.value, m, d);
        median(|| matmul(&mut out, m, 0.0, View::new(&x, n, d), encoder.t(), Threads::All))
    };
    println!("{}", serde_json::to_string(&Report { step, product, l0, peak_mib }).expect("a report"));
}

/// The most memory this process has had resident.
fn peak_mib() -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.trim().trim_end_matches("kB").trim().parse::<f64>().unwrap_or(f64::NAN) / 1024.0
}
