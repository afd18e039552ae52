//! `try { .. } catch (e) { .. }` as saerun runs it. rhai's own would make a map in rhai's words of every error of the language,
//! and lose the innermost error and its line when a function lies between.
//!
//! A script is compiled twice: as rhai has it, for every check; and with `try` as a syntax of our own, to be run. The second
//! reader knows no variables that must be declared: the first one has seen to that.

use rhai::{
    AST, ASTNode, Dynamic, Engine, EvalAltResult, EvalContext, Expr, Expression, ImmutableString, Position, Scope, Stmt,
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
    let attempts = attempts(&ast);
    if attempts.is_empty() {
        return ast;
    }
    let mut reader = Engine::new_raw();
    prepare(&mut reader);
    reader.set_strict_variables(false).set_max_expr_depths(1024, 512).disable_symbol(TRY);
    reader.register_custom_syntax_with_state_raw(TRY, |read, next, _| Ok(after(read, next)), true, run);
    let text = plain(text);
    let read = |declare: bool| reader.compile_with_scope(scope, edited(&text, edits(&text, &attempts, declare))).ok();
    // A closure takes a variable that it does not know for one to capture: there, that of `catch` is declared first.
    let same = |again: &AST| captured(again) == captured(&ast);
    match read(false).filter(same).or_else(|| read(true).filter(same)) {
        Some(mut again) => {
            again.set_source(ast.source().unwrap_or_default());
            again
        }
        // The plain tree catches as well, in other words.
        None => ast,
    }
}

/// A `try`: where it begins, where its last block ends, and the variable of its `catch`.
struct Attempt {
    begin: Position,
    end: Position,
    name: Option<String>,
}

fn attempts(ast: &AST) -> Vec<Attempt> {
    let mut found = Vec::new();
    ast.walk(&mut |path: &[ASTNode]| {
        if let Some(ASTNode::Stmt(Stmt::TryCatch(flow, begin))) = path.last() {
            let name = match &flow.expr {
                Expr::Variable(variable, ..) => Some(variable.1.to_string()),
                _ => None,
            };
            found.push(Attempt { begin: *begin, end: flow.branch.end_position(), name });
        }
        true
    });
    found
}

/// The variables that closures capture, in order.
fn captured(ast: &AST) -> Vec<String> {
    let mut found = Vec::new();
    ast.walk(&mut |path: &[ASTNode]| {
        if let Some(ASTNode::Stmt(Stmt::Share(variables))) = path.last() {
            found.extend(variables.iter().map(|variable| variable.0.name.to_string()));
        }
        true
    });
    found.sort();
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

/// A change of the text: at a byte, so many bytes less, and this instead.
type Edit = (usize, usize, String);

/// What has to change in the text of a script for this syntax. A `try` that is followed by something that could go on with an expression
/// gets a semicolon: this syntax is one to rhai, and `catch { } [1, 2].len()` would index it. With `declare`, a `try` behind the
/// first closure stands in a block in which the variable of its `catch` is declared. Blanks are used up where there are some, so that
/// columns stay right.
fn edits(text: &str, attempts: &[Attempt], declare: bool) -> Vec<Edit> {
    let mut edits = Vec::new();
    for attempt in attempts {
        let (Some(begin), Some(end)) = (offset(text, attempt.begin), offset(text, attempt.end)) else { continue };
        let end = end + 1;
        if !text[..end].ends_with('}') {
            continue;
        }
        let mut behind = String::new();
        if let Some(name) = attempt.name.as_ref().filter(|_| declare && text[..begin].contains('|')) {
            let opening = format!("{{let {name};");
            let blanks = text[..begin].len() - text[..begin].trim_end_matches(' ').len();
            let used = blanks.min(opening.len());
            edits.push((begin - used, used, opening));
            behind.push('}');
        }
        if goes_on(&text[end..]) {
            behind.push(';');
        }
        if !behind.is_empty() {
            let blank = usize::from(text[end..].starts_with([' ', '\t']));
            edits.push((end, blank, behind));
        }
    }
    edits.sort();
    edits.dedup();
    edits
}

fn edited(text: &str, edits: Vec<Edit>) -> String {
    let mut made = String::with_capacity(text.len() + 8 * edits.len());
    let mut from = 0;
    for (at, less, instead) in edits {
        made.push_str(&text[from..at.max(from)]);
        made.push_str(&instead);
        from = (at + less).max(from);
    }
    made.push_str(&text[from..]);
    made
}

/// The byte at a position.
fn offset(text: &str, position: Position) -> Option<usize> {
    let start: usize = text.split_inclusive('\n').take(position.line()?.checked_sub(1)?).map(str::len).sum();
    let (column, _) = text[start..].char_indices().nth(position.position()?.checked_sub(1)?)?;
    Some(start + column)
}

/// Whether what stands behind a block could go on with it as an expression.
fn goes_on(behind: &str) -> bool {
    let mut rest = behind.trim_start();
    loop {
        let comment = match rest {
            _ if rest.starts_with("//") => rest.find('\n'),
            _ if rest.starts_with("/*") => rest.find("*/").map(|at| at + 2),
            _ => break,
        };
        let Some(length) = comment else { return false };
        rest = rest[length..].trim_start();
    }
    rest.starts_with(['[', '(', '-', '+', '|'])
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
