//! Who may read a file, and what lets the daemon read it.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::{accounts::Accounts, shell::quote};

/// The group that reads logs on Debian and its kin; the unit is in it.
const LOG_READERS: &str = "adm";

/// Owner and mode of a file or directory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owner {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mode: u32,
}

impl Owner {
    pub(super) fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        Some(Self { uid: metadata.uid(), gid: metadata.gid(), mode: metadata.mode() })
    }

    /// As `ls -l` shows it, in short: `www-data:adm 0640`.
    pub(super) fn show(&self, accounts: &Accounts) -> String {
        format!("{}:{} {:04o}", accounts.user(self.uid), accounts.group(self.gid), self.mode & 0o7777)
    }

    /// Whether members of the group have all these rights (1 to 7), as members or as anybody.
    fn lets(&self, gid: u32, rights: u32) -> bool {
        self.mode & rights == rights || self.gid == gid && self.mode >> 3 & rights == rights
    }
}

/// The directory above the file that this user may not pass, if that is what keeps it away.
pub(super) fn closed_directory(path: &Path) -> Option<PathBuf> {
    let denied = |path: &Path| {
        fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
    };
    let first = path.ancestors().filter(|path| denied(path)).last()?;
    first.parent().map(Path::to_owned)
}

/// Commands that let the daemon read a log and find its rotations. `file` and `directory` are `None` where not even
/// that can be seen.
pub(super) fn mend(log: &Path, file: Option<Owner>, directory: Option<Owner>, accounts: &Accounts) -> String {
    let user = accounts.reader();
    let adm = accounts.gid(LOG_READERS);
    let by_group = |adm| {
        // The file has to be the group's: where all may read it, something else is in the way.
        file.is_some_and(|file| file.gid == adm && file.lets(adm, 4))
            && directory.is_some_and(|directory| directory.lets(adm, 5))
    };
    if adm.is_some_and(by_group) {
        return format!("usermod -aG {LOG_READERS} {user}\nsystemctl restart rgwlens");
    }
    let directory = log.parent().unwrap_or(log);
    let above = closed_directory(log).filter(|closed| closed != directory);
    let above = above.map(|above| format!("setfacl -m u:{user}:x {}\n", quote(&above))).unwrap_or_default();
    format!(
        "{above}setfacl -m u:{user}:rx {directory}\n\
         setfacl -d -m u:{user}:r {directory}\n\
         setfacl -m u:{user}:r {log}*",
        directory = quote(directory),
        log = quote(log),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "rgwlens:x:998:997::/:/x\nwww-data:x:33:33::/:/x";
    const GROUP: &str = "adm:x:4:\nwww-data:x:33:";
    const LOG: &str = "/nowhere/nginx/access.log";
    const ACL: &str = "setfacl -m u:rgwlens:rx /nowhere/nginx\nsetfacl -d -m u:rgwlens:r /nowhere/nginx\nsetfacl -m u:rgwlens:r /nowhere/nginx/access.log*";

    #[test]
    fn the_group_where_it_is_enough_else_an_acl() {
        let accounts = Accounts::new(PASSWD, GROUP, 998);
        let owner = |gid, mode| Some(Owner { uid: 33, gid, mode });
        let check = |file, directory, expected: &str| {
            assert_eq!(mend(Path::new(LOG), file, directory, &accounts), expected, "{file:?} {directory:?}");
        };
        let member = "usermod -aG adm rgwlens\nsystemctl restart rgwlens";
        check(owner(4, 0o100640), owner(4, 0o040750), member);
        check(owner(4, 0o100640), owner(0, 0o040755), member);
        // RHEL: the group's, but the directory is closed.
        check(owner(4, 0o100640), owner(0, 0o040711), ACL);
        check(owner(4, 0o100600), owner(4, 0o040750), ACL);
        check(owner(33, 0o100640), owner(4, 0o040750), ACL);
        check(None, None, ACL);
        let no_adm = Accounts::new(PASSWD, "", 998);
        assert_eq!(mend(Path::new(LOG), owner(4, 0o100640), owner(4, 0o040750), &no_adm), ACL);
    }

    #[test]
    fn owners_are_shown_by_name() {
        let accounts = Accounts::new(PASSWD, GROUP, 0);
        let owner = Owner { uid: 33, gid: 4, mode: 0o100640 };
        assert_eq!(owner.show(&accounts), "www-data:adm 0640");
        // A container's user has no name here.
        assert_eq!(Owner { uid: 101, gid: 101, mode: 0o100600 }.show(&accounts), "101:101 0600");
    }

    #[test]
    fn a_path_that_is_open_has_no_closed_directory() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(closed_directory(&directory.path().join("a/b")), None);
    }
}
