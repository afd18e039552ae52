//! `watch` runs again when anything that the script reads has changed, or has come.

use std::process::{Child, Stdio};

use super::{Project, signal, until};

/// `saerun watch` at work, killed at the end.
struct Watching {
    child: Child,
    out: std::path::PathBuf,
}

impl Watching {
    fn new(project: &Project) -> Watching {
        let out = project.path().join("watched.txt");
        let file = std::fs::File::create(&out).expect("a file");
        let mut command = project.command(&["watch", "case.rhai"]);
        let child =
            command.stdout(file.try_clone().expect("a file")).stderr(Stdio::from(file)).spawn().expect("saerun");
        Watching { child, out }
    }

    /// Waits for the n-th time that `words` are printed, and until it watches again.
    fn sees(&self, words: &str, times: usize) {
        until(words, || {
            let text = std::fs::read_to_string(&self.out).unwrap_or_default();
            let rest = text.match_indices(words).nth(times - 1).map(|(at, _)| text[at..].to_string())?;
            rest.contains("watching case.rhai").then_some(())
        });
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        signal(&self.child, "-KILL");
        let _ = self.child.wait();
    }
}

// Traps: `watch` sees neither a missing import appear nor data files change.
#[test]
fn watch_sees_a_missing_import_appear() {
    let project = Project::with("import \"lib\" as lib; print(lib::f());");
    let watching = Watching::new(&project);
    watching.sees("no script `lib.rhai` to import", 1);
    project.write("lib.rhai", "fn f() { \"it is here\" }");
    watching.sees("it is here", 1);
}

// Traps
#[test]
fn watch_sees_data_come_and_change() {
    let project = Project::with(
        "print(`x ${table::read(\"data/in.csv\").column(\"x\")}`); print(corpus::load(\"texts\").documents);",
    );
    project.write("texts/a.txt", "one");
    let watching = Watching::new(&project);
    watching.sees("in.csv", 1);
    project.write("data/in.csv", "x\n1\n");
    watching.sees("x [1]\n1\n", 1);
    project.write("data/in.csv", "x\n22\n");
    watching.sees("x [22]\n1\n", 1);
    project.write("texts/b.txt", "four");
    watching.sees("x [22]\n2\n", 1);
}
