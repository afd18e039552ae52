//! Every reader on damaged and hostile files: `Ok` or a plain error, never a panic, a hang or a flood of memory.
//!
//! Small whole files are made worse at random (`fuzz/mutate.rs`), also inside of what a format checks first: the text in a gzip,
//! the pickle in an archive, the header behind its length. Each input is read under `catch_unwind`, with every allocation of the
//! thread counted: at most [`ROOM`] and [`FOLD`] times the file may be held at a time. A thread ends the process when an input
//! takes longer than [`PATIENCE`].
//!
//! By default up to a thousand inputs a reader; `SAERUN_FUZZ=1000000` sets the number, `SAERUN_FUZZ_SEED` another seed than 0:
//! `SAERUN_FUZZ=1000000 cargo test --release fuzz:: -- --nocapture` prints a line a reader. Everything is drawn by a seed, the
//! reader's name and the input's number, so a failure is found again by its number: `SAERUN_FUZZ_FROM` sets the first one, and
//! `SAERUN_FUZZ_ONLY` the one reader.

mod memory;
mod mutate;
mod options;
mod programs;
mod readers;
mod scripts;

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use saerun::rng::Rng;

pub use readers::archive;

/// What a reader may hold besides the file's own size.
const ROOM: usize = 96 << 20;
const FOLD: usize = 256;

/// How long an input of at most a megabyte may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// Inputs by default.
const QUICK: u64 = 1000;

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

thread_local! {
    /// Whether a panic of this thread is expected to be caught and told elsewhere.
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Panics of the readers under test are reported with their input.
fn keep_quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let print = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !QUIET.try_with(Cell::get).unwrap_or(false) {
                print(info);
            }
        }));
    });
}

/// What happened to one input.
#[derive(PartialEq)]
enum Verdict {
    Read,
    Refused,
    Wrong(String),
}

/// Reads one input. A reader gives whether it took the file, or how its error is no plain one.
fn judge(bytes: &[u8], read: &dyn Fn(&[u8]) -> Result<bool, String>) -> Verdict {
    QUIET.set(true);
    let (outcome, held, largest) = memory::measured(|| catch_unwind(AssertUnwindSafe(|| read(bytes))));
    QUIET.set(false);
    let allowed = ROOM + FOLD * bytes.len();
    match outcome {
        Err(payload) => {
            let text = payload.downcast_ref::<String>().cloned();
            let text = text.or_else(|| payload.downcast_ref::<&str>().map(ToString::to_string));
            Verdict::Wrong(format!("panic: {}", text.unwrap_or_default()))
        }
        Ok(Err(why)) => Verdict::Wrong(why),
        Ok(Ok(_)) if held > allowed || largest > allowed => {
            Verdict::Wrong(format!("{held} bytes held, {largest} asked for at once, of a file of {}", bytes.len()))
        }
        Ok(Ok(true)) => Verdict::Read,
        Ok(Ok(false)) => Verdict::Refused,
    }
}

/// Reads as many inputs as asked for; `files` are whole, and each must be read. `share` of the default number where reading
/// is slow.
fn fuzz(name: &str, share: f64, files: &[Vec<u8>], read: &dyn Fn(&[u8]) -> Result<bool, String>) {
    keep_quiet();
    for (i, file) in files.iter().enumerate() {
        assert_eq!(read(file), Ok(true), "{name}: file {i} is whole");
    }
    if std::env::var("SAERUN_FUZZ_ONLY").is_ok_and(|only| only != name) {
        return;
    }
    let count = setting("SAERUN_FUZZ").unwrap_or((QUICK as f64 * share) as u64);
    let (seed, from) = (setting("SAERUN_FUZZ_SEED").unwrap_or(0), setting("SAERUN_FUZZ_FROM").unwrap_or(0));
    let now = AtomicU64::new(from);
    let ended = AtomicU64::new(0);
    let begin = Instant::now();
    let mut taken = 0;
    let mut wrong: Vec<String> = Vec::new();
    std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let (mut last, mut since) = (u64::MAX, Instant::now());
            while ended.load(Ordering::Relaxed) == 0 {
                std::thread::park_timeout(PATIENCE / 4);
                let at = now.load(Ordering::Relaxed);
                if at != last {
                    (last, since) = (at, Instant::now());
                } else if since.elapsed() > PATIENCE {
                    eprintln!("{name}: input {at} takes longer than {PATIENCE:?}");
                    std::process::abort();
                }
            }
        });
        for i in from..from + count {
            now.store(i, Ordering::Relaxed);
            let bytes = mutate::mutated(files, &mut Rng::new(seed, &format!("test fuzz {name} {i}")));
            match judge(&bytes, read) {
                Verdict::Read => taken += 1,
                Verdict::Refused => {}
                Verdict::Wrong(why) => {
                    if let Ok(folder) = std::env::var("SAERUN_FUZZ_KEEP") {
                        std::fs::write(format!("{folder}/{name}-{i}"), &bytes).expect("a folder for failures");
                    }
                    wrong.push(format!("input {i}: {why}"));
                }
            }
            if wrong.len() > 20 {
                break;
            }
        }
        ended.store(1, Ordering::Relaxed);
        watch.thread().unpark();
    });
    if setting("SAERUN_FUZZ").is_some() {
        println!(
            "fuzz {name}: {count} inputs, {taken} read, {} wrong, {:.1} s",
            wrong.len(),
            begin.elapsed().as_secs_f64()
        );
    }
    assert!(wrong.is_empty(), "{name}, seed {seed}:\n{}", wrong.join("\n"));
}

/// The outcome of a reader of the core: an error must say what is wrong with the file, not with saerun.
fn plain<T>(outcome: saerun::error::Result<T>) -> Result<bool, String> {
    use saerun::error::Code;
    match outcome {
        Ok(_) => Ok(true),
        Err(error) if error.code == Code::Internal || error.message.is_empty() => {
            Err(format!("no plain error: {error}"))
        }
        Err(_) => Ok(false),
    }
}

/// A folder in memory, where there is one.
fn folder() -> tempfile::TempDir {
    let shared = std::path::Path::new("/dev/shm");
    let folder = if shared.is_dir() { tempfile::tempdir_in(shared) } else { tempfile::tempdir() };
    folder.expect("a temporary folder")
}

/// The harness sees what it is there for.
#[test]
fn what_is_wrong_is_found() {
    keep_quiet();
    let wrong = |read: &dyn Fn(&[u8]) -> Result<bool, String>| matches!(judge(b"file", read), Verdict::Wrong(_));
    assert!(!wrong(&|_| Ok(true)) && !wrong(&|_| Ok(false)));
    assert!(wrong(&|bytes| Ok(bytes[std::hint::black_box(9)] == 0)), "a panic");
    assert!(wrong(&|bytes| Ok(vec![0u8; ROOM + (FOLD + 1) * bytes.len()].len() > 4)), "a flood of memory");
    assert!(
        wrong(&|_| plain::<()>(Err(saerun::error::Error::new(saerun::error::Code::Internal, "x")))),
        "no plain error"
    );
}
