//! `saerun verify`: runs scripts again from their locks, without what is remembered, and compares the results.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};

use super::run::Format;
use super::{Failure, limits, project};
use crate::error::{Code, Error};
use crate::host::committed::{self, Committed, Fault};
use crate::report::compare::{self, Difference};
use crate::report::number::duration;
use crate::report::yaml;
use crate::store::{self, Lock};

/// Results are not what their lock says.
const DIFFERENT: u8 = 3;

/// `--quick` takes what is known to take no longer.
const QUICK: f64 = 60.0;

/// What `saerun verify` takes.
#[derive(Args)]
#[command(after_help = AFTER)]
pub struct Arguments {
    /// Scripts, or folders of results [default: every folder of results/ that has a run.yaml]
    #[arg(value_name = "SCRIPT|RESULTS")]
    what: Vec<PathBuf>,
    /// Run once with each of these numbers of threads, such as 1,2
    #[arg(long, value_name = "N,..", value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..))]
    threads: Vec<u16>,
    /// Only what is known to take less than a minute, or says `// verify: quick` before its code
    #[arg(long)]
    quick: bool,
    /// Run nothing: only see whether files, locks and scripts belong together
    #[arg(long, conflicts_with = "quick")]
    no_run: bool,
    /// Use what is remembered: quick, but then a result that was wrong when it was remembered stays wrong
    #[arg(long)]
    cached: bool,
    /// Let scripts read this folder or file outside the project, as their runs were allowed to; may be repeated
    #[arg(long, value_name = "PATH")]
    allow_read: Vec<PathBuf>,
    /// Print nothing on stderr but warnings and errors
    #[arg(long, short)]
    quiet: bool,
    /// What goes to stdout: a line for people, or a JSON object, for each comparison
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Not possible: a lock fixes every parameter
    #[arg(long = "set", hide = true)]
    set: Vec<String>,
}

const AFTER: &str = "\
Example:
  saerun verify results/peaks --threads 1,2

  results/peaks: differs at 2 threads
    scores.csv row 1, column `l0`: 17.8 -> 17.9 (0.1 apart)

First the files are compared with the lock: a table that was edited by hand, or committed with the
lock of another run, is said so at once, and so is a script that has changed since. Then the script
runs with the parameters of the lock, in a temporary folder. On a processor with the instructions
that the lock names, every byte must be the same. On another one, floats of tables may differ by a
part in a thousand, or by what the script allows: t.save(\"scores\", #{ tolerance: #{ l0: 0.1 } });
ints and text may not.

Exit codes: 0 all is the same, 1 a script failed, 3 something differs.";

/// How a comparison came out.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Verdict {
    Same,
    Within,
    Matches,
    Mismatch,
    Differs,
    Failed(u8),
}

/// A comparison, and what there is to say of it.
struct Outcome {
    verdict: Verdict,
    threads: Option<u16>,
    seconds: f64,
    faults: Vec<Fault>,
    first: Option<(String, Difference)>,
    also: Vec<String>,
    cause: Option<String>,
}

/// Verifies all that was asked for.
pub(super) fn verify(arguments: &Arguments) -> Result<(), Failure> {
    let root = project()?;
    if !arguments.set.is_empty() {
        let error = Error::new(Code::Failed, "`verify` takes no parameters: a lock fixes all of them");
        return Err(Failure::usage(error.help("`saerun run SCRIPT --set ..` runs with others")));
    }
    let all = chosen(&root, &arguments.what)?;
    let runs = store::runs(&root);
    let times: Vec<Option<f64>> = all.iter().map(|one| committed::time_of(&one.lock, &runs)).collect();
    let quick = |one: &Committed, time: Option<f64>| {
        !arguments.quick || time.is_some_and(|time| time < QUICK) || committed::is_declared_quick(&root, &one.lock)
    };
    let picked: Vec<_> = all.iter().zip(times).filter(|(one, time)| quick(one, *time)).collect();
    announce(arguments, &picked);
    let limits::Watched { stop, .. } = limits::watch_signals(true);
    let mut verdicts = Vec::new();
    for (one, _) in &picked {
        let faults = committed::faults(&root, one);
        if !faults.is_empty() || arguments.no_run {
            let verdict = if faults.is_empty() { Verdict::Matches } else { Verdict::Mismatch };
            verdicts.push(tell(arguments, one, &Outcome { faults, ..Outcome::new(verdict, None, 0.0) }));
            continue;
        }
        let threads: Vec<Option<u16>> = arguments.threads.iter().copied().map(Some).collect();
        for threads in if threads.is_empty() { vec![None] } else { threads } {
            verdicts.push(tell(arguments, one, &again(&root, one, threads, arguments, &stop)?));
        }
    }
    let bad = verdicts.iter().filter(|v| !matches!(v, Verdict::Same | Verdict::Within | Verdict::Matches)).count();
    let differs = verdicts.iter().any(|v| matches!(v, Verdict::Differs | Verdict::Mismatch));
    let exit_code = verdicts.iter().find_map(|v| if let Verdict::Failed(code) = v { Some(*code) } else { None });
    match bad {
        0 => Ok(()),
        _ => Err(Failure {
            text: format!("error: {bad} of {} comparisons did not come out the same", verdicts.len()),
            exit_code: if differs { DIFFERENT } else { exit_code.unwrap_or(1) },
        }),
    }
}

/// The results that were named, or all.
fn chosen(root: &Path, what: &[PathBuf]) -> Result<Vec<Committed>, Failure> {
    if !what.is_empty() {
        return what.iter().map(|what| committed::of(root, what).map_err(Failure::usage)).collect();
    }
    let all: Vec<Committed> = committed::all(root).into_iter().map(|(_, read)| read).collect::<Result<_, _>>()?;
    if all.is_empty() {
        let error = Error::new(Code::MissingFile, "no folder of results/ has a lock");
        return Err(Failure::usage(error.help("run a script first: it leaves results/SCRIPT/run.yaml")));
    }
    Ok(all)
}

/// Says what will run and how long that took, before it does.
fn announce(arguments: &Arguments, picked: &[(&Committed, Option<f64>)]) {
    if arguments.quiet || arguments.no_run {
        return;
    }
    if picked.is_empty() {
        anstream::eprintln!("nothing here is known to be quick");
    }
    for (one, time) in picked {
        let time = time
            .map_or("how long that takes is not on record".to_string(), |t| format!("took {} last time", duration(t)));
        anstream::eprintln!("verify {}: {}, {time}", one.name, one.lock.script.file);
    }
}

impl Outcome {
    fn new(verdict: Verdict, threads: Option<u16>, seconds: f64) -> Outcome {
        Outcome { verdict, threads, seconds, faults: Vec::new(), first: None, also: Vec::new(), cause: None }
    }
}

/// Runs the script of a lock in a process of its own, since the number of threads is fixed once for each, and compares.
fn again(
    root: &Path,
    one: &Committed,
    threads: Option<u16>,
    arguments: &Arguments,
    stop: &AtomicBool,
) -> Result<Outcome, Failure> {
    let scratch = store::scratch(root)?;
    let (params, out) = (scratch.path().join("params.yaml"), scratch.path().join("results"));
    store::write_atomic(&params, json!(one.lock.params).to_string().as_bytes())?;
    let cache = if arguments.cached { root.join(".saerun").join("cache") } else { scratch.path().join("cache") };
    let program = std::env::current_exe().map_err(|error| Error::new(Code::Internal, error.to_string()))?;
    let mut command = Command::new(program);
    command.current_dir(root).args(["run", &one.lock.script.file]).arg("--out").arg(&out);
    command.arg("--verify-in").arg(cache).stdin(Stdio::null()).stdout(Stdio::null());
    if !one.lock.params.is_empty() {
        command.arg("--params").arg(&params);
    }
    if let Some(threads) = threads {
        command.args(["--threads", &threads.to_string()]);
    }
    for path in &arguments.allow_read {
        command.arg("--allow-read").arg(path);
    }
    if arguments.quiet {
        command.arg("--quiet");
    }
    let begin = Instant::now();
    let child = command.spawn().map_err(|error| Error::new(Code::Internal, format!("cannot run saerun: {error}")))?;
    let code = wait(child, stop)?;
    let seconds = begin.elapsed().as_secs_f64();
    if stop.load(Ordering::Relaxed) {
        return Err(Failure::from(Error::new(Code::Interrupted, "interrupted")));
    }
    if code != 0 {
        return Ok(Outcome::new(Verdict::Failed(code), threads, seconds));
    }
    let lock = match std::fs::read_to_string(out.join("run.yaml")) {
        Ok(text) => Some(yaml::lock_from_yaml(&text)?),
        Err(_) => None,
    };
    Ok(Outcome { threads, seconds, ..compared(one, &out, lock.as_ref()) })
}

/// The exit code of the run; a signal that reaches only this process ends the run too.
fn wait(mut child: Child, stop: &AtomicBool) -> Result<u8, Failure> {
    let mut stopped: Option<Instant> = None;
    loop {
        let failed = |error: std::io::Error| Error::new(Code::Internal, format!("lost the run: {error}"));
        if let Some(status) = child.try_wait().map_err(failed)? {
            return Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1));
        }
        if stop.load(Ordering::Relaxed) && stopped.get_or_insert_with(Instant::now).elapsed() > Duration::from_secs(2) {
            let _ = child.kill();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The files of the lock beside those of the new run, tables first.
fn compared(one: &Committed, out: &Path, lock: Option<&Lock>) -> Outcome {
    let same_kernel = one.lock.kernel.as_deref() == Some(crate::ops::kernel::kernel().name);
    let mut names: Vec<&String> = one.lock.outputs.keys().collect();
    names.extend(lock.iter().flat_map(|lock| lock.outputs.keys()).filter(|name| !one.lock.outputs.contains_key(*name)));
    names.sort_by_key(|name| (!name.ends_with(".csv"), name.as_str()));
    let mut outcome = Outcome::new(Verdict::Same, None, 0.0);
    for name in names {
        let read = |dir: &Path| std::fs::read(dir.join(name)).unwrap_or_default();
        let (old, new) = (read(&one.dir), read(out));
        if old == new {
            continue;
        }
        let difference = if same_kernel {
            compare::differences(name, &old, &new).into_iter().next()
        } else if is_copy(name, &one.lock) {
            None
        } else {
            let tolerance = one.lock.outputs.get(name).map(|written| written.tolerance.clone()).unwrap_or_default();
            compare::beyond(name, &old, &new, &tolerance)
        };
        match difference {
            None if outcome.verdict == Verdict::Same => outcome.verdict = Verdict::Within,
            None => {}
            Some(difference) => {
                outcome.verdict = Verdict::Differs;
                match outcome.first {
                    None => outcome.first = Some((name.clone(), difference)),
                    Some(_) => outcome.also.push(name.clone()),
                }
            }
        }
    }
    if outcome.verdict == Verdict::Differs {
        outcome.cause = lock.and_then(|lock| cause(&one.lock, lock));
    }
    outcome
}

/// Whether the file is the rounded form of a table, which is judged by its cells.
fn is_copy(name: &str, lock: &Lock) -> bool {
    name.strip_suffix(".md").is_some_and(|stem| lock.outputs.contains_key(&format!("{stem}.csv")))
}

/// What went in otherwise: an input of the run, or the first step that is not the lock's.
fn cause(old: &Lock, new: &Lock) -> Option<String> {
    let input = new.inputs.iter().find(|(name, digest)| old.inputs.get(*name).is_some_and(|was| was != *digest));
    if let Some((name, _)) = input {
        return Some(format!("the input `{name}` has another content than in the lock"));
    }
    let partners = store::aligned(&old.steps, &new.steps);
    let (step, was) = new.steps.iter().zip(partners).find(|(step, was)| was.is_none_or(|was| was.key != step.key))?;
    let changes: Vec<String> =
        was.map(|was| store::changes(was, step)).unwrap_or_default().iter().map(ToString::to_string).collect();
    let what = if changes.is_empty() { "it is not in the lock".to_string() } else { changes.join("; ") };
    let version =
        if old.saerun == new.saerun { String::new() } else { format!(" (the lock is of saerun {})", old.saerun) };
    Some(format!("the first step that is not the lock's: {}: {what}{version}", step.function))
}

/// Prints an outcome and gives its verdict.
fn tell(arguments: &Arguments, one: &Committed, outcome: &Outcome) -> Verdict {
    if arguments.format == Format::Json {
        anstream::println!("{}", as_json(one, outcome));
        return outcome.verdict;
    }
    let at = match outcome.threads {
        None => String::new(),
        Some(1) => " at 1 thread".to_string(),
        Some(n) => format!(" at {n} threads"),
    };
    let (was, here) = (one.lock.kernel.as_deref().unwrap_or("unknown"), crate::ops::kernel::kernel().name);
    let text = match outcome.verdict {
        Verdict::Same => "the same bytes".to_string(),
        Verdict::Within => format!("the same within the tolerance (instructions of the lock: {was}, here: {here})"),
        Verdict::Matches => "files, lock and script belong together".to_string(),
        Verdict::Mismatch if outcome.faults.iter().any(Fault::is_of_results) => "does not match its lock".to_string(),
        Verdict::Mismatch => "was made by another version of its script".to_string(),
        Verdict::Differs => "differs".to_string(),
        Verdict::Failed(code) => format!("the script failed with exit code {code}"),
    };
    anstream::println!("{}: {text}{at}", one.name);
    for fault in &outcome.faults {
        anstream::println!("  {fault}");
    }
    if let Some((file, difference)) = &outcome.first {
        anstream::println!("  {file} {}", difference.to_string().replace('\n', "\n  "));
    }
    if !outcome.also.is_empty() {
        anstream::println!("  also different: {}", outcome.also.join(", "));
    }
    if let Some(cause) = &outcome.cause {
        anstream::println!("  {cause}");
    }
    outcome.verdict
}

fn as_json(one: &Committed, outcome: &Outcome) -> Value {
    let verdict = match outcome.verdict {
        Verdict::Same => "same",
        Verdict::Within => "within_tolerance",
        Verdict::Matches => "matches",
        Verdict::Mismatch => "mismatch",
        Verdict::Differs => "differs",
        Verdict::Failed(_) => "failed",
    };
    json!({
        "event": "verified",
        "results": one.name,
        "script": one.lock.script.file,
        "threads": outcome.threads,
        "verdict": verdict,
        "seconds": outcome.seconds,
        "faults": outcome.faults,
        "file": outcome.first.as_ref().map(|(file, _)| file),
        "difference": outcome.first.as_ref().map(|(_, difference)| difference),
        "also": outcome.also,
        "cause": outcome.cause,
    })
}
