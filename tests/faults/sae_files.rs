//! SAE files, what travels with an SAE, and evaluation.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{Project, Ran, fails, prints};

/// A folder of this repository's tests.
fn tests(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

/// Copies the files of a folder into a project.
fn copy(project: &Project, from: &Path, to: &str) {
    for item in std::fs::read_dir(from).expect("a folder") {
        let path = item.expect("an item").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        project.write(&format!("{to}/{name}"), std::fs::read(&path).expect("a file"));
    }
}

/// A project with a tiny GPT-2 `m`, whose writing weights have a mean, and `theirs`, an SAE in SAELens's format of that model loaded centered.
fn centered(script: &str) -> Project {
    let project = Project::with(script);
    copy(&project, &tests("faults/data/centered/m"), "m");
    copy(&project, &tests("faults/data/centered/theirs"), "theirs");
    project.write("docs.jsonl", std::fs::read(tests("faults/data/centered/docs.jsonl")).expect("text"));
    project
}

fn ran(project: &Project) -> Ran {
    let ran = project.saerun(&["case.rhai"]);
    assert_eq!(ran.code, 0, "{}\n{}", ran.stdout, ran.stderr);
    ran
}

fn json_of(project: &Project, name: &str) -> Value {
    serde_json::from_str(&project.read(name)).expect("JSON")
}

/// Writes a JSON file with some keys changed.
fn change(project: &Project, name: &str, changes: &[(&str, Value)]) {
    let mut all = json_of(project, name);
    changes.iter().for_each(|(key, value)| *all.pointer_mut(key).unwrap_or(&mut Value::Null) = value.clone());
    for (key, value) in changes.iter().filter(|(key, _)| !key.starts_with('/')) {
        all[*key] = value.clone();
    }
    project.write(name, all.to_string());
}

/// A small SAE `s` of a random tensor `x`, for scripts.
const SMALL: &str = r#"
    let x = tensor::randn([64, 4], 0);
    let s = sae::train(activations::from_tensor(x), #{ d_sae: 8, batch_size: 32 });
"#;

#[test]
fn how_activations_were_made_is_saved_with_the_sae() {
    // W2
    let project = centered(
        r#"
        let m = model::load("m", #{ center_writing_weights: true, n_ctx: 32 });
        let a = m.activations(corpus::load("docs.jsonl"), #{ hook: "blocks.1.hook_mlp_out", tokens: 2000, skip_first: 2 });
        let s = sae::train(a, #{ d_sae: 64, batch_size: 500 });
        s.save("one");
        let t = sae::load("one");
        t.save("two");
        assert_eq(t.config.metadata.model_from_pretrained_kwargs.center_writing_weights, true);
        a.save("rows.safetensors");
        sae::train(activations::load("rows.safetensors"), #{ d_sae: 64, batch_size: 500 }).save("three");
        "#,
    );
    assert!(!ran(&project).stderr.contains("warning"));
    let metadata = json_of(&project, "one/cfg.json")["metadata"].clone();
    assert_eq!(metadata["model_name"], "m");
    assert_eq!(metadata["hook_name"], "blocks.1.hook_mlp_out");
    assert_eq!(metadata["model_from_pretrained_kwargs"], json!({ "center_writing_weights": true }));
    assert_eq!(metadata["context_size"], 32);
    assert_eq!(metadata["prepend_bos"], true);
    assert_eq!(metadata["seqpos_slice"], json!([2, null]));
    assert_eq!(metadata["skip_first"], 2);
    assert_eq!(metadata["exclude_special_tokens"], false);
    assert_eq!(metadata["dataset_path"], "docs.jsonl");
    assert_eq!(metadata["model_digest"].as_str().map(str::len), Some(64));
    // Also through a file of activations, and through another load.
    assert_eq!(json_of(&project, "three/cfg.json")["metadata"], metadata);
    assert_eq!(project.read("one/cfg.json"), project.read("two/cfg.json"));
}

#[test]
fn an_sae_of_centered_weights_says_when_the_model_is_not_centered() {
    // W2
    let project = centered(
        r#"
        let c = corpus::load("docs.jsonl");
        let t = sae::load("theirs");
        for o in [#{ center_writing_weights: true, prepend_bos: false }, #{ prepend_bos: false }] {
            print(t.evaluate(model::load("m", o), c, #{ tokens: 12_000 }).explained_variance);
        }
        t.save("again");
        "#,
    );
    let ran = ran(&project);
    let scores: Vec<f64> = ran.stdout.lines().map(|line| line.parse().expect("a number")).collect();
    assert!(scores[0] > 0.7 && scores[1] < 0.0, "{scores:?}");
    let warnings: Vec<&str> = ran.stderr.lines().filter(|line| line.starts_with("warning")).collect();
    assert_eq!(warnings.len(), 1, "{}", ran.stderr);
    assert!(warnings[0].contains("model::load(.., #{ center_writing_weights: true })"), "{warnings:?}");
    let (before, after) = (json_of(&project, "theirs/cfg.json"), json_of(&project, "again/cfg.json"));
    assert_eq!(before["metadata"], after["metadata"]);
}

#[test]
fn each_difference_from_the_training_is_said() {
    // W2
    let differences = [
        (json!({ "model_name": "gpt2-medium" }), "`gpt2-medium`"),
        (json!({ "prepend_bos": false }), "prepend_bos: false"),
        (json!({ "context_size": 16 }), "n_ctx: 16"),
        (json!({ "seqpos_slice": [5, null] }), "skip_first: 5"),
        (json!({ "seqpos_slice": [0, 20] }), "before 20"),
        (json!({ "exclude_special_tokens": true }), "exclude_special_tokens"),
        (json!({ "model_digest": "0123456789" }), "another model"),
        (json!({ "model_from_pretrained_kwargs": { "revision": "step1000" } }), "center_writing_weights"),
    ];
    for (facts, said) in differences {
        let project = centered(
            r#"
            let m = model::load("m", #{ center_writing_weights: true });
            sae::load("theirs").evaluate(m, corpus::load("docs.jsonl"), #{ tokens: 640 });
            "#,
        );
        let mut cfg = json_of(&project, "theirs/cfg.json");
        cfg["metadata"]["prepend_bos"] = true.into();
        for (name, value) in facts.as_object().expect("a map") {
            cfg["metadata"][name] = value.clone();
        }
        project.write("theirs/cfg.json", cfg.to_string());
        let stderr = ran(&project).stderr;
        let warnings: Vec<&str> = stderr.lines().filter(|line| line.starts_with("warning")).collect();
        assert!(warnings.len() == 1 && warnings[0].contains(said), "{said}\n{stderr}");
    }
}

#[test]
fn an_sae_of_one_head_is_not_evaluated_on_the_whole_hook() {
    // W2
    let project =
        centered(r#"sae::load("theirs").evaluate(model::load("m"), corpus::load("docs.jsonl"), #{ tokens: 640 });"#);
    change(&project, "theirs/cfg.json", &[("/metadata/hook_head_index", 3.into())]);
    let ran = project.saerun(&["case.rhai"]);
    assert!(ran.code == 1 && ran.stderr.contains("[unsupported]") && ran.stderr.contains("hook_head_index"), "{ran:?}");
}

#[test]
fn an_sae_of_another_model_of_the_same_width_is_named() {
    // W2
    let project = centered(
        r#"
        let hook = "blocks.0.hook_mlp_out";
        let text = corpus::load("docs.jsonl");
        let made = |name| model::train(text, #{ d_model: 16, n_heads: 2, d_mlp: 32, n_ctx: 16, d_vocab: 300, tokens: 640, batch_size: 64, seed: name });
        let a = made.call(0).activations(text, #{ hook: hook, tokens: 600 });
        let b = made.call(1).activations(text, #{ hook: hook, tokens: 600 });
        let s = sae::train(a, #{ d_sae: 32, batch_size: 100 });
        s.evaluate(a);
        s.evaluate(made.call(0), text, #{ tokens: 320 });
        print("so far");
        s.evaluate(b);
        s.firing_rates(b);
        s.evaluate(made.call(1), text, #{ tokens: 320 });
        "#,
    );
    let ran = ran(&project);
    let warnings: Vec<&str> = ran.stderr.lines().filter(|line| line.starts_with("warning")).collect();
    assert!(warnings.len() == 3 && warnings.iter().all(|text| text.contains("another model")), "{}", ran.stderr);
}

#[test]
fn facts_that_saerun_does_not_know_are_written_again() {
    // W2
    let project = centered(r#"sae::load("theirs").save("again");"#);
    let mut cfg = json_of(&project, "theirs/cfg.json");
    cfg["metadata"]["training_architecture_details"] = json!({ "nested": [1, 2.5, null] });
    cfg["metadata"]["sequence_separator_token"] = "bos".into();
    cfg["neuronpedia_id"] = "gpt2-small/1".into();
    project.write("theirs/cfg.json", cfg.to_string());
    ran(&project);
    let converted = project.saerun(&["convert", "theirs", "converted"]);
    assert_eq!(converted.code, 0, "{converted:?}");
    for again in ["again", "converted"] {
        assert_eq!(json_of(&project, &format!("{again}/cfg.json")), cfg, "{again}");
    }
    // A flat configuration, as before version 6: what it says is metadata from there on.
    let mut flat = cfg.clone();
    let nested = flat.as_object_mut().and_then(|all| all.remove("metadata")).expect("metadata");
    for name in ["model_from_pretrained_kwargs", "prepend_bos", "context_size"] {
        flat[name] = nested[name].clone();
    }
    flat["hook_point_head_index"] = Value::Null;
    project.write("theirs/cfg.json", flat.to_string());
    ran(&project);
    let metadata = json_of(&project, "again/cfg.json")["metadata"].clone();
    for name in ["model_from_pretrained_kwargs", "prepend_bos", "context_size", "hook_head_index"] {
        assert_eq!(metadata[name], nested[name], "{name}");
    }
    assert_eq!(metadata["neuronpedia_id"], "gpt2-small/1");
}

#[test]
fn what_other_formats_know_is_kept() {
    // W2
    let project = Project::new();
    let saes = tests("formats/saes");
    copy(&project, &saes.join("dictionary_learning_AutoEncoderTopK"), "dl");
    copy(&project, &saes.join("neel_nanda"), "nn");
    copy(&project, &saes.join("sparsify/layers.1.mlp"), "layers.1.mlp");
    let convert = |from: &str, to: &str, format: &str| {
        let ran = project.saerun(&["convert", from, to, "--format", format]);
        assert_eq!(ran.code, 0, "{ran:?}");
    };
    let mut own = json_of(&project, "layers.1.mlp/cfg.json");
    own["dead_feature_threshold"] = 7.into();
    project.write("layers.1.mlp/cfg.json", own.to_string());
    for (from, to, name, config) in [
        ("dl", "a", "dictionary_learning", "dl/config.json"),
        ("nn/25.pt", "b", "neel_nanda", "nn/25_cfg.json"),
        ("layers.1.mlp", "c", "sparsify", "layers.1.mlp/cfg.json"),
    ] {
        convert(from, to, "sae_lens");
        let metadata = json_of(&project, &format!("{to}/cfg.json"))["metadata"].clone();
        assert_eq!(metadata[name], json_of(&project, config), "{from}");
        // Neel Nanda's models were loaded by `from_pretrained`, which centers; the others are Hugging Face's.
        assert_eq!(metadata["model_from_pretrained_kwargs"]["center_writing_weights"], name == "neel_nanda");
    }
    // Through sparsify and back, with its own keys beside ours.
    convert("c", "d", "sparsify");
    let written = json_of(&project, "d/cfg.json");
    assert_eq!(written["dead_feature_threshold"], 7);
    convert("a", "e", "sparsify");
    convert("e", "f", "sae_lens");
    assert_eq!(json_of(&project, "f/cfg.json"), json_of(&project, "a/cfg.json"));
}

/// Puts another number in place of the first occurrence of one.
fn damage(bytes: &[u8], value: f32, by: f32) -> Vec<u8> {
    let at = bytes.windows(4).position(|four| four == value.to_le_bytes()).expect("the number");
    let mut bytes = bytes.to_vec();
    bytes[at..at + 4].copy_from_slice(&by.to_le_bytes());
    bytes
}

#[test]
fn one_number_that_is_not_finite_is_refused_with_its_tensor() {
    // W5
    use saerun::sae::{Activation, format};
    let saes = tests("formats/saes");
    for (folder, weights, path) in [
        ("sae_lens_jumprelu", "sae_weights.safetensors", ""),
        ("sae_lens_gated", "sae_weights.safetensors", ""),
        ("sae_lens_topk", "sae_weights.safetensors", ""),
        ("sparsify/layers.1.mlp", "sae.safetensors", ""),
        ("dictionary_learning_GatedAutoEncoder", "ae.pt", ""),
        ("dictionary_learning_BatchTopKSAE", "ae.pt", ""),
        ("neel_nanda", "25.pt", "25.pt"),
    ] {
        let from = saes.join(folder);
        let sae = format::load(&from.join(path)).expect("an SAE");
        let bytes = std::fs::read(from.join(weights)).expect("weights");
        let mut values = vec![sae.w_enc[5], sae.b_enc[3], sae.w_dec[9], sae.b_dec[2]];
        match &sae.activation {
            Activation::Threshold(threshold) => values.push(threshold[0]),
            Activation::Gated { r_mag, b_mag } => values.extend([r_mag[1], b_mag[4]]),
            Activation::Relu | Activation::TopK { .. } => {}
        }
        let project = Project::with(&format!("sae::load(\"in/{path}\");"));
        copy(&project, &from, "in");
        for value in values {
            for by in [f32::NAN, f32::INFINITY] {
                project.write(&format!("in/{weights}"), damage(&bytes, value, by));
                let ran = project.saerun(&["case.rhai"]);
                assert!(ran.code == 1 && ran.stderr.contains("[damaged-file]"), "{folder} {value} {by}: {ran:?}");
                assert!(ran.stderr.contains(&format!("is {by} at [")), "{}", ran.stderr);
            }
        }
    }
}

#[test]
fn a_key_or_tensor_that_is_there_twice_is_refused() {
    // W5
    let project = centered(r#"sae::load("theirs");"#);
    let cfg = project.read("theirs/cfg.json");
    project.write("theirs/cfg.json", cfg.replacen('{', "{\"d_sae\": 255, ", 1));
    let ran = project.saerun(&["case.rhai"]);
    assert!(ran.code == 1 && ran.stderr.contains("`d_sae` twice"), "{ran:?}");
    project.write("theirs/cfg.json", &cfg);
    let bytes = std::fs::read(project.path().join("theirs/sae_weights.safetensors")).expect("weights");
    let length = u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes")) as usize;
    let header: Value = serde_json::from_slice(&bytes[8..8 + length]).expect("a header");
    let twice = header.to_string().replacen('{', &format!("{{\"b_dec\": {}, ", header["b_dec"]), 1);
    let twice = [&(twice.len() as u64).to_le_bytes(), twice.as_bytes(), &bytes[8 + length..]].concat();
    project.write("theirs/sae_weights.safetensors", twice);
    let ran = project.saerun(&["case.rhai"]);
    assert!(ran.code == 1 && ran.stderr.contains("`b_dec` twice"), "{ran:?}");
}

#[test]
fn a_threshold_that_was_never_set_is_refused() {
    // W5
    let from = tests("formats/saes/dictionary_learning_BatchTopKSAE");
    let sae = saerun::sae::format::load(&from).expect("an SAE");
    let saerun::sae::Activation::Threshold(threshold) = &sae.activation else { panic!("a threshold") };
    let project = Project::with(r#"sae::load("in");"#);
    copy(&project, &from, "in");
    let bytes = std::fs::read(from.join("ae.pt")).expect("weights");
    project.write("in/ae.pt", damage(&bytes, threshold[0], -1.0));
    let ran = project.saerun(&["case.rhai"]);
    assert!(ran.code == 1 && ran.stderr.contains("never set it"), "{ran:?}");
}

/// A project whose script sees the SAE `s` of the inputs `x`, and the same as `in/`, with this normalization in its configuration.
fn normalized(name: &str, script: &str) -> Project {
    let project = Project::with(&format!("{SMALL} s.save(\"in\");"));
    ran(&project);
    change(&project, "in/cfg.json", &[("normalize_activations", name.into())]);
    project.write("case.rhai", format!("{SMALL} {script}"));
    project
}

#[test]
fn layer_norm_of_rows_is_carried_out() {
    // Normalizations of other tools
    let script = r#"
        let t = sae::load("in");
        for i in 0..10 {
            let row = x.row(i).to_array();
            let mean = 0.0; for v in row { mean += v; } mean /= 4.0;
            let square = 0.0; for v in row { square += (v - mean) * (v - mean); }
            let sd = sqrt(square / 3.0);
            let normal = tensor::from_rows([row.map(|v| (v - mean) / (sd + 0.00001))]);
            assert((t.encode(tensor::from_rows([row])) - s.encode(normal)).abs().max().item() < 1e-5);
            let out = s.reconstruct(normal) * sd + mean;
            assert((t.reconstruct(tensor::from_rows([row])) - out).abs().max().item() < 1e-5);
        }
        t.save("again");
        assert_eq(sae::load("again").reconstruct(x), t.reconstruct(x));
        let mse = (t.reconstruct(x) - x).sqr().sum().item() / 64.0;
        assert(abs(t.evaluate(activations::from_tensor(x)).mse - mse) < 1e-5);
    "#;
    ran(&normalized("layer_norm", script));
}

#[test]
fn rescaling_to_a_constant_norm_is_carried_out() {
    // Normalizations of other tools
    let script = r#"
        let t = sae::load("in");
        for i in 0..10 {
            let row = tensor::from_rows([x.row(i).to_array()]);
            let scale = 2.0 / row.norm_rows().sum().item();
            assert((t.reconstruct(row) - s.reconstruct(row * scale) / scale).abs().max().item() < 1e-5);
        }
        let zero = tensor::zeros([1, 4]);
        assert_eq(t.reconstruct(zero), s.reconstruct(zero));
    "#;
    ran(&normalized("constant_norm_rescale", script));
}

#[test]
fn a_scale_that_is_not_in_the_files_can_be_given() {
    // Normalizations of other tools
    let script = r#"
        try { sae::load("in"); } catch (e) { print(e.code + " " + e.help); }
        let t = sae::load("in", #{ scale: 0.5 });
        assert((t.reconstruct(x) - s.reconstruct(x * 0.5) / 0.5).abs().max().item() < 1e-5);
        t.save("again");
        assert_eq(sae::load("again").reconstruct(x), t.reconstruct(x));
        for scale in [0.0, -1.0, 1.0 / 0.0] {
            try { sae::load("in", #{ scale: scale }); print("taken"); } catch (e) { print(e.code); }
        }
        try { sae::load("again", #{ scale: 2.0 }); print("taken"); } catch (e) { print(e.code); }
    "#;
    let stdout = ran(&normalized("expected_average_only_in", script)).stdout;
    let lines: Vec<&str> = stdout.lines().collect();
    assert!(lines[0].starts_with("unsupported") && lines[0].contains("#{ scale:"), "{stdout}");
    assert_eq!(lines[1..], ["out-of-range"; 4], "{stdout}");
}

#[test]
fn an_sae_that_names_no_hook_is_evaluated_at_one_that_is_given() {
    // Errors and traps: an SAE that names no hook
    let project = centered(
        r#"
        let m = model::load("m");
        let text = corpus::load("docs.jsonl");
        let s = sae::train(activations::from_tensor(tensor::randn([600, 32], 0)), #{ d_sae: 64, batch_size: 100 });
        try { s.evaluate(m, text, #{ tokens: 640 }); } catch (e) { print(e.code + " " + e.help); }
        let given = s.evaluate(m, text, #{ tokens: 640, hook: "blocks.0.hook_mlp_out" });
        s.save("mine");
        let t = sae::load("mine", #{ hook: "blocks.0.hook_mlp_out" });
        assert_eq(t.evaluate(m, text, #{ tokens: 640 }), given);
        print("no warning until here");
        t.evaluate(m, text, #{ tokens: 640, hook: "blocks.1.hook_mlp_out" });
        t.save("named");
        sae::load("named", #{ hook: "blocks.1.hook_mlp_out" });
        "#,
    );
    let ran = ran(&project);
    assert!(ran.stdout.contains("unknown-name") && ran.stdout.contains("#{ hook:"), "{}", ran.stdout);
    let warnings: Vec<&str> = ran.stderr.lines().filter(|line| line.starts_with("warning")).collect();
    assert_eq!(warnings.len(), 2, "{}", ran.stderr);
    assert!(warnings.iter().all(|w| w.contains("hook_mlp_out") && w.contains("blocks.1")), "{}", ran.stderr);
    let ran = Project::with(
        r#"sae::train(activations::from_tensor(tensor::randn([64, 4], 0)), #{ d_sae: 8, batch_size: 32 })
               .evaluate(model::load("sotu-1l"), corpus::load("sotu"), #{ tokens: 256, hook: "blocks.0.hook_mlp_out" });"#,
    )
    .saerun(&["case.rhai"]);
    assert!(ran.stderr.contains("[shape-mismatch]") && ran.stderr.contains("blocks.0.hook_mlp_out"), "{}", ran.stderr);
}

#[test]
fn dense_codes_decode_to_the_same_numbers_at_any_thread_count() {
    // H8
    let script = r#"
        let x = tensor::randn([700, 48], 0);
        let s = sae::train(activations::from_tensor(x), #{ d_sae: 1500, batch_size: 350, init: "tied", l1_coefficient: 0.0 });
        let f = s.encode(x);
        let e = s.evaluate(activations::from_tensor(x));
        assert(e.l0 > 300.0, "dense");
        let out = f.matmul(s.decoder);
        let bias = s.decode(tensor::zeros([1, 1500]));
        let far = (s.decode(f) - s.reconstruct(x)).abs().max().item();
        assert(far == 0.0, `${far}`);
        let far = (s.decode(f) - (out + bias)).abs().max().item();
        assert(far < 1e-4, `${far}`);
        let mse = (s.reconstruct(x) - x).sqr().sum().item() / 700.0;
        assert(abs(e.mse - mse) < 1e-4 * mse);
        print(e);
        print(s.reconstruct(x).sqr().sum().item());
    "#;
    let project = Project::with(script);
    let of = |threads: &str| {
        let ran = project.saerun(&["case.rhai", "--threads", threads, "--no-cache"]);
        assert_eq!(ran.code, 0, "{}\n{}", ran.stdout, ran.stderr);
        ran.stdout
    };
    assert_eq!(of("1"), of("2"));
}

#[test]
fn the_mean_of_ratios_does_not_depend_on_the_order_of_contexts() {
    // S5
    let project = centered(
        r#"
        let m = model::load("m", #{ center_writing_weights: true, prepend_bos: false });
        let text = corpus::load("part.txt");
        let s = sae::load("theirs");
        for seed in [0, 1, 2] { print(s.evaluate(m, text, #{ seed: seed }).ce_loss_score_mean_of_ratios); }
        "#,
    );
    // Contexts that do not make whole batches of 48.
    let text: String = project.read("docs.jsonl").chars().filter(|c| *c != '"').take(9000).collect();
    project.write("part.txt", text);
    let scores: Vec<f64> = ran(&project).stdout.lines().map(|line| line.parse().expect("a number")).collect();
    assert!(scores.iter().all(|score| (score - scores[0]).abs() < 1e-9), "{scores:?}");
}

#[test]
fn silent_latents_are_called_what_they_are() {
    // S7
    prints(&format!(
        "{SMALL} let e = s.evaluate(activations::from_tensor(x)); assert_eq(e.silent_fraction, e.dead_fraction);"
    ));
    let project = Project::new();
    let doc = |name: &str| project.saerun(&["doc", name]).stdout;
    assert!(doc("mutual_coherence").contains("diagonal included"));
    assert!(doc("evaluate").contains("silent_fraction"));
    assert!(doc("sae::train").contains("L0 for jumprelu"));
}

#[test]
fn encoding_many_rows_with_a_large_sae_stops() {
    // Point 6
    let project = Project::with(
        r#"
        let x = activations::from_tensor(tensor::randn([64, 512], 0));
        let s = sae::train(x, #{ d_sae: 16_384, batch_size: 64 });
        let rows = tensor::randn([4096, 512], 1);
        print("ready");
        loop { s.reconstruct(rows); }
        "#,
    );
    let ran = project.saerun(&["case.rhai", "--timeout", "3"]);
    assert!(ran.code != 0 && ran.took.as_secs_f64() < 12.0, "{ran:?}");
}

#[test]
fn an_sae_needs_finite_numbers_wherever_it_comes_from() {
    // W5
    let stderr = fails("activations::from_tensor(tensor::zeros([2, 2]) / 0.0);", "out-of-range");
    assert!(stderr.contains("finite"), "{stderr}");
}
