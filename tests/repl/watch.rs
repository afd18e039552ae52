//! `saerun watch`: a run at every save, a limit for steps, a clean end.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::{project, saerun};

/// A watch, and the lines that it prints on stdout and stderr.
struct Watch {
    child: Child,
    lines: Receiver<String>,
}

impl Watch {
    fn begin(folder: &Path, arguments: &[&str]) -> Watch {
        let all = [&["watch"], arguments].concat();
        let mut child = saerun(folder, &all).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("saerun");
        let (send, lines) = channel();
        let (out, err) = (child.stdout.take().expect("stdout"), child.stderr.take().expect("stderr"));
        let forward = |pipe: Box<dyn std::io::Read + Send>| {
            let send = send.clone();
            std::thread::spawn(move || {
                BufReader::new(pipe).lines().map_while(Result::ok).for_each(|line| drop(send.send(line)))
            });
        };
        forward(Box::new(out));
        forward(Box::new(err));
        Watch { child, lines }
    }

    /// The lines up to the one that begins with `text`.
    fn until(&self, text: &str) -> Vec<String> {
        let mut seen: Vec<String> = Vec::new();
        while !seen.last().is_some_and(|line| line.starts_with(text)) {
            let line = self.lines.recv_timeout(Duration::from_secs(60));
            seen.push(line.unwrap_or_else(|_| panic!("`{text}` does not come: {seen:?}")));
        }
        seen
    }

    /// Ctrl-C, and the exit code.
    fn end(mut self) -> Option<i32> {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().expect("kill").success());
        self.child.wait().expect("the end").code()
    }
}

#[test]
fn a_save_runs_the_script_again() {
    let folder = project();
    let script = folder.path().join("scripts/x.rhai");
    let watch = Watch::begin(folder.path(), &["scripts/x.rhai", "--set", "lr=0.1"]);
    assert_eq!(watch.until("watching scripts/lib/text.rhai, scripts/x.rhai;")[0], "0.2");
    // As many editors save: a new file, renamed.
    let fresh = folder.path().join("scripts/x.rhai~");
    let text = fs::read_to_string(&script).expect("a script");
    fs::write(&fresh, text.replace("* 2", "* 3")).expect("a file");
    fs::rename(&fresh, &script).expect("renamed");
    assert!(watch.until("watching").iter().any(|line| line.starts_with("0.3")));
    // A library script counts, and an error does not end it.
    let library = folder.path().join("scripts/lib/text.rhai");
    fs::write(&library, "fn short(x) { x.nothing() }\n").expect("a file");
    assert!(watch.until("watching").contains(&"error[unknown-function]: unknown method `nothing`".to_string()));
    fs::write(&library, "fn short(x) { 5 }\n").expect("a file");
    assert!(watch.until("watching").contains(&"15".to_string()));
    assert_eq!(watch.end(), Some(0));
}

#[test]
fn a_step_beyond_the_limit_is_stopped_and_keeps_its_checkpoint() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let script = "let a = activations::from_tensor(tensor::randn([64, 8], 1));\n\
                  sae::train(a, #{ d_sae: 16, tokens: 1_000_000_000, batch_size: 64, checkpoint_every: 10 });\n";
    fs::write(folder.path().join("a.rhai"), script).expect("a script");
    let watch = Watch::begin(folder.path(), &["a.rhai", "--limit", "0.1"]);
    let lines = watch.until("watching a.rhai;").join("\n");
    for part in ["a.rhai:2:6", "sae::train takes longer than 0.1s and was stopped", "its checkpoint", "--all"] {
        assert!(lines.contains(part), "{part}: {lines}");
    }
    assert_eq!(watch.end(), Some(0));
    let left = fs::read_dir(folder.path().join(".saerun/cache/sae.train"));
    let left: Vec<String> =
        left.expect("a cache").flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    assert!(left.len() == 1 && left[0].ends_with(".checkpoint"), "{left:?}");
}

#[test]
fn ctrl_c_stops_a_run_and_ends_the_watch() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("a.rhai"), "print(\"go\");\nloop { }\n").expect("a script");
    let watch = Watch::begin(folder.path(), &["a.rhai"]);
    watch.until("go");
    assert_eq!(watch.end(), Some(0));
}
