//! Looking into JSON of which nothing is certain.

use serde_json::Value;

/// A value that may be missing: what is looked for in it then is missing too.
#[derive(Clone, Copy, Debug)]
pub(super) struct Json<'a>(pub(super) &'a Value);

impl<'a> Json<'a> {
    /// What an object has under this name.
    pub(super) fn get(self, name: &str) -> Self {
        const MISSING: &Value = &Value::Null;
        Self(self.0.get(name).unwrap_or(MISSING))
    }

    /// A finite number; some releases write some as texts.
    pub(super) fn number(self) -> Option<f64> {
        let number = match self.0 {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        number.filter(|number| number.is_finite())
    }

    pub(super) fn id(self) -> Option<i64> {
        self.0.as_i64()
    }

    pub(super) fn text(self) -> Option<&'a str> {
        self.0.as_str().filter(|text| !text.is_empty())
    }

    pub(super) fn owned(self) -> Option<String> {
        self.text().map(str::to_owned)
    }

    /// A truth, which some releases write as 0 and 1.
    pub(super) fn flag(self) -> Option<bool> {
        self.0.as_bool().or_else(|| self.number().map(|number| number != 0.0))
    }

    pub(super) fn list(self) -> Option<impl ExactSizeIterator<Item = Json<'a>>> {
        self.0.as_array().map(|list| list.iter().map(Json))
    }

    pub(super) fn entries(self) -> Option<impl Iterator<Item = (&'a str, Json<'a>)>> {
        self.0.as_object().map(|object| object.iter().map(|(name, value)| (name.as_str(), Json(value))))
    }

    pub(super) fn is_object(self) -> bool {
        self.0.is_object()
    }

    /// Those of the named numbers that are there.
    pub(super) fn numbers(self, names: &[&'static str]) -> super::Numbers {
        names.iter().filter_map(|&name| Some((name, self.get(name).number()?))).collect()
    }

    /// The named numbers of an object in which Ceph leaves out those that are zero.
    pub(super) fn numbers_or_zero(self, names: &[&'static str]) -> super::Numbers {
        if !self.is_object() {
            return super::Numbers::new();
        }
        let number = |name: &&'static str| match self.get(name) {
            Json(Value::Null) if self.0.get(*name).is_none() => Some((*name, 0.0)),
            value => Some((*name, value.number()?)),
        };
        names.iter().filter_map(number).collect()
    }
}
