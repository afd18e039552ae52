//! A script closure that the core may call, from any thread, for as long as the run lasts.

use rhai::{Dynamic, FnPtr, FuncArgs, NativeCallContext, Position};

use crate::error::{Code, Error, Result};
use crate::host::closure;
use crate::host::raise::{lower, script_name, type_name};
use crate::host::session::{Session, session};

/// A closure with all that it takes to call it later.
pub struct Callback {
    function: FnPtr,
    #[allow(deprecated)] // "volatile", says rhai; hence the exact pin of its version
    context: rhai::NativeCallContextStore,
    session: std::sync::Arc<Session>,
    file: Option<String>,
    position: Position,
}

impl Callback {
    /// Keeps `function`, as given in the call that `ctx` stands for.
    #[allow(deprecated)]
    pub fn new(ctx: &NativeCallContext, function: FnPtr) -> Self {
        let (file, position) = (ctx.call_source().map(str::to_string), ctx.call_position());
        Callback { function, context: ctx.store_data(), session: session(ctx), file, position }
    }

    /// Calls the closure.
    ///
    /// # Errors
    /// What the script raises; `wrong-type` when it returns no `T`.
    #[allow(deprecated)]
    pub fn call<T: Clone + 'static>(&self, arguments: impl FuncArgs) -> Result<T> {
        let Some(engine) = self.session.engine() else {
            return Err(Error::new(Code::Internal, "a closure was called after the run had ended"));
        };
        let ctx = NativeCallContext::from_stored_data(&engine, &self.context);
        let called = self.function.call_within_context(&ctx, arguments);
        let value: Dynamic = called.map_err(|raised| lower(&raised, &engine, &self.session))?;
        let given = type_name(&value);
        value.try_cast::<T>().ok_or_else(|| {
            Error::new(Code::WrongType, "the closure returns a value of the wrong type")
                .fact("expected", script_name(std::any::type_name::<T>()))
                .fact("given", given)
        })
    }

    /// A digest of what the closure can depend on; see [`closure`]. It goes into cache keys.
    pub fn digest(&self) -> String {
        match self.session.engine() {
            Some(engine) => {
                closure::digest(&self.session, &engine, &self.function, self.file.as_deref(), self.position)
            }
            None => String::new(),
        }
    }
}
