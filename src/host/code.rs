//! What a script does, apart from how it is written down: comments and layout do not count.

use rhai::Engine;

/// BLAKE3 of a script's code, in hex: of the text without comments and needless space, as rhai compacts it; of the text as it is where
/// that cannot be parsed. So prose can be made better without computing results again.
pub fn digest(text: &str) -> String {
    let mut engine = Engine::new_raw();
    engine.set_max_expr_depths(0, 0);
    let compact = engine.compact_script(text);
    blake3::hash(compact.as_deref().unwrap_or(text).as_bytes()).to_hex().to_string()
}

/// [`digest`] of a file; `None` when it cannot be read.
pub fn digest_of(path: &std::path::Path) -> Option<String> {
    std::fs::read_to_string(path).ok().map(|text| digest(&text))
}
