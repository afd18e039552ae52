//! Scripts that run: numbers near their limits, NaN, odd closures, errors inside of errors. Each ends well or with a plain error.

use std::sync::Arc;

use rhai::Scope;
use saerun::error::Code;
use saerun::host::diagnostic::Report;
use saerun::host::ending::guarded;
use saerun::host::session::Setup;
use saerun::host::{Session, engine, run};
use saerun::rng::Rng;

use super::setting;

/// Scripts by default.
const QUICK: u64 = 2000;

const NUMBERS: [&str; 26] = [
    "0",
    "1",
    "-1",
    "2",
    "63",
    "64",
    "-64",
    "9223372036854775807",
    "(-9223372036854775807 - 1)",
    "9007199254740992",
    "9007199254740993",
    "4294967296",
    "0.0",
    "-0.0",
    "1.5",
    "-2.5",
    "1e308",
    "-1e308",
    "5e-324",
    "9007199254740992.0",
    "9223372036854775808.0",
    "(0.0 / 0.0)",
    "(-(0.0 / 0.0))",
    "(1.0 / 0.0)",
    "(-1.0 / 0.0)",
    "0.1",
];

const VALUES: [&str; 16] = [
    "()",
    "true",
    "'c'",
    "\"\"",
    "\"text\"",
    "\"12\"",
    "[]",
    "[1, 2.5, 3]",
    "[[], [1]]",
    "#{}",
    "#{ v: 1, w: \"x\" }",
    "|x| x",
    "|| 1",
    "Fn(\"f\")",
    "Fn(\"nothing\")",
    "blob(3)",
];

const NUMBER_METHODS: [&str; 22] = [
    "to_int()",
    "abs()",
    "floor()",
    "ceiling()",
    "round()",
    "sqrt()",
    "ln()",
    "log()",
    "exp()",
    "to_float()",
    "sign()",
    "is_nan",
    "fraction()",
    "int()",
    "to_string()",
    "to_hex()",
    "to_binary()",
    "is_odd()",
    "bits",
    "log(2.0)",
    "to_json()",
    "is_zero",
];

const OPERATORS: [&str; 20] =
    ["+", "-", "*", "/", "%", "**", "<<", ">>", "&", "|", "^", "==", "!=", "<", "<=", ">", ">=", "&&", "||", "??"];

const WITH_CLOSURE: [&str; 21] = [
    "sort",
    "sort_by",
    "order",
    "order_by",
    "filter",
    "some",
    "all",
    "find",
    "find_map",
    "index_of",
    "retain",
    "drain",
    "dedup",
    "map",
    "reduce",
    "reduce_rev",
    "for_each",
    "zip",
    "contains",
    "split",
    "nothing",
];

const PLAIN: [&str; 20] = [
    "sort()",
    "sort_desc()",
    "order()",
    "order_desc()",
    "dedup()",
    "reverse()",
    "pop()",
    "shift()",
    "len()",
    "clear()",
    "to_json()",
    "sum()",
    "keys()",
    "values()",
    "is_empty()",
    "to_string()",
    "chars()",
    "to_upper()",
    "split()",
    "trim()",
];

const BODIES: [&str; 20] = [
    "x",
    "x > 1",
    "x - y",
    "x % 2",
    "x.v",
    "x.nothing",
    "x[0]",
    "throw x",
    "throw",
    "a.push(x)",
    "a.clear()",
    "f(x)",
    "1 / 0",
    "()",
    "0.0 / 0.0",
    "this",
    "x == y",
    "x + y",
    "return x",
    "if x > 1 { throw \"deep\" } else { x }",
];

/// Draws the parts of a script.
struct Draw(Rng);

impl Draw {
    fn of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.0.below(all.len())]
    }

    fn number(&mut self) -> String {
        self.of(&NUMBERS).to_string()
    }

    /// Any value, also arrays of many numbers with every few NaN.
    fn value(&mut self) -> String {
        match self.0.below(8) {
            0..3 => self.number(),
            3 => {
                let n = self.0.below(40);
                format!("[{}]", (0..n).map(|_| self.number()).collect::<Vec<_>>().join(", "))
            }
            4 => ["a", "m", "n", "s"][self.0.below(4)].to_string(),
            _ => self.of(&VALUES).to_string(),
        }
    }

    fn closure(&mut self) -> String {
        let parameters = self.of(&["|x|", "|x, y|", "|x, y|", "||", "|x, y, z|", "|y|"]);
        let body = self.of(&BODIES);
        // A name that is no parameter would be a mistake before anything runs.
        let names = [("x", "1"), ("y", "2")];
        let body = names.iter().filter(|(name, _)| !parameters.contains(name)).fold(
            body.to_string(),
            |body, (name, value)| {
                body.split_inclusive(|c: char| !c.is_alphanumeric())
                    .map(|part| {
                        let word = part.trim_end_matches(|c: char| !c.is_alphanumeric());
                        if word == *name { part.replacen(name, value, 1) } else { part.to_string() }
                    })
                    .collect()
            },
        );
        format!("{parameters} {{ {body} }}")
    }

    fn expression(&mut self) -> String {
        match self.0.below(9) {
            0 => format!("({} {} {})", self.value(), self.of(&OPERATORS), self.value()),
            1 => format!("({} {} {})", self.number(), self.of(&OPERATORS), self.number()),
            2 => format!("{}.{}", self.number(), self.of(&NUMBER_METHODS)),
            3 => format!("{}.{}", self.value(), self.of(&PLAIN)),
            4 | 5 => {
                let (array, method) = (self.of(&["a", "a", "m", "[3, 1, 2, 0.5]", "n", "s"]), self.of(&WITH_CLOSURE));
                let more = ["", "", ", 0", ", -1", ", [1]", ", \"x\""][self.0.below(6)];
                format!("{array}.{method}({}{more})", self.closure())
            }
            6 => format!("{}[{}]", self.of(&["a", "m", "s", "n"]), self.value()),
            7 => format!("({}).call({})", self.closure(), self.value()),
            _ => {
                let (n, value) = (self.number(), self.value());
                match self.0.below(8) {
                    0 => format!("a.pad({n}, {value})"),
                    1 => format!("a.insert({n}, {value})"),
                    2 => format!("a.extract({n}, {n})"),
                    3 => format!("s.sub_string({n}, {n})"),
                    4 => format!("a.splice({n}, {n}, [1])"),
                    5 => format!("{value}.{}", self.of(&["code", "message", "line", "help", "v", "nothing"])),
                    6 => format!("range({n}, {value}, {}).is_empty", self.number()),
                    _ => format!("[{value}, {n}].{}", self.of(&["mean()", "sum()", "max()", "min()"])),
                }
            }
        }
    }

    fn statement(&mut self, depth: usize) -> String {
        let expression = self.expression();
        match self.0.below(if depth > 2 { 4 } else { 9 }) {
            0 => format!("a = {expression};"),
            1 => format!("n = {expression};"),
            2 => format!("a.push({expression});"),
            3 => format!("{expression};"),
            4 => format!(
                "try {{ {} }} catch (e) {{ s = `${{e}}`; {} }}",
                self.statement(depth + 1),
                self.statement(depth + 1)
            ),
            5 => format!(
                "try {{ {} }} catch (e) {{ check(e.code, e.message, e.line); throw e }}",
                self.statement(depth + 1)
            ),
            6 => format!("for i in 0..3 {{ {} }}", self.statement(depth + 1)),
            7 => format!("throw {expression};"),
            _ => format!("try {{ {} }} catch {{ {} }}", self.statement(depth + 1), self.statement(depth + 1)),
        }
    }

    fn script(&mut self) -> String {
        let array = self.value();
        let statements: Vec<String> = (0..=self.0.below(5)).map(|_| self.statement(0)).collect();
        format!(
            "fn f(x) {{ f(x) }}\nfn check(code, message, line) {{ if type_of(code) != \"string\" || type_of(message) != \"string\" || \
             type_of(line) != \"i64\" {{ exit(9) }} }}\nlet a = {array}; let m = #{{ v: 1, w: 0.5 }}; let n = {}; let s = \"text\";\n\
             try {{\n{}\n}} catch (e) {{ check(e.code, e.message, e.line); }}\n",
            self.number(),
            statements.join("\n")
        )
    }
}

/// Runs one script; how its end is no plain one.
fn wrong(text: &str, root: &std::path::Path) -> Option<String> {
    let setup = Setup { root: root.to_path_buf(), stem: "x".into(), quiet: true, ..Setup::default() };
    let session = Arc::new(Session::new(setup).expect("a plain name"));
    let ran = guarded(|| {
        let engine = Arc::new(engine(&session));
        session.set_engine(&engine);
        let ast = run::parse(&engine, &session, "x.rhai", text)?;
        let ast = run::executable(&engine, &Scope::new(), ast, text);
        let outcome = engine.run_ast(&ast);
        outcome.map_err(|raised| Box::new(Report::new(&raised, "x.rhai", &engine, &session)))
    });
    match ran {
        Err(bug) => Some(format!("{bug}")),
        Ok(_) if session.ended() == Some(9) => Some("a caught error has not the shape of one".to_string()),
        Ok(Err(report)) => {
            report.draw(&session);
            let words = format!("{} {}", report.error, report.error.help.clone().unwrap_or_default());
            let raw = ["anon$", "ImmutableString", "a bug in saerun", "a getter is not", "Function not found"];
            let raw = raw.iter().find(|raw| words.contains(**raw));
            (report.error.code == Code::Internal || raw.is_some()).then_some(words)
        }
        Ok(Ok(())) => None,
    }
}

#[test]
fn programs_end_well_or_with_a_plain_error() {
    let run_all = || {
        let (seed, from) = (setting("SAERUN_FUZZ_SEED").unwrap_or(0), setting("SAERUN_FUZZ_FROM").unwrap_or(0));
        if std::env::var("SAERUN_FUZZ_ONLY").is_ok_and(|only| only != "programs") {
            return;
        }
        super::keep_quiet();
        super::QUIET.set(true);
        let root = super::folder();
        let mut found = Vec::new();
        for i in from..from + setting("SAERUN_FUZZ").unwrap_or(QUICK) {
            let text = Draw(Rng::new(seed, &format!("test fuzz programs {i}"))).script();
            if let Some(why) = wrong(&text, root.path()) {
                found.push(format!("script {i}: {why}\n{text}"));
            }
            if found.len() > 10 {
                break;
            }
        }
        super::QUIET.set(false);
        assert!(found.is_empty(), "seed {seed}:\n{}", found.join("\n\n"));
    };
    let thread = std::thread::Builder::new().stack_size(1 << 30).spawn(run_all).expect("a thread");
    if let Err(payload) = thread.join() {
        std::panic::resume_unwind(payload);
    }
}
