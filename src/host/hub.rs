//! Models of the Hugging Face hub by name, through the hf-hub crate and its cache, which other tools share.
//!
//! Only with the cargo feature `hub`. The crate takes `HF_ENDPOINT` and `HF_HOME`; `HF_TOKEN` and `HF_HUB_OFFLINE` are handed on here.
//! What is in the cache is used without asking: the hub is asked only for what is missing, all of one commit, which the model's
//! configuration keeps as its `revision`.

#[cfg(feature = "hub")]
pub use with::load;
#[cfg(not(feature = "hub"))]
pub use without::load;

#[cfg(not(feature = "hub"))]
mod without {
    use crate::error::{Code, Error, Result};
    use crate::model::{LoadOptions, TargetModel};

    /// Loads `org/name`.
    ///
    /// # Errors
    /// `unsupported` in this build.
    pub fn load(name: &str, _: &LoadOptions) -> Result<TargetModel> {
        Err(Error::new(Code::Unsupported, format!("`hf:{name}` needs a download client, which this build leaves out"))
            .help("build with `--features hub`, or give a folder with the model's files"))
    }
}

#[cfg(feature = "hub")]
mod with {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    use hf_hub::api::sync::{Api, ApiBuilder};
    use hf_hub::{Cache, Repo, RepoType};

    use crate::error::{Code, Error, Result};
    use crate::model::{LoadOptions, TargetModel, load};

    /// Loads `org/name`, from the cache or, for what is not there, from the hub.
    ///
    /// # Errors
    /// `missing-file` for what is not in the cache and cannot be had; else as [`load::path`].
    pub fn load(name: &str, options: &LoadOptions) -> Result<TargetModel> {
        let revision = options.revision.as_deref().unwrap_or("main");
        if name.split('/').count() > 2 || !is_plain(name) || !is_plain(revision) {
            return Err(Error::new(Code::UnknownName, format!("`hf:{name}` is no name of the hub"))
                .fact("expected", "hf:org/name, and a branch, tag or commit")
                .fact("revision", revision));
        }
        let cache = std::env::var_os("HF_HOME")
            .map_or_else(Cache::from_env, |home| Cache::new(PathBuf::from(home).join("hub")));
        let repo = repository(name, revision);
        let from = |dir: &Path| {
            let commit = dir.file_name().map(|commit| commit.to_string_lossy().into_owned());
            let tokenizer = other_tokenizer(dir).and_then(|other| snapshot(&cache, &repository(&other, "main")));
            let options = LoadOptions { name: Some(name.to_string()), revision: commit, tokenizer, ..options.clone() };
            load::path(dir, &options)
        };
        if let Some(dir) = snapshot(&cache, &repo) {
            match from(&dir) {
                Err(error) if error.code == Code::MissingFile => {}
                loaded => return loaded,
            }
        }
        if offline() {
            return Err(Error::new(Code::MissingFile, format!("`hf:{name}` is not in the cache of the hub"))
                .fact("revision", repo.revision())
                .fact("HF_HUB_OFFLINE", "set: nothing is downloaded")
                .help("unset HF_HUB_OFFLINE, or give a folder with the model's files"));
        }
        let failed = |error: hf_hub::api::sync::ApiError| {
            Error::new(Code::MissingFile, format!("`hf:{name}` cannot be downloaded"))
                .fact("reason", error)
                .help("check the name, the network, and HF_ENDPOINT and HF_TOKEN")
        };
        let token = std::env::var("HF_TOKEN").ok().filter(|token| !token.is_empty()).or_else(|| cache.token());
        let api = ApiBuilder::from_cache(cache.clone()).with_token(token).with_progress(false);
        let api = match std::env::var("HF_ENDPOINT") {
            Ok(endpoint) if !endpoint.is_empty() => api.with_endpoint(endpoint.trim_end_matches('/').to_string()),
            _ => api,
        };
        let api = api.build().map_err(failed)?;
        let dir = download((&api, &cache), &repo, name, wanted).map_err(failed)?;
        if let Some(other) = other_tokenizer(&dir) {
            let of = |files: &[String]| starting(files, "tokenizer");
            download((&api, &cache), &repository(&other, "main"), &other, of).map_err(failed)?;
        }
        from(&dir)
    }

    /// Whether this names something inside a folder: names become paths of the cache.
    fn is_plain(name: &str) -> bool {
        let allowed = |c: char| c.is_alphanumeric() || "-_.".contains(c);
        name.split('/').all(|part| !part.starts_with('.') && !part.is_empty() && part.chars().all(allowed))
    }

    fn repository(name: &str, revision: &str) -> Repo {
        Repo::with_revision(name.to_string(), RepoType::Model, revision.to_string())
    }

    /// Whether the environment says to ask no one, as huggingface_hub reads it.
    fn offline() -> bool {
        let value = std::env::var("HF_HUB_OFFLINE").unwrap_or_default();
        ["1", "true", "yes", "on"].contains(&value.to_lowercase().as_str())
    }

    /// The folder of a revision in the cache, when there is one.
    fn snapshot(cache: &Cache, repo: &Repo) -> Option<PathBuf> {
        let folder = cache.path().join(repo.folder_name());
        // A revision is a reference to a commit, or a commit.
        let commit = std::fs::read_to_string(folder.join("refs").join(repo.revision()));
        let dir = folder.join("snapshots").join(commit.as_ref().map_or(repo.revision(), |commit| commit.trim()));
        dir.is_dir().then_some(dir)
    }

    /// The repository in which TransformerLens' models keep their tokenizer.
    fn other_tokenizer(dir: &Path) -> Option<String> {
        let config: serde_json::Value = serde_json::from_slice(&std::fs::read(dir.join("config.json")).ok()?).ok()?;
        let there = dir.join("tokenizer.json").is_file();
        config["tokenizer_name"].as_str().filter(|name| !there && is_plain(name)).map(String::from)
    }

    /// Downloads the files that `of` chooses, all of the commit that the revision stands for now; the folder.
    fn download(
        (api, cache): (&Api, &Cache),
        repo: &Repo,
        name: &str,
        of: impl Fn(&[String]) -> Vec<String>,
    ) -> std::result::Result<PathBuf, hf_hub::api::sync::ApiError> {
        let info = api.repo(repo.clone()).info()?;
        let files: Vec<String> = info.siblings.into_iter().map(|file| file.rfilename).collect();
        let pinned = api.repo(repository(name, &info.sha));
        for file in of(&files) {
            pinned.get(&file)?;
        }
        if repo.revision() != info.sha {
            cache.repo(repo.clone()).create_ref(&info.sha)?;
        }
        Ok(cache.repo(repo.clone()).pointer_path(&info.sha))
    }

    /// Configuration, tokenizer, and the weights in the format that is read first.
    fn wanted(files: &[String]) -> Vec<String> {
        let mut all = starting(files, "tokenizer");
        all.extend(starting(files, "special_tokens_map.json"));
        all.extend(starting(files, "config.json"));
        let ending =
            |end: &'static str| files.iter().filter(move |file| !file.contains('/') && file.ends_with(end)).cloned();
        let whole: BTreeSet<String> = ending(".safetensors").chain(ending(".safetensors.index.json")).collect();
        let lens: Vec<String> = ending("final.pth").collect();
        match (lens.is_empty(), whole.is_empty()) {
            (false, _) => all.extend(lens),
            (true, false) => all.extend(whole),
            (true, true) => all.extend(ending(".pth").chain(ending(".pt"))),
        }
        all
    }

    fn starting(files: &[String], start: &str) -> Vec<String> {
        files
            .iter()
            .filter(|file| !file.contains('/') && file.starts_with(start) && file.ends_with(".json"))
            .cloned()
            .collect()
    }
}
