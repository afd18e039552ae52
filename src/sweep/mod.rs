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
//! GROWTH

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
pub use local::{Pool, run};
pub use outcome::{Outcome, cpu};
pub use plan::{Cell, Plan, results_of};
pub use status::{State, states, summary};
