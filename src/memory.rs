//! Whether work fits into memory, asked before it starts: what the user allows, and what the system has left.

use std::alloc::{GlobalAlloc, Layout, System};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Code, Error, Result};

/// Buffers from this size on are counted: the others do not add up to much, and are made far more often.
const BIG: usize = 1 << 16;

/// For work below this size the system is not asked: its answer would take as long as the work.
const SMALL: u64 = 64 << 20;

/// The share of what is free that is left to the rest of the machine, and the least and most that is: what is not counted (small
/// buffers, stacks, the program itself) must fit in there too.
const MARGIN: u64 = 16;
const LEAST_MARGIN: u64 = 128 << 20;
const MOST_MARGIN: u64 = 2 << 30;

/// What the user allows, or by default what was free when the process began; the largest number while nothing was said.
static LIMIT: AtomicU64 = AtomicU64::new(u64::MAX);

/// Bytes of big buffers in use.
static IN_USE: AtomicU64 = AtomicU64::new(0);

/// The allocator of the system, with the bytes of big buffers counted. The process's own size would not do: freed memory is
/// kept for the next buffer.
pub struct Counting;

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        add(size);
        subtract(layout.size());
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        subtract(layout.size());
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[inline]
fn add(size: usize) {
    if size >= BIG {
        IN_USE.fetch_add(size as u64, Ordering::Relaxed);
    }
}

#[inline]
fn subtract(size: usize) {
    if size >= BIG {
        IN_USE.fetch_sub(size as u64, Ordering::Relaxed);
    }
}

/// What work may take where the user does not say: what the machine, or the control group of this process, has free now, less a sixteenth
/// of it (at least 128 MiB, at most 2 GiB). `None` where the system does not say.
pub fn default_limit() -> Option<u64> {
    available().map(less_margin)
}

fn less_margin(free: u64) -> u64 {
    free.saturating_sub((free / MARGIN).clamp(LEAST_MARGIN, MOST_MARGIN))
}

/// From here on, work that would bring the big buffers of this process above so many bytes is refused.
pub fn set_limit(bytes: u64) {
    LIMIT.store(bytes, Ordering::Relaxed);
}

/// Bytes of big buffers in use.
pub fn in_use() -> u64 {
    IN_USE.load(Ordering::Relaxed)
}

/// Refuses work that needs more bytes than the user allows or the system has left, less the margin of [`default_limit`]; where the system
/// does not say, everything fits.
///
/// # Errors
/// `too-large`, naming the work and both numbers, with `help`.
pub fn check(work: &str, needed: u64, help: &str) -> Result<()> {
    let limit = LIMIT.load(Ordering::Relaxed);
    let allowed = limit.saturating_sub(IN_USE.load(Ordering::Relaxed));
    let free = if needed < SMALL { None } else { default_limit() }.unwrap_or(u64::MAX);
    if needed <= allowed.min(free) {
        return Ok(());
    }
    let error = Error::new(Code::TooLarge, format!("{work} does not fit into memory")).fact("needed", mib(needed));
    Err(match allowed < free {
        true => error.fact("left", format!("{} of the {} that `--memory` allows", mib(allowed), mib(limit))),
        false => error.fact("available", mib(free)),
    }
    .help(help))
}

/// As [`check`], for so many numbers of 4 bytes in a shape whose product may not even be a number.
///
/// # Errors
/// As [`check`].
pub fn check_shape(work: &str, shape: &[usize], help: &str) -> Result<()> {
    let bytes = shape.iter().try_fold(4u64, |bytes, n| bytes.checked_mul(*n as u64));
    check(work, bytes.unwrap_or(u64::MAX), help)
}

fn mib(bytes: u64) -> String {
    if bytes == u64::MAX { "more than there are addresses".to_string() } else { format!("{} MiB", bytes >> 20) }
}

/// Bytes that the system says are available, where it says so: of the machine, or of what it gives to this job.
pub fn available() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let machine = line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)?;
    Some(job().map_or(machine, |job| machine.min(job)))
}

/// What the control groups of this process leave it: a cluster gives each job its share. File pages count as used there, and
/// are given back when need be.
fn job() -> Option<u64> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let mut least = None;
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(kinds), Some(path)) = (parts.next(), parts.next(), parts.next()) else { continue };
        let (root, limit, usage, cache) = match kinds {
            "" => ("/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file "),
            "memory" => {
                ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file ")
            }
            _ => continue,
        };
        let inside = Path::new(root).join(path.trim_start_matches('/'));
        for group in inside.ancestors().take_while(|group| group.starts_with(root)) {
            let number = |name: &str| std::fs::read_to_string(group.join(name)).ok()?.trim().parse::<u64>().ok();
            let (Some(limit), Some(used)) = (number(limit), number(usage)) else { continue };
            let stat = std::fs::read_to_string(group.join("memory.stat")).unwrap_or_default();
            let pages = stat.lines().find_map(|line| line.strip_prefix(cache)?.trim().parse::<u64>().ok()).unwrap_or(0);
            let left = limit.saturating_sub(used.saturating_sub(pages));
            least = Some(least.map_or(left, |least: u64| least.min(left)));
        }
    }
    least
}
