//! What is kept on this machine is for its owner: signing keys, secrets of clients, customers' mail.

use std::path::Path;

/// Makes every file and directory that this process creates from now on its owner's alone, whoever creates it: SQLite and
/// the demo as well. For the beginning of `main`, before there are threads.
pub fn keep_files_private() {
    #[cfg(unix)]
    {
        use rustix::fs::Mode;
        use rustix::process::umask;
        // What the environment forbids stays forbidden.
        let inherited = umask(Mode::RWXG | Mode::RWXO);
        umask(inherited | Mode::RWXG | Mode::RWXO);
    }
}

/// Makes a directory, and those above it, that only their owner can enter. One that exists is left as it is: somebody has
/// decided about it.
pub(crate) fn directory(path: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_new_directory_is_its_owners_and_an_old_one_as_it_was() {
        let scratch = tempfile::tempdir().unwrap();
        let old = scratch.path().join("old");
        std::fs::create_dir(&old).unwrap();
        std::fs::set_permissions(&old, std::fs::Permissions::from_mode(0o750)).unwrap();
        super::directory(&old.join("new/newer")).unwrap();
        let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(old.join("new")), 0o700);
        assert_eq!(mode(old.join("new/newer")), 0o700);
        assert_eq!(mode(old), 0o750);
    }
}
