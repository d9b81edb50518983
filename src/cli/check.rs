//! `rgwlens check`: what was found, a line each, and below it what mends it.

use std::io::{self, Write};

use clap::builder::styling::{AnsiColor, Style};

use super::{
    FAILED, OK, USAGE,
    args::{CheckArgs, GlobalArgs},
    explain::visible,
    json,
};
use crate::{
    check::{Finding, Level, check, unusable},
    config::Config,
};

pub(super) fn run(global: &GlobalArgs, args: &CheckArgs) -> anyhow::Result<u8> {
    let (findings, code) = match Config::load(global.config.as_deref()) {
        Ok(config) => {
            let findings = check(&config, args.nginx_conf.as_deref());
            let failed = findings.iter().any(|finding| finding.level == Level::Fail);
            (findings, if failed { FAILED } else { OK })
        }
        Err(error) => (unusable(&error), USAGE),
    };
    let mut out = anstream::stdout().lock();
    if args.json {
        write!(out, "{}", json::pretty(&findings)?)?;
    } else {
        print(&findings, &mut out)?;
    }
    Ok(code)
}

fn print(findings: &[Finding], out: &mut impl Write) -> io::Result<()> {
    for finding in findings {
        let (word, colour) = match finding.level {
            Level::Ok => ("ok", AnsiColor::Green),
            Level::Warn => ("warn", AnsiColor::Yellow),
            Level::Fail => ("fail", AnsiColor::Red),
        };
        let style = Style::new().bold().fg_color(Some(colour.into()));
        writeln!(
            out,
            "{style}{word:4}{style:#} {}: {}",
            visible(&finding.subject),
            visible(&finding.message)
        )?;
        for line in finding.mend.iter().flat_map(|mend| mend.lines()) {
            writeln!(out, "       {}", visible(line))?;
        }
    }
    let count = |level| findings.iter().filter(|finding| finding.level == level).count();
    let (failed, warned) = (count(Level::Fail), count(Level::Warn));
    match (failed, warned) {
        (0, 0) => writeln!(out, "all is as it should be"),
        _ => writeln!(out, "{failed} failed, {warned} to be considered"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_each_and_nothing_that_a_terminal_obeys() {
        let finding = |level, message: &str, mend: Option<&str>| Finding {
            subject: "log access".into(),
            level,
            message: message.into(),
            mend: mend.map(str::to_owned),
        };
        let findings = [
            finding(Level::Ok, "fine", None),
            finding(Level::Fail, "\u{1b}[2J\nok   all: fine", Some("do this\nand\u{7} that")),
        ];
        let mut out = Vec::new();
        print(&findings, &mut out).unwrap();
        let plain = anstream::adapter::strip_bytes(&out).into_vec();
        let expected = "ok   log access: fine\n\
            fail log access: \\u{1b}[2J\\nok   all: fine\n       do this\n       and\\u{7} that\n\
            1 failed, 0 to be considered\n";
        assert_eq!(String::from_utf8(plain).unwrap(), expected);
    }
}
