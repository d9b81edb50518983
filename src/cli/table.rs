//! Text for terminals: tables, headings, humane numbers. Whatever is put in comes out without control characters.

use std::{
    fmt::Write as _,
    io::{self, IsTerminal as _},
};

use chrono::DateTime;
use comfy_table::{
    CellAlignment, ColumnConstraint, ContentArrangement, Table, TableComponent, Width, presets,
};

use crate::point::TimestampMs;

/// How text may look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Style {
    /// Escape sequences for colours are welcome.
    pub(crate) colour: bool,
    /// Columns; `None` where nothing has to be cut or wrapped.
    pub(crate) width: Option<u16>,
}

impl Style {
    /// What standard output is: a terminal has a width, and colours unless NO_COLOR or `--color` is against it.
    pub(crate) fn of_stdout() -> Self {
        let stdout = io::stdout();
        let width = stdout.is_terminal().then(terminal_size::terminal_size).flatten();
        Self {
            colour: anstream::AutoStream::choice(&stdout) != anstream::ColorChoice::Never,
            width: width.map(|(width, _)| width.0),
        }
    }
}

/// How a cell stands out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tone {
    Plain,
    Good,
    Warning,
    Bad,
}

/// The text of a table's cell.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    text: String,
    tone: Tone,
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self { text: text.into(), tone: Tone::Plain }
    }
}

impl Cell {
    /// Stands out as wrong if it is.
    pub(crate) fn bad_if(self, bad: bool) -> Self {
        self.tone_if(Tone::Bad, bad)
    }

    /// Stands out as something to look at if it is.
    pub(crate) fn warn_if(self, warn: bool) -> Self {
        self.tone_if(Tone::Warning, warn)
    }

    /// Stands out as fine if it is.
    pub(crate) fn good_if(self, good: bool) -> Self {
        self.tone_if(Tone::Good, good)
    }

    fn tone_if(self, tone: Tone, wanted: bool) -> Self {
        Self { tone: if wanted { tone } else { self.tone }, ..self }
    }

    fn marked(&self) -> String {
        let text = plain(&self.text);
        match self.tone {
            Tone::Plain => text,
            Tone::Good => format!("{GOOD}{text}{RESET}"),
            Tone::Warning => format!("{WARNING}{text}{RESET}"),
            Tone::Bad => format!("{BAD}{text}{RESET}"),
        }
    }
}

// Stand-ins for escape sequences while a table is laid out: they have no width, which escape sequences would have, and
// `plain` takes them out of all text, so that only we can write them.
const GOOD: char = '\u{2061}';
const WARNING: char = '\u{2062}';
const BAD: char = '\u{2063}';
const RESET: char = '\u{2064}';
const BOLD: char = '\u{206a}';
const DIM: char = '\u{206b}';

const SEQUENCES: [(char, &str); 6] = [
    (GOOD, "\x1b[32m"),
    (WARNING, "\x1b[33m"),
    (BAD, "\x1b[31m"),
    (RESET, "\x1b[0m"),
    (BOLD, "\x1b[1m"),
    (DIM, "\x1b[2m"),
];

/// Text that is being put together.
#[derive(Debug)]
pub(crate) struct Page {
    style: Style,
    text: String,
}

impl Page {
    /// An empty one.
    pub(crate) fn new(style: &Style) -> Self {
        Self { style: *style, text: String::new() }
    }

    /// A heading, and below it what the section's figures mean.
    pub(crate) fn heading(&mut self, heading: &str, meaning: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.lines(heading, "", BOLD);
        if !meaning.is_empty() {
            self.lines(meaning, "", DIM);
        }
    }

    /// A paragraph, wrapped to the width.
    pub(crate) fn paragraph(&mut self, text: &str) {
        self.lines(text, "", RESET);
    }

    /// A paragraph that is less important, or belongs to what stands above it.
    pub(crate) fn note(&mut self, text: &str) {
        self.lines(text, "  ", DIM);
    }

    /// A paragraph that must not be overlooked.
    pub(crate) fn warning(&mut self, text: &str) {
        self.lines(text, "", WARNING);
    }

    fn lines(&mut self, text: &str, indent: &str, mark: char) {
        let width = self.style.width.map_or(usize::MAX, usize::from).saturating_sub(indent.len()).max(20);
        for line in wrap(&plain(text), width) {
            let _ = match mark {
                RESET => writeln!(self.text, "{indent}{line}"),
                mark => writeln!(self.text, "{indent}{mark}{line}{RESET}"),
            };
        }
    }

    /// A table. The first column is of names, on the left; so are those whose heading ends in a space.
    pub(crate) fn table(&mut self, headings: &[&str], rows: impl IntoIterator<Item = Vec<Cell>>) {
        let mut table = Table::new();
        table.load_preset(presets::NOTHING);
        table.set_style(TableComponent::HeaderLines, '─');
        table.set_style(TableComponent::MiddleHeaderIntersections, '─');
        table.set_header(headings.iter().map(|heading| plain(heading.trim_end())));
        table.add_rows(rows.into_iter().map(|row| row.iter().map(Cell::marked).collect::<Vec<_>>()));
        table.set_content_arrangement(ContentArrangement::Disabled);
        if let Some(width) = self.style.width {
            table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
        }
        let widths = table.column_max_content_widths();
        for (i, (column, width)) in table.column_iter_mut().zip(widths).enumerate() {
            let named = i == 0 || headings.get(i).is_some_and(|heading| heading.ends_with(' '));
            column.set_padding(if i == 0 { (0, 1) } else { (1, 0) });
            column.set_cell_alignment(if named { CellAlignment::Left } else { CellAlignment::Right });
            // Where there is no room names are wrapped, numbers never.
            column.set_constraint(if i == 0 {
                ColumnConstraint::LowerBoundary(Width::Fixed(width.min(16)))
            } else {
                ColumnConstraint::ContentWidth
            });
        }
        for line in table.lines() {
            let _ = writeln!(self.text, "{}", line.trim_end());
        }
    }

    /// The text, with escape sequences if they are welcome.
    pub(crate) fn finish(self) -> String {
        let mut text = String::with_capacity(self.text.len());
        for c in self.text.chars() {
            match SEQUENCES.iter().find(|(mark, _)| *mark == c) {
                Some((_, sequence)) if self.style.colour => text.push_str(sequence),
                Some(_) => {}
                None => text.push(c),
            }
        }
        text
    }
}

/// Text in which nothing moves a cursor, changes a colour, hides or turns around what stands beside it.
pub(crate) fn plain(text: &str) -> String {
    let shows = |c: char| {
        !c.is_control()
            && !matches!(c,
                '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
    };
    text.chars().map(|c| if shows(c) { c } else { char::REPLACEMENT_CHARACTER }).collect()
}

/// Cuts text into lines of at most `width` characters, between words.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// `12,345,678`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `512 B`, `1.2 GiB`.
pub(crate) fn bytes(bytes: u64) -> String {
    amount(bytes as f64)
}

/// `1.2 MiB/s`.
pub(crate) fn bytes_per_second(rate: f64) -> String {
    format!("{}/s", amount(rate))
}

fn amount(bytes: f64) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let (mut number, mut unit) = (bytes, 0);
    // What would be rounded to 1024 is 1.0 of the next unit.
    while number >= 1023.5 && unit + 1 < UNITS.len() {
        number /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{number:.0} B") } else { format!("{} {}", short(number), UNITS[unit]) }
}

/// Three digits or so.
fn short(number: f64) -> String {
    if number < 99.95 { format!("{number:.1}") } else { format!("{number:.0}") }
}

/// Requests per second.
pub(crate) fn rate(per_second: f64) -> String {
    match per_second {
        r if r >= 999.5 => count(r.round() as u64),
        r if r >= 9.995 => short(r),
        r if r > 0.0 && r < 0.005 => "<0.01".into(),
        r => format!("{r:.2}"),
    }
}

/// `3.2 ms`, `250 ms`, `1.2 s`, `4.5 min`.
pub(crate) fn ms(ms: f64) -> String {
    match ms {
        ms if ms < 9.95 && ms.fract() != 0.0 => format!("{ms:.1} ms"),
        ms if ms < 999.5 => format!("{ms:.0} ms"),
        ms if ms < 99_950.0 => format!("{:.1} s", ms / 1000.0),
        ms if ms < 5_997_000.0 => format!("{:.1} min", ms / 60_000.0),
        ms => format!("{:.1} h", ms / 3_600_000.0),
    }
}

/// A share of 1 as `12.34%`. What is not all is never shown as all, and what is something never as nothing.
pub(crate) fn percent(share: Option<f64>) -> String {
    match share {
        None => "-".into(),
        Some(share) if share > 0.0 && share < 0.000_05 => "<0.01%".into(),
        Some(share) if (0.999_95..1.0).contains(&share) => ">99.99%".into(),
        Some(share) => format!("{:.2}%", share * 100.0),
    }
}

/// A whole percent or so, for tables of many.
pub(crate) fn about_percent(share: Option<f64>) -> String {
    match share {
        None | Some(0.0) => "-".into(),
        Some(share) if share < 0.000_5 => "<0.1%".into(),
        Some(share) if (0.999_5..1.0).contains(&share) => ">99.9%".into(),
        Some(share) => format!("{:.1}%", share * 100.0),
    }
}

/// `2026-11-21 12:00:05`, in UTC.
pub(crate) fn time(time_ms: TimestampMs) -> String {
    DateTime::from_timestamp_millis(time_ms)
        .map_or_else(|| format!("{time_ms} ms"), |time| time.format("%Y-%m-%d %H:%M:%S").to_string())
}

/// `45 s`, `2 min`, `1 h 30 min`, `3 d 4 h`.
pub(crate) fn span(seconds: f64) -> String {
    let seconds = seconds.max(0.0).round() as u64;
    let (large, large_unit, small, small_unit) = match seconds {
        0..60 => return format!("{seconds} s"),
        60..3_600 => (seconds / 60, "min", seconds % 60, "s"),
        3_600..86_400 => (seconds / 3_600, "h", seconds % 3_600 / 60, "min"),
        _ => (seconds / 86_400, "d", seconds % 86_400 / 3_600, "h"),
    };
    if small == 0 {
        format!("{} {large_unit}", count(large))
    } else {
        format!("{} {large_unit} {small} {small_unit}", count(large))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NARROW: Style = Style { colour: false, width: Some(40) };

    fn page(style: &Style, write: impl FnOnce(&mut Page)) -> String {
        let mut page = Page::new(style);
        write(&mut page);
        page.finish()
    }

    #[test]
    fn numbers_for_people() {
        let check = |text: String, expected: &str| assert_eq!(text, expected);
        check(count(0), "0");
        check(count(999), "999");
        check(count(1_000), "1,000");
        check(count(12_345_678), "12,345,678");
        check(bytes(0), "0 B");
        check(bytes(1023), "1023 B");
        check(bytes(1024), "1.0 KiB");
        check(bytes(1_288_490_189), "1.2 GiB");
        check(bytes(1023 << 20 | 1023 << 10), "1.0 GiB");
        check(bytes(150 << 30), "150 GiB");
        check(bytes(u64::MAX), "16384 PiB");
        check(bytes_per_second(0.4), "0 B/s");
        check(bytes_per_second(1536.0), "1.5 KiB/s");
        check(rate(0.0), "0.00");
        check(rate(0.001), "<0.01");
        check(rate(0.1), "0.10");
        check(rate(12.34), "12.3");
        check(rate(1_234.5), "1,235");
        check(ms(0.0), "0 ms");
        check(ms(3.25), "3.2 ms");
        check(ms(250.0), "250 ms");
        check(ms(999.6), "1.0 s");
        check(ms(12_345.0), "12.3 s");
        check(ms(99_960.0), "1.7 min");
        check(ms(3_600_000.0), "60.0 min");
        check(percent(None), "-");
        check(percent(Some(0.0)), "0.00%");
        check(percent(Some(0.000_01)), "<0.01%");
        check(percent(Some(0.5)), "50.00%");
        check(percent(Some(0.999_999)), ">99.99%");
        check(percent(Some(1.0)), "100.00%");
        check(about_percent(Some(0.9999)), ">99.9%");
        check(about_percent(Some(1.0)), "100.0%");
        check(span(45.0), "45 s");
        check(span(120.0), "2 min");
        check(span(5400.0), "1 h 30 min");
        check(span(273_600.0), "3 d 4 h");
        check(time(1_795_262_405_123), "2026-11-21 12:00:05");
        check(time(i64::MAX), "9223372036854775807 ms");
    }

    #[test]
    fn no_control_character_comes_out() {
        let nasty: String = (0..0x2100)
            .chain(0xfe00..0x1_0000)
            .chain(0xe_0000..0xe_0080)
            .filter_map(char::from_u32)
            .collect();
        for style in [Style::default(), NARROW] {
            let text = page(&style, |page| {
                page.heading(&nasty, &nasty);
                page.paragraph(&nasty);
                page.note(&nasty);
                page.warning(&nasty);
                page.table(
                    &[&nasty, "n"],
                    [vec![Cell::from(nasty.clone()), Cell::from(nasty.clone()).bad_if(true)]],
                );
            });
            assert!(text.contains('a'));
            assert_eq!(text.chars().find(|c| c.is_control() && *c != '\n'), None);
            assert_eq!(text.chars().find(|c| SEQUENCES.iter().any(|(mark, _)| mark == c)), None);
            assert!(!text.contains('\u{202e}'));
        }
    }

    #[test]
    fn colours_only_where_welcome() {
        let write = |page: &mut Page| {
            page.heading("h", "m");
            page.table(&["name", "n"], [vec!["a".into(), Cell::from("1").bad_if(true).warn_if(false)]]);
        };
        let plain = page(&Style::default(), write);
        let coloured = page(&Style { colour: true, width: None }, write);
        assert!(!plain.contains('\x1b'));
        assert!(coloured.contains("\x1b[31m1\x1b[0m"));
        let mut stripped = coloured;
        SEQUENCES.iter().for_each(|(_, sequence)| stripped = stripped.replace(sequence, ""));
        assert_eq!(stripped, plain, "colours take no room");
    }

    #[test]
    fn names_wrap_and_numbers_do_not() {
        let text = page(&NARROW, |page| {
            page.paragraph(&"word ".repeat(30));
            let long = "a-bucket-with-a-name-that-is-longer-than-the-terminal";
            page.table(
                &["bucket", "requests", "in"],
                [vec![long.into(), "12,345,678".into(), "1.2 GiB".into()]],
            );
        });
        assert!(text.lines().all(|line| line.chars().count() <= 40), "{text}");
        assert!(text.contains("12,345,678") && text.contains("1.2 GiB"), "{text}");
    }
}
