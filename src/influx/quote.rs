//! Names and values inside of somebody else's language.

/// A string literal of InfluxQL: `'…'`.
pub(super) fn influxql_string(text: &str) -> String {
    quoted(text, '\'')
}

/// An identifier of InfluxQL: `"…"`.
pub(super) fn influxql_name(text: &str) -> String {
    quoted(text, '"')
}

/// A string literal of PromQL (series selectors of VictoriaMetrics) and of InfluxDB 2's delete predicate: `"…"`.
pub(super) fn double_quoted(text: &str) -> String {
    quoted(text, '"')
}

/// A string literal of Flux: `"…"`. There `${` starts an expression.
pub(super) fn flux_string(text: &str) -> String {
    quoted(text, '"').replace("${", "\\${")
}

/// A word of a POSIX shell, quoted only where it has to be.
pub(super) fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+=,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// Between two of `quote`, with a backslash before what needs one. Newlines are escaped too: InfluxQL ends a literal at
/// a bare one, with an error.
fn quoted(text: &str, quote: char) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            c => {
                if c == quote || c == '\\' {
                    out.push('\\');
                }
                out.push(c);
            }
        }
    }
    out.push(quote);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_gets_out_of_its_quotes() {
        assert_eq!(influxql_string(r"a'b\ or 1=1"), r"'a\'b\\ or 1=1'");
        assert_eq!(influxql_name(r#"a"; DROP"#), r#""a\"; DROP""#);
        assert_eq!(influxql_string("a\nb"), r"'a\nb'");
        assert_eq!(flux_string(r#"${secrets}"\"#), r#""\${secrets}\"\\""#);
        assert_eq!(shell_word("rgw-1"), "rgw-1");
        assert_eq!(shell_word("a'b; rm"), r"'a'\''b; rm'");
        assert_eq!(shell_word(""), "''");
    }
}
