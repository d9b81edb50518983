//! The example configuration says what is true: every key is in it, at its default, with its range.

use serde_json::Value as Json;

use super::{Config, units, written};

/// The example with every key in effect.
fn with_every_key() -> String {
    let is_key = |rest: &str| rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '[');
    let uncomment = |line: &'static str| line.strip_prefix('#').filter(|rest| is_key(rest)).unwrap_or(line);
    Config::example().lines().map(uncomment).collect::<Vec<_>>().join("\n")
}

fn example_tree(text: &str) -> Json {
    let config = config::Config::builder().add_source(config::File::from_str(text, config::FileFormat::Toml));
    config.build().unwrap().try_deserialize().unwrap()
}

/// The keys below a tree, as in `output.url`, with their values; those of lists of tables merged, first one first.
fn leaves(tree: &Json, path: &str, into: &mut Vec<(String, Json)>) {
    match tree {
        Json::Object(table) => {
            for (key, child) in table {
                leaves(child, &if path.is_empty() { key.clone() } else { format!("{path}.{key}") }, into);
            }
        }
        Json::Array(list) if list.iter().any(Json::is_object) => {
            list.iter().for_each(|child| leaves(child, path, into));
        }
        leaf => into.push((path.to_owned(), leaf.clone())),
    }
}

fn leaves_of(tree: &Json) -> Vec<(String, Json)> {
    let mut found = Vec::new();
    leaves(tree, "", &mut found);
    found
}

#[test]
fn the_example_is_the_default_configuration() {
    let example = Config::from_toml(Config::example()).unwrap();
    assert_eq!(format!("{example:#?}"), format!("{:#?}", Config::from_toml("").unwrap()));
    assert!(example.outputs.is_empty());
}

#[test]
fn with_every_key_in_effect_it_is_valid() {
    let config = Config::from_toml(&with_every_key()).unwrap();
    assert_eq!(config.outputs.len(), 3);
    assert_eq!(config.node, "gw1");
    assert_eq!(config.tags.get("site"), Some("berlin"));
}

#[test]
fn every_key_is_in_the_example_at_its_default() {
    let shown = leaves_of(&example_tree(&with_every_key()));
    let known = leaves_of(&written::every_key());
    assert!(known.len() > 60, "the tree of keys is not what it should be: {known:?}");
    for (key, default) in &known {
        // Two ways to say the same secret cannot both be in effect.
        if matches!(
            key.as_str(),
            "output.password"
                | "ceph.id"
                | "output.token"
                | "probe.access_key_file"
                | "probe.secret_key"
                | "probe.mark_key"
        ) {
            let field = key.rsplit('.').next().unwrap();
            assert!(Config::example().contains(&format!("\n# {field} = ")), "{key} is not in the example");
            continue;
        }
        let value = shown.iter().find_map(|(shown, value)| (shown == key).then_some(value));
        let value = value.unwrap_or_else(|| panic!("{key} is not in the example"));
        let must_be_written = matches!(key.as_str(), "output.kind" | "output.url" | "probe.endpoint.url");
        if !default.is_null() && !must_be_written {
            assert_eq!(comparable(value), comparable(default), "{key} is shown with another default");
        }
    }
    for (key, _) in shown {
        let of_the_operator = key.starts_with("tags.") || key.starts_with("ceph.iops.");
        assert!(of_the_operator || known.iter().any(|(known, _)| *known == key), "{key} does not exist");
    }
}

/// `60s` is `1m`.
fn comparable(value: &Json) -> Json {
    let Json::String(text) = value else { return value.clone() };
    match (units::parse_duration(text), units::parse_size(text)) {
        (Some(span), _) => span.as_millis().to_string().into(),
        (_, Some(size)) => size.to_string().into(),
        _ => value.clone(),
    }
}

#[test]
fn ranges_are_as_documented() {
    let lines: Vec<&str> = Config::example().lines().collect();
    let (mut section, mut checked) = (String::new(), 0);
    for (at, line) in lines.iter().enumerate() {
        let line = line.trim_start_matches('#');
        if line.starts_with('[') {
            section = line.to_owned();
            continue;
        }
        let Some((key, value)) = lines[at].strip_prefix('#').and_then(|line| line.split_once(" = ")) else {
            continue;
        };
        let value = value.trim_matches('"');
        let absurd = if units::parse_size(value).is_some() && value.ends_with('B') {
            "\"9000000TiB\""
        } else if units::parse_duration(value).is_some() && value.ends_with(['s', 'm', 'h', 'd']) {
            "\"90000d\""
        } else if value.parse::<f64>().is_ok() {
            "90000000"
        } else {
            continue;
        };
        let needed =
            if section == "[[output]]" { "kind = \"influxdb1\"\nurl = \"http://localhost\"\n" } else { "" };
        let error = Config::from_toml(&format!("{section}\n{needed}{key} = {absurd}")).expect_err(line);
        let problem = error.problems().iter().find(|problem| problem.key.ends_with(key));
        let message = &problem.unwrap_or_else(|| panic!("{line}: {error}")).message;
        let range = message.strip_prefix("must be from ").unwrap_or_else(|| panic!("{line}: {message}"));
        // The comment is the run of lines just above, as one sentence.
        let above = lines[..at].iter().rev().take_while(|line| line.starts_with("# "));
        let comment: Vec<_> = above.map(|line| &line[2..]).collect();
        let comment = comment.into_iter().rev().collect::<Vec<_>>().join(" ");
        let at_most = format!("at most {}", range.rsplit(' ').next().unwrap());
        assert!(
            comment.contains(range) || comment.contains(&at_most),
            "{key}: {range} is not said in: {comment}"
        );
        checked += 1;
    }
    assert!(checked >= 25, "only {checked} ranges were found in the example");
}
