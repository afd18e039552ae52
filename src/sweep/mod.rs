//! Sweeps: one script over a grid of parameters, each combination a cell, on one machine or on a cluster.
//!
//! # The index contract
//!
//! `cells.json` is written first and never changed. `saerun cell DIR --index I --pack K` runs the cells `I*K` to
//! `I*K + K - 1` that have no good result yet, each into `DIR/cells/<index>/`, and writes `DIR/cells/<index>.json` last of
//! all, aside and renamed. So an engine needs to know one thing, how to run a command with a number, and any mixture of
//! engines may work on one sweep: a cell that runs twice leaves the same bytes twice.
//!
//! `saerun cell` ends with 0 when all of its cells are done, 5 when one failed, 75 when it was asked to stop and has kept
//! a checkpoint (run it again), 2 when it was called wrongly. All cells share the project's `.saerun/cache`, whose
//! entries are moved in place by one rename: what two cells need is computed once if the one comes after the other, and
//! twice if they overlap.
//!
//! Any other engine is a recipe. All of them need `DIR` on a disk that every machine sees.
//!
//! GNU parallel, over two machines:
//!
//! ```text
//! saerun sweep grid.yaml --engine none
//! parallel --sshlogin 8/one,8/two --workdir . --joblog jobs.txt --retries 2 \
//!     saerun cell sweeps/grid --threads 1 --index ::: {0..99}
//! saerun sweep collect sweeps/grid
//! ```
//!
//! Kubernetes, as an indexed job; exit code 75 is no failure of the cell, so it does not count as one:
//!
//! ```text
//! apiVersion: batch/v1
//! kind: Job
//! metadata: { name: sweep }
//! spec:
//!   completionMode: Indexed
//!   completions: 100
//!   parallelism: 10
//!   backoffLimitPerIndex: 2
//!   podFailurePolicy:
//!     rules: [{ action: Ignore, onExitCodes: { operator: In, values: [75] } }]
//!   template:
//!     spec:
//!       restartPolicy: Never
//!       containers:
//!         - name: cell
//!           image: saerun
//!           workingDir: /project
//!           command: [sh, -c, 'exec saerun cell sweeps/grid --index "$JOB_COMPLETION_INDEX"']
//!           volumeMounts: [{ name: project, mountPath: /project }]
//!       volumes: [{ name: project, persistentVolumeClaim: { claimName: project } }]
//! ```
//!
//! # Growth
//!
//! Per sweep there are `cells.json`, `engine.json`, `jobs.json` and the collected tables; each is written by the one process that starts,
//! resumes or collects, and only `cells.json` is read by cells. Per cell there are a result file, the files that the
//! script saves, their lock, and a log; no two cells write the same file, and no cell reads what another wrote, but for
//! the cache. So there is no lock, no counter and no queue that cells could wait for.
//!
//! Measured on two cores that were busy with another training: a local sweep of 1,000 cells of a script that saves
//! one table of one row took 12.0 s, with 6.1 s in user and 5.8 s in system mode. That is 24 ms a cell and core, and left
//! 5,004 files in 24 MB. Cells started one by one took 17 ms each, 5 ms of them the script's; `saerun SCRIPT` by itself
//! took 20 ms. A cell costs about 12 ms beyond its script, then, and next to nothing beyond a run. `status` of those 1,000
//! took 0.01 s and `collect` 0.07 s. Of 100,000 cells the expansion took 1.4 s, one cell 0.14 s, and `status` 1.0 s.
//!
//! The limits, in the order in which they come:
//!
//! 1. From about 1,000 tasks on: the scheduler. Sites start some ten tasks a minute, and allow some thousands in the queue
//!    (`MaxJobCount` is 10,000 by default). `--pack` divides that number, and arrays are split at `MaxArraySize`.
//! 2. From about 10,000 cells on: files. Five small ones a cell is much for a parallel file system, and the folder `cells/`
//!    holds them all. Folders of 1,000 cells each, or one archive a pack, would be the next step.
//! 3. From about 100,000 cells on: `cells.json`, 11 MB then, which every cell reads whole, 0.12 s each time. A file with one
//!    line of fixed length a cell would let a cell read its own.
//!
//! Object stores. Nothing here needs more of a disk than reading a file, replacing a whole file, and listing a folder, so
//! that `DIR` may become a prefix in a bucket. The result file becomes a put that only creates (`If-None-Match: *`), which makes
//! one of two machines the owner of a cell without a lock. Tables go up before it, and `collect` reads what a result
//! file vouches for. The plan carries the digest of the scripts, and would carry those of the input files and their
//! ETags. What does not carry over is the cache: entries are folders moved by a rename, which an object store lacks. They
//! would be put file by file with the manifest last, as the only file that makes an entry one; checkpoints are single files
//! and need no change. Credentials come from the environment alone and are in no plan, log or result.

pub mod axis;
mod collect;
mod engine;
mod grid;
mod local;
mod outcome;
mod plan;
pub mod slurm;
mod status;

pub use collect::{Collected, by_cpu, collect};
pub use engine::{Engine, Options};
pub use grid::{Axes, Grid, Misfit, Params, expand};
pub use local::{Pool, ask_to_stop, run};
pub use outcome::{Outcome, cpu};
pub use plan::{Cell, Plan, results_of};
pub use status::{State, states, summary};
