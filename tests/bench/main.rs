//! How near saerun is to the machine's limit. `cargo bench` prints tables of times and ratios, and `cargo bench -- --save` keeps them in
//! `results/bench` with the facts of the machine beside them.
//!
//! ```text
//! cargo bench                       the first four
//! cargo bench -- step               one step by part
//! cargo bench -- growth             over d_sae, L0, batch and threads
//! cargo bench -- crossover          where the dense way gets faster
//! cargo bench -- harvest            reading activations against training on them
//! cargo bench -- peer PYTHON        side by side with SAELens in that Python
//! cargo bench -- packing            the packings of 8192 vectors in 512 dimensions: some 20 minutes
//! ```
//!
//! Every figure but a packing's is the median of seven repetitions after one that does not count. Each row of the growth tables and of the
//! peer's runs in a process of its own, so that memory is its own too.

mod cell;
mod harvest;
mod packing;
mod step;
mod table;

use table::Table;

fn main() {
    saerun::cli::keep_big_buffers();
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let save = words.contains(&"--save");
    let words: Vec<&str> = words.into_iter().filter(|word| *word != "--save").collect();
    let tables: Vec<Table> = match words.as_slice() {
        [] => [step::parts(), growth(), vec![step::crossover(), harvest::table()]].concat(),
        ["step"] => step::parts(),
        ["growth"] => growth(),
        ["crossover"] => vec![step::crossover()],
        ["packing"] => vec![packing::table()],
        ["harvest"] => vec![harvest::table()],
        ["peer", python] => vec![step::peer(python)],
        ["cell", rest @ ..] => return cell::run(rest),
        _ => {
            eprintln!("what to measure? step, growth, crossover, harvest, packing, or peer PYTHON");
            std::process::exit(2);
        }
    };
    for table in &tables {
        println!("{table}");
        if save {
            table.save();
        }
    }
}

/// The reference job, and what becomes of it as one size grows.
fn growth() -> Vec<Table> {
    let job = cell::Job::default();
    let mut sizes =
        Table::new("growth_d_sae", "Over the dictionary's size (L0 17, batch 4096, 2 threads)", cell::COLUMNS);
    for d_sae in [1024, 2048, 4096, 8192, 16_384, 32_768, 65_536] {
        for penalty in ["none", "three_term", "ortsae"] {
            sizes.row(cell::measure(&cell::Job { d_sae, penalty: penalty.into(), ..job.clone() }));
        }
    }
    let mut l0s = Table::new("growth_l0", "Over L0 (d_sae 8192, batch 4096, 2 threads)", cell::COLUMNS);
    for l0 in [8.0, 17.0, 32.0, 64.0, 128.0, 256.0] {
        l0s.row(cell::measure(&cell::Job { l0, ..job.clone() }));
    }
    let mut batches = Table::new("growth_batch", "Over the batch (d_sae 8192, L0 17, 2 threads)", cell::COLUMNS);
    for batch in [512, 1024, 2048, 4096, 8192, 16_384] {
        batches.row(cell::measure(&cell::Job { batch, ..job.clone() }));
    }
    let mut threads = Table::new("growth_threads", "Over threads (d_sae 8192, L0 17, batch 4096)", cell::COLUMNS);
    for count in [1, 2] {
        for penalty in ["none", "three_term"] {
            threads.row(cell::measure(&cell::Job { threads: count, penalty: penalty.into(), ..job.clone() }));
        }
    }
    vec![sizes, l0s, batches, threads]
}
