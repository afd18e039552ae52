//! `try { .. } catch (e) { .. }` as saerun runs it. rhai's own would make a map in rhai's words of every error of the language,
//! and lose the innermost error and its line when a function lies between.
//!
//! A script is compiled twice: as rhai has it, for every check; and with `try` as a syntax of our own, to be run. The second
//! reader knows no variables that must be declared: the first one has seen to that.

use rhai::{
    AST, ASTNode, Dynamic, Engine, EvalAltResult, EvalContext, Expression, ImmutableString, Position, Scope, Stmt,
};

use crate::host::caught::{catchable, value};
use crate::host::code::plain;
use crate::host::raise::Raised;
use crate::host::session::Session;

/// The word that begins it.
const TRY: &str = "try";

/// Lets an engine run what [`executable`] makes.
pub fn register(engine: &mut Engine) {
    // Only a syntax whose scope never changes can be refused, and this one's may.
    let _ = engine.register_custom_syntax_handler(TRY, true, run);
}

/// The tree to run for a script that is compiled and checked: with `try` as this file has it. A script without one is
/// left as it is.
pub fn executable(ast: AST, scope: &Scope, text: &str, prepare: fn(&mut Engine)) -> AST {
    let ends = ends(&ast);
    if ends.is_empty() {
        return ast;
    }
    let mut reader = Engine::new_raw();
    prepare(&mut reader);
    reader.set_strict_variables(false).set_max_expr_depths(1024, 512).disable_symbol(TRY);
    reader.register_custom_syntax_with_state_raw(TRY, |read, next, _| Ok(after(read, next)), true, run);
    match reader.compile_with_scope(scope, separated(&plain(text), &ends)) {
        Ok(mut again) => {
            again.set_source(ast.source().unwrap_or_default());
            again
        }
        // The plain tree catches as well, in other words.
        Err(_) => ast,
    }
}

/// Where the last block of each `try` ends.
fn ends(ast: &AST) -> Vec<Position> {
    let mut found = Vec::new();
    ast.walk(&mut |path: &[ASTNode]| {
        if let Some(ASTNode::Stmt(Stmt::TryCatch(flow, _))) = path.last() {
            found.push(flow.branch.end_position());
        }
        true
    });
    found
}

/// What follows the words and blocks that were read.
fn after(read: &[ImmutableString], next: &str) -> Option<ImmutableString> {
    let named = read.get(3).is_some_and(|word| word == "(");
    let word = match read.len() {
        1 => "$block$",
        2 => "catch",
        3 if next == "(" => "(",
        3 => "$block$",
        4 if named => "$ident$",
        5 => ")",
        6 => "$block$",
        _ => return None,
    };
    Some(word.into())
}

/// The text with a semicolon behind each `try` that is followed by something that could go on with an expression: this
/// syntax is one to rhai, and `catch { } [1, 2].len()` would index it. It takes the place of a blank where there is one, so
/// that columns stay right.
fn separated(text: &str, ends: &[Position]) -> String {
    let mut cuts: Vec<usize> = ends.iter().filter_map(|end| behind(text, *end)).collect();
    cuts.sort_unstable();
    cuts.dedup();
    let mut made = String::with_capacity(text.len() + cuts.len());
    let mut from = 0;
    for cut in cuts {
        made.push_str(&text[from..cut]);
        made.push(';');
        from = cut + usize::from(text[cut..].starts_with([' ', '\t']));
    }
    made.push_str(&text[from..]);
    made
}

/// The byte behind the `}` at `end`, when what comes next needs to be kept apart.
fn behind(text: &str, end: Position) -> Option<usize> {
    let start: usize = text.split_inclusive('\n').take(end.line()?.checked_sub(1)?).map(str::len).sum();
    let (column, _) = text[start..].char_indices().nth(end.position()?.checked_sub(1)?)?;
    let cut = start + column + 1;
    text[..cut].ends_with('}').then_some(())?;
    let mut rest = text[cut..].trim_start();
    loop {
        let comment = match rest {
            _ if rest.starts_with("//") => rest.find('\n'),
            _ if rest.starts_with("/*") => rest.find("*/").map(|at| at + 2),
            _ => break,
        };
        rest = rest[comment?..].trim_start();
    }
    rest.starts_with(['[', '(', '-', '+', '|']).then_some(cut)
}

/// Runs it: the block, and on an error that a script may catch the other one, with the error in its variable.
fn run(context: &mut EvalContext, inputs: &[Expression], _: &Dynamic) -> Raised<Dynamic> {
    let (Some(body), Some(branch)) = (inputs.first(), inputs.last()) else { return Ok(Dynamic::UNIT) };
    let raised = match context.eval_expression_tree(body) {
        Err(raised) if catchable(&raised) => raised,
        other => return other,
    };
    let depth = context.scope().len();
    if let [_, name, _] = inputs {
        let name = name.get_string_value().unwrap_or_default().to_string();
        let caught = caught(context, &raised, body.position());
        context.scope_mut().push_dynamic(name, caught);
    }
    let outcome = context.eval_expression_tree(branch);
    context.scope_mut().rewind(depth);
    match outcome {
        Ok(_) => Ok(Dynamic::UNIT),
        // `throw;` passes on what was caught.
        Err(again) => Err(match *again {
            EvalAltResult::ErrorRuntime(ref thrown, _) if thrown.is_unit() => raised,
            _ => again,
        }),
    }
}

/// The value of the variable; rhai gives some errors no position, and theirs is that of the block.
fn caught(context: &EvalContext, raised: &EvalAltResult, block: Position) -> Dynamic {
    let session = context.tag().clone().try_cast::<std::sync::Arc<Session>>();
    let file = context.source().unwrap_or_default();
    session.map_or(Dynamic::UNIT, |session| value(raised, file, block, context.engine(), &session))
}
