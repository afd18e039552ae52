//! How the process keeps its memory.

/// glibc gives big buffers back to the system when they are dropped, and the next one comes as pages that the kernel
/// must clear again. With these settings it keeps and reuses them. One arena for all threads, because the others hold
/// at most 64 MB each.
#[cfg(target_env = "gnu")]
pub fn keep_big_buffers() {
    // SAFETY: `mallopt` only sets two numbers of the allocator, before any other thread runs.
    unsafe {
        // Older versions of glibc take 32 MB at most, and refuse more.
        if libc::mallopt(libc::M_MMAP_THRESHOLD, 1 << 30) == 0 {
            libc::mallopt(libc::M_MMAP_THRESHOLD, 32 << 20);
        }
        libc::mallopt(libc::M_ARENA_MAX, 1);
        libc::mallopt(libc::M_TRIM_THRESHOLD, i32::MAX);
    }
}

/// Other allocators keep big buffers anyway.
#[cfg(not(target_env = "gnu"))]
pub fn keep_big_buffers() {}
