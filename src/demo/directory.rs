//! Where a demo works.

use std::{
    fs::{self, DirBuilder},
    hash::{BuildHasher as _, RandomState},
    io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

/// A directory; a temporary one goes away with this.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    temporary: bool,
}

impl Directory {
    /// A new one where the system keeps temporary files, which nobody else can look into.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn temporary() -> io::Result<Self> {
        let random = RandomState::new().hash_one(std::process::id());
        let path = std::env::temp_dir().join(format!("rgwlens-demo-{random:016x}"));
        // Fails if somebody was there first, whatever they put there.
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self { path, temporary: true })
    }

    /// This one, made if it is not there. It stays.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn kept(path: &Path) -> io::Result<Self> {
        fs::create_dir_all(path)?;
        Ok(Self { path: std::path::absolute(path)?, temporary: false })
    }

    /// Its absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if self.temporary {
            // What is left there is no harm.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_temporary_one_is_private_and_goes_away() {
        let directory = Directory::temporary().unwrap();
        let path = directory.path().to_owned();
        assert!(path.is_absolute());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        fs::write(path.join("x"), "").unwrap();
        drop(directory);
        assert!(!path.exists());
    }

    #[test]
    fn one_that_is_kept_stays() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        drop(Directory::kept(&path).unwrap());
        assert!(path.is_dir());
    }
}
