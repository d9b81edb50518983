//! Pieces of a format become steps: for each variable, how to find the end of its value, and the text after it.
//!
//! What makes this safe against a stranger who writes ` [` or `" 200` into a header: nginx's escaping leaves some bytes
//! that no value can hold (a quote, a tab, all controls). They are *guards*: the first one after a value is the format's
//! own. Between two guards, values that nginx makes itself are recognised by their alphabet, from the left up to the
//! first value that can hold anything, and from the right back to it; it gets what is left in the middle.

use super::FormatError;
use super::directive::{Directive, Piece};
use super::variables::{Alphabet, Field, Loss, NEEDED, USEFUL, lookup};
use super::{Lack, LogFormat};
use crate::access_log::conf_lexer::Position;
use crate::access_log::{Escape, scan};

/// What a line is made of, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::access_log) struct Plan {
    pub(in crate::access_log) escape: Escape,
    /// The format has `$body_bytes_sent`; else `$bytes_sent` stands in for it.
    pub(in crate::access_log) has_body_bytes: bool,
    /// What every line starts with.
    pub(in crate::access_log) prefix: Literal,
    pub(in crate::access_log) steps: Box<[Step]>,
}

/// One variable and the text after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::access_log) struct Step {
    pub(in crate::access_log) field: Field,
    pub(in crate::access_log) extent: Extent,
    pub(in crate::access_log) literal: Literal,
}

/// How far a value reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::access_log) enum Extent {
    /// Its own grammar ends it.
    Own,
    /// It has this length.
    Fixed(usize),
    /// To before this byte, which it cannot hold.
    Byte(u8),
    /// To before the first quote that is not escaped as in JSON.
    JsonQuote,
    /// A list of words: to before a blank that is not part of `, ` or ` : `.
    List,
    /// It can hold anything: found from the next guard back.
    Tail { guard: Guard, back: Box<[Back]> },
    /// To before the first occurrence of the text after it, which may be its own: ambiguous, and only for what is skipped
    /// or not needed.
    Leftmost,
}

/// A place that can be found for certain, because no value holds that byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::access_log) enum Guard {
    Byte(u8),
    JsonQuote,
    LineEnd,
}

/// A step back from a guard to the end of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::access_log) enum Back {
    /// This many bytes.
    Over(usize),
    /// To after the last such byte.
    After(u8),
}

/// Text that stands in every line. Its first eight bytes are compared at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::access_log) struct Literal {
    pub(in crate::access_log) text: Box<[u8]>,
    pub(in crate::access_log) head: u64,
    pub(in crate::access_log) mask: u64,
}

impl Literal {
    fn new(text: &[u8]) -> Self {
        let (head, mask) = scan::head_and_mask(text);
        Self { text: text.into(), head, mask }
    }
}

/// A variable of the format and the text after it, before its extent is known.
struct Value<'a> {
    name: &'a str,
    at: Position,
    field: Field,
    alphabet: Alphabet,
    after: &'a [u8],
}

/// Compiles a directive. `tolerated` is what may lack although it is needed.
pub(super) fn compile(directive: &Directive, tolerated: &[Field]) -> Result<LogFormat, FormatError> {
    let escape = directive.escape;
    let (prefix, mut values) = values(&directive.pieces)?;
    choose(&mut values);
    let mut lacks = lacking(&values, tolerated)?;
    let mut steps = Vec::with_capacity(values.len());
    let mut rest = values.as_slice();
    while !rest.is_empty() {
        let ends = |value: &Value<'_>| guard(value.after, escape).is_some();
        let length = rest.iter().position(ends).map_or(rest.len(), |last| last + 1);
        let (segment, after) = rest.split_at(length);
        stretch(segment, escape, &mut steps, &mut lacks)?;
        rest = after;
    }
    let has_body_bytes = values.iter().any(|value| value.field == Field::BodyBytesSent);
    Ok(LogFormat {
        name: directive.name.clone(),
        variables: values.iter().map(|value| value.name.to_owned()).collect(),
        lacks,
        plan: Plan { escape, has_body_bytes, prefix: Literal::new(prefix), steps: steps.into() },
    })
}

/// The text before the first variable, and each variable with the text after it.
fn values(pieces: &[Piece]) -> Result<(&[u8], Vec<Value<'_>>), FormatError> {
    let mut prefix: &[u8] = b"";
    let mut values: Vec<Value<'_>> = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Literal(text) => match values.last_mut() {
                None => prefix = text,
                Some(value) => value.after = text,
            },
            Piece::Variable { name, at } => {
                if let Some(before) = values.last()
                    && before.after.is_empty()
                {
                    return Err(FormatError::Adjacent {
                        at: *at,
                        first: before.name.into(),
                        second: name.clone(),
                    });
                }
                let (field, alphabet) = lookup(name);
                values.push(Value { name, at: *at, field, alphabet, after: b"" });
            }
        }
    }
    Ok((prefix, values))
}

/// Where a format says the same thing twice, the better one is kept and the others are skipped.
fn choose(values: &mut [Value<'_>]) {
    const TIMES: [Field; 3] = [Field::Msec, Field::TimeIso8601, Field::TimeLocal];
    let has = |values: &[Value<'_>], field: Field| values.iter().any(|value| value.field == field);
    let time = TIMES.into_iter().find(|time| has(values, *time));
    let request = has(values, Field::Request);
    let http_host = has(values, Field::HttpHost);
    for index in 0..values.len() {
        let value = &values[index];
        // Two variables can hold the gateway's id, S3's and Swift's; of all others the first counts.
        let again = value.field != Field::GatewayRequestId && has(&values[..index], value.field);
        let worse = match value.field {
            field if TIMES.contains(&field) => Some(field) != time,
            Field::Method | Field::Uri => request,
            Field::Host => http_host,
            _ => false,
        };
        if again || worse {
            values[index].field = Field::Skip;
        }
    }
}

/// What the format lacks: an error when it is needed, else a list.
fn lacking(values: &[Value<'_>], tolerated: &[Field]) -> Result<Vec<Lack>, FormatError> {
    let missing = |(fields, ..): &&Loss| !values.iter().any(|value| fields.contains(&value.field));
    let lack = |(_, variable, lost): &Loss| Lack { variable: (*variable).into(), lost: (*lost).into() };
    let is_tolerated = |(fields, ..): &&Loss| fields.iter().any(|field| tolerated.contains(field));
    let (warned, refused): (Vec<&Loss>, Vec<&Loss>) = NEEDED.iter().filter(missing).partition(is_tolerated);
    if !refused.is_empty() {
        return Err(FormatError::Lacks(refused.into_iter().map(lack).collect()));
    }
    Ok(warned.into_iter().chain(USEFUL.iter().filter(missing)).map(lack).collect())
}

/// The first byte of this text that no value can hold, and where it is.
fn guard(text: &[u8], escape: Escape) -> Option<(usize, Guard)> {
    let (index, byte) = text.iter().copied().enumerate().find(|(_, byte)| match escape {
        Escape::Default => !(0x20..0x7f).contains(byte) || *byte == b'"',
        // After a backslash in the format a quote looks like an escaped one.
        Escape::Json => *byte < 0x20 || matches!(byte, b'"' | b'\\'),
    })?;
    match (escape, byte) {
        (Escape::Json, b'\\') => None,
        (Escape::Json, b'"') => Some((index, Guard::JsonQuote)),
        _ => Some((index, Guard::Byte(byte))),
    }
}

/// The steps of all values up to a guard.
fn stretch(
    values: &[Value<'_>],
    escape: Escape,
    steps: &mut Vec<Step>,
    lacks: &mut Vec<Lack>,
) -> Result<(), FormatError> {
    let Some(last) = values.last() else { return Ok(()) };
    let (guard_index, guard) = guard(last.after, escape).unwrap_or((last.after.len(), Guard::LineEnd));

    let vague = values.iter().position(|value| forward(value, escape).is_none());
    let middle = vague.map(|first| {
        let clear_after = values.windows(2).rev().take_while(|pair| backward(pair).is_some()).count();
        (first, (values.len() - 1 - clear_after).max(first))
    });

    for (index, value) in values.iter().enumerate() {
        let extent = match middle {
            Some((_, middle)) if middle == index => {
                let mut back = vec![Back::Over(guard_index)];
                for pair in values[index..].windows(2).rev() {
                    back.push(backward(pair).unwrap_or(Back::Over(0)));
                    back.push(Back::Over(pair[0].after.len()));
                }
                Extent::Tail { guard, back: join(back) }
            }
            _ => forward(value, escape).unwrap_or(Extent::Leftmost),
        };
        steps.push(Step { field: value.field, extent, literal: Literal::new(value.after) });
    }

    // More than one value that can hold anything: where one ends and the next begins is up to whoever fills them.
    if let Some((first, middle)) = middle.filter(|(first, middle)| first < middle) {
        let (first, others) = (&values[first], &values[first..=middle]);
        if let Some(needed) = others.iter().find(|value| value.field.is_needed()) {
            return Err(FormatError::Ambiguous {
                at: first.at,
                first: first.name.into(),
                last: values[middle].name.into(),
                needed: needed.name.into(),
            });
        }
        lacks.push(Lack {
            variable: first.name.to_owned().into(),
            lost: format!(
                "it stands without quotes, so a value that holds `{}` shifts all up to ${}",
                first.after.escape_ascii(),
                values[middle].name
            )
            .into(),
        });
    }
    Ok(())
}

/// How the end of this value is found from its left, if the text after it marks it for certain.
fn forward(value: &Value<'_>, escape: Escape) -> Option<Extent> {
    let marked = match value.after {
        [] => return value.field.ends_itself().then_some(Extent::Own),
        [first, ..] if guard(&[*first], escape).is_some() => Some(*first),
        [first, ..] if !value.alphabet.may_contain(*first) => Some(*first),
        _ => None,
    };
    let list_ends = value.alphabet == Alphabet::List
        && value.after.starts_with(b" ")
        && !value.after.starts_with(b" :")
        && value.after.get(1) != Some(&b' ');
    match marked {
        _ if value.alphabet.width().is_some() && value.field == Field::Skip => {
            value.alphabet.width().map(Extent::Fixed)
        }
        _ if value.alphabet.width().is_some() => Some(Extent::Own),
        Some(_) if value.field.ends_itself() => Some(Extent::Own),
        Some(b'"') if escape == Escape::Json => Some(Extent::JsonQuote),
        Some(byte) => Some(Extent::Byte(byte)),
        None if list_ends && value.field.ends_itself() => Some(Extent::Own),
        None if list_ends => Some(Extent::List),
        None => None,
    }
}

/// How the start of the second of two neighbours is found from its right.
fn backward(pair: &[Value<'_>]) -> Option<Back> {
    let [left, right] = pair else { return None };
    if let Some(width) = right.alphabet.width() {
        return Some(Back::Over(width));
    }
    let before = *left.after.last()?;
    (!right.alphabet.may_contain(before)).then_some(Back::After(before))
}

/// Adds up neighbouring fixed lengths.
fn join(back: Vec<Back>) -> Box<[Back]> {
    let mut joined: Vec<Back> = Vec::new();
    for step in back {
        match (joined.last_mut(), step) {
            (Some(Back::Over(total)), Back::Over(more)) => *total += more,
            _ => joined.push(step),
        }
    }
    joined.into()
}
