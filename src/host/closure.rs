//! What a closure can depend on, as a digest for cache keys: its own code, the script functions that it reaches, and the
//! values that it captured. Comments, layout and the names of variables do not count.
//!
//! rhai's own name of a closure is of no use here: it changes with the closure's place in the file.

use candle_core::Tensor;
use rhai::{Dynamic, Engine, FnPtr, Position, Token};

use crate::host::code::plain;
use crate::host::session::Session;
use crate::host::value;

/// A token and where it stands.
type Lexed = (Token, Position);

/// The digest of a closure that was given in the call at `position` of `file`.
pub fn digest(session: &Session, engine: &Engine, function: &FnPtr, file: Option<&str>, position: Position) -> String {
    let mut hasher = blake3::Hasher::new_derive_key("saerun 2 closure");
    let mut plain = true;
    for value in function.iter_curry() {
        plain &= absorb(&mut hasher, value);
    }
    let own = file.and_then(|file| {
        let tokens = lexed(engine, &session.source(file)?)?;
        reached(&tokens, position)
    });
    match own.filter(|_| plain && function.is_anonymous()) {
        Some(code) => hasher.update(code.as_bytes()),
        // Given by name, through a variable, or with captured values of unknown content: all that the script was made from
        // and has read so far counts.
        None => {
            let inputs = format!("{:?}", session.lock("").inputs);
            hasher.update(everything(session, engine).as_bytes());
            hasher.update(session.params().to_string().as_bytes()).update(inputs.as_bytes())
        }
    };
    hasher.finalize().to_hex().to_string()
}

/// The code of every script of the run.
fn everything(session: &Session, engine: &Engine) -> String {
    let mut all = String::new();
    for (name, _) in session.sources() {
        let text = session.source(&name).unwrap_or_default();
        all += &name;
        all += &lexed(engine, &text).map_or_else(|| text.to_string(), |tokens| normal(&tokens));
    }
    all
}

/// Takes in the content of a captured value; false when only its kind is known.
fn absorb(hasher: &mut blake3::Hasher, value: &Dynamic) -> bool {
    let value = value.flatten_clone();
    hasher.update(value.type_name().as_bytes());
    if let Some(tensor) = value.read_lock::<Tensor>() {
        let Ok(values) = value::values(&tensor) else { return false };
        hasher.update(format!("{:?}", tensor.dims()).as_bytes());
        values.iter().for_each(|x| {
            hasher.update(&x.to_le_bytes());
        });
        return true;
    }
    if let Ok(x) = value.as_float() {
        hasher.update(&x.to_le_bytes());
        return true;
    }
    match value::to_json(&value, "a captured value") {
        Ok(json) => {
            hasher.update(json.to_string().as_bytes());
            true
        }
        Err(_) => false,
    }
}

/// The tokens of a script. None when it does not lex on its own: text with `${..}` needs the parser's help.
fn lexed(engine: &Engine, text: &str) -> Option<Vec<Lexed>> {
    let text = plain(text);
    let texts = [&*text];
    let (tokens, _) = engine.lex(&texts);
    let mut found = Vec::new();
    for (token, position) in tokens {
        match token {
            Token::EOF => break,
            Token::LexError(_) | Token::InterpolatedString(_) => return None,
            token => found.push((token, position)),
        }
    }
    Some(found)
}

/// The code of the call at `position`, when a closure is written out in it, and of the functions of this file that it
/// can reach. None when it may reach what is not in sight: an import, or a constant by `global::`.
fn reached(tokens: &[Lexed], position: Position) -> Option<String> {
    let call = tokens.iter().position(|(_, at)| *at >= position)?;
    let open = call + tokens[call..].iter().position(|(token, _)| *token == Token::LeftParen)?;
    let slice = &tokens[open..=closing(tokens, open, &Token::LeftParen, &Token::RightParen)?];
    let written_out = is_argument(slice);
    let far = |token: &Token| *token == Token::Import || word(token) == Some("global");
    if !written_out || tokens.iter().any(|(token, _)| far(token)) {
        return None;
    }
    let mut pieces = vec![slice];
    let mut taken: Vec<usize> = Vec::new();
    loop {
        let next = tokens.windows(2).enumerate().find(|(i, pair)| {
            pair[0].0 == Token::Fn
                && !taken.contains(i)
                && word(&pair[1].0)
                    .is_some_and(|name| pieces.iter().copied().flatten().any(|(token, _)| word(token) == Some(name)))
        });
        // A function sees no variables but its own, so each piece has names of its own.
        let Some((at, _)) = next else { return Some(pieces.into_iter().map(normal).collect()) };
        let body = at + tokens[at..].iter().position(|(token, _)| *token == Token::LeftBrace)?;
        pieces.push(&tokens[at..=closing(tokens, body, &Token::LeftBrace, &Token::RightBrace)?]);
        taken.push(at);
    }
}

/// Whether one of the arguments between these parentheses is a closure written out; one inside another call does not
/// count, which may give back any other.
fn is_argument(slice: &[Lexed]) -> bool {
    let mut depth = 0;
    slice.windows(2).any(|pair| {
        match pair[0].0 {
            Token::LeftParen | Token::LeftBracket | Token::LeftBrace | Token::MapStart => depth += 1,
            Token::RightParen | Token::RightBracket | Token::RightBrace => depth -= 1,
            _ => {}
        }
        depth == 1 && matches!(pair[0].0, Token::Comma | Token::LeftParen) && pair[1].0 == Token::Pipe
    })
}

/// Where what opens at `from` closes.
fn closing(tokens: &[Lexed], from: usize, opens: &Token, closes: &Token) -> Option<usize> {
    let mut depth = 0;
    for (i, (token, _)) in tokens.iter().enumerate().skip(from) {
        // `#{` closes like `{`.
        if token == opens || (*opens == Token::LeftBrace && *token == Token::MapStart) {
            depth += 1;
        } else if token == closes {
            depth -= 1;
            if depth == 0 {
                return Some(i);
            }
        }
    }
    None
}

/// A name, or a string that may hold one.
fn word(token: &Token) -> Option<&str> {
    match token {
        Token::Identifier(name) => Some(name.as_str()),
        Token::StringConstant(text) => Some(text.as_str()),
        _ => None,
    }
}

/// The tokens as text, every variable by the number of its first appearance. Names of functions, properties, keys of maps
/// and namespaces stay.
fn normal(tokens: &[Lexed]) -> String {
    let mut names: Vec<&str> = Vec::new();
    let mut text = String::new();
    for (i, (token, _)) in tokens.iter().enumerate() {
        let before = i.checked_sub(1).map(|i| &tokens[i].0);
        let after = tokens.get(i + 1).map(|(token, _)| token);
        let fixed = matches!(before, Some(Token::Period | Token::Elvis | Token::DoubleColon))
            || matches!(after, Some(Token::LeftParen | Token::DoubleColon | Token::Colon | Token::Bang | Token::Unit));
        match token {
            Token::Identifier(name) if !fixed => {
                let known = names.iter().position(|known| known == &name.as_str());
                let number = known.unwrap_or_else(|| {
                    names.push(name.as_str());
                    names.len() - 1
                });
                text += &format!("${number} ");
            }
            token => text += &format!("{token:?} "),
        }
    }
    text
}
