//! Users and groups by name, and who this process is.

use std::fs;

use super::Finding;

/// The user that the systemd unit runs the daemon as.
pub(super) const DAEMON: &str = "rgwlens";

/// Names of users and groups, and the user that looks.
#[derive(Clone, Debug, Default)]
pub(super) struct Accounts {
    users: Vec<(String, u32)>,
    groups: Vec<(String, u32)>,
    /// Effective user of this process.
    pub(super) uid: u32,
}

impl Accounts {
    /// From the files of this machine: a directory service is not asked, since the daemon's user is a local one.
    pub(super) fn of_system() -> Self {
        let read = |path| {
            fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
        };
        Self::new(&read("/etc/passwd"), &read("/etc/group"), rustix::process::geteuid().as_raw())
    }

    pub(super) fn new(passwd: &str, group: &str, uid: u32) -> Self {
        let entries = |text: &str| {
            text.lines()
                .filter_map(|line| {
                    let mut fields = line.split(':');
                    Some((fields.next()?.to_owned(), fields.nth(1)?.parse().ok()?))
                })
                .collect()
        };
        Self { users: entries(passwd), groups: entries(group), uid }
    }

    pub(super) fn user(&self, uid: u32) -> String {
        name_of(&self.users, uid)
    }

    pub(super) fn group(&self, gid: u32) -> String {
        name_of(&self.groups, gid)
    }

    pub(super) fn gid(&self, group: &str) -> Option<u32> {
        self.groups.iter().find_map(|(name, gid)| (name == group).then_some(*gid))
    }

    /// Whom a mend is for: the daemon's user where there is one, else whoever looks.
    pub(super) fn reader(&self) -> String {
        if self.has_daemon() { DAEMON.to_owned() } else { self.user(self.uid) }
    }

    fn has_daemon(&self) -> bool {
        self.users.iter().any(|(name, _)| name == DAEMON)
    }

    /// What others may read says nothing about the daemon.
    pub(super) fn finding(&self) -> Option<Finding> {
        let me = self.user(self.uid);
        if me == DAEMON {
            return Some(Finding::ok("user", format!("this is {DAEMON}, as which the daemon runs")));
        }
        if !self.has_daemon() {
            let message = format!("this is {me}, and there is no user {DAEMON}: all is seen as {me} sees it");
            return Some(Finding::ok("user", message));
        }
        let message =
            format!("this is {me}, but the daemon runs as {DAEMON}, who may not see what {me} sees");
        let mend = format!("runuser -u {DAEMON} -g {DAEMON} -G adm -- rgwlens check");
        Some(Finding::warn("user", message, mend))
    }
}

fn name_of(names: &[(String, u32)], id: u32) -> String {
    names
        .iter()
        .find_map(|(name, known)| (*known == id).then(|| name.clone()))
        .unwrap_or_else(|| id.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Level;

    const PASSWD: &str =
        "root:x:0:0:root:/root:/bin/bash\nwww-data:x:33:33::/var/www:/x\n\nbroken\nrgwlens:x:998:997::/:/x\n";
    const GROUP: &str = "root:x:0:\nadm:x:4:syslog\nwww-data:x:33:\n";

    #[test]
    fn names_and_numbers() {
        let accounts = Accounts::new(PASSWD, GROUP, 0);
        assert_eq!((accounts.user(33), accounts.user(167)), ("www-data".into(), "167".into()));
        assert_eq!(
            (accounts.group(4), accounts.gid("adm"), accounts.gid("wheel")),
            ("adm".into(), Some(4), None)
        );
    }

    #[test]
    fn whose_eyes_these_are() {
        let check = |passwd: &str, uid, level, reader: &str| {
            let accounts = Accounts::new(passwd, GROUP, uid);
            let finding = accounts.finding().unwrap();
            assert_eq!((finding.level, accounts.reader().as_str()), (level, reader), "{finding:?}");
        };
        check(PASSWD, 998, Level::Ok, "rgwlens");
        check(PASSWD, 0, Level::Warn, "rgwlens");
        check("root:x:0:0::/:/x", 0, Level::Ok, "root");
        check("", 1000, Level::Ok, "1000");
    }
}
