//! Results, locks and records: nothing is lost, mixed or half written.
#![cfg(unix)]

mod inputs;
mod locks;
mod streams;
mod swap;
mod watch;

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::Project;

/// Files of three kinds that all tell of the parameter `v`; with `slow`, minutes between the first and the last.
const SAVES: &str = r#"
let p = params(#{ v: 1, slow: false, fails: false });
table::from_rows(["v"], [[p.v]]).save("a");
run::note(`v is ${p.v}`);
let i = 0;
while p.slow { i += 1; }
if p.fails { throw "no more"; }
table::from_rows(["v"], [[p.v]]).save("b");
run::save_text("c.txt", `${p.v}`);
"#;

/// The value of `v` that each file of the results tells of, with the lock.
fn values(project: &Project, folder: &str) -> Vec<String> {
    let cell = |name: &str| project.read(&format!("{folder}/{name}")).lines().last().unwrap_or_default().to_string();
    let lock = project.read(&format!("{folder}/run.yaml"));
    let v = lock.lines().find_map(|line| line.trim().strip_prefix("v: ")).unwrap_or_default().to_string();
    let note = project.read(&format!("{folder}/notes.md")).trim().trim_start_matches("v is ").to_string();
    vec![cell("a.csv"), cell("b.csv"), cell("c.txt"), note, v]
}

/// Every file of the results tells of this value.
#[track_caller]
fn all_are(project: &Project, folder: &str, value: &str) {
    assert_eq!(values(project, folder), vec![value; 5]);
}

/// Waits until `found` gives something, for half a minute.
#[track_caller]
fn until<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(begin.elapsed() < Duration::from_secs(30), "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Starts the program with its output caught.
fn start(project: &Project, arguments: &[&str]) -> Child {
    let mut command = project.command(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("saerun")
}

/// A file that a run of the project has staged.
fn staged(project: &Project, name: &str) -> Option<PathBuf> {
    let runs = project.path().join(".saerun/runs").read_dir().ok()?.flatten();
    runs.map(|item| item.path().join("results").join(name)).find(|path| {
        let hidden = path.components().any(|part| part.as_os_str().to_string_lossy().starts_with(".tmp-"));
        hidden && path.is_file()
    })
}

fn signal(child: &Child, signal: &str) {
    let _ = Command::new("kill").args([signal, &child.id().to_string()]).stderr(Stdio::null()).status();
}
