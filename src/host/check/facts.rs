//! What one walk over a script's syntax tree finds out: calls, imports, variables with their uses, comparisons, closures
//! and what keeps them. The checks ask these facts and never walk again.

use std::collections::{BTreeMap, BTreeSet};

use rhai::{AST, ASTNode, Expr, FnCallExpr, Position, Stmt};

/// Line and column, which identify an expression within its file.
pub type Spot = (usize, usize);

/// The spot of a position.
pub fn spot(position: Position) -> Spot {
    (position.line().unwrap_or(0), position.position().unwrap_or(0))
}

/// The functions of a script and its closures, by name and number of parameters. rhai hands out their bodies only during a
/// walk, hence the copy.
pub struct Functions(BTreeMap<(String, usize), Function>);

/// One function of a script.
pub struct Function {
    /// The names of its parameters; of a closure, what it captures first.
    pub params: Vec<String>,
    /// Its statements.
    pub body: Vec<Stmt>,
}

impl Functions {
    /// Those of a script.
    pub fn of(ast: &AST) -> Self {
        let mut all = BTreeMap::new();
        for function in ast.iter_functions() {
            let (name, n) = (function.name.to_string(), function.params.len());
            let mut only = ast.clone();
            only.clear_statements().retain_functions(|_, _, other, params| other == name && params == n);
            let mut body = Vec::new();
            only.walk(&mut |path: &[ASTNode]| {
                if let [ASTNode::Stmt(statement)] = path {
                    body.push((*statement).clone());
                }
                true
            });
            all.insert((name, n), Function { params: function.params.iter().map(ToString::to_string).collect(), body });
        }
        Functions(all)
    }

    /// Those with a name, in order.
    pub fn named(&self) -> impl Iterator<Item = &Function> {
        self.0.iter().filter(|((name, _), _)| !name.starts_with(CLOSURE)).map(|(_, function)| function)
    }

    /// The closure of this name.
    pub fn closure(&self, name: &str) -> Option<&Function> {
        self.0.iter().find(|((other, _), _)| other == name).map(|(_, function)| function)
    }
}

/// How rhai names closures.
pub const CLOSURE: &str = "anon$";

/// One call in a script.
pub struct Call<'a> {
    /// What stands before `::`.
    pub namespace: Vec<String>,
    /// The function's name.
    pub name: String,
    /// Whether it is called with a dot.
    pub method: bool,
    /// Its arguments, without the value before the dot.
    pub arguments: &'a [Expr],
    /// Where its name stands.
    pub position: Position,
    /// Whether it stands in a `try`, so that its failure may be wanted.
    pub tried: bool,
    /// Whether it is reached once in every run that gets so far.
    pub always: bool,
}

/// One import.
pub struct Import<'a> {
    /// The path.
    pub path: &'a Expr,
    /// Its name in the script.
    pub alias: String,
    /// Where the path stands.
    pub position: Position,
    /// Whether it is reached in every run that gets so far.
    pub always: bool,
}

/// How a variable comes to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `let` or `const`
    Declared,
    /// The variable or counter of a `for`
    Loop,
    /// A parameter of a function or closure, or what `catch` names
    Parameter,
}

/// One variable with its uses. The earlier declared one of two variables has the smaller index.
pub struct Variable<'a> {
    /// Its name.
    pub name: String,
    /// Where it is declared.
    pub position: Position,
    /// How it comes to be.
    pub kind: Kind,
    /// What it is set to where it is declared.
    pub init: Option<&'a Expr>,
    /// Uses of its value.
    pub reads: usize,
    /// Those of them that use the value as a whole and not one named part.
    pub whole: usize,
    /// The parts that are used by name: `x.name`, `x["name"]`.
    pub parts: BTreeSet<String>,
    /// Assignments after the declaration.
    pub writes: usize,
    /// Of a loop variable: whether the loop may end before its last turn.
    pub ends_early: bool,
}

/// Something that is put into a collection and stays there.
pub struct Store<'a> {
    /// The variable that holds the collection.
    pub target: usize,
    /// What is put in.
    pub value: &'a Expr,
}

/// What a walk has found.
#[derive(Default)]
pub struct Facts<'a> {
    /// Every call, in the order of their positions.
    pub calls: Vec<Call<'a>>,
    /// Every key of a map literal and every property that is named.
    pub keys: BTreeSet<String>,
    /// Every import.
    pub imports: Vec<Import<'a>>,
    /// Every variable.
    pub variables: Vec<Variable<'a>>,
    /// The variable that is meant at a spot.
    pub uses: BTreeMap<Spot, usize>,
    /// Every `==` and `!=`.
    pub comparisons: Vec<(&'a FnCallExpr, Position)>,
    /// Every use of an operator.
    pub operations: Vec<(&'a FnCallExpr, Position)>,
    /// What `.log()` is called on, and where.
    pub logs: Vec<(&'a Expr, Position)>,
    /// The loop variables that the closure at a spot captures.
    pub captures: BTreeMap<Spot, Vec<usize>>,
    /// What collections are given.
    pub stores: Vec<Store<'a>>,
    /// Whether some call sees the variables of its caller: `f!(..)`.
    pub shows_scope: bool,
}

impl<'a> Facts<'a> {
    /// The variable that an expression names.
    pub fn variable(&self, expr: &Expr) -> Option<usize> {
        match expr {
            Expr::Variable(_, _, position) => self.uses.get(&spot(*position)).copied(),
            _ => None,
        }
    }

    /// What an expression stands for: what a variable that never changes was set to, in place of its name.
    pub fn behind(&self, expr: &'a Expr) -> &'a Expr {
        let variable = self.variable(expr).map(|index| &self.variables[index]);
        let fixed = variable.filter(|variable| variable.kind == Kind::Declared && variable.writes == 0);
        match fixed.and_then(|variable| variable.init) {
            Some(init) => self.behind(init),
            None => expr,
        }
    }
}
