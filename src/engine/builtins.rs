//! The builtins that a policy may call, and how their errors are noticed.
//!
//! The list holds what is pure, deterministic, bounded by the size of its arguments, and equal in the interpreter, the
//! RVM and OPA. Left out on purpose, because user data could abort or hang the process: `numbers.range*`, `bits.*`,
//! `units.*`, `net.cidr_expand`, `strings.count`, `walk`, `graph.*`, `yaml.*`, `json.unmarshal`; because they differ from
//! call to call: `time.now_ns`, `rand.*`, `uuid.*`; because they leak or reach out: `print`, `trace`, `http.send`,
//! `opa.runtime`.
//!
//! **Errors.** The RVM abandons a rule body when a builtin fails in strict mode and says nothing, and yields undefined
//! otherwise (`not f(bad)` would then allow). So every builtin of a program is wrapped: the error is noted, and the
//! evaluation counts as failed whatever the result says.

use super::guards;
use crate::words::near;
use regorus::{Value, rvm::program::Program};
use std::any::Any;
use std::cell::RefCell;
use std::sync::OnceLock;

/// Names and numbers of arguments of the permitted builtins, sorted.
pub const ALLOWED: &[(&str, usize)] = &[
    ("abs", 1),
    ("array.concat", 2),
    ("array.reverse", 1),
    ("array.slice", 3),
    ("ceil", 1),
    ("concat", 2),
    ("contains", 2),
    ("count", 1),
    ("endswith", 2),
    ("floor", 1),
    ("format_int", 2),
    ("glob.match", 3),
    ("indexof", 2),
    ("intersection", 1),
    ("is_array", 1),
    ("is_boolean", 1),
    ("is_null", 1),
    ("is_number", 1),
    ("is_object", 1),
    ("is_set", 1),
    ("is_string", 1),
    ("json.marshal", 1),
    ("lower", 1),
    ("max", 1),
    ("min", 1),
    ("object.filter", 2),
    ("object.get", 3),
    ("object.keys", 1),
    ("object.remove", 2),
    ("object.union", 2),
    ("regex.match", 2),
    ("replace", 3),
    ("round", 1),
    ("semver.compare", 2),
    ("semver.is_valid", 1),
    ("sort", 1),
    ("split", 2),
    ("sprintf", 2),
    ("startswith", 2),
    ("strings.any_prefix_match", 2),
    ("strings.any_suffix_match", 2),
    ("strings.reverse", 1),
    ("substring", 3),
    ("sum", 1),
    ("time.parse_rfc3339_ns", 1),
    ("to_number", 1),
    ("trim", 2),
    ("trim_left", 2),
    ("trim_prefix", 2),
    ("trim_right", 2),
    ("trim_space", 1),
    ("trim_suffix", 2),
    ("type_name", 1),
    ("union", 1),
    ("upper", 1),
];

/// Builtins that are not permitted, and what does their work here. A name that ends with `.` stands for all that begin so.
const INSTEAD: &[(&str, &str)] = &[
    ("all", "use `every x in xs { … }`"),
    ("any", "use `some x in xs` in a rule of its own"),
    ("array.flatten", "write a comprehension over the lists: `[x | some list in lists; some x in list]`"),
    ("bits.", "compare numbers; a shift by a number from the object could hang the server"),
    ("cast_", "ask for the type with is_string, is_number and so on"),
    ("crypto.", "policies judge what can be read; nothing is computed from secrets"),
    ("graph.", "use comprehensions or `every` over lists of known depth"),
    (
        "http.send",
        "policies reach nothing: declare the kind in `context` and read data.cluster, or bring the data as data.yaml below seawall/knowledge",
    ),
    ("io.jwt.", "policies judge what can be read; the API server has checked the user, who is input.request.userInfo"),
    ("json.filter", "name the fields that you compare"),
    ("json.patch", "write a `patch` rule; the engine applies it"),
    ("json.remove", "use object.remove"),
    ("json.unmarshal", "compare the text, or bring the data as data.yaml below seawall/knowledge"),
    ("net.", "compare the text, with startswith, split or regex.match and a literal pattern"),
    ("numbers.range", "use `some i, x in xs`; a range up to a number from the object could take all memory"),
    ("object.subset", "use `every key, value in small { big[key] == value }`"),
    ("opa.runtime", "declare what you need in `parameters` and read input.seawall.parameters"),
    ("print", "remove it; `seawall explain` shows the values that each expression saw"),
    ("rand.", "verdicts depend on nothing but the request and the facts"),
    ("regex.", "use regex.match with a literal pattern, split, startswith or endswith"),
    ("rego.", "call a function of data.seawall.lib"),
    ("set_diff", "write a - b"),
    ("strings.count", "use count(split(text, part)) - 1 with a literal part"),
    ("strings.render_template", "use sprintf with a literal format"),
    ("strings.replace_n", "use replace"),
    ("time.", "use time.parse_rfc3339_ns, with input.seawall.now for the clock, and data.seawall.lib.dates for days"),
    ("trace", "remove it; `seawall explain` shows the values that each expression saw"),
    ("units.", "use quantities.milli of data.seawall.lib.quantities, which reads Kubernetes quantities and is bounded"),
    ("uuid.", "verdicts depend on nothing but the request and the facts"),
    ("walk", "name the fields, or use a comprehension over lists of known depth"),
    ("yaml.", "compare the text, or bring the data as data.yaml below seawall/knowledge"),
];

/// What to write instead of a function that is not permitted.
#[must_use]
pub fn instead_of(name: &str) -> String {
    let family = |row: &str| row.ends_with(['.', '_']) && name.starts_with(row) || name.starts_with(&format!("{row}_"));
    let known = INSTEAD.iter().find(|(row, _)| *row == name).or_else(|| INSTEAD.iter().find(|(row, _)| family(row)));
    if let Some((_, instead)) = known {
        return (*instead).to_owned();
    }
    match near(name, ALLOWED.iter().map(|(allowed, _)| *allowed)) {
        Some(near) => format!("did you mean {near:?}? The permitted ones are in docs/lint/rego/builtin.md"),
        None => "use a permitted builtin (docs/lint/rego/builtin.md) or a function of data.seawall.lib".to_owned(),
    }
}

/// Longest text that `to_number` reads; a longer one could be a number with a million digits.
const LONGEST_NUMBER: usize = 32;

/// The position of a permitted builtin.
#[must_use]
pub fn position(name: &str) -> Option<usize> {
    ALLOWED.binary_search_by(|(allowed, _)| (*allowed).cmp(name)).ok()
}

thread_local! {
    /// The first error of a builtin since [`take_error`].
    static ERROR: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// The first error of a builtin on this thread since the last call.
#[must_use]
pub fn take_error() -> Option<String> {
    guards::reset();
    ERROR.with(|error| error.borrow_mut().take())
}

/// The engine's type of a builtin; `S` and `E` are its spans and expressions, which have no public name.
type Builtin<S, E> = fn(&S, &[E], &[Value], bool) -> anyhow::Result<Value>;

/// How many builtins can be wrapped.
const SLOTS: usize = 64;
const _: () = assert!(ALLOWED.len() <= SLOTS, "more builtins than slots: extend the list in `wrapper`");

/// The engine's own functions behind the wrappers.
static ORIGINALS: [OnceLock<Box<dyn Any + Send + Sync>>; SLOTS] = [const { OnceLock::new() }; SLOTS];

/// Calls the original of slot `I` and notes its error.
fn recorded<S: 'static, E: 'static, const I: usize>(
    span: &S,
    expressions: &[E],
    arguments: &[Value],
    strict: bool,
) -> anyhow::Result<Value> {
    let name = ALLOWED.get(I).map_or("?", |(name, _)| name);
    let original = ORIGINALS.get(I).and_then(|slot| slot.get()?.downcast_ref::<Builtin<S, E>>());
    let too_long = name == "to_number"
        && arguments.iter().any(|a| matches!(a, Value::String(text) if text.len() > LONGEST_NUMBER));
    let message = if name == "object.get" { guards::message(arguments) } else { None };
    let is_message = message.is_some();
    let result = match original {
        _ if is_message => message.unwrap_or(Ok(Value::Undefined)).map_err(|problem| anyhow::anyhow!(problem)),
        Some(_) if too_long => Err(anyhow::anyhow!("to_number: text longer than {LONGEST_NUMBER} bytes")),
        // strict, so that the error is told and not turned into undefined by the builtin itself
        Some(original) => original(span, expressions, arguments, true),
        None => Err(anyhow::anyhow!("{name} is not resolved")),
    };
    match result {
        Ok(value) => Ok(value),
        Err(error) => {
            let text = short(&error.to_string());
            let told = if is_message { text } else { format!("{name}: {text}") };
            ERROR.with(|slot| {
                slot.borrow_mut().get_or_insert(told);
            });
            if strict { Err(error) } else { Ok(Value::Undefined) }
        }
    }
}

/// The engine renders errors with a source excerpt; the last line says what is wrong.
pub(crate) fn short(error: &str) -> String {
    let line = error.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or(error).trim();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

macro_rules! wrapper {
    ($index:expr, $s:ty, $e:ty; $($slot:literal)*) => {
        match $index { $($slot => Some(recorded::<$s, $e, $slot> as Builtin<$s, $e>),)* _ => None }
    };
}

/// Replaces a builtin of a program by its wrapper.
fn guard<S: 'static, E: 'static>(builtin: &mut (Builtin<S, E>, u8), index: usize) -> Option<()> {
    let wrapped = wrapper!(index, S, E;
        0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31
        32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63)?;
    let original = builtin.0;
    ORIGINALS.get(index)?.get_or_init(|| Box::new(original));
    builtin.0 = wrapped;
    Some(())
}

/// Wraps all builtins of a program that was just compiled.
///
/// # Errors
/// The name of a builtin that is not permitted.
pub fn guard_program(program: &mut Program) -> Result<(), String> {
    for (info, builtin) in program.builtin_info_table.iter().zip(program.resolved_builtins.iter_mut()) {
        position(&info.name).and_then(|index| guard(builtin, index)).ok_or_else(|| info.name.clone())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_and_found() {
        assert!(ALLOWED.is_sorted_by(|a, b| a.0 < b.0));
        assert!(position("sprintf").is_some());
        for dangerous in [
            "numbers.range",
            "units.parse",
            "units.parse_bytes",
            "bits.lsh",
            "strings.count",
            "walk",
            "http.send",
            "time.now_ns",
            "rand.intn",
            "print",
        ] {
            assert_eq!(position(dangerous), None, "{dangerous}");
        }
    }
}
