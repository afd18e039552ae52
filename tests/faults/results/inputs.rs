//! What a run reads: compared with its lock later, and not allowed to change while it runs.

use std::fs;
use std::time::Duration;

use super::{Project, start, until};

/// A script that reads an input of every kind, and what makes those inputs.
const MAKES: &str = r#"
    table::from_rows(["x"], [[1], [2]]).save("t");
    let x = tensor::randn([64, 4], 0);
    x.save("x.npy");
    let rows = activations::from_tensor(x);
    rows.save("rows.safetensors");
    sae::train(rows, #{ d_sae: 8, batch_size: 32 }).save("saes/one");
"#;
const READS: &str = r#"
    let n = table::read("in.csv").height + tensor::load("x.npy").shape[0] + activations::load("rows.safetensors").shape[0];
    n += sae::load("saes/one").decoder.shape[0] + corpus::load("text.txt").bytes + corpus::load("texts").bytes;
    run::save_text("n.txt", n);
"#;

fn project() -> Project {
    let project = Project::with(READS);
    project.write("make.rhai", MAKES);
    project.write("in.csv", "x\n1\n");
    project.write("text.txt", "one two");
    project.write("texts/a.txt", "three");
    project.write("texts/b.txt", "four");
    assert_eq!(project.saerun(&["make.rhai"]).code, 0);
    let ran = project.saerun(&["case.rhai"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    project
}

// W19
#[test]
fn an_input_that_changed_or_is_gone_is_told() {
    let project = project();
    assert_eq!(project.saerun(&["verify"]).code, 0);
    let inputs = [
        ("in.csv", "in.csv"),
        ("x.npy", "x.npy"),
        ("rows.safetensors", "rows.safetensors"),
        ("saes/one/sae_weights.safetensors", "saes/one"),
        ("text.txt", "text.txt"),
        ("texts/b.txt", "texts"),
    ];
    for (file, input) in inputs {
        let path = project.path().join(file);
        let before = fs::read(&path).expect("an input");
        let mut after = before.clone();
        *after.last_mut().expect("a byte") ^= 1;
        fs::write(&path, &after).expect("changed");
        let ran = project.saerun(&["verify", "--no-run", "results/case"]);
        assert_eq!(ran.code, 3, "{file}: {}", ran.stdout);
        assert!(ran.stdout.contains(&format!("the input {input} has changed since")), "{}", ran.stdout);
        assert!(project.saerun(&["list"]).stdout.contains(&format!("results/case  older than its input {input}")));
        fs::remove_file(&path).expect("removed");
        let ran = project.saerun(&["verify", "--no-run", "results/case"]);
        assert_eq!(ran.code, 3, "{file}: {}", ran.stdout);
        fs::write(&path, before).expect("put back");
        assert_eq!(project.saerun(&["verify", "--no-run", "results/case"]).code, 0, "{file}");
    }
    fs::remove_file(project.path().join("in.csv")).expect("removed");
    assert!(project.saerun(&["verify", "--no-run"]).stdout.contains("the input in.csv is not there any more"));
    assert!(project.saerun(&["list"]).stdout.contains("its input in.csv is not there any more"));
}

// W19: what a script has written itself is none of its inputs.
#[test]
fn what_a_run_made_itself_may_go() {
    let project =
        Project::with("tensor::eye(2).save(\"w.npy\"); run::save_text(\"a.txt\", tensor::load(\"w.npy\").to_array());");
    project.prints();
    fs::remove_file(project.path().join("w.npy")).expect("removed");
    assert_eq!(project.saerun(&["verify", "--no-run"]).code, 0);
    assert_eq!(project.saerun(&["verify"]).code, 0);
}

// W20
#[test]
fn an_input_that_changes_between_two_reads_is_an_error() {
    let cases = [
        ("in.csv", "table::read(\"in.csv\").column(\"x\")", "x\n1\n", "x\n2\n"),
        ("in.txt", "corpus::load(\"in.txt\").head(3)", "one", "two"),
        ("texts/in.txt", "corpus::load(\"texts\").head(3)", "one", "two"),
    ];
    for (file, read, before, after) in cases {
        let project = Project::with(&format!("let a = {read}; print(a); while true {{ let b = {read}; }}"));
        project.write(file, before);
        let child = start(&project, &["case.rhai", "--timeout", "20"]);
        // It has read once when its record of git is begun; the loop reads for as long as it takes.
        std::thread::sleep(Duration::from_millis(300));
        project.write("new", after);
        fs::rename(project.path().join("new"), project.path().join(file)).expect("replaced");
        let output = child.wait_with_output().expect("an end");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{file}: {said}");
        assert!(said.contains("has changed while this run was going on"), "{file}: {said}");
    }
}

// W20: a file that the script itself writes may change, and one that is written anew with the same content is the same.
#[test]
fn what_the_script_changes_itself_may_be_read_again() {
    let project = Project::with(
        "for i in 0..3 { tensor::from_values([i]).save(\"w.npy\"); print(tensor::load(\"w.npy\").to_array()); }",
    );
    assert_eq!(project.prints(), "[0.0]\n[1.0]\n[2.0]\n");
}

// W20
#[test]
fn an_import_that_changes_while_a_run_goes_on_is_an_error() {
    let project = Project::with(
        "print(\"begun\"); let i = 0; while i < 20_000_000 { i += 1; if i % 1_000_000 == 0 { slow(); } }
        import \"lib\" as lib; print(lib::f()); fn slow() { }",
    );
    project.write("lib.rhai", "fn f() { 1 }");
    let mut child = start(&project, &["case.rhai"]);
    let mut begun = [0];
    std::io::Read::read_exact(child.stdout.as_mut().expect("stdout"), &mut begun).expect("begun");
    project.write("lib.rhai", "fn f() { 2 }");
    let output = child.wait_with_output().expect("an end");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && said.contains("`lib.rhai` has changed"), "{} {said}", output.status);
}

// Point 6: hashing of big inputs and of remembered results stops soon.
#[test]
fn hashing_a_big_file_stops_soon() {
    let project = Project::with("let x = tensor::zeros([1]); run::save_text(\"a.txt\", 1);");
    project.prints();
    // A file of zeros takes no room on the disk, and minutes to hash.
    let big = fs::File::create(project.path().join("results/case/big.bin")).expect("a file");
    big.set_len(400 << 30).expect("a size");
    let lock = project.read("results/case/run.yaml");
    project.write(
        "results/case/run.yaml",
        lock.replace("outputs:\n", "outputs:\n  big.bin:\n    blake3: ab\n    bytes: 1\n"),
    );
    let child = start(&project, &["verify", "--no-run"]);
    std::thread::sleep(Duration::from_millis(400));
    let begin = std::time::Instant::now();
    super::signal(&child, "-TERM");
    let output = child.wait_with_output().expect("an end");
    assert!(begin.elapsed() < Duration::from_secs(6), "{:?}", begin.elapsed());
    assert_eq!(output.status.code(), Some(143), "{}", String::from_utf8_lossy(&output.stdout));
}

// Point 6: a sweep that is stopped keeps the cells that are done.
#[test]
fn a_sweep_that_is_stopped_keeps_what_is_done() {
    let project = Project::with(
        "let p = params(#{ i: 0 }); run::save_text(\"a.txt\", p.i); let n = 0; while p.i == 1 { n += 1; }",
    );
    let child = start(&project, &["sweep", "case.rhai", "--grid", "i=0,1", "--dir", "s", "--jobs", "1"]);
    until("a cell is done", || project.path().join("s/cells/000000.json").exists().then_some(()));
    std::thread::sleep(Duration::from_millis(300));
    let begin = std::time::Instant::now();
    super::signal(&child, "-TERM");
    let output = child.wait_with_output().expect("an end");
    assert!(begin.elapsed() < Duration::from_secs(6), "{:?}", begin.elapsed());
    assert_eq!(output.status.code(), Some(143), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(project.read("s/cells/000000/a.txt"), "0");
    assert!(!project.path().join("s/cells/000001/a.txt").exists());
}
