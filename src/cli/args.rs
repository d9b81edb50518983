//! What can be said on the command line. Definitions only: the commands are elsewhere.

use clap::{
    Args as ClapArgs, ColorChoice, Parser, Subcommand, ValueEnum, ValueHint,
    builder::{PossibleValuesParser, TypedValueParser},
};
use std::path::PathBuf;

use super::TimeArg;
use crate::{
    access_log::Release,
    config::{Choice, LogLevel},
};

/// One of the words of a setting, offered in help and completions.
fn choice<T: Choice + Send + Sync>() -> impl TypedValueParser<Value = T> {
    PossibleValuesParser::new(T::names()).try_map(|name| T::named(&name).ok_or("is not known"))
}

/// See what a Ceph object gateway (RGW) is doing, from the access log of the nginx in front of it
#[derive(Clone, Debug, Parser)]
#[command(
    name = "rgwlens",
    version,
    propagate_version = true,
    arg_required_else_help = true,
    long_about = "See what a Ceph object gateway (RGW) is doing, from the access log of the nginx in front of it.\n\n\
        Every line is counted exactly once: uploads, downloads, deletes, lists, slow and failed requests, bandwidth and \
        latency percentiles per node and bucket, in InfluxDB or VictoriaMetrics, or in a store of its own.",
    after_help = "\
Start here:
  rgwlens demo                                numbers to look at, nothing needed
  rgwlens report /var/log/nginx/access.log*   what has been going on so far
  rgwlens check                               is all as it should be, and what to do if not

Exit codes: 0 all is well; 1 it failed, or check found something; 2 wrong usage or configuration.
NO_COLOR in the environment turns colours off, as does --color never."
)]
pub struct Args {
    /// Options of every command.
    #[command(flatten)]
    pub global: GlobalArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Clone, Debug, ClapArgs)]
#[command(next_help_heading = "Options of every command")]
pub struct GlobalArgs {
    /// Configuration file [default: /etc/rgwlens/rgwlens.toml, if there is one]
    #[arg(long, short, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,
    /// Colours in the output; auto: on a terminal, unless NO_COLOR is set
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t = ColorChoice::Auto)]
    pub color: ColorChoice,
    /// How much to say about itself on stderr [default: log_level of the configuration]
    #[arg(long, global = true, value_name = "LEVEL", value_parser = choice::<LogLevel>())]
    pub log_level: Option<LogLevel>,
}

impl GlobalArgs {
    /// Says it to whatever writes to the terminal. There `auto` looks at the terminal and NO_COLOR.
    pub fn anstream(&self) -> anstream::ColorChoice {
        match self.color {
            ColorChoice::Auto => anstream::ColorChoice::Auto,
            ColorChoice::Always => anstream::ColorChoice::Always,
            ColorChoice::Never => anstream::ColorChoice::Never,
        }
    }
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Follow the logs and send what they say: the daemon
    #[command(after_help = "\
Runs in the foreground; systemd starts it (Type=notify). SIGHUP reads the configuration again, SIGTERM stops. \
Stopping loses nothing: the next start goes on with the line after the last one counted, also after kill -9.

Examples:
  systemctl enable --now rgwlens
  rgwlens --log-level debug run                 see every window that closes, and every commit
  RGWLENS_STORE__PATH=/tmp/try.db rgwlens run   the environment can set any key")]
    Run,
    /// Count past logs into an output, once
    Replay(ReplayArgs),
    /// Send what the store has to an output again
    Resend(ResendArgs),
    /// Look at points that a server refused, send them again, or drop them
    Quarantine(QuarantineArgs),
    /// Summarise log files, or what the store has, in the terminal
    Report(ReportArgs),
    /// Show how the daemon is doing
    Status(StatusArgs),
    /// Show how lines parse and what RGW calls them
    Explain(ExplainArgs),
    /// Check the configuration and its surroundings, and say how to mend them
    Check(CheckArgs),
    /// Probe S3 from outside, one round, as a user would use it
    Probe(ProbeArgs),
    /// Ask Ceph once, and show what it says
    Ceph(CephArgs),
    /// Show what is counted of requests that a real gateway answered; needs nothing
    Demo(DemoArgs),
    /// Print completions for a shell
    #[command(after_help = "\
Examples:
  rgwlens completions bash > /etc/bash_completion.d/rgwlens
  rgwlens completions zsh > ~/.zfunc/_rgwlens
  rgwlens completions fish > ~/.config/fish/completions/rgwlens.fish")]
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    #[command(after_help = "\
Example:
  rgwlens man | man -l -")]
    Man,
}

/// How lines are written and what they mean; the configuration's where nothing is said.
#[derive(Clone, Debug, Default, ClapArgs)]
#[command(next_help_heading = "How to read lines")]
pub struct FormatArgs {
    /// main, rgwlens, combined, rgw-ops, beast, civetweb, or a whole log_format directive, pasted [default: the configuration's]
    #[arg(long, value_name = "NAME|DIRECTIVE")]
    pub log_format: Option<String>,
    /// rgw_dns_name, or one of the zonegroup's hostnames: below it a host names a bucket; can be repeated
    #[arg(long = "dns-name", value_name = "DOMAIN", value_hint = ValueHint::Hostname)]
    pub dns_names: Vec<String>,
    /// rgw_dns_s3website_name, or one of the zonegroup's hostnames_s3website; can be repeated
    #[arg(long = "website-dns-name", value_name = "DOMAIN", value_hint = ValueHint::Hostname)]
    pub website_dns_names: Vec<String>,
    /// The gateway's release, which decides how newer sub-resources are named
    #[arg(long, value_name = "RELEASE", value_parser = choice::<Release>())]
    pub rgw_release: Option<Release>,
}

/// Ask Ceph once.
#[derive(Clone, Copy, Debug, ClapArgs)]
#[command(after_help = "\
Asks as [ceph] of the configuration says, enabled or not, and keeps nothing. Prints line protocol: what `run` would send. \
Exit code 1 when nothing was answered; what was not is told on stderr.

Examples:
  rgwlens ceph --table                        how is it?
  rgwlens ceph                                what would be sent?
  rgwlens ceph --json | jq '.asked[]'         what is asked, and how long does it take?")]
pub struct CephArgs {
    /// A page for people
    #[arg(long)]
    pub table: bool,
    /// JSON: what was asked, and the points
    #[arg(long, conflicts_with = "table")]
    pub json: bool,
}

/// From when to when.
#[derive(Clone, Copy, Debug, Default, ClapArgs)]
pub struct PeriodArgs {
    /// From then on: 2h (ago), 2026-11-20, 2026-11-20T18:00:00Z
    #[arg(long, value_name = "TIME")]
    pub since: Option<TimeArg>,
    /// Until just before then [default: no end]
    #[arg(long, value_name = "TIME")]
    pub until: Option<TimeArg>,
}

/// Where a replay writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Destination {
    /// An output of the configuration
    #[default]
    Influxdb,
    /// The embedded store
    Store,
    /// Line protocol on standard output, all windows, also the cut ones
    Stdout,
}

/// `rgwlens replay`.
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = "\
Give all files of a log at once: they are ordered by content, and identical content is read once. \
Windows that the files do not cover whole are named and left out. \
What is there already is never added to: replay stops and says so.

Examples:
  rgwlens replay --to stdout access.log | head           what would be written
  rgwlens replay --node gw1 /var/log/nginx/access.log*   a backfill
  rgwlens replay --since 7d --replace access.log*        count the last week anew")]
pub struct ReplayArgs {
    /// The files of one log, in any order; .gz and .zst too
    #[arg(required = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub files: Vec<PathBuf>,
    /// Where to
    #[arg(long, value_name = "WHERE", value_enum, default_value_t = Destination::Influxdb)]
    pub to: Destination,
    /// Name of the output, if the configuration has several
    #[arg(long, value_name = "NAME")]
    pub output: Option<String>,
    /// From when to when.
    #[command(flatten)]
    pub period: PeriodArgs,
    /// Delete what is there in the range, then write; the daemon must be stopped
    #[arg(long, conflicts_with = "overwrite")]
    pub replace: bool,
    /// Write over what is there without deleting: right after a crashed replay of the same files
    #[arg(long)]
    pub overwrite: bool,
    /// Tag node [default: the configuration's, which must name it: the machine that replays need not be the gateway]
    #[arg(long, value_name = "NAME")]
    pub node: Option<String>,
    /// Tag log: which log of the configuration it is [default: the only one, or access]
    #[arg(long, value_name = "NAME")]
    pub log: Option<String>,
    /// Tag cluster [default: the configuration's]
    #[arg(long, value_name = "NAME")]
    pub cluster: Option<String>,
    /// Threads that parse and count, 0 for one each processor; what comes out is the same
    #[arg(short, long, value_name = "N", default_value_t = 1)]
    pub jobs: usize,
    /// How lines are written and what they mean.
    #[command(flatten)]
    pub format: FormatArgs,
}

/// `rgwlens resend`.
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = "\
For an output that lost data. The same points are written again, byte for byte: \
what is there already stays as it is.

Examples:
  rgwlens resend --since 1d
  rgwlens resend --since 2026-11-20 --until 2026-11-21 --output second")]
pub struct ResendArgs {
    /// From then on: 2h (ago), 2026-11-20, 2026-11-20T18:00:00Z
    #[arg(long, value_name = "TIME", required = true)]
    pub since: TimeArg,
    /// Until just before then [default: now]
    #[arg(long, value_name = "TIME")]
    pub until: Option<TimeArg>,
    /// Name of the output, if the configuration has several
    #[arg(long, value_name = "NAME")]
    pub output: Option<String>,
}

/// `rgwlens quarantine`.
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = "\
A server may refuse a point for good: a field that somebody else writes with another type, a limit on tags. \
All others are written; that one waits here, up to 10,000 for each output, until you decide. \
It may be done beside the daemon.

Examples:
  rgwlens quarantine list                   what was refused, and why
  rgwlens quarantine resend --output main   after what was wrong is mended
  rgwlens quarantine drop --id 7 --id 8     these are not wanted
  rgwlens quarantine list --json | jq .")]
pub struct QuarantineArgs {
    /// What to do with them
    #[command(subcommand)]
    pub action: QuarantineAction,
}

/// What to do with refused points.
#[derive(Clone, Debug, Subcommand)]
pub enum QuarantineAction {
    /// Show them, and why they were refused
    List {
        /// Which points.
        #[command(flatten)]
        which: QuarantineWhich,
        /// How many to show at most
        #[arg(long, value_name = "N", default_value_t = 20)]
        limit: usize,
    },
    /// Send them again: those that are accepted leave the quarantine
    Resend {
        /// Which points.
        #[command(flatten)]
        which: QuarantineWhich,
    },
    /// Forget them; say which with --id or --output, or --all
    #[command(group = clap::ArgGroup::new("dropped").args(["output", "ids", "all"]).multiple(true).required(true))]
    Drop {
        /// Which points.
        #[command(flatten)]
        which: QuarantineWhich,
        /// All of them
        #[arg(long)]
        all: bool,
    },
}

/// Which refused points.
#[derive(Clone, Debug, Default, ClapArgs)]
pub struct QuarantineWhich {
    /// Of this output only
    #[arg(long, value_name = "NAME")]
    pub output: Option<String>,
    /// With this number only; can be repeated
    #[arg(long = "id", value_name = "N")]
    pub ids: Vec<i64>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `rgwlens report`.
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = "\
Without files it is about what the daemon has stored; with files it needs neither a daemon nor a configuration.

Examples:
  rgwlens report --since 1h                            the last hour of this gateway
  rgwlens report --top 20 /var/log/nginx/access.log*   the busiest buckets in these files
  rgwlens report --json access.log | jq .              for other programs")]
pub struct ReportArgs {
    /// Log files, .gz and .zst too [default: the store]
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub files: Vec<PathBuf>,
    /// From when to when.
    #[command(flatten)]
    pub period: PeriodArgs,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// How many buckets to list
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub top: usize,
    /// Of this gateway only; of files: which gateway they are from
    #[arg(long, value_name = "NAME")]
    pub node: Option<String>,
    /// Of this log only; of files: which log of the configuration they are
    #[arg(long, value_name = "NAME")]
    pub log: Option<String>,
    /// Threads that parse and count files, 0 for one each processor; what comes out is the same
    #[arg(short, long, value_name = "N", default_value_t = 1)]
    pub jobs: usize,
    /// How lines are written and what they mean.
    #[command(flatten)]
    pub format: FormatArgs,
}

/// `rgwlens status`.
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = "\
Reads the daemon's store without disturbing it: how far each log is read, how far behind each output is.

Example:
  rgwlens status --json | jq .")]
pub struct StatusArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `rgwlens explain`.
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  tail -n 3 /var/log/nginx/access.log | rgwlens explain
  rgwlens explain --json access.log | jq -r .operation | sort | uniq -c
  rgwlens explain --log-format \"$(sed -n '/log_format/,/;/p' /etc/nginx/nginx.conf)\" access.log
  rgwlens explain --dns-name s3.example.com access.log   where hosts name buckets")]
pub struct ExplainArgs {
    /// A log file; - is standard input
    #[arg(value_name = "FILE", default_value = "-", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// Print one JSON object a line, for every line read, in order
    #[arg(long)]
    pub json: bool,
    /// How lines are written and what they mean.
    #[command(flatten)]
    pub format: FormatArgs,
}

/// `rgwlens check`.
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = "\
Looks at the configuration, the logs and who may read them, nginx's log_format and flush, the store, \
Ceph and the probe's endpoints where they are to be asked, and each output. \
Each finding comes with its mend. Run it as the user of the daemon to see what it sees.

Examples:
  runuser -u rgwlens -g rgwlens -G adm -- rgwlens check
  rgwlens check --nginx-conf <(nginx -T 2>/dev/null)   all of nginx's configuration, in bash

Exit code 1 if anything is found that has to be mended, 2 if the configuration cannot be used.")]
pub struct CheckArgs {
    /// nginx's configuration: the log must be written in the format that is read
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub nginx_conf: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `rgwlens probe`.
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = "\
Creates a bucket, puts, lists, gets, compares and deletes objects, and removes the bucket, at every [[probe.endpoint]] \
at once. Prints line protocol; what failed is said on standard error. Nothing stays behind, and nothing is deleted that \
is not a probe's. The daemon does the same every two minutes with `probe.enabled = true`.

Examples:
  rgwlens probe
  rgwlens probe --json | jq '.[].tasks[] | {task, outcome, duration_ms}'
  CLUSTER_ENDPOINT=http://127.0.0.1:7480 ACCESS_KEY=a SECRET_ACCESS_KEY=b rgwlens probe

Exit code 1 if any task failed.")]
pub struct ProbeArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `rgwlens demo`.
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = "\
Everything happens in a temporary directory that is removed at the end, unless it is kept.

Example:
  rgwlens demo --keep /tmp/rgwlens-demo   look at what it made")]
pub struct DemoArgs {
    /// Work in this directory and leave everything there
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub keep: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory, error::ErrorKind};

    fn parse(line: &str) -> Args {
        Args::try_parse_from(line.split(' ')).unwrap_or_else(|error| panic!("{line}: {error}"))
    }

    fn refused(line: &str, kind: ErrorKind) {
        let error = Args::try_parse_from(line.split(' ')).expect_err(line);
        assert_eq!(error.kind(), kind, "{line}: {error}");
        assert_eq!(error.exit_code(), 2, "{line}");
    }

    #[test]
    fn definitions_are_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn every_command_and_option_says_what_it_is_for() {
        for command in Args::command().get_subcommands() {
            assert!(command.get_about().is_some(), "{}", command.get_name());
            for arg in command.get_arguments() {
                assert!(arg.get_help().is_some(), "{} {}", command.get_name(), arg.get_id());
            }
        }
    }

    #[test]
    fn examples_fit_a_terminal() {
        let mut commands = vec![Args::command()];
        commands.extend(Args::command().get_subcommands().cloned());
        for command in commands {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            for example in help.lines().filter(|line| line.starts_with("  ")) {
                assert!(example.chars().count() <= 100, "{}: {example}", command.get_name());
            }
        }
    }

    /// Every example of the help is a command line that exists.
    #[test]
    fn examples_parse() {
        let mut commands = vec![Args::command()];
        commands.extend(Args::command().get_subcommands().cloned());
        let mut parsed = 0;
        for command in commands {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            for example in help.lines().filter_map(|line| line.strip_prefix("  rgwlens ")) {
                // Up to the pipe, the redirection, the substitution or the explanation behind it.
                let ends = [" |", " >", " <(", "   ", "$("];
                let end = ends.iter().filter_map(|end| example.find(end)).min().unwrap_or(example.len());
                let words = example[..end].replace("--nginx-conf", "--nginx-conf x").replace('"', "x");
                let line = std::iter::once("rgwlens").chain(words.split_whitespace());
                if let Err(error) = Args::try_parse_from(line) {
                    panic!("{example}: {error}");
                }
                parsed += 1;
            }
        }
        assert!(parsed >= 15, "only {parsed} examples were found");
    }

    #[test]
    fn global_options_stand_anywhere() {
        let args = parse("rgwlens status --json --config /etc/x.toml --color never --log-level debug");
        assert_eq!(args.global.config.as_deref(), Some("/etc/x.toml".as_ref()));
        assert_eq!(args.global.anstream(), anstream::ColorChoice::Never);
        assert_eq!(args.global.log_level, Some(LogLevel::Debug));
        assert_eq!(parse("rgwlens -c x run").global.config.as_deref(), Some("x".as_ref()));
        assert_eq!(parse("rgwlens run").global.anstream(), anstream::ColorChoice::Auto);
        refused("rgwlens run --color sometimes", ErrorKind::InvalidValue);
        refused("rgwlens run --log-level loud", ErrorKind::InvalidValue);
    }

    #[test]
    fn explain_reads_standard_input_unless_told() {
        let Command::Explain(args) = parse("rgwlens explain --json").command else { panic!() };
        assert_eq!((args.file, args.json), (PathBuf::from("-"), true));
        let line = "rgwlens explain --log-format rgwlens --dns-name a.example --dns-name b.example \
            --website-dns-name w.example --rgw-release pacific -";
        let Command::Explain(args) = parse(line).command else { panic!() };
        assert_eq!(args.format.log_format.as_deref(), Some("rgwlens"));
        assert_eq!(args.format.dns_names, ["a.example", "b.example"]);
        assert_eq!(args.format.website_dns_names, ["w.example"]);
        assert_eq!(args.format.rgw_release, Some(Release::Pacific));
        refused("rgwlens explain --rgw-release pacfic", ErrorKind::InvalidValue);
    }

    #[test]
    fn replay_needs_files_and_one_way_to_treat_what_is_there() {
        let line = "rgwlens replay --to stdout --since 2h --until 2026-11-20 --node gw1 --log a --cluster c x.log y.gz";
        let Command::Replay(args) = parse(line).command else { panic!() };
        assert_eq!(args.files, [PathBuf::from("x.log"), "y.gz".into()]);
        assert_eq!(args.to, Destination::Stdout);
        assert_eq!(args.period.since, Some("2h".parse().unwrap()));
        assert_eq!(args.period.until, Some("2026-11-20".parse().unwrap()));
        let named = (args.node.as_deref(), args.log.as_deref(), args.cluster.as_deref());
        assert_eq!(named, (Some("gw1"), Some("a"), Some("c")));
        let Command::Replay(args) = parse("rgwlens replay x.log").command else { panic!() };
        assert_eq!((args.to, args.replace, args.overwrite), (Destination::Influxdb, false, false));
        refused("rgwlens replay", ErrorKind::MissingRequiredArgument);
        refused("rgwlens replay --replace --overwrite x", ErrorKind::ArgumentConflict);
        refused("rgwlens replay --since yesterday x", ErrorKind::ValueValidation);
    }

    #[test]
    fn resend_never_sends_everything_by_accident() {
        refused("rgwlens resend", ErrorKind::MissingRequiredArgument);
        let Command::Resend(args) = parse("rgwlens resend --since 1d --output second").command else {
            panic!()
        };
        assert_eq!((args.output.as_deref(), args.until), (Some("second"), None));
    }

    #[test]
    fn quarantine_drops_nothing_by_accident() {
        refused("rgwlens quarantine", ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand);
        refused("rgwlens quarantine drop", ErrorKind::MissingRequiredArgument);
        let action = |line: &str| {
            let Command::Quarantine(args) = parse(line).command else { panic!("{line}") };
            args.action
        };
        let QuarantineAction::Drop { which, all } = action("rgwlens quarantine drop --id 7 --id 8") else {
            panic!()
        };
        assert_eq!((which.ids, which.output, all), (vec![7, 8], None, false));
        let everything = action("rgwlens quarantine drop --all");
        assert!(matches!(everything, QuarantineAction::Drop { all: true, .. }));
        let QuarantineAction::List { which, limit } = action("rgwlens quarantine list --output a --json")
        else {
            panic!()
        };
        assert_eq!((which.output.as_deref(), which.json, limit), (Some("a"), true, 20));
        assert!(matches!(action("rgwlens quarantine resend"), QuarantineAction::Resend { .. }));
    }

    #[test]
    fn the_rest() {
        let Command::Report(args) = parse("rgwlens report").command else { panic!() };
        assert_eq!((args.files.len(), args.top, args.json), (0, 10, false));
        let Command::Check(args) = parse("rgwlens check --nginx-conf n.conf --json").command else {
            panic!()
        };
        assert_eq!((args.nginx_conf, args.json), (Some("n.conf".into()), true));
        let Command::Demo(args) = parse("rgwlens demo --keep /tmp/d").command else { panic!() };
        assert_eq!(args.keep, Some("/tmp/d".into()));
        let Command::Probe(args) = parse("rgwlens probe --json").command else { panic!() };
        assert!(args.json);
        assert!(matches!(parse("rgwlens completions zsh").command, Command::Completions { .. }));
        assert!(matches!(parse("rgwlens man").command, Command::Man));
        refused("rgwlens statsu", ErrorKind::InvalidSubcommand);
    }
}
