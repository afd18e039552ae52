//! The prompt, through a pseudo-terminal.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::saerun;

/// A program on a terminal.
struct Terminal {
    child: Child,
    keys: File,
    screen: Receiver<Vec<u8>>,
    seen: String,
}

impl Terminal {
    fn open(mut command: Command) -> Terminal {
        let pair = nix::pty::openpty(None, None).expect("a pseudo-terminal");
        let side = || File::from(pair.slave.try_clone().expect("a handle"));
        command.stdin(side()).stdout(side()).stderr(side()).env("TERM", "xterm").env_remove("NO_COLOR");
        let child = command.spawn().expect("saerun");
        let keys = File::from(pair.master);
        let mut screen = keys.try_clone().expect("a handle");
        let (send, receive) = channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(n @ 1..) = screen.read(&mut bytes) {
                let _ = send.send(bytes[..n].to_vec());
            }
        });
        Terminal { child, keys, screen: receive, seen: String::new() }
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("it reads");
    }

    /// Waits for the next prompt: rustyline drops what it has read together with an Enter, behind it.
    fn prompt(&mut self) {
        self.wait("\x1b[?2004h");
    }

    /// Waits until the screen shows `text`, and forgets all up to there.
    fn wait(&mut self, text: &str) {
        while !self.seen.contains(text) {
            let more = self.screen.recv_timeout(Duration::from_secs(60));
            let more = more.unwrap_or_else(|_| panic!("`{text}` does not come: {:?}", self.seen));
            self.seen += &String::from_utf8_lossy(&more);
        }
        let at = self.seen.find(text).expect("just seen") + text.len();
        self.seen = self.seen.split_off(at);
    }
}

#[test]
fn a_prompt_completes_stops_and_remembers() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut terminal = Terminal::open(saerun(folder.path(), &["repl"]));
    terminal.prompt();
    terminal.press("geo\twelch\t");
    terminal.wait("n: int, d: int)");
    terminal.press("3, 2)\r");
    terminal.wait("0.5\r\n");
    terminal.prompt();
    terminal.press("let x = [1,\r2,\r7];\r");
    terminal.prompt();
    terminal.press("x.len()\r");
    terminal.wait("3\r\n");
    terminal.prompt();
    terminal.press("print(\"go\"); loop { }\r");
    terminal.wait("go\r\n");
    let id = terminal.child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().expect("kill").success());
    terminal.wait("interrupted");
    terminal.prompt();
    // What was typed before comes back: the interrupted input, then the one before it.
    terminal.press("\x1b[A\x1b[A");
    terminal.wait("x.len()");
    terminal.press("\r");
    terminal.wait("3\r\n");
    terminal.prompt();
    terminal.press("\x04");
    assert_eq!(terminal.child.wait().expect("the end").code(), Some(0));
    let history = std::fs::read_to_string(folder.path().join(".saerun/history")).expect("a history");
    let wanted = "geometry::welch_bound(3, 2)\nlet x = [1,\\n2,\\n7];\nx.len()\nprint(\"go\"); loop { }\nx.len()\n";
    assert_eq!(history, wanted);
}
