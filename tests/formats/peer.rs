//! The other tools as judges: run with `SAERUN_PYTHON=PATH` of a Python that has sae-lens, eai-sparsify and dictionary-learning.

use std::path::Path;
use std::process::Command;

use saerun::sae::format::{self, Format};

use super::{differences, leave, ours, saes, write};

fn oracle(python: &std::ffi::OsStr, arguments: [&str; 2]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/sae_formats.py");
    let output = Command::new(python).arg(script).args(arguments).output().expect("SAERUN_PYTHON runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn other_tools_read_ours_and_we_read_theirs() {
    let Some(python) = std::env::var_os("SAERUN_PYTHON") else { return };
    let folder = tempfile::tempdir().unwrap();

    let theirs = folder.path().join("theirs");
    oracle(&python, ["make", &theirs.to_string_lossy()]);
    for (path, expected) in saes(&theirs) {
        let [codes, reconstructions] = differences(&format::load(&path).unwrap(), &expected);
        println!("{}: {codes:.1e} {reconstructions:.1e}", expected.strip_prefix(&theirs).unwrap().display());
        assert!(codes < 1e-5 && reconstructions < 1e-5, "{}: {codes} {reconstructions}", path.display());
    }

    let written = folder.path().join("ours");
    for (name, sae) in ours() {
        for format in Format::WRITTEN {
            let Ok(files) = format::to_files(&sae, format) else { continue };
            let dir = written.join(format!("{} {name}", format.name()));
            write(&dir, &files);
            leave(&dir, &sae);
        }
    }
    let found = oracle(&python, ["check", &written.to_string_lossy()]);
    let line = found.lines().find(|line| line.starts_with('{')).expect("a line of JSON");
    let found: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line).unwrap();
    assert!(found.len() >= 7, "{line}");
    for (name, found) in found {
        let number = |key: &str| found[key].as_f64().unwrap();
        println!("{name}: {:.1e} {:.1e}, {} active", number("codes"), number("reconstructions"), number("active"));
        assert!(
            number("codes") < 1e-5 && number("reconstructions") < 1e-5 && number("active") > 1.0,
            "{name}: {found}"
        );
    }
}
