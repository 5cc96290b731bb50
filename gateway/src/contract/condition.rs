//! Conditions of grants: expressions of CEL (Common Expression Language) over the caller, the operation and an event.
//! Compiled when the policies are read; bounded when they run, because a document decides how much there is to look at.

use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use cel::{
    Context, ExecutionError, Program, Value,
    common::ast::{EntryExpr, Expr, IdedExpr},
};
use serde_json::Value as Json;

use crate::words::{ApiName, Caller, Event, OperationName, VersionName};

/// Longest expression in bytes; what is longer belongs into a table or a mapper.
const LONGEST: usize = 2048;
/// Parts of one expression.
const MOST_PARTS: u64 = 500;
/// Macros (`all`, `exists`, `map`, `filter`) within each other: a list of lists.
const DEEPEST: u32 = 2;
/// Steps that one evaluation may take, counted before it begins: some tenths of a second at the very worst.
const MOST_STEPS: u64 = 1_000_000;

/// What an expression may name.
const NAMES: [&str; 3] = ["caller", "operation", "event"];
/// Functions that it may call. No clock and no conversion to time: the same event is judged the same every day.
const FUNCTIONS: [&str; 12] = [
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "matches",
    "string",
    "int",
    "uint",
    "double",
    "bool",
    "bytes",
    "dyn",
];

/// An expression that is compiled and known to be small.
pub struct Condition {
    program: Program,
    text: Arc<str>,
    shape: Shape,
}

/// Why a text is no condition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// Not CEL.
    #[error("not an expression: {message}")]
    Syntax {
        /// What the parser says.
        message: String,
        /// Where in the expression, from 1, if it says so.
        column: Option<usize>,
    },
    /// It names something that is not there.
    #[error("there is nothing called `{0}`")]
    Name(String),
    /// It calls something that is not there.
    #[error("there is no function `{0}`")]
    Function(String),
    /// It could cost too much.
    #[error("{0}")]
    Large(&'static str),
}

impl Invalid {
    /// What stands where a name or a function is asked for.
    pub fn known(&self) -> &'static [&'static str] {
        match self {
            Self::Name(_) => &NAMES,
            Self::Function(_) => &FUNCTIONS,
            Self::Syntax { .. } | Self::Large(_) => &[],
        }
    }
}

/// Why a condition could not be judged. It then counts as not met.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unjudged {
    /// The data lacks something, or is of another kind.
    #[error("the condition cannot be judged: {0}")]
    Failed(String),
    /// Neither true nor false came out.
    #[error("the condition is neither true nor false")]
    NoTruth,
    /// The event has more in it than can be looked at.
    #[error("the condition would take {0} steps over this event, and {MOST_STEPS} are allowed")]
    TooMuch(u64),
    /// The library broke.
    #[error("the condition broke off")]
    Broken,
}

/// What a condition is about.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// Who calls.
    pub caller: &'a Caller,
    /// What is called.
    pub api: &'a ApiName,
    /// The operation.
    pub operation: &'a OperationName,
    /// In which version.
    pub version: &'a VersionName,
    /// What is asserted.
    pub event: Option<&'a Event>,
}

impl Condition {
    /// Compiles an expression.
    ///
    /// # Errors
    /// It is none, names something that is not there, or could cost too much.
    pub fn compile(text: &str) -> Result<Self, Invalid> {
        if text.len() > LONGEST {
            return Err(Invalid::Large("longer than 2048 bytes"));
        }
        let broken = || Invalid::Syntax { message: "the parser broke off".to_owned(), column: None };
        let program = catch_unwind(|| Program::compile(text)).map_err(|_| broken())?;
        let program = program.map_err(|errors| {
            let first = errors.errors.first();
            let message = first.map_or_else(|| "nothing".to_owned(), |first| one_line(&first.msg));
            let column =
                first.and_then(|first| usize::try_from(first.pos.1).ok()).filter(|column| *column > 0);
            Invalid::Syntax { message, column }
        })?;
        let mut shape = Shape::default();
        shape.walk(program.expression(), &mut Vec::new(), 0)?;
        if shape.parts > MOST_PARTS {
            return Err(Invalid::Large("it has more than 500 parts"));
        }
        if shape.nesting > DEEPEST {
            return Err(Invalid::Large("its macros are nested more than 2 deep"));
        }
        Ok(Self { program, text: text.into(), shape })
    }

    /// The expression as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it says anything about events; then it is judged for each of them.
    pub fn is_about_events(&self) -> bool {
        self.shape.event
    }

    /// Whether it holds.
    ///
    /// # Errors
    /// It cannot be judged.
    pub fn holds(&self, facts: &Facts<'_>) -> Result<bool, Unjudged> {
        let mut context = Context::default();
        let mut size = Size::default();
        context.add_variable_from_value("caller", caller(facts.caller));
        context.add_variable_from_value("operation", operation(facts));
        if let (true, Some(event)) = (self.shape.event, facts.event) {
            context.add_variable_from_value("event", self::event(event, &mut size)?);
        }
        size.count_scopes(facts.caller);
        let steps = self.shape.steps(&size);
        if steps > MOST_STEPS {
            return Err(Unjudged::TooMuch(steps));
        }
        let judged = catch_unwind(AssertUnwindSafe(|| self.program.execute(&context)));
        match judged.map_err(|_| Unjudged::Broken)? {
            Ok(Value::Bool(holds)) => Ok(holds),
            Ok(_) => Err(Unjudged::NoTruth),
            Err(error) => Err(Unjudged::Failed(without_values(&error))),
        }
    }
}

impl std::fmt::Debug for Condition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Condition({})", self.text)
    }
}

/// What went wrong, without what stands in the document: it is for the log.
fn without_values(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchKey(name) => format!("there is no member `{name}`"),
        ExecutionError::NoSuchOverload(error) => one_line(&error.to_string()),
        ExecutionError::IndexOutOfBounds(_) => "a list is shorter".to_owned(),
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
            "division by zero".to_owned()
        }
        ExecutionError::Overflow(..) => "a number is too large".to_owned(),
        ExecutionError::FunctionError { function, .. } => format!("`{function}` failed"),
        _ => "its values are of other kinds".to_owned(),
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What an expression is made of, as far as it bears on its cost.
#[derive(Clone, Copy, Debug, Default)]
struct Shape {
    parts: u64,
    /// `+`, by which lists and texts grow.
    sums: u64,
    nesting: u32,
    event: bool,
}

impl Shape {
    fn walk(&mut self, expr: &IdedExpr, bound: &mut Vec<String>, depth: u32) -> Result<(), Invalid> {
        self.parts += 1;
        self.nesting = self.nesting.max(depth);
        match &expr.expr {
            Expr::Unspecified | Expr::Literal(_) => Ok(()),
            Expr::Ident(name) if bound.iter().any(|own| own == name) => Ok(()),
            Expr::Ident(name) if NAMES.contains(&name.as_str()) => {
                self.event |= name == "event";
                Ok(())
            }
            Expr::Ident(name) => Err(Invalid::Name(name.clone())),
            Expr::Select(select) => self.walk(&select.operand, bound, depth),
            Expr::Call(call) => {
                let operator = !call.func_name.starts_with(|c: char| c.is_ascii_alphabetic());
                if !operator && !FUNCTIONS.contains(&call.func_name.as_str()) {
                    return Err(Invalid::Function(call.func_name.clone()));
                }
                self.sums += u64::from(call.func_name == "_+_");
                call.target.iter().try_for_each(|target| self.walk(target, bound, depth))?;
                call.args.iter().try_for_each(|argument| self.walk(argument, bound, depth))
            }
            Expr::List(list) => list.elements.iter().try_for_each(|element| self.walk(element, bound, depth)),
            Expr::Map(map) => map.entries.iter().try_for_each(|entry| match &entry.expr {
                EntryExpr::MapEntry(entry) => {
                    self.walk(&entry.key, bound, depth)?;
                    self.walk(&entry.value, bound, depth)
                }
                EntryExpr::StructField(field) => self.walk(&field.value, bound, depth),
            }),
            Expr::Struct(made) => Err(Invalid::Name(made.type_name.clone())),
            Expr::Comprehension(each) => {
                self.walk(&each.iter_range, bound, depth)?;
                self.walk(&each.accu_init, bound, depth)?;
                let before = bound.len();
                bound.push(each.iter_var.clone());
                bound.extend(each.iter_var2.clone());
                bound.push(each.accu_var.clone());
                let inner = [&each.loop_cond, &each.loop_step, &each.result];
                inner.into_iter().try_for_each(|inner| self.walk(inner, bound, depth + 1))?;
                bound.truncate(before);
                Ok(())
            }
        }
    }

    /// At most so many steps over data of this size: each part once for every element of every list it is within, and a
    /// step more for every 64 bytes of the longest text that it may look through.
    fn steps(&self, size: &Size) -> u64 {
        let lists = (size.elements.max(1)).saturating_mul(1 + self.sums);
        let texts = (1 + size.longest / 64).saturating_mul(1 + self.sums);
        self.parts.saturating_mul(lists.saturating_pow(self.nesting)).saturating_mul(texts)
    }
}

/// How much there is to look at.
#[derive(Clone, Copy, Debug, Default)]
struct Size {
    /// Of the longest list or map.
    elements: u64,
    /// Bytes of the longest text.
    longest: u64,
}

impl Size {
    fn count_scopes(&mut self, caller: &Caller) {
        self.elements = self.elements.max(caller.scopes.len() as u64);
    }
}

fn map(pairs: Vec<(&str, Value)>) -> Value {
    let pairs: HashMap<String, Value> =
        pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Value::Map(pairs.into())
}

fn text(text: &str) -> Value {
    Value::String(Arc::new(text.to_owned()))
}

fn caller(caller: &Caller) -> Value {
    let scopes = caller.scopes.iter().map(|scope| text(scope)).collect();
    map(vec![
        ("partner", text(caller.partner.as_str())),
        ("credential", text(&caller.credential)),
        ("scopes", Value::List(Arc::new(scopes))),
    ])
}

fn operation(facts: &Facts<'_>) -> Value {
    map(vec![
        ("api", text(facts.api.as_str())),
        ("name", text(facts.operation.as_str())),
        ("version", text(facts.version.as_str())),
    ])
}

fn event(event: &Event, size: &mut Size) -> Result<Value, Unjudged> {
    let data: Json =
        serde_json::from_slice(&event.data).map_err(|error| Unjudged::Failed(error.to_string()))?;
    let keys = event.order_keys.iter().map(|key| (key.kind.as_str(), text(&key.value))).collect();
    Ok(map(vec![
        ("type", text(&event.kind)),
        ("version", text(&event.schema_version)),
        ("keys", map(keys)),
        ("data", value(data, size)),
    ]))
}

/// JSON as CEL sees it: whole numbers are `int`, others `double`.
fn value(json: Json, size: &mut Size) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(bool) => Value::Bool(bool),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => Value::Int(whole),
            None => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => {
            size.longest = size.longest.max(text.len() as u64);
            Value::String(Arc::new(text))
        }
        Json::Array(items) => {
            size.elements = size.elements.max(items.len() as u64);
            Value::List(Arc::new(items.into_iter().map(|item| value(item, size)).collect()))
        }
        Json::Object(members) => {
            size.elements = size.elements.max(members.len() as u64);
            let members: HashMap<String, Value> =
                members.into_iter().map(|(name, member)| (name, value(member, size))).collect();
            Value::Map(members.into())
        }
    }
}

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod tests;
