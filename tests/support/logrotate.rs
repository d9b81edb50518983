//! The real logrotate, in every style that it has.

use std::fmt;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// What becomes of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    Create,
    NoCreate,
    RenameCopy,
    CopyTruncate,
}

/// What becomes of what it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compress {
    No,
    Gz,
    GzDelayed,
    Zst,
    ZstDelayed,
}

/// What it is called, and where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    Numbers,
    Dates,
    OldDir,
}

/// A way to rotate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scheme {
    pub style: Style,
    pub compress: Compress,
    pub names: Names,
}

impl Style {
    pub const ALL: [Self; 4] = [Self::Create, Self::NoCreate, Self::RenameCopy, Self::CopyTruncate];
}

impl Compress {
    pub const ALL: [Self; 5] = [Self::No, Self::Gz, Self::GzDelayed, Self::Zst, Self::ZstDelayed];
}

impl Names {
    pub const ALL: [Self; 3] = [Self::Numbers, Self::Dates, Self::OldDir];
}

/// As logrotate's own keywords.
impl fmt::Display for Style {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Create => "create",
            Self::NoCreate => "nocreate",
            Self::RenameCopy => "renamecopy",
            Self::CopyTruncate => "copytruncate",
        })
    }
}

impl fmt::Display for Compress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::No => "plain",
            Self::Gz => "gz",
            Self::GzDelayed => "gz, delayed",
            Self::Zst => "zst",
            Self::ZstDelayed => "zst, delayed",
        })
    }
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Numbers => "numbers",
            Self::Dates => "dateext",
            Self::OldDir => "olddir",
        })
    }
}

/// A log with its logrotate.
pub struct Logrotate {
    dir: PathBuf,
    log: PathBuf,
    scheme: Scheme,
}

impl Logrotate {
    /// Rotates `log`; its own files, and rotated logs with `olddir`, are in `dir`, which is of the same file system.
    pub fn new(dir: &Path, log: &Path, pid: &Path, scheme: Scheme) -> Self {
        let zst = "\tcompresscmd /usr/bin/zstd\n\tcompressoptions -q\n\tcompressext .zst\n";
        let compress = match scheme.compress {
            Compress::No => "\tnocompress\n".to_owned(),
            Compress::Gz => "\tcompress\n".to_owned(),
            Compress::GzDelayed => "\tcompress\n\tdelaycompress\n".to_owned(),
            Compress::Zst => format!("\tcompress\n{zst}"),
            Compress::ZstDelayed => format!("\tcompress\n\tdelaycompress\n{zst}"),
        };
        let this = Self { dir: dir.to_owned(), log: log.to_owned(), scheme };
        let names = match scheme.names {
            Names::Numbers => String::new(),
            Names::Dates => "\tdateext\n\tdateformat -%s\n".to_owned(),
            Names::OldDir => format!("\tolddir {}\n", this.olddir().display()),
        };
        if scheme.names == Names::OldDir {
            fs::create_dir(this.olddir()).expect("the folder is ours");
        }
        // As Debian's own, but for the shell's `invoke-rc.d`.
        let reopen = format!("\tpostrotate\n\t\tkill -USR1 \"$(cat {})\"\n\tendscript\n", pid.display());
        let style = match scheme.style {
            Style::Create => format!("\tcreate 0644\n{reopen}"),
            Style::NoCreate => format!("\tnocreate\n{reopen}"),
            Style::RenameCopy => format!("\trenamecopy\n{reopen}"),
            Style::CopyTruncate => "\tcopytruncate\n".to_owned(),
        };
        let conf =
            format!("{} {{\n\trotate 1000\n\tsharedscripts\n{style}{compress}{names}}}\n", log.display());
        fs::write(this.conf(), conf).expect("the folder is ours");
        this
    }

    /// Where rotated files are, with [`Names::OldDir`].
    pub fn olddir(&self) -> PathBuf {
        self.dir.join("old")
    }

    fn conf(&self) -> PathBuf {
        self.dir.join("logrotate.conf")
    }

    /// Begins a rotation.
    pub fn start(&self) -> Child {
        // Debian has it in /usr/sbin, which is not in the PATH of every user.
        let program = Path::new("/usr/sbin/logrotate");
        Command::new(if program.exists() { program } else { Path::new("logrotate") })
            .arg("--force")
            .arg("-s")
            .arg(self.dir.join("logrotate.state"))
            .arg(self.conf())
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("logrotate did not start: {error}: apt-get install logrotate"))
    }

    /// Ends one, which has to have succeeded. (gzip may say that the file grew meanwhile: without `delaycompress` nginx's last
    /// lines come too late for it.)
    pub fn finish(rotation: Child) {
        let output = rotation.wait_with_output().expect("our own child");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "logrotate: {}\n{said}", output.status);
    }

    /// Rotates.
    pub fn rotate(&self) {
        Self::finish(self.start());
    }

    /// What is in the log and all it was rotated to, by their names.
    pub fn contents(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let folder = self.log.parent().expect("a file is in a folder");
        let folders = match self.scheme.names {
            Names::OldDir => vec![folder.to_owned(), self.olddir()],
            _ => vec![folder.to_owned()],
        };
        let base = self.log.file_name().expect("a file").to_string_lossy().into_owned();
        let mut contents = Vec::new();
        for folder in folders {
            for entry in fs::read_dir(&folder).expect("the folder is there") {
                let path = entry.expect("an entry").path();
                if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&base)) {
                    let content = content(&path);
                    contents.push((path, content));
                }
            }
        }
        contents
    }
}

fn content(path: &Path) -> Vec<u8> {
    let file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut content = Vec::new();
    let ending = path.extension().map(|ending| ending.to_string_lossy().into_owned());
    let read = match ending.as_deref() {
        Some("gz") => flate2::read::MultiGzDecoder::new(file).read_to_end(&mut content),
        Some("zst") => zstd::Decoder::new(file).expect("zstd").read_to_end(&mut content),
        _ => (&file).read_to_end(&mut content),
    };
    read.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    content
}
