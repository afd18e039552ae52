//! The page in a browser, where there is one: headless Chromium, or what `SAERUN_BROWSER` names.
//!
//! `SCREENSHOTS=1` also takes the pictures that the README shows, of `results/peaks/report.html`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use saerun::report::html;

/// The browser; none when none is installed and none is asked for.
fn browser() -> Option<PathBuf> {
    if let Some(asked) = std::env::var_os("SAERUN_BROWSER") {
        return Some(PathBuf::from(asked));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let names = ["chromium", "chromium-browser", "google-chrome"];
    std::env::split_paths(&path).flat_map(|folder| names.map(|name| folder.join(name))).find(|path| path.is_file())
}

fn command(browser: &Path) -> Command {
    let mut command = Command::new(browser);
    command.args(["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"]);
    command.stdin(Stdio::null());
    command
}

/// The document after its scripts ran, and what the console said.
fn opened(browser: &Path, html: &str) -> (String, Vec<String>) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("report.html");
    std::fs::write(&file, html).expect("a page");
    let mut command = command(browser);
    command.arg(format!("--user-data-dir={}", folder.path().join("profile").display()));
    command.args(["--enable-logging=stderr", "--dump-dom"]).arg(format!("file://{}", file.display()));
    let output = command.output().expect("the browser starts");
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().filter(|line| line.contains("CONSOLE")).map(str::to_string).collect();
    (String::from_utf8_lossy(&output.stdout).into_owned(), said)
}

#[test]
fn a_browser_shows_the_page_without_complaint() {
    let Some(browser) = browser() else { return };
    let page = html::page(&super::hostile());
    let (shown, said) = opened(&browser, &page);
    assert_eq!(said, Vec::<String>::new());
    assert!(shown.contains("<button type=\"button\">"), "the script of the page ran and made tables sortable");
    assert_eq!(shown.matches("<script").count(), 1);

    // A script that the page does not know is refused, and this test sees that.
    let evil = page.replace("<footer>", "<script>document.title = 'taken'</script><footer>");
    let (shown, said) = opened(&browser, &evil);
    assert!(!said.is_empty() && !shown.contains("<title>taken"), "{said:?}");

    if std::env::var_os("SCREENSHOTS").is_some() {
        // What the end of the script made.
        let end = ".begin, .row:not(:has(#L120), .row:has(#L120) ~ .row) { display: none }";
        screenshot(&browser, "report-light.png", end, false);
        screenshot(&browser, "report-dark.png", "", true);
    }
}

/// A picture of the page of `scripts/peaks.rhai` with something added to its style.
fn screenshot(browser: &Path, name: &str, style: &str, dark: bool) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("results/peaks/report.html"));
    let page = page.expect("the page: run scripts/peaks.rhai, or `saerun report scripts/peaks.rhai`");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("report.html");
    std::fs::write(&file, page.replacen("</style>", &format!("{style}</style>"), 1)).expect("a page");
    let picture = root.join("assets/screenshots").join(name);
    std::fs::create_dir_all(picture.parent().expect("a folder")).expect("a folder");
    let mut command = command(browser);
    // Chromium counts 0 for dark.
    let scheme = if dark { 0 } else { 1 };
    command.arg("--window-size=1360,1060").arg(format!("--blink-settings=preferredColorScheme={scheme}"));
    command.arg(format!("--screenshot={}", picture.display())).arg(format!("file://{}", file.display()));
    assert!(command.output().expect("the browser starts").status.success());
    let bytes = std::fs::metadata(&picture).expect("a picture").len();
    assert!(bytes < 300_000, "{name} has {bytes} bytes");
}
