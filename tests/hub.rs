//! `model::load("hf:org/name")`: a hub on this machine, for builds with the feature `hub`, and what those without it say.

use std::path::Path;
use std::process::{Command, Output};

/// Runs a script that loads this model and prints its name, revision and loss of nothing but its sizes.
fn load(project: &Path, name: &str, environment: &[(&str, &str)]) -> Output {
    let script = format!(
        "let m = model::load({name});\nprint(m.name + \" \" + m.config.revision + \" \" + m.config.d_vocab);\n"
    );
    std::fs::write(project.join("load.rhai"), script).expect("a script");
    let mut command = Command::new(env!("CARGO_BIN_EXE_saerun"));
    command.current_dir(project).arg("load.rhai").env("NO_COLOR", "1");
    ["HF_HOME", "HF_ENDPOINT", "HF_TOKEN", "HF_HUB_OFFLINE", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"]
        .iter()
        .for_each(|name| _ = command.env_remove(name));
    command.envs(environment.iter().copied()).output().expect("a run")
}

#[cfg(not(feature = "hub"))]
#[test]
fn a_build_without_the_client_says_so() {
    let project = tempfile::tempdir().expect("a folder");
    let run = load(project.path(), "\"hf:nobody/gpt2\"", &[]);
    let text = String::from_utf8_lossy(&run.stderr).into_owned();
    assert!(!run.status.success() && text.contains("unsupported") && text.contains("--features hub"), "{text}");
}

#[cfg(feature = "hub")]
mod with {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::path::PathBuf;
    use std::sync::{Arc, Mutex};

    use super::*;

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

    fn oracle(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/families").join(name)
    }

    /// Serves the oracle's folders as repositories of `nobody`, up to a fixed number of requests; what was asked for.
    fn serve() -> (String, Arc<Mutex<Vec<String>>>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = asked.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().take(100).flatten() {
                _ = answer(stream, &log);
            }
        });
        (address, asked)
    }

    fn answer(mut stream: TcpStream, log: &Mutex<Vec<String>>) -> std::io::Result<()> {
        let mut request = Vec::new();
        let mut part = [0; 1024];
        while !request.windows(4).any(|w| w == b"\r\n\r\n") {
            match stream.read(&mut part)? {
                0 => return Ok(()),
                n => request.extend_from_slice(&part[..n]),
            }
        }
        let request = String::from_utf8_lossy(&request).into_owned();
        let path = request.split(' ').nth(1).unwrap_or_default().to_string();
        log.lock().expect("a log").push(request.clone());
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let (head, body) = match parts.as_slice() {
            ["api", "models", "nobody", name, "revision", _] if oracle(name).is_dir() => {
                // TransformerLens' models have their tokenizer in a repository of its own.
                let files =
                    std::fs::read_dir(oracle(name))?.flatten().map(|f| f.file_name().to_string_lossy().into_owned());
                let files = files.filter(|file| *name != "gelu" || file != "tokenizer.json");
                let siblings: Vec<_> = files.map(|file| serde_json::json!({ "rfilename": file })).collect();
                (
                    "200 OK".to_string(),
                    serde_json::json!({ "siblings": siblings, "sha": COMMIT }).to_string().into_bytes(),
                )
            }
            ["api", "models", "nobody", "words", "revision", _] => {
                let siblings = serde_json::json!([{ "rfilename": "tokenizer.json" }]);
                (
                    "200 OK".to_string(),
                    serde_json::json!({ "siblings": siblings, "sha": COMMIT }).to_string().into_bytes(),
                )
            }
            ["nobody", name, "resolve", _, file] => {
                let name = if *name == "words" { "gelu" } else { name };
                let whole = std::fs::read(oracle(name).join(file))?;
                let range = request
                    .lines()
                    .find_map(|line| line.to_lowercase().strip_prefix("range: bytes=").map(String::from));
                let (from, to) = range.as_deref().and_then(|range| range.split_once('-')).unwrap_or(("0", ""));
                let (from, to) = (from.parse().unwrap_or(0), to.parse().unwrap_or(whole.len() - 1));
                let about = format!(
                    "206 Partial Content\r\nETag: \"{}\"\r\nX-Repo-Commit: {COMMIT}\r\nContent-Range: bytes {from}-{to}/{}",
                    blake3::hash(&whole).to_hex(),
                    whole.len()
                );
                (about, whole[from..=to].to_vec())
            }
            _ => ("404 Not Found".to_string(), Vec::new()),
        };
        write!(stream, "HTTP/1.1 {head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len())?;
        stream.write_all(&body)
    }

    #[test]
    fn a_model_is_downloaded_once_and_then_at_hand_offline() {
        let (endpoint, asked) = serve();
        let (project, home) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let home = home.path().to_string_lossy().into_owned();
        let online = [("HF_ENDPOINT", endpoint.as_str()), ("HF_HOME", home.as_str()), ("HF_TOKEN", "secret")];
        let offline = [("HF_ENDPOINT", "http://127.0.0.1:9"), ("HF_HOME", home.as_str()), ("HF_HUB_OFFLINE", "1")];
        for name in ["gpt2", "llama", "gelu"] {
            let said = format!("nobody/{name} {COMMIT} 50\n");
            let model = format!("\"hf:nobody/{name}\"");
            let refused = load(project.path(), &model, &offline);
            let text = String::from_utf8_lossy(&refused.stderr).into_owned();
            assert!(text.contains("missing-file") && text.contains("HF_HUB_OFFLINE"), "{text}");
            let run = load(project.path(), &model, &online);
            assert_eq!(String::from_utf8_lossy(&run.stdout), said, "{}", String::from_utf8_lossy(&run.stderr));
            let requests = asked.lock().expect("a log").len();
            for environment in [&online, &offline] {
                let run = load(project.path(), &model, environment);
                assert_eq!(String::from_utf8_lossy(&run.stdout), said, "{}", String::from_utf8_lossy(&run.stderr));
            }
            assert_eq!(asked.lock().expect("a log").len(), requests, "what is in the cache is not asked for");
            let pinned = format!("\"hf:nobody/{name}\", #{{ revision: \"{COMMIT}\" }}");
            assert_eq!(String::from_utf8_lossy(&load(project.path(), &pinned, &offline).stdout), said);
        }
        assert!(
            asked
                .lock()
                .expect("a log")
                .iter()
                .all(|request| request.to_lowercase().contains("authorization: bearer secret"))
        );
        let absent = load(project.path(), "\"hf:nobody/absent\"", &online);
        let text = String::from_utf8_lossy(&absent.stderr).into_owned();
        assert!(text.contains("missing-file") && text.contains("404"), "{text}");
        for name in ["\"hf:../../x\"", "\"hf:nobody/gpt2\", #{ revision: \"../../x\" }"] {
            let text = String::from_utf8_lossy(&load(project.path(), name, &online).stderr).into_owned();
            assert!(text.contains("unknown-name"), "{text}");
        }
    }
}
