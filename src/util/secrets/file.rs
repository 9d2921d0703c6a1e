//! The file of a secret: created once, as a whole, and used only if nobody else can have written or read it.

use rustix::{
    fs::{Mode, OFlags, open},
    io::Errno,
    process::geteuid,
};
use secrecy::SecretString;
use std::{
    fs::{self, File, Metadata, Permissions},
    io::{self, ErrorKind, Read, Write},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
};

/// The owner may read and write, nobody else.
const OWNER_ONLY_MODE: u32 = 0o600;
/// Mode bits that let the group or all others read or write.
const READABLE_BY_OTHERS: u32 = 0o044;
const WRITABLE_BY_OTHERS: u32 = 0o022;
/// In a folder with this bit only a file's owner may remove it.
const STICKY: u32 = 0o1000;
const ROOT_UID: u32 = 0;
const MAX_SECRET_BYTES: u64 = 4096;
/// Attempts to open a file that another process creates and removes at the same time.
const MAX_ATTEMPTS: usize = 3;

const NOT_REGULAR: &str = "it must be a regular file, not a link";

/// Returns the secret in this file, which is created if it is missing. Processes that create it at the same time all get the same.
pub fn read_or_create(path: &Path) -> io::Result<SecretString> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let is_shared = is_shared(folder)?;
    for _ in 0..MAX_ATTEMPTS {
        match open(
            path,
            OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC,
            Mode::empty(),
        ) {
            Ok(file) => return read(File::from(file), is_shared),
            Err(Errno::NOENT) => create(path, folder)?,
            // The error for a symbolic link, which has another name on some systems.
            Err(Errno::LOOP | Errno::MLINK) => return Err(io::Error::other(NOT_REGULAR)),
            Err(error) => return Err(error.into()),
        }
    }
    Err(io::Error::other("it is removed whenever it is created"))
}

/// Returns whether others can create files in this folder, such as `/tmp`. With the sticky bit that is safe: they can't replace our
/// file, and a file of theirs has another owner. Without the sticky bit they could remove our file, which is an error.
fn is_shared(folder: &Path) -> io::Result<bool> {
    let found = fs::metadata(folder)?;
    // The folder's owner can rename every file in it.
    if ![geteuid().as_raw(), ROOT_UID].contains(&found.uid()) {
        return Err(io::Error::other(format!(
            "its folder {} belongs to another user: use another folder, or set JWT_SECRET",
            folder.display()
        )));
    }
    let mode = found.mode();
    match (mode & WRITABLE_BY_OTHERS != 0, mode & STICKY != 0) {
        (false, _) => Ok(false),
        (true, true) => Ok(true),
        (true, false) => Err(io::Error::other(format!(
            "its folder can be written to by others: run chmod go-w {}, use another folder, or set JWT_SECRET",
            folder.display()
        ))),
    }
}

// The checks are on the opened file: its name may belong to another file a moment later.
fn read(file: File, in_shared_folder: bool) -> io::Result<SecretString> {
    check(&file.metadata()?, in_shared_folder)?;
    if file.metadata()?.mode() & 0o077 != 0 {
        tracing::warn!("others could read the secret that signs tokens; now only its owner can");
        file.set_permissions(Permissions::from_mode(OWNER_ONLY_MODE))?;
    }
    let mut text = String::new();
    file.take(MAX_SECRET_BYTES).read_to_string(&mut text)?;
    Ok(text.trim().to_owned().into())
}

fn check(found: &Metadata, in_shared_folder: bool) -> io::Result<()> {
    if !found.is_file() {
        return Err(io::Error::other(NOT_REGULAR));
    }
    if found.uid() != geteuid().as_raw() {
        // The other user may know the secret.
        return Err(io::Error::other("it belongs to another user: remove it, or set JWT_SECRET"));
    }
    if found.mode() & WRITABLE_BY_OTHERS != 0 {
        return Err(io::Error::other(
            "others can write to it and may know it: remove it, then a new one is created",
        ));
    }
    if in_shared_folder && found.mode() & READABLE_BY_OTHERS != 0 {
        // They may have read it, or put another file of this user in its place.
        return Err(io::Error::other(
            "others can read it, in a folder that all share: remove it, then a new one is created",
        ));
    }
    Ok(())
}

/// Writes the file under a random name, and then renames it unless it exists by then: readers see all of it or nothing, and of two
/// processes at the same time the first one wins.
fn create(path: &Path, folder: &Path) -> io::Result<()> {
    let mut new = tempfile::Builder::new()
        .prefix(".secret-")
        .suffix(".new")
        .permissions(Permissions::from_mode(OWNER_ONLY_MODE))
        .tempfile_in(folder)?;
    new.write_all(super::random_text().as_bytes())?;
    new.as_file().sync_all()?;
    match new.persist_noclobber(path) {
        // The name must survive a power cut as well: tokens are worthless once the secret that signed them is lost.
        Ok(_) => File::open(folder)?.sync_all(),
        Err(error) if error.error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error.error),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail where it stands")]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;
    use std::{
        os::unix::fs::{chown, symlink},
        path::PathBuf,
        thread,
    };

    /// Returns a folder that only its owner may write to, and the path of a secret in it.
    fn folder() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bar.db.secret");
        (folder, path)
    }

    fn text(path: &Path) -> Result<String, String> {
        read_or_create(path)
            .map(|secret| secret.expose_secret().to_owned())
            .map_err(|error| error.to_string())
    }

    fn write(path: &Path, mode: u32) {
        fs::write(path, "0123456789abcdef0123456789abcdef").unwrap();
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn of_many_that_create_one_at_once_all_have_the_same() {
        for _ in 0..50 {
            let (folder, path) = folder();
            let secrets: Vec<_> = thread::scope(|scope| {
                let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| text(&path))).collect();
                threads.into_iter().map(|thread| thread.join().unwrap().unwrap()).collect()
            });
            assert_eq!(secrets[0].len(), 64);
            assert!(secrets.iter().all(|secret| *secret == secrets[0]), "{secrets:?}");
            assert_eq!(text(&path).as_ref(), Ok(&secrets[0]));
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, OWNER_ONLY_MODE);
            assert_eq!(folder.path().read_dir().unwrap().count(), 1, "something was left behind");
        }
    }

    #[test]
    fn a_folder_that_others_may_write_to_is_refused() {
        for mode in [0o777, 0o770, 0o775, 0o757] {
            for is_there in [false, true] {
                let (folder, path) = folder();
                if is_there {
                    write(&path, OWNER_ONLY_MODE);
                }
                fs::set_permissions(folder.path(), Permissions::from_mode(mode)).unwrap();
                let sentence = text(&path).unwrap_err();
                assert!(sentence.contains("chmod go-w") && sentence.contains("JWT_SECRET"), "{sentence}");
                assert_eq!(path.exists(), is_there);
            }
        }
    }

    #[test]
    fn a_folder_of_another_user_is_refused() {
        let (folder, path) = folder();
        write(&path, OWNER_ONLY_MODE);
        // Only root can give a folder away.
        if chown(folder.path(), Some(12_345), None).is_ok() {
            let sentence = text(&path).unwrap_err();
            assert!(sentence.contains("belongs to another user"), "{sentence}");
        }
    }

    #[test]
    fn a_folder_like_tmp_will_do_for_a_file_that_others_could_never_read() {
        let (folder, path) = folder();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o1777)).unwrap();
        let made = text(&path).unwrap();
        assert_eq!(text(&path), Ok(made));
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        assert!(text(&path).unwrap_err().contains("others can read it"));
    }

    #[test]
    fn a_file_that_others_may_have_written_is_refused() {
        for mode in [0o620, 0o602, 0o666] {
            let (_folder, path) = folder();
            write(&path, mode);
            assert!(text(&path).unwrap_err().contains("others can write to it"), "{mode:o}");
        }
        // The mode of a file that others could only read is corrected.
        let (_folder, path) = folder();
        write(&path, 0o644);
        assert!(text(&path).is_ok());
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, OWNER_ONLY_MODE);
    }

    #[test]
    fn only_a_regular_file_of_its_own_is_read() {
        let (folder, path) = folder();
        let other = folder.path().join("other");
        write(&other, OWNER_ONLY_MODE);
        symlink(&other, &path).unwrap();
        assert!(text(&path).unwrap_err().contains("must be a regular file"));
        // A link to nothing is not replaced either.
        fs::remove_file(&other).unwrap();
        assert!(text(&path).unwrap_err().contains("must be a regular file"));
        assert!(!other.exists());
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(text(&path).unwrap_err().contains("must be a regular file"));
        fs::remove_dir(&path).unwrap();
        #[cfg(target_os = "linux")]
        {
            // Reading from a pipe would wait for a writer.
            use rustix::fs::{CWD, FileType, mknodat};
            mknodat(CWD, &path, FileType::Fifo, Mode::RUSR, 0).unwrap();
            assert!(text(&path).unwrap_err().contains("must be a regular file"));
        }
    }

    #[test]
    fn a_file_of_another_user_is_refused() {
        let (_folder, path) = folder();
        write(&path, OWNER_ONLY_MODE);
        // Only root can give a file away.
        if chown(&path, Some(65_534), None).is_ok() {
            assert!(text(&path).unwrap_err().contains("belongs to another user"));
        }
    }

    #[test]
    fn a_secret_that_is_cut_off_is_not_completed() {
        let (_folder, path) = folder();
        fs::write(&path, "half").unwrap();
        assert_eq!(text(&path).as_deref(), Ok("half"), "too short, which the caller says");
        assert_eq!(fs::read_to_string(&path).unwrap(), "half");
    }
}
