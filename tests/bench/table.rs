//! A table of measurements: printed as Markdown, kept as CSV.

use std::fmt;
use std::path::Path;

/// Rows of numbers and words under column names.
#[derive(Clone)]
pub struct Table {
    name: &'static str,
    title: &'static str,
    columns: &'static [&'static str],
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new(name: &'static str, title: &'static str, columns: &'static [&'static str]) -> Table {
        Table { name, title, columns, rows: Vec::new() }
    }

    pub fn row(&mut self, cells: Vec<String>) {
        assert_eq!(cells.len(), self.columns.len());
        eprintln!("{}: {}", self.name, cells.join(" "));
        self.rows.push(cells);
    }

    /// Writes the table, and the facts of this machine beside it: times are of one machine, and compared with nothing.
    pub fn save(&self) {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("results/bench");
        let lines: Vec<String> = self.rows.iter().map(|row| row.join(",")).collect();
        let text = format!("{}\n{}\n", self.columns.join(","), lines.join("\n"));
        std::fs::create_dir_all(&dir).expect("a folder for the results");
        std::fs::write(dir.join(format!("{}.csv", self.name)), text).expect("a table written");
        std::fs::write(dir.join("machine.md"), machine()).expect("the machine written");
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "## {}\n\n| {} |", self.title, self.columns.join(" | "))?;
        writeln!(f, "|{}", "---|".repeat(self.columns.len()))?;
        self.rows.iter().try_for_each(|row| writeln!(f, "| {} |", row.join(" | ")))
    }
}

fn machine() -> String {
    let field = |file: &str, name: &str| {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_once(':').map_or("unknown", |(_, value)| value.trim()).to_string()
    };
    format!(
        "# The machine of these tables\n\n- CPU: {}, {} cores\n- memory: {}\n- kernel for inner products: {}\n- {}\n",
        field("/proc/cpuinfo", "model name"),
        std::thread::available_parallelism().map_or(0, usize::from),
        field("/proc/meminfo", "MemTotal"),
        saerun::ops::kernel::kernel().name,
        rustc(),
    )
}

fn rustc() -> String {
    let output = std::process::Command::new("rustc").arg("--version").output();
    output.map_or("rustc".into(), |output| String::from_utf8_lossy(&output.stdout).trim().to_string())
}
