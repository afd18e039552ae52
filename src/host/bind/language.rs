//! What every script has without a namespace: assertions, exact float comparisons, errors, JSON.

use rhai::plugin::*;
use rhai::{Array, Dynamic, Engine, FLOAT, FuncRegistration, INT, Map, Module, NativeCallContext};

use crate::error::{Code, Error};
use crate::host::caught::{Caught, line_of};
use crate::host::explain::UNSAID;
use crate::host::number::of_int_and_float;
use crate::host::raise::{At, Raised};
use crate::host::session::session;
use crate::host::value::{readable, to_json};

/// Registers a native type under the name that scripts see, with its one-line summary for `print` and interpolation.
pub fn register_type<T: Clone + Send + Sync + 'static>(engine: &mut Engine, name: &str, summary: fn(&T) -> String) {
    engine.register_type_with_name::<T>(name);
    let mut module = Module::new();
    for function in ["to_string", "to_debug"] {
        FuncRegistration::new(function)
            .with_params_info([format!("value: {name}"), "string".to_string()])
            .with_comments([SUMMARY])
            .in_global_namespace()
            .set_into_module(&mut module, move |value: &mut T| summary(value));
    }
    engine.register_global_module(module.into());
}

const SUMMARY: &str =
    "/// Shows a value as one line of text: what `print(value)` shows, and `${value}` in a string between backticks.
///
/// ```rhai
/// assert_eq(tensor::zeros([20, 30]).to_string(), \"Tensor [20, 30] f32\");
/// ```";

/// Registers everything of this file.
pub fn register(engine: &mut Engine) {
    register_type::<Caught>(engine, "Error", |caught| caught.error.to_string());
    engine.register_global_module(comparisons().into());
    engine.register_global_module(printing().into());
    engine.register_global_module(exported_module!(language).into());
}

/// The six comparisons of floats, exact as IEEE 754 has them, and of ints with floats. rhai's own allow an epsilon: `1e-17 == 0.0` would hold, and
/// `inf > 1.0` would not.
fn comparisons() -> Module {
    fn add(module: &mut Module, name: &str, holds: &str, exact: fn(FLOAT, FLOAT) -> bool) {
        let doc = format!(
            "/// Compares two numbers exactly (IEEE 754, no epsilon); an int serves for a float.\n///\n\
             /// ```rhai\n/// assert({holds});\n/// ```"
        );
        let registration = |a: &str, b: &str| {
            FuncRegistration::new(name)
                .with_params_info([format!("a: {a}"), format!("b: {b}"), "bool".to_string()])
                .with_comments([doc.as_str()])
                .in_global_namespace()
        };
        registration("float", "float").set_into_module(module, move |a: FLOAT, b: FLOAT| exact(a, b));
        // The sign of the order stands for the numbers themselves; NaN has none.
        let sign = |a: INT, b: FLOAT| of_int_and_float(a, b).map_or(FLOAT::NAN, |order| order as i8 as FLOAT);
        registration("float", "int").set_into_module(module, move |a: FLOAT, b: INT| exact(-sign(b, a), 0.0));
        registration("int", "float").set_into_module(module, move |a: INT, b: FLOAT| exact(sign(a, b), 0.0));
    }
    let mut module = Module::new();
    add(&mut module, "==", "!(0.1 + 0.2 == 0.3)", |a, b| a == b);
    add(&mut module, "!=", "1e-17 != 0.0", |a, b| a != b);
    add(&mut module, "<", "1e-200 < 2e-200", |a, b| a < b);
    add(&mut module, "<=", "2.0 <= 2", |a, b| a <= b);
    add(&mut module, ">", "1.0 / 0.0 > 1.0", |a, b| a > b);
    add(&mut module, ">=", "2 >= 2.0", |a, b| a >= b);
    module
}

/// `print` as rhai has it, except that it says where it was called. rhai prefers an exact type, so each of its own has one here.
fn printing() -> Module {
    fn add<T: Clone + Send + Sync + 'static>(module: &mut Module, name: &str) {
        FuncRegistration::new("print")
            .with_params_info([format!("value: {name}"), "string".to_string()])
            .with_comments([PRINT])
            .in_global_namespace()
            .set_into_module(module, |ctx: NativeCallContext, value: T| {
                session(&ctx);
                readable(&ctx, Dynamic::from(value))
            });
    }
    let mut module = Module::new();
    add::<Dynamic>(&mut module, "any");
    add::<ImmutableString>(&mut module, "string");
    add::<INT>(&mut module, "int");
    add::<FLOAT>(&mut module, "float");
    add::<bool>(&mut module, "bool");
    add::<char>(&mut module, "char");
    add::<Array>(&mut module, "array");
    add::<Map>(&mut module, "map");
    module
}

const PRINT: &str = "/// Shows any value readably, on a line of stdout and in the report.
///
/// * `value`: what to show.
///
/// ```rhai
/// print([1, \"two\", 3.0]);
/// assert(true);
/// ```";

/// The functions without a namespace.
#[export_module]
pub mod language {
    /// Stops the script when a condition does not hold.
    ///
    /// * `condition`: a bool.
    ///
    /// Errors: `failed` when it is false.
    ///
    /// ```rhai
    /// assert(1 + 1 == 2);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn assert(ctx: NativeCallContext, condition: bool) -> Raised<()> {
        if condition { Ok(()) } else { Err(Error::new(Code::Failed, "assertion failed")).at(&ctx) }
    }

    /// Stops the script with a message when a condition does not hold.
    ///
    /// * `condition`: a bool.
    /// * `message`: what to say.
    ///
    /// Errors: `failed`, with the message, when it is false.
    ///
    /// ```rhai
    /// assert(1 < 2, "order is lost");
    /// ```
    #[rhai_fn(name = "assert", return_raw)]
    pub fn assert_with(ctx: NativeCallContext, condition: bool, message: &str) -> Raised<()> {
        if condition { Ok(()) } else { Err(Error::new(Code::Failed, format!("assertion failed: {message}"))).at(&ctx) }
    }

    /// Stops the script when two values are not equal, and shows both.
    ///
    /// * `left`, `right`: any two values that `==` compares.
    ///
    /// Errors: `failed` when they differ.
    ///
    /// ```rhai
    /// assert_eq([1, 2].len(), 2);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn assert_eq(ctx: NativeCallContext, left: Dynamic, right: Dynamic) -> Raised<()> {
        if ctx.call_native_fn::<bool>("==", (left.clone(), right.clone()))? {
            return Ok(());
        }
        let error = Error::new(Code::Failed, "assertion failed: the values differ");
        Err(error.fact("left", readable(&ctx, left)).fact("right", readable(&ctx, right))).at(&ctx)
    }

    /// Gives JSON text for a map.
    ///
    /// * `value`: a map of plain values.
    ///
    /// Errors: `wrong-type` for closures and native values, `out-of-range` for floats that are not finite.
    ///
    /// ```rhai
    /// assert_eq(#{ a: [1, 2.5], b: () }.to_json(), `{"a":[1,2.5],"b":null}`);
    /// ```
    #[rhai_fn(name = "to_json", pure, return_raw)]
    pub fn map_to_json(ctx: NativeCallContext, value: &mut Map) -> Raised<String> {
        to_json(&Dynamic::from_map(value.clone()), "the map").map(|json| json.to_string()).at(&ctx)
    }

    /// Gives JSON text for an array.
    ///
    /// * `value`: an array of plain values.
    ///
    /// Errors: `wrong-type` for closures and native values, `out-of-range` for floats that are not finite.
    ///
    /// ```rhai
    /// assert_eq([1, "two", true].to_json(), `[1,"two",true]`);
    /// ```
    #[rhai_fn(name = "to_json", pure, return_raw)]
    pub fn array_to_json(ctx: NativeCallContext, value: &mut Array) -> Raised<String> {
        to_json(&Dynamic::from_array(value.clone()), "the array").map(|json| json.to_string()).at(&ctx)
    }

    /// The kind of a caught error: a stable name such as `"unknown-option"`.
    ///
    /// * `error`: what `catch (e)` caught. What a script has thrown itself stays as it was thrown and has the kind `"failed"`; a
    ///   map that it throws keeps its own `code`, `message` and `help`.
    ///
    /// ```rhai
    /// let code = "";
    /// try { tensor::zeros([-1]) } catch (e) { code = e.code; }
    /// assert_eq(code, "out-of-range");
    /// try { [1, 2][5] } catch (e) { code = e.code; }
    /// assert_eq(code, "out-of-range");
    /// try { throw "too few rows" } catch (e) { assert_eq(e, "too few rows"); code = e.code; }
    /// assert_eq(code, "failed");
    /// ```
    #[rhai_fn(get = "code", pure)]
    pub fn error_code(error: &mut Caught) -> String {
        error.error.code.name().to_string()
    }

    /// What went wrong, in one clause.
    ///
    /// * `error`: what `catch (e)` caught.
    ///
    /// ```rhai
    /// let message = "";
    /// try { assert(false, "too few rows") } catch (e) { message = e.message; }
    /// assert_eq(message, "assertion failed: too few rows");
    /// ```
    #[rhai_fn(get = "message", pure)]
    pub fn error_message(error: &mut Caught) -> String {
        error.error.message.clone()
    }

    /// One thing to try, or `()`.
    ///
    /// * `error`: what `catch (e)` caught.
    ///
    /// ```rhai
    /// let help = 1;
    /// try { assert(false) } catch (e) { help = e.help; }
    /// assert_eq(help, ());
    /// ```
    #[rhai_fn(get = "help", pure)]
    pub fn error_help(error: &mut Caught) -> Dynamic {
        error.error.help.clone().map_or(Dynamic::UNIT, Dynamic::from)
    }

    /// The line that raised a caught error, from 1, or `()`.
    ///
    /// * `error`: what `catch (e)` caught.
    ///
    /// ```rhai
    /// let line = 0;
    /// try { 1 / 0 } catch (e) { line = e.line; }
    /// assert_eq(line, 2);
    /// ```
    #[rhai_fn(get = "line", pure)]
    pub fn error_line(error: &mut Caught) -> Dynamic {
        error.place.as_ref().map_or(Dynamic::UNIT, |place| Dynamic::from(place.line as INT))
    }

    /// The script that raised a caught error, which is another one than that which catches it after an import, or `()`.
    ///
    /// * `error`: what `catch (e)` caught, of saerun or of the language.
    ///
    /// ```rhai
    /// let file = ();
    /// try { [].code } catch (e) { file = e.file; }
    /// assert(file.ends_with(".rhai"));
    /// ```
    #[rhai_fn(get = "file", pure)]
    pub fn error_file(error: &mut Caught) -> Dynamic {
        error.place.as_ref().map_or(Dynamic::UNIT, |place| Dynamic::from(place.file.clone()))
    }

    /// The kind of a value that a script has thrown itself: `"failed"`.
    ///
    /// * `error`: what `catch (e)` caught.
    ///
    /// ```rhai
    /// try { throw 42 } catch (e) { assert_eq(e.code, "failed"); }
    /// ```
    #[rhai_fn(get = "code", pure, return_raw)]
    pub fn thrown_code(error: &mut Dynamic) -> Raised<String> {
        line_of(error, "code").map(|_| Code::Failed.name().to_string())
    }

    /// The text of a value that a script has thrown itself.
    ///
    /// * `error`: what `catch (e)` caught.
    ///
    /// ```rhai
    /// try { throw 42 } catch (e) { assert_eq(e.message, "42"); }
    /// ```
    #[rhai_fn(get = "message", pure, return_raw)]
    pub fn thrown_message(ctx: NativeCallContext, error: &mut Dynamic) -> Raised<String> {
        let said = |error: &Dynamic| if error.is_unit() { UNSAID.to_string() } else { readable(&ctx, error.clone()) };
        line_of(error, "message").map(|_| said(error))
    }

    /// The help of a value that a script has thrown itself: `()`.
    ///
    /// * `error`: what `catch (e)` caught.
    ///
    /// ```rhai
    /// try { throw 42 } catch (e) { assert_eq(e.help, ()); }
    /// ```
    #[rhai_fn(get = "help", pure, return_raw)]
    pub fn thrown_help(error: &mut Dynamic) -> Raised<Dynamic> {
        line_of(error, "help").map(|_| Dynamic::UNIT)
    }

    /// The line that threw a value.
    ///
    /// * `error`: what `catch (e)` caught.
    ///
    /// ```rhai
    /// try { throw 42 } catch (e) { assert_eq(e.line, 1); }
    /// ```
    #[rhai_fn(get = "line", pure, return_raw)]
    pub fn thrown_line(error: &mut Dynamic) -> Raised<Dynamic> {
        line_of(error, "line").map(|line| line.map_or(Dynamic::UNIT, |line| Dynamic::from(line as INT)))
    }

    /// Ends the script here, as its last line would: results and lock are written.
    ///
    /// ```rhai
    /// exit();
    /// assert(false);
    /// ```
    #[rhai_fn(name = "exit", return_raw)]
    pub fn exit_well(ctx: NativeCallContext) -> Raised<()> {
        exit(ctx, 0)
    }

    /// Ends the script here with an exit code of its own; results and lock are written.
    ///
    /// * `code`: 0 to 63; others mean something else to saerun or to the system.
    ///
    /// Errors: `out-of-range`.
    ///
    /// ```rhai
    /// let code = "";
    /// try { exit(130) } catch (e) { code = e.code; }
    /// assert_eq(code, "out-of-range");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn exit(ctx: NativeCallContext, code: INT) -> Raised<()> {
        session(&ctx).end(code).at(&ctx)?;
        Err(Box::new(rhai::EvalAltResult::Exit(Dynamic::UNIT, ctx.call_position())))
    }

    /// Refuses to tell the time: a script depends on no clock.
    ///
    /// Errors: `unsupported`, always.
    ///
    /// ```rhai
    /// let code = "";
    /// try { timestamp() } catch (e) { code = e.code; }
    /// assert_eq(code, "unsupported");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn timestamp(ctx: NativeCallContext) -> Raised<()> {
        Err(Error::new(Code::Unsupported, "`timestamp` is not available: a script depends on no clock")).at(&ctx)
    }

    /// Refuses to wait: a script depends on no clock.
    ///
    /// * `seconds`: not used.
    ///
    /// Errors: `unsupported`, always.
    ///
    /// ```rhai
    /// let code = "";
    /// try { sleep(1) } catch (e) { code = e.code; }
    /// assert_eq(code, "unsupported");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn sleep(ctx: NativeCallContext, seconds: INT) -> Raised<()> {
        let _ = seconds;
        Err(Error::new(Code::Unsupported, "`sleep` is not available: a script depends on no clock")).at(&ctx)
    }

    /// Refuses to wait: a script depends on no clock.
    ///
    /// * `seconds`: not used.
    ///
    /// Errors: `unsupported`, always.
    ///
    /// ```rhai
    /// let code = "";
    /// try { sleep(0.5) } catch (e) { code = e.code; }
    /// assert_eq(code, "unsupported");
    /// ```
    #[rhai_fn(name = "sleep", return_raw)]
    pub fn sleep_float(ctx: NativeCallContext, seconds: FLOAT) -> Raised<()> {
        sleep(ctx, seconds as INT)
    }
}
