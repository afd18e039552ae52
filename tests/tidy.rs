//! The rules of the house, read off the sources: what must not be there. `src/lib.rs` states them in prose.

use std::fs;
use std::path::{Path, PathBuf};

/// The rooms of the core, from `ops` up.
const CORE: [&str; 14] = [
    "ops/",
    "torch/",
    "corpus/",
    "model/",
    "activations/",
    "sae/",
    "regularizer/",
    "geometry/",
    "compare/",
    "synthetic/",
    "progress.rs",
    "memory.rs",
    "input.rs",
    "contain.rs",
];

/// A source file: its path below `src/`, and its lines of code without comments.
struct Source {
    path: String,
    text: String,
    code: Vec<(usize, String)>,
}

impl Source {
    fn is_in(&self, places: &[&str]) -> bool {
        places.iter().any(|place| self.path.starts_with(place))
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below `dir`, in order; none when it is not there.
fn files(dir: &Path) -> Vec<PathBuf> {
    let Ok(items) = fs::read_dir(dir) else { return Vec::new() };
    let mut paths: Vec<_> = items.map(|item| item.expect("readable").path()).collect();
    paths.sort();
    paths.into_iter().flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn sources() -> Vec<Source> {
    let src = root().join("src");
    let found: Vec<_> = files(&src)
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).expect("UTF-8");
            let code = text
                .lines()
                .enumerate()
                .filter(|(_, line)| !line.trim_start().starts_with("//"))
                .map(|(i, line)| (i + 1, line.to_string()));
            let path = path.strip_prefix(&src).expect("below src").to_string_lossy().replace('\\', "/");
            Source { path, code: code.collect(), text }
        })
        .collect();
    assert!(found.len() > 20, "the sources were not found");
    found
}

/// Lists every line of code in `places`, and not in `except`, that holds one of `words`.
fn uses(places: &[&str], except: &[&str], words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources().iter().filter(|source| source.is_in(places) && !source.is_in(except)) {
        for (number, line) in &source.code {
            if let Some(word) = words.iter().find(|word| names(line, word)) {
                found.push(format!("src/{}:{number}: `{word}` in `{}`", source.path, line.trim()));
            }
        }
    }
    found
}

/// Whether the line holds `word` and not as a part of a longer name: `rand::` is not in `operand::`.
fn names(line: &str, word: &str) -> bool {
    let part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    line.match_indices(word).any(|(at, _)| {
        let first = word.chars().next();
        let last = word.chars().last();
        let joined_before = part(first) && part(line[..at].chars().last());
        let joined_after = part(last) && part(line[at + word.len()..].chars().next());
        !joined_before && !joined_after
    })
}

#[track_caller]
fn none(found: Vec<String>, rule: &str) {
    assert!(found.is_empty(), "{rule}:\n{}\n", found.join("\n"));
}

const EVERYWHERE: &[&str] = &[""];

#[test]
fn arrows_go_down_only() {
    let above = [
        "rhai",
        "polars",
        "plotters",
        "serde_yaml",
        "crate::host",
        "crate::report",
        "crate::store",
        "crate::cli",
        "crate::sweep",
    ];
    none(uses(&CORE, &[], &above), "the core knows nothing of scripts, tables, plots, files to write, or the terminal");
    let core = ["corpus", "model", "activations", "sae", "regularizer", "geometry", "compare", "synthetic"];
    let core: Vec<String> = core.iter().map(|room| format!("crate::{room}")).collect();
    let core: Vec<&str> = core.iter().map(String::as_str).collect();
    none(
        uses(&["ops/", "torch/", "store/", "report/"], &[], &core),
        "`ops`, `torch`, `store` and `report` know nothing of the core",
    );
    none(uses(&["store/"], &[], &["crate::host", "crate::report", "crate::cli"]), "the store lies below");
    none(uses(&["report/", "host/"], &[], &["crate::cli"]), "only `main` knows the command line");
    none(uses(&["report/"], &[], &["crate::host"]), "the report lies below the host");
    none(uses(&["sweep/"], &[], &["crate::host", "crate::cli"]), "a sweep runs scripts as processes and knows none");
    none(uses(&["host/", "report/", "store/"], &[], &["crate::sweep"]), "a script does not know that it is a cell");
    let bottom = ["bins.rs", "error.rs", "rng.rs", "progress.rs", "memory.rs", "input.rs", "contain.rs", "options.rs"];
    none(uses(&bottom, &[], &[&core[..], &["crate::ops", "crate::store"]].concat()), "the ground floor stands alone");
}

#[test]
fn each_library_has_its_rooms() {
    none(uses(EVERYWHERE, &["host/", "cli/"], &["rhai"]), "rhai appears only in `host/` and `cli/`");
    none(uses(EVERYWHERE, &["report/table/"], &["polars"]), "polars appears only in `report/table/`");
    none(uses(EVERYWHERE, &["report/plot/"], &["plotters"]), "plotters appears only in `report/plot/`");
    none(uses(EVERYWHERE, &["report/yaml.rs"], &["serde_yaml"]), "serde_yaml appears in one file");
    none(
        uses(EVERYWHERE, &["cli/", "host/", "main.rs"], &["indicatif", "anstream", "clap", "ctrlc", "rustyline"]),
        "the terminal",
    );
}

#[test]
fn only_the_store_and_the_report_write_files() {
    let writes = [
        "fs::write",
        "File::create",
        "File::options",
        "OpenOptions",
        "fs::create_dir",
        "fs::create_dir_all",
        "fs::rename",
        "fs::remove_file",
        "fs::remove_dir",
        "fs::remove_dir_all",
        "fs::copy",
        "serialize_to_file",
        "save_safetensors",
        "write_npy",
        "MmapMut",
    ];
    none(uses(EVERYWHERE, &["store/", "report/"], &writes), "nothing but `store/` and `report/` writes a file");
}

#[test]
fn results_depend_on_nothing_but_the_script() {
    let random = ["rand::", "rand_chacha", "fastrand", "getrandom", "Tensor::rand", "Tensor::randn", "thread_rng"];
    none(uses(EVERYWHERE, &["rng.rs"], &random), "nothing but `rng.rs` makes a random number");
    let moment = ["SystemTime", "Instant", "env::var", "hostname", "thread::current", "available_parallelism"];
    let calm = [&CORE[..], &["store/", "report/", "rng.rs", "error.rs"]].concat();
    none(uses(&calm, &[], &moment), "no clock, no environment and no host below the script host");
    none(uses(&calm, &[], &["HashMap", "HashSet", "VarMap"]), "no order that differs from run to run");
    let prints = ["println!", "print!", "eprintln!", "eprint!", "dbg!"];
    none(uses(&calm, &[], &prints), "only the host and the command line talk");
}

#[test]
fn nothing_is_left_undone() {
    // Put together here, so that this file does not hold them itself.
    let marks = ["todo", "unimplemented", "dbg"].map(|word| format!("{word}!"));
    let words: Vec<&str> = marks.iter().map(String::as_str).chain([".unwrap()", "unreachable!()"]).collect();
    none(uses(EVERYWHERE, &[], &words), "no gaps, and no `unwrap`: say in `expect` why it cannot fail");
    let mut found = Vec::new();
    for path in [files(&root().join("src")), files(&root().join("tests"))].concat() {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let bad = [["#[ig", "nore"].concat(), ["TO", "DO"].concat(), ["FIX", "ME"].concat(), ["XX", "X"].concat()];
        let hit = bad.iter().find(|word| path.extension().is_some_and(|e| e == "rs") && text.contains(word.as_str()));
        found.extend(hit.map(|word| format!("{}: {word}", path.display())));
    }
    none(found, "no skipped test and no note to oneself");
}

#[test]
fn files_are_short_named_and_introduced() {
    let mut found = Vec::new();
    for source in sources() {
        let lines = source.text.lines().count();
        if lines > 400 {
            found.push(format!("src/{} has {lines} lines", source.path));
        }
        let name = source.path.rsplit('/').next().unwrap_or_default();
        if ["utils.rs", "util.rs", "common.rs", "helpers.rs", "helper.rs", "types.rs", "misc.rs"].contains(&name) {
            found.push(format!("src/{}: name it by what it holds", source.path));
        }
        let begin = match name.rsplit_once('.') {
            Some((_, "css" | "js")) => ["/* ", "// "],
            _ => ["//!", "//!"],
        };
        if !begin.iter().any(|begin| source.text.starts_with(begin)) {
            found.push(format!("src/{} does not begin with what it is for", source.path));
        }
        if source.text.contains('\r') || source.text.contains('\t') {
            found.push(format!("src/{} has tabs or carriage returns", source.path));
        }
    }
    none(found, "files of at most 400 lines, with a name and a first line that say what they hold");
}

#[test]
fn bindings_are_short() {
    let mut found = Vec::new();
    for source in sources().iter().filter(|source| source.is_in(&["host/bind/"])) {
        let mut open: Option<(usize, &str)> = None;
        for (number, line) in source.text.lines().enumerate() {
            if line.starts_with("    pub fn ") {
                open = Some((number, line));
            }
            if let Some((start, signature)) = open.filter(|_| line == "    }" || line.ends_with("{}")) {
                if number - start > 20 {
                    found.push(format!(
                        "src/{}:{}: {} lines: {}",
                        source.path,
                        start + 1,
                        number - start,
                        signature.trim()
                    ));
                }
                open = None;
            }
        }
    }
    none(found, "a binding unpacks, calls the core once, wraps: about 15 lines, never above 20");
}

/// A member of a family is one file and one row: its identifier stands nowhere else in the code.
#[test]
fn a_member_is_one_file_and_one_row() {
    let mut found = Vec::new();
    // `three_term` is the sum of three others. These names are also those of measures, of kernels, or part of a formula elsewhere.
    let measures = ["mean_cos", "mean_max_cos", "max_max_cos", "frame_potential"];
    let kernels = ["hinge", "log_sum_exp", "soft_orthogonality"];
    for entry in &saerun::regularizer::ALL {
        let own = format!("regularizer/{}.rs", entry.name);
        assert!(root().join("src").join(&own).is_file(), "{own}");
        if measures.contains(&entry.name) {
            continue;
        }
        let mut except = vec![own.as_str(), "regularizer/mod.rs", "regularizer/three_term.rs"];
        if kernels.contains(&entry.name) {
            except.extend(["ops/", "regularizer/double_soft_orthogonality.rs"]);
        }
        let places = EVERYWHERE;
        found.extend(uses(places, &except, &[entry.name]));
    }
    none(found, "a regularizer stands in its own file and in its family's table");
}

#[test]
fn committed_text_names_no_machine() {
    let mut found = Vec::new();
    let mut texts = vec![root().join("README.md")];
    for dir in ["docs", "scripts", "results", "assets", "src"] {
        texts.extend(files(&root().join(dir)));
    }
    let plain = ["md", "rhai", "csv", "yaml", "svg", "json", "rs", "txt"];
    for path in texts.into_iter().filter(|path| path.extension().is_some_and(|e| plain.iter().any(|p| e == *p))) {
        // The corpora are other people's prose.
        let Ok(text) = fs::read_to_string(&path) else { continue };
        if path.starts_with(root().join("assets/corpora")) || path.starts_with(root().join("assets/corpus")) {
            continue;
        }
        let places = ["home", "root", "tmp", "work", "Users", "mnt"].map(|place| format!("/{place}/"));
        for (i, line) in text.lines().enumerate() {
            // A path begins a word; `github.com/home/` does not count.
            let hit = places.iter().find(|place| {
                line.match_indices(place.as_str()).any(|(at, _)| {
                    !line[..at]
                        .chars()
                        .last()
                        .is_some_and(|c| c.is_alphanumeric() || matches!(c, '.' | '/' | '_' | '-' | '>' | '~'))
                })
            });
            found.extend(hit.map(|place| format!("{}:{}: `{place}`", path.display(), i + 1)));
        }
    }
    none(found, "no absolute path of a machine");
}

#[test]
fn every_result_has_its_script() {
    let mut found = Vec::new();
    let results = root().join("results");
    for path in files(&results) {
        let inside = path.strip_prefix(&results).expect("below results");
        let mut parts = inside.iter();
        let (Some(stem), Some(_)) = (parts.next(), parts.next()) else { continue };
        // Figures of `saerun repl`, which are not committed.
        if stem == "repl" {
            continue;
        }
        // `cargo bench -- --save` leaves results/bench.
        let program = if stem == "bench" {
            "tests/bench/main.rs".into()
        } else {
            Path::new("scripts").join(stem).with_extension("rhai")
        };
        if !root().join(program).is_file() {
            found.push(format!("results/{}", inside.display()));
        }
    }
    none(found, "every folder of results/ has a script of that name");
}

#[test]
fn the_embedded_default_stays_small() {
    let (shown, embedded): (Vec<_>, Vec<_>) =
        files(&root().join("assets")).into_iter().partition(|path| path.starts_with(root().join("assets/screenshots")));
    let size = |paths: &[PathBuf]| paths.iter().map(|path| fs::metadata(path).expect("readable").len()).sum::<u64>();
    let bytes = size(&embedded);
    assert!(bytes <= 45_000_000, "assets/ holds {bytes} bytes");
    let bytes = size(&shown);
    assert!(bytes <= 600_000, "assets/screenshots/ holds {bytes} bytes");
}
