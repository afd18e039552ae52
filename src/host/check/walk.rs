//! The walk that gathers the facts: in the order of the text, with the scopes of variables as rhai has them.

use rhai::{ASTFlags, Expr, FlowControl, FnCallExpr, FnPtr, Ident, Position, Stmt, Token};

use super::facts::{CLOSURE, Call, Facts, Functions, Import, Kind, Store, Variable, spot};

/// Walks a script: its statements, then each function.
pub fn walk<'a>(statements: &'a [Stmt], functions: &'a Functions) -> Facts<'a> {
    let mut walker =
        Walker { facts: Facts::default(), functions, scope: Vec::new(), global: Vec::new(), way: Way::TOP };
    statements.iter().for_each(|statement| walker.statement(statement));
    let top = std::mem::take(&mut walker.scope);
    walker.global = top;
    walker.way = Way { always: false, tried: false };
    for function in functions.named() {
        walker.function(&function.params, &function.body);
    }
    let mut facts = walker.facts;
    facts.calls.sort_by_key(|call| spot(call.position));
    facts.calls.dedup_by_key(|call| (spot(call.position), call.name.clone()));
    for operations in [&mut facts.comparisons, &mut facts.operations] {
        operations.sort_by_key(|(_, position)| spot(*position));
        operations.dedup_by_key(|(_, position)| spot(*position));
    }
    facts.logs.sort_by_key(|(_, position)| spot(*position));
    facts.logs.dedup_by_key(|(_, position)| spot(*position));
    facts
}

/// Under which circumstances a place is reached.
#[derive(Clone, Copy)]
struct Way {
    always: bool,
    tried: bool,
}

impl Way {
    const TOP: Way = Way { always: true, tried: false };
}

struct Walker<'a> {
    facts: Facts<'a>,
    functions: &'a Functions,
    /// The variables in sight, innermost last.
    scope: Vec<usize>,
    /// The variables of the top level, which functions name as `global::x`.
    global: Vec<usize>,
    way: Way,
}

impl<'a> Walker<'a> {
    fn declare(&mut self, name: &str, position: Position, kind: Kind, init: Option<&'a Expr>) -> usize {
        let index = self.facts.variables.len();
        self.facts.variables.push(Variable {
            name: name.to_string(),
            position,
            kind,
            init,
            reads: 0,
            whole: 0,
            parts: Default::default(),
            writes: 0,
            ends_early: false,
        });
        self.scope.push(index);
        index
    }

    fn lookup(&self, name: &str) -> Option<usize> {
        self.scope.iter().rev().copied().find(|index| self.facts.variables[*index].name == name)
    }

    /// What follows happens in a scope of its own, perhaps not at all or more than once.
    fn inside(&mut self, way: Way, walk: impl FnOnce(&mut Self)) {
        let (depth, before) = (self.scope.len(), std::mem::replace(&mut self.way, way));
        walk(self);
        self.scope.truncate(depth);
        self.way = before;
    }

    fn maybe(&mut self, statements: &'a [Stmt]) {
        self.inside(Way { always: false, ..self.way }, |walker| walker.statements(statements));
    }

    fn statements(&mut self, statements: &'a [Stmt]) {
        statements.iter().for_each(|statement| self.statement(statement));
    }

    /// A function with a name sees no variable but its own.
    fn function(&mut self, params: &[String], body: &'a [Stmt]) {
        let outer = std::mem::take(&mut self.scope);
        self.inside(Way { always: false, tried: false }, |walker| {
            for name in params {
                walker.declare(name, Position::NONE, Kind::Parameter, None);
            }
            walker.statements(body);
        });
        self.scope = outer;
    }

    fn statement(&mut self, statement: &'a Stmt) {
        match statement {
            Stmt::If(flow, _) => {
                self.expression(&flow.expr);
                self.maybe(flow.body.statements());
                self.maybe(flow.branch.statements());
            }
            Stmt::While(flow, _) | Stmt::Do(flow, _, _) => {
                self.inside(Way { always: false, ..self.way }, |walker| walker.expression(&flow.expr));
                self.maybe(flow.body.statements());
            }
            Stmt::Switch(parts, _) => {
                self.expression(&parts.0);
                self.inside(Way { always: false, ..self.way }, |walker| {
                    for case in &parts.1.expressions {
                        walker.expression(&case.lhs);
                        walker.expression(&case.rhs);
                    }
                });
            }
            Stmt::For(parts, _) => self.for_loop(&parts.0, parts.1.as_ref(), &parts.2),
            Stmt::Var(parts, flags, _) => {
                let (name, value, _) = &**parts;
                self.expression(value);
                let index = self.declare(&name.name, name.pos, Kind::Declared, Some(value));
                self.facts.variables[index].reads += usize::from(flags.intersects(ASTFlags::EXPORTED));
            }
            Stmt::Assignment(parts) => {
                let (operator, sides) = &**parts;
                self.expression(&sides.rhs);
                self.assignment(&sides.lhs, &sides.rhs, operator.is_op_assignment());
            }
            Stmt::FnCall(call, position) => self.call(call, false, *position),
            Stmt::Block(block) => self.inside(self.way, |walker| walker.statements(block.statements())),
            Stmt::TryCatch(flow, _) => {
                self.inside(Way { always: false, tried: true }, |walker| walker.statements(flow.body.statements()));
                self.inside(Way { always: false, ..self.way }, |walker| {
                    if let Expr::Variable(name, _, position) = &flow.expr {
                        walker.declare(&name.1, *position, Kind::Parameter, None);
                    }
                    walker.statements(flow.branch.statements());
                });
            }
            Stmt::Expr(expr) => self.expression(expr),
            Stmt::BreakLoop(Some(expr), _, _) | Stmt::Return(Some(expr), _, _) => self.expression(expr),
            Stmt::Import(parts, position) => self.import(&parts.0, &parts.1, *position),
            Stmt::Export(parts, _) => {
                if let Some(index) = self.lookup(&parts.0.name) {
                    self.facts.variables[index].reads += 1;
                }
            }
            _ => {}
        }
    }

    fn for_loop(&mut self, name: &Ident, counter: Option<&Ident>, flow: &'a FlowControl) {
        self.expression(&flow.expr);
        let early = ends_early(flow.body.statements());
        self.inside(Way { always: false, ..self.way }, |walker| {
            for name in counter.into_iter().chain([name]) {
                let index = walker.declare(&name.name, name.pos, Kind::Loop, None);
                walker.facts.variables[index].ends_early = early;
            }
            walker.statements(flow.body.statements());
        });
    }

    fn import(&mut self, path: &'a Expr, alias: &Ident, position: Position) {
        self.expression(path);
        let at = path.start_position();
        let position = if at.is_none() { position } else { at };
        let alias = alias.name.to_string();
        self.facts.imports.push(Import { path, alias, position, always: self.way.always });
    }

    fn assignment(&mut self, target: &'a Expr, value: &'a Expr, adds: bool) {
        if let Expr::Variable(name, _, position) = target
            && let Some(index) = self.lookup(&name.1)
        {
            self.facts.uses.insert(spot(*position), index);
            self.facts.variables[index].writes += 1;
            if adds {
                self.facts.stores.push(Store { target: index, value });
            }
            return;
        }
        self.expression(target);
        if let Expr::Index(sides, _, _) = target
            && !sides.rhs.is_constant()
            && let Some(target) = self.facts.variable(&sides.lhs)
        {
            self.facts.stores.push(Store { target, value });
        }
    }

    fn expression(&mut self, expr: &'a Expr) {
        match expr {
            Expr::DynamicConstant(value, position) => {
                if let Some(pointer) = value.read_lock::<FnPtr>() {
                    self.closure(pointer.fn_name(), &[], *position);
                }
            }
            Expr::InterpolatedString(items, _) | Expr::Array(items, _) => {
                items.iter().for_each(|item| self.expression(item));
            }
            Expr::Map(map, _) => {
                for (key, value) in &map.0 {
                    self.facts.keys.insert(key.name.to_string());
                    self.expression(value);
                }
            }
            Expr::Variable(_, _, _) => self.read(expr, None),
            Expr::Property(property, _) => {
                self.facts.keys.insert(property.2.to_string());
            }
            Expr::FnCall(call, position) => self.call(call, false, *position),
            Expr::MethodCall(call, position) => self.call(call, true, *position),
            Expr::Stmt(block) => match block.statements() {
                [Stmt::Share(captured), Stmt::Expr(made)] => self.capturing(captured, made, block.position()),
                statements => self.inside(self.way, |walker| walker.statements(statements)),
            },
            Expr::Dot(sides, _, _) => {
                let part = match first(&sides.rhs) {
                    Expr::Property(property, _) => Some(property.2.as_str()),
                    _ => None,
                };
                self.part_of(&sides.lhs, part);
                self.expression(&sides.rhs);
                self.keeps(&sides.lhs, &sides.rhs);
                if let Expr::MethodCall(call, position) = &sides.rhs
                    && call.name == "log"
                    && call.args.is_empty()
                {
                    self.facts.logs.push((&sides.lhs, *position));
                }
            }
            Expr::Index(sides, _, _) => {
                let part = match first(&sides.rhs) {
                    Expr::StringConstant(name, _) => Some(name.as_str()),
                    _ => None,
                };
                self.part_of(&sides.lhs, part);
                self.expression(&sides.rhs);
            }
            Expr::And(items, _) | Expr::Or(items, _) | Expr::Coalesce(items, _) => {
                for (i, item) in items.iter().enumerate() {
                    self.inside(Way { always: self.way.always && i == 0, ..self.way }, |walker| {
                        walker.expression(item)
                    });
                }
            }
            Expr::Custom(custom, _) => custom.inputs.iter().for_each(|item| self.expression(item)),
            _ => {}
        }
    }

    /// `expr.part`, or a use of `expr` as a whole.
    fn part_of(&mut self, expr: &'a Expr, part: Option<&str>) {
        match expr {
            Expr::Variable(..) => self.read(expr, part),
            _ => self.expression(expr),
        }
    }

    fn read(&mut self, expr: &Expr, part: Option<&str>) {
        let Expr::Variable(name, _, position) = expr else { return };
        let found = if name.2.is_empty() {
            self.lookup(&name.1)
        } else {
            let variables = &self.facts.variables;
            let top = if self.global.is_empty() { &self.scope } else { &self.global };
            top.iter().rev().copied().find(|index| variables[*index].name == name.1.as_str())
        };
        let Some(index) = found else { return };
        self.facts.uses.insert(spot(*position), index);
        let variable = &mut self.facts.variables[index];
        variable.reads += 1;
        match part {
            Some(part) => _ = variable.parts.insert(part.to_string()),
            None => variable.whole += 1,
        }
    }

    fn call(&mut self, call: &'a FnCallExpr, method: bool, position: Position) {
        call.args.iter().for_each(|argument| self.expression(argument));
        self.facts.shows_scope |= call.capture_parent_scope;
        if matches!(call.op_token, Some(Token::EqualsTo | Token::NotEqualsTo)) {
            self.facts.comparisons.push((call, position));
        }
        if call.is_operator_call() {
            self.facts.operations.push((call, position));
        }
        if call.is_operator_call() || call.name.starts_with(CLOSURE) {
            return;
        }
        if let ("is_def_var", Some(Expr::StringConstant(name, _))) = (call.name.as_str(), call.args.first())
            && let Some(index) = self.lookup(name)
        {
            self.facts.variables[index].reads += 1;
        }
        let namespace = call.namespace.path.iter().map(|part| part.name.to_string()).collect();
        let (name, arguments, Way { always, tried }) = (call.name.to_string(), call.args.as_slice(), self.way);
        self.facts.calls.push(Call { namespace, name, method, arguments, position, tried, always });
    }

    /// A closure with what it captures: rhai makes the captured variables shared, and then curries.
    fn capturing(&mut self, captured: &[(Ident, Option<std::num::NonZeroUsize>)], made: &'a Expr, position: Position) {
        let Expr::FnCall(call, _) = made else { return };
        let Some(Expr::DynamicConstant(value, _)) = call.args.first() else { return };
        let names: Vec<&str> = captured.iter().map(|(name, _)| name.name.as_str()).collect();
        if let Some(pointer) = value.read_lock::<FnPtr>() {
            self.closure(pointer.fn_name(), &names, position);
        }
    }

    fn closure(&mut self, name: &str, captured: &[&str], position: Position) {
        let loops: Vec<usize> = captured.iter().filter_map(|name| self.lookup(name)).collect();
        let loops = loops.into_iter().filter(|index| self.facts.variables[*index].kind == Kind::Loop).collect();
        self.facts.captures.insert(spot(position), loops);
        let functions = self.functions;
        let Some(function) = functions.closure(name) else { return };
        self.inside(Way { always: false, ..self.way }, |walker| {
            for name in function.params.iter().skip(captured.len()) {
                walker.declare(name, Position::NONE, Kind::Parameter, None);
            }
            walker.statements(&function.body);
        });
    }

    /// `x.push(value)` and the like, at the end of a chain that begins with a variable.
    fn keeps(&mut self, first: &'a Expr, rest: &'a Expr) {
        let mut last = rest;
        while let Expr::Dot(sides, _, _) = last {
            if !matches!(sides.lhs, Expr::Property(..)) {
                return;
            }
            last = &sides.rhs;
        }
        if let (Some(target), Expr::MethodCall(call, _)) = (self.facts.variable(first), last)
            && ["push", "insert", "append", "set"].contains(&call.name.as_str())
        {
            self.facts.stores.extend(call.args.iter().map(|value| Store { target, value }));
        }
    }
}

/// The first link of a chain `a.b.c`.
fn first(expr: &Expr) -> &Expr {
    match expr {
        Expr::Dot(sides, _, _) | Expr::Index(sides, _, _) => first(&sides.lhs),
        _ => expr,
    }
}

/// Whether a loop over these statements may end before its last turn: by `break`, `return` or `throw`.
fn ends_early(statements: &[Stmt]) -> bool {
    statements.iter().any(|statement| {
        !statement.walk(&mut Vec::new(), &mut |path: &[rhai::ASTNode]| {
            let leaves = match path.last() {
                Some(rhai::ASTNode::Stmt(Stmt::BreakLoop(_, flags, _))) => flags.intersects(ASTFlags::BREAK),
                Some(rhai::ASTNode::Stmt(Stmt::Return(..))) => true,
                _ => false,
            };
            !leaves
        })
    })
}
