//! The types of parameters: a default fixes that of a value, and of everything inside it.

use rhai::{Array, Dynamic, Map};

use crate::error::{Code, Error, Result};
use crate::host::raise::{type_name, wrong_type};

/// The type of what may be given.
enum Kind {
    /// Anything but null: the elements of an empty array say nothing.
    Open,
    /// Anything: the default is null.
    Any,
    /// A plain value of the type of this one.
    Plain(Dynamic),
    /// An array of elements of one kind.
    Array(Box<Kind>),
    /// A map with some of these keys.
    Map(Vec<(String, Kind, Option<Dynamic>)>),
    /// One of several kinds.
    Either(Vec<Kind>),
}

/// The given value as one of the type that the default has: ints where floats are meant become floats.
///
/// # Errors
/// `wrong-type` for a value of another type, at whatever depth; `unknown-parameter` for a key that a map does not have.
pub fn fit(what: &str, default: &Dynamic, given: Dynamic) -> Result<Dynamic> {
    if default.is_unit() { Ok(given) } else { Kind::of(default, true).fit(what, given) }
}

impl Kind {
    /// The kind of a default. A map outside of arrays keeps what is not given.
    fn of(default: &Dynamic, keeps: bool) -> Kind {
        if let Some(array) = default.read_lock::<Array>() {
            return Kind::Array(Box::new(Kind::of_all(array.iter())));
        }
        if let Some(map) = default.read_lock::<Map>() {
            let pairs = map.iter().map(|(key, value)| (key.to_string(), value.clone()));
            let kind = |(key, value): (String, Dynamic)| {
                let own = if value.is_unit() { Kind::Any } else { Kind::of(&value, keeps) };
                (key, own, keeps.then_some(value))
            };
            return Kind::Map(pairs.map(kind).collect());
        }
        Kind::Plain(default.clone())
    }

    /// The kind that the elements of an array have in common.
    fn of_all<'a>(elements: impl Iterator<Item = &'a Dynamic>) -> Kind {
        let mut found: Vec<Kind> = Vec::new();
        for kind in elements.map(|element| Kind::of(element, false)) {
            match found.iter_mut().find(|known| known.same(&kind)) {
                Some(known) => known.join(kind),
                None => found.push(kind),
            }
        }
        match found.len() {
            0 => Kind::Open,
            1 => found.remove(0),
            _ => Kind::Either(found),
        }
    }

    /// Whether two kinds are one: numbers of either type, arrays, maps.
    fn same(&self, other: &Kind) -> bool {
        let number = |value: &Dynamic| value.is_int() || value.is_float();
        match (self, other) {
            (Kind::Plain(a), Kind::Plain(b)) => a.type_id() == b.type_id() || (number(a) && number(b)),
            (Kind::Array(_), Kind::Array(_)) | (Kind::Map(_), Kind::Map(_)) => true,
            _ => false,
        }
    }

    /// Takes in another kind of the same sort: a float beside an int makes floats of all.
    fn join(&mut self, other: Kind) {
        match (self, other) {
            (Kind::Plain(known), Kind::Plain(other)) if other.is_float() => *known = other,
            (Kind::Array(known), Kind::Array(other)) => known.widen(*other),
            (Kind::Map(known), Kind::Map(other)) => {
                for (key, kind, _) in other {
                    match known.iter_mut().find(|(name, ..)| *name == key) {
                        Some((_, known, _)) => known.widen(kind),
                        None => known.push((key, kind, None)),
                    }
                }
            }
            _ => {}
        }
    }

    fn widen(&mut self, other: Kind) {
        match (&mut *self, other) {
            (Kind::Any, _) | (_, Kind::Open) => {}
            (Kind::Open, other) => *self = other,
            (known, other) if known.same(&other) => known.join(other),
            (Kind::Either(all), other) => match all.iter_mut().find(|known| known.same(&other)) {
                Some(known) => known.join(other),
                None => all.push(other),
            },
            (_, other) => *self = Kind::Either(vec![std::mem::replace(self, Kind::Open), other]),
        }
    }

    /// The value as one of this kind.
    fn fit(&self, what: &str, given: Dynamic) -> Result<Dynamic> {
        match self {
            Kind::Any => Ok(given),
            Kind::Open if !given.is_unit() => Ok(given),
            Kind::Plain(like) if like.type_id() == given.type_id() => Ok(given),
            Kind::Plain(like) if like.is_float() && given.is_int() => {
                Ok(given.as_int().map_or(given, |i| (i as f64).into()))
            }
            Kind::Array(element) if given.is_array() => {
                let items = given.cast::<Array>().into_iter().enumerate();
                let items = items.map(|(i, item)| element.fit(&format!("{what}[{i}]"), item));
                Ok(Dynamic::from_array(items.collect::<Result<_>>()?))
            }
            Kind::Map(pairs) if given.is_map() => fit_map(what, pairs, given.cast::<Map>()),
            Kind::Either(all) => {
                let fitting = all.iter().find_map(|kind| kind.fit(what, given.clone()).ok());
                fitting.ok_or_else(|| wrong_type(what, &format!("{}, as its default has them", self.name()), &given))
            }
            _ => Err(wrong_type(what, &format!("{}, like its default", self.name()), &given)),
        }
    }

    /// What scripts call it.
    fn name(&self) -> String {
        match self {
            Kind::Any => "anything".to_string(),
            Kind::Open => "a value other than null".to_string(),
            Kind::Plain(like) => type_name(like),
            Kind::Array(_) => "array".to_string(),
            Kind::Map(_) => "map".to_string(),
            Kind::Either(all) => all.iter().map(Kind::name).collect::<Vec<_>>().join(" or "),
        }
    }
}

/// A map with every key that the default has.
fn fit_map(what: &str, pairs: &[(String, Kind, Option<Dynamic>)], mut given: Map) -> Result<Dynamic> {
    if pairs.is_empty() {
        let null = given.iter().find(|(_, value)| value.is_unit());
        let free =
            null.map_or(Ok(()), |(key, value)| Kind::Open.fit(&format!("{what}.{key}"), value.clone()).map(|_| ()));
        return free.map(|()| Dynamic::from_map(given));
    }
    if let Some(key) = given.keys().find(|key| pairs.iter().all(|(known, ..)| known != key.as_str())) {
        let known: Vec<&str> = pairs.iter().map(|(known, ..)| known.as_str()).collect();
        let mut error = Error::unknown(Code::UnknownParameter, "key", key, &known);
        error.message = format!("{what} has no key `{key}`");
        return Err(error);
    }
    let mut fitted = Map::new();
    for (key, kind, default) in pairs {
        let value = match (given.remove(key.as_str()), default) {
            (Some(value), _) => kind.fit(&format!("{what}.{key}"), value)?,
            (None, Some(default)) => default.clone(),
            (None, None) => continue,
        };
        fitted.insert(key.as_str().into(), value);
    }
    Ok(Dynamic::from_map(fitted))
}
