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
use crate::host::output::{errln, outln};
use crate::report::compare::{self, Difference};
use crate::report::number::duration;
use crate::report::yaml;
use crate::store::{self, Lock};
use crate::sweep;

/// Results are not what their lock says.
const DIFFERENT: u8 = 3;

/// `--quick` takes what is known to take no longer.
const QUICK: f64 = 60.0;

/// How long a run that is asked to stop may take: it is not kept anyway.
const PATIENCE: Duration = Duration::from_millis(1500);

/// What `saerun verify` takes.
#[derive(Args)]
#[command(after_help = AFTER)]
pub struct Arguments {
    /// Scripts, or folders of results [default: every folder of results/ that has a run.yaml]
    #[arg(value_name = "SCRIPT|RESULTS")]
    what: Vec<PathBuf>,
    /// Run once with each of these numbers of threads, such as 1,2
    #[arg(long, value_name = "N,..", value_delimiter = ',', value_parser = super::threads::threads)]
    threads: Vec<u16>,
    /// Only what is known to take less than a minute, or says `// verify: quick` before its code
    #[arg(long)]
    quick: bool,
    /// Run nothing: only see whether files, locks, scripts and inputs belong together
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
lock of another run, is said so at once, and so is a lock that was edited, and a script or an input
that has changed since. Then the script runs with the parameters of the lock, in a temporary folder.
On a processor with the instructions that the lock names, every byte must be the same. On another
one, floats of tables may differ by a part in a thousand, or by what the script allows:
t.save(\"scores\", #{ tolerance: #{ l0: 0.1 } }); ints and text may not.

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
    let (all, damaged) = chosen(&root, &arguments.what)?;
    let runs = store::runs(&root);
    let times: Vec<Option<f64>> = all.iter().map(|one| committed::time_of(&one.lock, &runs)).collect();
    let quick = |one: &Committed, time: Option<f64>| {
        !arguments.quick || time.is_some_and(|time| time < QUICK) || committed::is_declared_quick(&root, &one.lock)
    };
    let picked: Vec<_> = all.iter().zip(times).filter(|(one, time)| quick(one, *time)).collect();
    announce(arguments, &picked);
    let watched = limits::watch_signals(true);
    let stop = &watched.stop;
    let mut verdicts: Vec<Verdict> = damaged.iter().map(|(name, error)| tell_damaged(arguments, name, error)).collect();
    for (one, _) in &picked {
        let faults = committed::faults(&root, one, stop).map_err(|_| watched.stopped())?;
        if !faults.is_empty() || arguments.no_run {
            let verdict = if faults.is_empty() { Verdict::Matches } else { Verdict::Mismatch };
            verdicts.push(tell(arguments, one, &Outcome { faults, ..Outcome::new(verdict, None, 0.0) }));
            continue;
        }
        let threads: Vec<Option<u16>> = arguments.threads.iter().copied().map(Some).collect();
        for threads in if threads.is_empty() { vec![None] } else { threads } {
            verdicts.push(tell(arguments, one, &again(&root, one, threads, arguments, &watched)?));
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

/// The results that were named, or all; apart from them those whose lock is damaged, which does not keep the others from being
/// compared.
type Chosen = (Vec<Committed>, Vec<(String, Error)>);

fn chosen(root: &Path, what: &[PathBuf]) -> Result<Chosen, Failure> {
    let named = |what: &PathBuf| (what.to_string_lossy().into_owned(), committed::of(root, what));
    let all = if what.is_empty() { committed::all(root) } else { what.iter().map(named).collect() };
    if all.is_empty() {
        let error = Error::new(Code::MissingFile, "no folder of results/ has a lock");
        return Err(Failure::usage(error.help("run a script first: it leaves results/SCRIPT/run.yaml")));
    }
    let (mut good, mut damaged) = (Vec::new(), Vec::new());
    for (name, read) in all {
        match read {
            Ok(one) => good.push(one),
            Err(error) if error.code == Code::DamagedFile => damaged.push((name, error)),
            Err(error) => return Err(Failure::usage(error)),
        }
    }
    Ok((good, damaged))
}

/// Says that a lock cannot be read.
fn tell_damaged(arguments: &Arguments, name: &str, error: &Error) -> Verdict {
    let cause = error.to_string().replace('\n', " ");
    if arguments.format == Format::Json {
        outln!("{}", json!({ "event": "verified", "results": name, "verdict": "damaged", "cause": cause }));
    } else {
        outln!("{name}: its lock is damaged\n  {cause}");
        error.help.iter().for_each(|help| outln!("  {help}"));
    }
    Verdict::Mismatch
}

/// Says what will run and how long that took, before it does.
fn announce(arguments: &Arguments, picked: &[(&Committed, Option<f64>)]) {
    if arguments.quiet || arguments.no_run {
        return;
    }
    if picked.is_empty() {
        errln!("nothing here is known to be quick");
    }
    for (one, time) in picked {
        let time = time
            .map_or("how long that takes is not on record".to_string(), |t| format!("took {} last time", duration(t)));
        errln!("verify {}: {}, {time}", one.name, one.lock.script.file);
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
    watched: &limits::Watched,
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
    let code = wait(child, &watched.stop)?;
    let seconds = begin.elapsed().as_secs_f64();
    if watched.stop.load(Ordering::Relaxed) {
        return Err(watched.stopped());
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
        match stopped {
            None if stop.load(Ordering::Relaxed) => {
                stopped = Some(Instant::now());
                sweep::ask_to_stop(&mut child);
            }
            Some(since) if since.elapsed() > PATIENCE => {
                let _ = child.kill();
            }
            _ => {}
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
        outln!("{}", as_json(one, outcome));
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
        Verdict::Mismatch if outcome.faults.iter().all(Fault::is_of_inputs) => "was made from other inputs".to_string(),
        Verdict::Mismatch => "was made by another version of its script".to_string(),
        Verdict::Differs => "differs".to_string(),
        Verdict::Failed(code) => format!("the script failed with exit code {code}"),
    };
    outln!("{}: {text}{at}", one.name);
    for fault in &outcome.faults {
        outln!("  {fault}");
    }
    if let Some((file, difference)) = &outcome.first {
        outln!("  {file} {}", difference.to_string().replace('\n', "\n  "));
    }
    if !outcome.also.is_empty() {
        outln!("  also different: {}", outcome.also.join(", "));
    }
    if let Some(cause) = &outcome.cause {
        outln!("  {cause}");
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
