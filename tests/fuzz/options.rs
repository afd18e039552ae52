//! Every option of every function, and every argument, with hostile values: a plain error or a result, never a panic, an abort, a hang or `internal`.
//!
//! What there is to call is asked of the program: the option keys of [`accepted`], the arguments of the documentation. A function with options needs a
//! line in [`BASE`] when it is not tiny or not valid without options; `every_base_call_is_valid` fails until it has one.
//!
//! The calls run in the program itself, some hundred in a script, so that an abort and a hang are seen too. `SAERUN_FUZZ` sets how many.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

use saerun::host::check::keys::{Accepts, accepted};
use saerun::host::docs::{self, Function, Kind};
use saerun::host::session::Setup;
use saerun::host::{Session, engine};
use saerun::rng::Rng;

use super::setting;
use crate::check::call;
use crate::faults::{Project, Ran};

/// What the calls need: everything as small as it can be.
const SETTING: &str = r#"
let big = "x";
for i in 0..16 { big += big; }
let nested = [];
for i in 0..60 { nested = [nested]; }
let w = tensor::from_rows([[1, 0.1, 0], [0, 1, 0.2], [0.3, 0, 1], [1, 1, 1]]);
let c = corpus::load("text.txt");
let m = model::train(c, #{ n_layers: 1, d_model: 8, n_heads: 2, d_mlp: 8, n_ctx: 16, d_vocab: 270, tokens: 64, batch_size: 32 });
let x = m.activations(c, #{ hook: "blocks.0.hook_mlp_out", tokens: 64 });
let s = sae::train(x, #{ d_sae: 8, batch_size: 16, tokens: 64 });
let n = geometry::nearest_neighbors(w);
let t = table::from_columns([["a", [1, 2]], ["b", [0.5, ()]]]);
let f = plot::bar(#{ series: [#{ values: [1.0] }] });
let r = reg::mean_max_cos();
w.save("w.npy");
s.save("s");
fn code(e) { let code = "thrown"; try { code = e.code } catch { } code }
"#;

/// Options that make a call valid and tiny, where it is not without them.
const BASE: &[(&str, &str, &str)] = &[
    ("model", "activations", "hook: \"blocks.0.hook_mlp_out\", tokens: 32"),
    ("model", "ce_loss", "tokens: 64"),
    ("model", "generate", "tokens: 2"),
    (
        "model",
        "train",
        "n_layers: 1, d_model: 8, n_heads: 2, d_mlp: 8, n_ctx: 16, d_vocab: 270, tokens: 64, batch_size: 32",
    ),
    ("geometry", "packing", "steps: 3"),
    ("geometry", "peaks", "bootstrap: 3"),
    ("plot", "bar", "series: [#{ values: [1.0] }]"),
    ("plot", "heatmap", "values: [[1, 2], [3, 4]]"),
    ("plot", "histogram", "series: [#{ values: [1.0, 2.0] }]"),
    ("plot", "line", "series: [#{ x: [1, 2], y: [1, 2] }]"),
    ("plot", "scatter", "series: [#{ x: [1, 2], y: [1, 2] }]"),
    ("reg", "babel", "k: 1"),
    ("reg", "hinge", "tau: 0.3"),
    ("reg", "log_sum_exp", "beta: 10.0"),
    (
        "reg",
        "select",
        "candidates: [reg::mean_cos()], coefficients: [0.1], target_l0: 2.0, eval_tokens: 32, \
         sae: #{ d_sae: 8, batch_size: 16, tokens: 32 }",
    ),
    ("sae", "evaluate", "tokens: 64"),
    ("sae", "train", "d_sae: 8, batch_size: 16, tokens: 64"),
    ("synthetic", "superposition", "features: 4, d: 3, tokens: 16, active: 1.0"),
];

/// Script expressions that no option and no argument expects.
const HOSTILE: &[&str] = &[
    "()",
    "true",
    "0",
    "1",
    "-1",
    "2",
    "7",
    "2147483648",
    "9007199254740992",
    "9223372036854775807",
    "-9223372036854775807 - 1",
    "0.5",
    "-0.0",
    "1e308",
    "-1e308",
    "5e-324",
    "1e-300",
    "0.0 / 0.0",
    "1.0 / 0.0",
    "-1.0 / 0.0",
    "\"\"",
    "\"a\"",
    "\"../x\"",
    "\"signed\"",
    "\"\\x00\"",
    "\"\u{202e}\"",
    "big",
    "'c'",
    "[]",
    "[[]]",
    "[()]",
    "[0.0 / 0.0]",
    "[1e308, -1e308, 5e-324]",
    "[\"a\", 1]",
    "[9223372036854775807]",
    "[2147483648, 2147483648]",
    "[-1]",
    "nested",
    "#{}",
    "#{ a: #{ b: [] } }",
    "#{ a: nested }",
    "|x| x",
    "|| 0",
    "Fn(\"print\")",
    "1..3",
    "blob(4)",
    "w",
    "w.row(0)",
    "tensor::zeros([0])",
    "tensor::zeros([0, 3])",
    "tensor::from_values([0.0 / 0.0])",
    "c",
    "m",
    "x",
    "s",
    "n",
    "t",
    "f",
    "r",
];

/// Numbers that are too large to be an accident, and legal where they say how long to work; `()` is the default, which is no tiny one.
fn is_long(value: &str) -> bool {
    value == "()" || ["2147483648", "9007199254740992", "9223372036854775807"].iter().any(|large| value.contains(large))
}

/// Options that say how long to work.
const LONG: &[&str] = &["tokens", "steps", "eval_tokens", "power", "bootstrap"];

/// Functions that end the script, wait, or have one call a script.
const LEFT_OUT: &[&str] = &["exit", "params"];

fn base(of: &Accepts) -> &'static str {
    BASE.iter().find(|(namespace, name, _)| (*namespace, *name) == (of.namespace, of.name)).map_or("", |base| base.2)
}

fn functions() -> Vec<Function> {
    let setup = Setup { root: Path::new(".").to_path_buf(), stem: "fuzz".into(), quiet: true, ..Setup::default() };
    let session = Arc::new(Session::new(setup).expect("a plain name"));
    let taken = |f: &Function| matches!(f.kind, Kind::Function | Kind::Method) && !LEFT_OUT.contains(&&*f.name);
    docs::functions(&engine(&session), false).into_iter().filter(taken).collect()
}

fn pick<'a>(rng: &mut Rng, from: &[&'a str]) -> &'a str {
    from[rng.below(from.len())]
}

/// A call with a hostile value under one or two of its keys, or inside one of them.
fn of_options(all: &[Accepts], rng: &mut Rng) -> String {
    let of = &all[rng.below(all.len())];
    let mut map = format!("let o = #{{ {} }};", base(of));
    for _ in 0..=rng.below(4) / 3 {
        if of.keys.is_empty() {
            break;
        }
        let key = pick(rng, &of.keys);
        let mut value = pick(rng, HOSTILE).to_string();
        if let Some((_, keys)) = of.inside.iter().find(|(name, _)| *name == key)
            && rng.below(4) > 0
        {
            let inner = pick(rng, keys);
            let inner = if LONG.contains(&inner) && is_long(&value) { "seed" } else { inner };
            value = format!("#{{ {inner}: {value} }}");
            value = if rng.below(4) > 0 && key != "sae" { format!("[{value}]") } else { value };
        }
        if !(LONG.contains(&key) && is_long(&value)) {
            let _ = write!(map, " o[\"{key}\"] = {value};");
        }
    }
    format!("{map} {}", call(of))
}

/// A valid value of a type, as small as can be.
fn valid(kind: &str) -> &'static str {
    match kind {
        "int" => "2",
        "float" => "0.5",
        "bool" => "true",
        "string" => "\"a\"",
        "char" => "'a'",
        "array" => "[1.0, 2.0]",
        "closure" => "|x| x",
        "Tensor" => "w",
        "Sae" => "s",
        "Corpus" => "c",
        "TargetModel" => "m",
        "Activations" => "x",
        "Regularizer" => "r",
        "Neighbors" => "n",
        "Table" => "t",
        "Figure" => "f",
        _ => "w",
    }
}

/// A call with hostile arguments; a method keeps its receiver.
fn of_arguments(functions: &[Function], all: &[Accepts], rng: &mut Rng) -> String {
    let function = &functions[rng.below(functions.len())];
    let method = function.kind == Kind::Method;
    let given: Vec<String> = function
        .params
        .iter()
        .enumerate()
        .map(|(i, (name, kind))| {
            let of = |a: &&Accepts| {
                (a.namespace, a.name, a.params) == (&*function.namespace, &*function.name, function.params.len())
            };
            if name == "options"
                && let Some(of) = all.iter().find(of)
            {
                return format!("#{{ {} }}", base(of));
            }
            let value = if (method && i == 0) || rng.below(2) == 0 { valid(kind) } else { pick(rng, HOSTILE) };
            value.to_string()
        })
        .collect();
    match (method, given.split_first()) {
        (true, Some((receiver, rest))) => format!("{receiver}.{}({})", function.name, rest.join(", ")),
        _ => format!("{}({})", function.path(), given.join(", ")),
    }
}

/// Runs calls, each on a line of its own, in the program.
fn run(project: &Project, calls: &[(u64, String)]) -> Ran {
    let mut script = SETTING.to_string();
    for (number, call) in calls {
        let _ =
            writeln!(script, "print(`@{number}`); try {{ {call}; print(\"ok\"); }} catch (e) {{ print(code(e)); }}");
    }
    project.write("case.rhai", script);
    project.saerun(&["case.rhai", "--quiet", "--memory", "2GiB", "--timeout", "60", "--no-cache"])
}

fn project() -> Project {
    let project = Project::new();
    project.write("text.txt", "In the beginning was the word, and the word was long. ".repeat(40));
    project
}

/// What was wrong with a run: the number of the call, and how it ended.
fn wrong(ran: &Ran, calls: &[(u64, String)]) -> Option<(u64, String)> {
    let lines: Vec<&str> = ran.stdout.lines().collect();
    let numbered = |at: usize| lines[..=at].iter().rev().find_map(|line| line.strip_prefix('@')?.parse().ok());
    if let Some(at) = lines.iter().position(|line| *line == "internal") {
        return Some((numbered(at)?, "internal".to_string()));
    }
    if ran.code == 0 && !ran.stderr.contains("a bug in saerun") {
        return None;
    }
    let number =
        lines.len().checked_sub(1).and_then(numbered).unwrap_or_else(|| calls.first().map_or(0, |call| call.0));
    Some((number, format!("exit code {} after {:.0?}:\n{}", ran.code, ran.took, ran.stderr)))
}

/// How many calls a script makes.
const BATCH: usize = 250;

#[test]
fn options_and_arguments_that_nobody_expects() {
    if std::env::var("SAERUN_FUZZ_ONLY").is_ok_and(|only| only != "options") {
        return;
    }
    let count = setting("SAERUN_FUZZ").unwrap_or(1000);
    let (seed, from) = (setting("SAERUN_FUZZ_SEED").unwrap_or(0), setting("SAERUN_FUZZ_FROM").unwrap_or(0));
    let (all, functions) = (accepted(), functions());
    let make = |i: u64| {
        let mut rng = Rng::new(seed, &format!("test fuzz options {i}"));
        (i, if rng.below(4) > 0 { of_options(&all, &mut rng) } else { of_arguments(&functions, &all, &mut rng) })
    };
    let calls: Vec<(u64, String)> = (from..from + count).map(make).collect();
    let mut found = Vec::new();
    for batch in calls.chunks(BATCH) {
        let (project, mut left) = (project(), batch);
        while !left.is_empty() {
            let Some((number, why)) = wrong(&run(&project, left), left) else { break };
            let at = left.iter().position(|call| call.0 == number).unwrap_or(0);
            found.push(format!("call {number}: {}\n{why}", left[at].1));
            left = &left[at + 1..];
        }
        if found.len() > 20 {
            break;
        }
    }
    assert!(found.is_empty(), "{} of {count}, seed {seed}:\n{}", found.len(), found.join("\n\n"));
}

#[test]
fn every_base_call_is_valid() {
    let all = accepted();
    let calls: Vec<(u64, String)> =
        all.iter().zip(0..).map(|(of, i)| (i, format!("let o = #{{ {} }}; {}", base(of), call(of)))).collect();
    let ran = run(&project(), &calls);
    let lines: Vec<&str> = ran.stdout.lines().collect();
    let refused = calls.iter().filter(|(i, _)| {
        let said: BTreeSet<&str> = lines
            .iter()
            .skip_while(|line| **line != format!("@{i}"))
            .skip(1)
            .take_while(|line| !line.starts_with('@'))
            .copied()
            .collect();
        !said.contains("ok")
    });
    let refused: Vec<&str> = refused.map(|(_, call)| call.as_str()).collect();
    assert!(refused.is_empty(), "not valid, or not tiny:\n{}\n{}", refused.join("\n"), ran.stderr);
}
