//! Scripts: compiled and checked, never run.

use std::sync::Arc;

use rhai::Scope;
use saerun::error::Code;
use saerun::host::session::Setup;
use saerun::host::{Session, engine, preflight, run};

use super::fuzz;

const SCRIPT: &str = r#"//! Prose.
import "lib/a" as a;
let p = params(#{ seed: 0, lr: 0.5, names: ["a", `b${1 + 2}`] });
/// A function.
fn f(x, y) { if x > y && x != 0x7f { return x } else { y - 1 } }
const K = [1, 2.5e-3, 'c', (), true];
for (v, i) in K { while false { continue; } switch v { 1 => break, 3 if i > 2 => 3, _ => 4 } }
let g = |z| f(z, p.seed) ** 2; do { p.lr += 1.0 } until true;
try { throw #{ a: 1 } } catch (e) { print(`${e}`) }
let t = tensor::zeros([2, 3]) + 1; t.shape[0]; p?.x ?? 3; g.call(1); loop { break }
"#;

/// What a script that is no script gives: an error with a code of its own.
#[test]
fn scripts_that_are_none() {
    let read_all = || {
        let root = super::folder();
        let setup = Setup { root: root.path().to_path_buf(), stem: "x".into(), quiet: true, ..Setup::default() };
        let session = Arc::new(Session::new(setup).expect("a plain name"));
        let engine = engine(&session);
        let read = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes);
            let parsed = run::parse(&engine, &session, "x.rhai", &text);
            if let Ok(ast) = &parsed {
                preflight::declared(ast, &text);
            }
            match parsed.and_then(|ast| {
                preflight::check(&engine, &session, &ast).map(|()| run::executable(&engine, &Scope::new(), ast, &text))
            }) {
                Ok(_) => Ok(true),
                Err(report) if report.error.code == Code::Internal => Err(format!("no plain error: {}", report.error)),
                Err(report) => {
                    report.draw(&session);
                    Ok(false)
                }
            }
        };
        let script = SCRIPT.replace("import \"lib/a\" as a;\n", "");
        fuzz("rhai", 0.5, &[script.into_bytes()], &read);
    };
    // As scripts have it: a stack that their nesting fits.
    let thread = std::thread::Builder::new().stack_size(1 << 30).spawn(read_all).expect("a thread");
    if let Err(payload) = thread.join() {
        std::panic::resume_unwind(payload);
    }
}
