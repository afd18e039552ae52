//! Runs that are stopped at any moment: nothing finished is lost, what is committed stays whole, and the end is the same to
//! the byte. Real processes, killed in turn by SIGKILL, SIGTERM and SIGINT; a real file size limit in place of a full disk.
#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use saerun::rng::Rng;

/// A training of a model, a harvest and a training of an SAE, with a few checkpoints each, and results of three kinds.
const SCRIPT: &str = r#"
let p = params(#{ seed: 0 });
let text = corpus::load("text.txt");
let model = model::train(text, #{ d_model: 16, n_heads: 2, d_mlp: 32, n_ctx: 16, d_vocab: 300, tokens: 16_000, batch_size: 64,
    checkpoint_every: 20, seed: p.seed });
let rows = model.activations(text, #{ hook: "blocks.0.hook_mlp_out", tokens: 6000 });
let sae = sae::train(rows, #{ d_sae: 48, batch_size: 64, tokens: 40_000, checkpoint_every: 25, dead: "resample", seed: p.seed });
let found = sae.evaluate(rows);
table::from_rows(["l0", "fvu"], [[found.l0, found.fvu]]).save("scores");
sae.history.save("history");
run::save_text("decoder.txt", sae.decoder.to_array());
"#;

const POINTS: usize = 20;

/// A text of words drawn by a seed.
fn text() -> String {
    let (mut text, mut rng) = (String::new(), Rng::new(0, "test kill text"));
    let words =
        ["the", "king", "and", "sea", "said", "light", "went", "upon", "a", "great", "day", "of", "was", "house"];
    for i in 0..9000 {
        let end = if i % 11 == 10 { ".\n" } else { " " };
        write!(text, "{}{end}", words[rng.below(words.len()).min(rng.below(words.len()))]).expect("a text");
    }
    text
}

fn project() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("text.txt"), text()).expect("a text");
    fs::write(folder.path().join("work.rhai"), SCRIPT).expect("a script");
    folder
}

fn saerun(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_saerun"));
    command.current_dir(folder).args(["work.rhai", "--quiet"]).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

fn finish(command: &mut Command) {
    let output = command.output().expect("saerun");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The committed files by name, as digests. Leftovers of killed writes are none of them, and a report, which tells how long
/// steps took and which were remembered, must only be whole.
fn results(folder: &Path) -> BTreeMap<String, String> {
    let entries = fs::read_dir(folder.join("results/work")).into_iter().flatten().flatten();
    let named = entries.map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path()));
    let mut found = BTreeMap::new();
    for (name, path) in named.filter(|(name, _)| !name.starts_with('.')) {
        let bytes = fs::read(path).expect("a file");
        if name.ends_with(".html") {
            assert!(bytes == OLD || bytes.trim_ascii_end().ends_with(b"</html>"), "{name} is not whole");
        } else {
            found.insert(name, blake3::hash(&bytes).to_hex().to_string());
        }
    }
    found
}

/// What a result was before.
const OLD: &[u8] = b"old";

/// Puts something in the place of every result.
fn age(folder: &Path, names: &BTreeMap<String, String>) {
    fs::create_dir_all(folder.join("results/work")).expect("a folder");
    for name in names.keys().map(String::as_str).chain(["report.html"]) {
        fs::write(folder.join("results/work").join(name), OLD).expect("a file");
    }
}

/// The results are what they were, or what they will be: all of them.
fn check(found: &BTreeMap<String, String>, wanted: &BTreeMap<String, String>, when: &str) {
    let old = blake3::hash(OLD).to_hex().to_string();
    for (name, digest) in found {
        assert!(*digest == old || *digest == wanted[name], "{when}: {name} is neither old nor new");
    }
    let kept = found.values().filter(|digest| **digest == old).count();
    assert!(kept == 0 || kept == found.len(), "{when}: {kept} of {} files are old", found.len());
    assert!(found.is_empty() || found.len() == wanted.len(), "{when}: {:?}", found.keys());
}

/// Waits until a process has worked for so many ticks of the processor's time, or has ended: how far it is does not depend
/// on what else the machine does. Gives the ticks.
fn worked(child: &mut Child, ticks: u64) -> u64 {
    let path = format!("/proc/{}/stat", child.id());
    let mut seen = 0;
    while seen < ticks && child.try_wait().expect("a process").is_none() {
        let text = fs::read_to_string(&path).unwrap_or_default();
        let fields = text.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
        seen = seen.max(fields.filter_map(|field| field.parse::<u64>().ok()).sum());
        std::thread::sleep(Duration::from_millis(2));
    }
    seen
}

/// Waits until a process catches SIGINT and SIGTERM, which is the first thing it does, or has ended.
fn listens(child: &mut Child) {
    let path = format!("/proc/{}/status", child.id());
    let caught = |text: &str| {
        let mask = text.lines().find_map(|line| line.strip_prefix("SigCgt:"))?;
        u64::from_str_radix(mask.trim(), 16).ok()
    };
    let both = 1 << (15 - 1) | 1 << (2 - 1);
    while child.try_wait().expect("a process").is_none() {
        if caught(&fs::read_to_string(&path).unwrap_or_default()).is_some_and(|mask| mask & both == both) {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn kill(child: &Child, signal: &str) {
    // It may have ended by itself.
    let _ = Command::new("kill").args([signal, &child.id().to_string()]).stderr(Stdio::null()).status();
}

#[test]
fn killed_at_twenty_points_the_bytes_are_the_same() {
    let whole = project();
    let mut child = saerun(whole.path()).spawn().expect("saerun");
    let length = worked(&mut child, u64::MAX);
    assert!(child.wait().expect("an end").success());
    let wanted = results(whole.path());
    assert!(wanted.len() >= 5, "{:?}", wanted.keys());

    let mut rng = Rng::new(0, "test kill points");
    let (mut stopped, mut folder) = (0, project());
    for point in 0..POINTS {
        if point % 2 == 0 {
            folder = project();
            age(folder.path(), &wanted);
        }
        let mut child = saerun(folder.path()).spawn().expect("saerun");
        worked(&mut child, (rng.uniform() * [0.95, 0.5][point % 2] * length as f64) as u64);
        if point % 3 != 0 {
            listens(&mut child);
        }
        let (signal, code) = [("-KILL", None), ("-TERM", Some(143)), ("-INT", Some(130))][point % 3];
        kill(&child, signal);
        let status = child.wait().expect("an end");
        stopped += usize::from(!status.success());
        assert!(status.success() || status.code() == code, "point {point}, {signal}: {status}");
        check(&results(folder.path()), &wanted, &format!("point {point}, {signal}"));
        if point % 2 == 1 {
            finish(&mut saerun(folder.path()));
            assert_eq!(results(folder.path()), wanted, "after point {point}");
            let left = fs::read_dir(folder.path().join("results/work")).expect("results").flatten();
            let left: Vec<_> =
                left.map(|entry| entry.file_name()).filter(|name| name.to_string_lossy().starts_with('.')).collect();
            assert!(left.is_empty(), "{left:?}");
        }
    }
    assert!(stopped >= POINTS / 4, "{stopped} of {POINTS} runs were stopped: the others had ended");
}

/// Asked to stop, a training of a model keeps its state at once: it does not begin again at the last checkpoint of its own.
#[test]
fn a_training_that_is_asked_to_stop_keeps_its_state() {
    let folder = project();
    let script = SCRIPT
        .replace("checkpoint_every: 20", "checkpoint_every: 1_000_000")
        .replace("tokens: 16_000", "tokens: 640_000");
    fs::write(folder.path().join("work.rhai"), script).expect("a script");
    let mut child = saerun(folder.path()).spawn().expect("saerun");
    worked(&mut child, 80);
    kill(&child, "-INT");
    assert_eq!(child.wait().expect("an end").code(), Some(130));
    let kept =
        fs::read_dir(folder.path().join(".saerun/cache/model.train")).expect("a folder of the function").flatten();
    assert!(kept.map(|entry| entry.path()).any(|path| path.extension().is_some_and(|end| end == "checkpoint")));
}

/// Every write beyond a size fails, as on a full disk: the message says what to do, and the results are what they were.
#[test]
fn a_full_disk_leaves_what_was_there() {
    let whole = project();
    finish(&mut saerun(whole.path()));
    let wanted = results(whole.path());
    for blocks in [1, 8, 64] {
        let folder = project();
        age(folder.path(), &wanted);
        let binary = env!("CARGO_BIN_EXE_saerun");
        // The shell's unit is 512 bytes or 1 KiB.
        let limited = format!("ulimit -f {blocks}; exec '{binary}' work.rhai --quiet --set seed=0");
        let output = Command::new("sh").args(["-c", &limited]).current_dir(folder.path()).output().expect("a shell");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("free some space"), "{said}");
        check(&results(folder.path()), &wanted, &format!("{blocks} blocks"));
        finish(saerun(folder.path()).args(["--set", "seed=0"]));
        assert_eq!(results(folder.path()), wanted, "{blocks} blocks");
    }
}

#[test]
fn every_end_has_its_exit_code() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let run = |script: &str, arguments: &[&str]| {
        fs::write(folder.path().join("work.rhai"), script).expect("a script");
        let output = saerun(folder.path()).args(arguments).output().expect("saerun");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert_eq!(run("exit();", &[]).0, Some(0));
    assert_eq!(run("exit(7); throw 1;", &[]).0, Some(7));
    assert_eq!(run("try { exit(63) } catch { }", &[]).0, Some(63));
    assert_eq!(run("run::save_text(\"a.txt\", \"a\"); [1].map(|x| exit(5));", &[]).0, Some(5));
    assert!(folder.path().join("results/work/run.yaml").exists(), "an exit leaves results and their lock");
    assert_eq!(run("exit(64)", &[]).0, Some(1));
    assert_eq!(run("throw 1", &[]).0, Some(1));
    assert_eq!(run("exit(0)", &["--set", "a=1"]).0, Some(2));
    let (code, said) = run("try { while true { } } catch { }", &["--timeout", "0.1"]);
    assert!(code == Some(124) && said.contains("the time is up"), "{code:?} {said}");
    let (code, said) = run("tensor::zeros([3000, 3000])", &["--memory", "8MiB"]);
    assert!(code == Some(1) && said.contains("too-large") && said.contains("--memory"), "{code:?} {said}");
}
