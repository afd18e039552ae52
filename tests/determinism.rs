//! The promise: the same script and arguments give the same bytes in results/ at any thread count, and again from the cache.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

/// The main job in small: a target model, its activations, an SAE with the penalty, scores, peaks, a table and a plot.
const SCRIPT: &str = r#"
let text = corpus::load("austen").split(#{ test_fraction: 0.2 });
let m = model::train(text.train, #{
    d_model: 32, n_heads: 2, d_mlp: 64, n_ctx: 32, d_vocab: 400, tokens: 6400, batch_size: 320,
});
let x = m.activations(text.train, #{ hook: "blocks.0.hook_mlp_out", tokens: 3000 });
let s = sae::train(x, #{ d_sae: 700, batch_size: 300, lr: 1e-3, target_l0: 8, regularizer: 0.3 * reg::three_term() });
let e = s.evaluate(m, text.test, #{ tokens: 2000 });
let n = geometry::nearest_neighbors(s);
let rows = [];
for p in geometry::peaks(n) { rows.push([p.location, p.mass, p.ci_low, geometry::hubs(n, #{ from: p.from, to: p.to }).verdict]); }
table::from_rows(["location", "mass", "ci_low", "verdict"], rows).save("peaks");
table::from_rows(["score", "l0", "fvu"], [[e.ce_loss_score, e.l0, e.fvu]]).save("scores");
s.history.save("history");
plot::histogram(#{ series: [#{ name: "s", values: n.cos }], bin_width: 0.02 }).save("cosines");
"#;

fn results(project: &Path) -> BTreeMap<String, Vec<u8>> {
    let folder = fs::read_dir(project.join("results/job")).expect("results");
    folder
        .map(|file| {
            let file = file.expect("a file");
            (file.file_name().to_string_lossy().into_owned(), fs::read(file.path()).expect("readable"))
        })
        // The page tells of one run and its times: no result.
        .filter(|(name, _)| name != "report.html")
        .collect()
}

fn run(project: &Path, arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_saerun"))
        .current_dir(project)
        .arg("job.rhai")
        .args(arguments)
        .output()
        .expect("saerun starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    said
}

#[test]
fn results_have_the_same_bytes_at_any_thread_count_and_from_the_cache() {
    let [one, two] = [1, 2].map(|threads| {
        let project = tempfile::tempdir().expect("a project");
        fs::write(project.path().join("job.rhai"), SCRIPT).expect("the script");
        let said = run(project.path(), &["--threads", &threads.to_string()]);
        assert_eq!(said.matches("ran ").count(), 4, "{said}");
        project
    });
    let first = results(one.path());
    assert_eq!(first.len(), 8, "three tables twice, a plot and the lock: {:?}", first.keys());
    assert_eq!(first, results(two.path()), "one thread and two");

    let said = run(one.path(), &[]);
    assert_eq!((said.matches("cached ").count(), said.matches("ran ").count()), (4, 0), "{said}");
    assert_eq!(first, results(one.path()), "from the cache");
}
