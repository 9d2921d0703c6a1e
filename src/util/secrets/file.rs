//! The file that a secret is kept in: made once, whole, and believed only where nobody else can have written or read it.

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
    path::{Path, PathBuf},
};

/// Reading and writing, for the owner only.
const MODE: u32 = 0o600;
/// The bits of a mode that let the group or all others read, or write.
const READABLE_BY_OTHERS: u32 = 0o044;
const WRITABLE_BY_OTHERS: u32 = 0o022;
/// In a folder with this bit only a file's owner may remove it.
const STICKY: u32 = 0o1000;
/// The user who may do anything anyway.
const ROOT: u32 = 0;
/// The most bytes that are read of a file.
const MAX_SECRET_BYTES: u64 = 4096;
/// How often a file is looked for that was there a moment ago.
const MAX_ATTEMPTS: usize = 3;

/// A reason not to use a file.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    /// The operating system refuses.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Others could put a file of theirs in its place, or take it away.
    #[error(
        "its folder can be written to by others: run chmod go-w {}, use another folder, or set JWT_SECRET",
        .0.display()
    )]
    SharedFolder(PathBuf),
    /// Its owner could put another file in its place.
    #[error("its folder {} belongs to another user: use another folder, or set JWT_SECRET", .0.display())]
    ForeignFolder(PathBuf),
    /// Somebody else may have made it.
    #[error("it belongs to another user: remove it, or set JWT_SECRET")]
    NotOurs,
    /// Somebody else may have written it.
    #[error("others can write to it and may know it: remove it, then a new one is made")]
    WritableByOthers,
    /// Somebody else may have read it, or put another file of this user's in its place.
    #[error("others can read it, in a folder that all share: remove it, then a new one is made")]
    ReadableByOthers,
    /// A link, a folder, a pipe or a device.
    #[error("it must be a regular file, not a link")]
    NotRegular,
    /// Made and gone again, each time.
    #[error("it is removed as often as it is made")]
    Vanishing,
}

/// The secret in this file, made when missing. Of several processes that make one at once all get the same.
pub fn read_or_make(path: &Path) -> Result<SecretString, SecretFileError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let is_shared = is_shared(folder)?;
    for _ in 0..MAX_ATTEMPTS {
        match open(
            path,
            OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC,
            Mode::empty(),
        ) {
            Ok(file) => return read(File::from(file), is_shared),
            Err(Errno::NOENT) => make(path, folder)?,
            // A symbolic link; some systems have another name for it.
            Err(Errno::LOOP | Errno::MLINK) => return Err(SecretFileError::NotRegular),
            Err(error) => return Err(SecretFileError::Io(error.into())),
        }
    }
    Err(SecretFileError::Vanishing)
}

/// Whether others can make files in this folder, such as `/tmp`, and that is fine: who may not write there can't replace ours,
/// and a file of theirs is found by its owner. Without the sticky bit they could take ours away, so that is refused.
fn is_shared(folder: &Path) -> Result<bool, SecretFileError> {
    let found = fs::metadata(folder)?;
    // Its owner can rename any file in it, ours too.
    if ![geteuid().as_raw(), ROOT].contains(&found.uid()) {
        return Err(SecretFileError::ForeignFolder(folder.to_owned()));
    }
    let mode = found.mode();
    match (mode & WRITABLE_BY_OTHERS != 0, mode & STICKY != 0) {
        (false, _) => Ok(false),
        (true, true) => Ok(true),
        (true, false) => Err(SecretFileError::SharedFolder(folder.to_owned())),
    }
}

/// What is judged is what was opened: a name may stand for another file a moment later.
fn read(file: File, in_shared_folder: bool) -> Result<SecretString, SecretFileError> {
    judge(&file.metadata()?, in_shared_folder)?;
    if file.metadata()?.mode() & 0o077 != 0 {
        tracing::warn!("others could read the secret that signs tokens; now only its owner can");
        file.set_permissions(Permissions::from_mode(MODE))?;
    }
    let mut text = String::new();
    file.take(MAX_SECRET_BYTES).read_to_string(&mut text)?;
    Ok(text.trim().to_owned().into())
}

fn judge(found: &Metadata, in_shared_folder: bool) -> Result<(), SecretFileError> {
    if !found.is_file() {
        return Err(SecretFileError::NotRegular);
    }
    if found.uid() != geteuid().as_raw() {
        return Err(SecretFileError::NotOurs);
    }
    if found.mode() & WRITABLE_BY_OTHERS != 0 {
        return Err(SecretFileError::WritableByOthers);
    }
    if in_shared_folder && found.mode() & READABLE_BY_OTHERS != 0 {
        return Err(SecretFileError::ReadableByOthers);
    }
    Ok(())
}

/// Written whole under a random name of its own, then given its name unless there is one: whoever looks sees all of it or none, and
/// of two who make one at once the first wins.
fn make(path: &Path, folder: &Path) -> Result<(), SecretFileError> {
    let mut new = tempfile::Builder::new()
        .prefix(".secret-")
        .suffix(".new")
        .permissions(Permissions::from_mode(MODE))
        .tempfile_in(folder)?;
    new.write_all(super::random_text().as_bytes())?;
    new.as_file().sync_all()?;
    match new.persist_noclobber(path) {
        // The name too must survive a power cut: tokens that are signed with what is lost count no more.
        Ok(_) => Ok(File::open(folder)?.sync_all()?),
        Err(error) if error.error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error.error.into()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail where it stands")]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;
    use std::{
        os::unix::fs::{chown, symlink},
        thread,
    };

    /// A folder that only its owner may write to, and the name of a secret in it.
    fn folder() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bar.db.secret");
        (folder, path)
    }

    fn text(path: &Path) -> Result<String, String> {
        read_or_make(path).map(|secret| secret.expose_secret().to_owned()).map_err(|error| error.to_string())
    }

    fn write(path: &Path, mode: u32) {
        fs::write(path, "0123456789abcdef0123456789abcdef").unwrap();
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn of_many_who_make_one_at_once_all_have_the_same() {
        for _ in 0..50 {
            let (folder, path) = folder();
            let secrets: Vec<_> = thread::scope(|scope| {
                let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| text(&path))).collect();
                threads.into_iter().map(|thread| thread.join().unwrap().unwrap()).collect()
            });
            assert_eq!(secrets[0].len(), 64);
            assert!(secrets.iter().all(|secret| *secret == secrets[0]), "{secrets:?}");
            assert_eq!(text(&path).as_ref(), Ok(&secrets[0]));
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, MODE);
            assert_eq!(folder.path().read_dir().unwrap().count(), 1, "something was left behind");
        }
    }

    #[test]
    fn a_folder_that_others_may_write_to_is_refused() {
        for mode in [0o777, 0o770, 0o775, 0o757] {
            for is_there in [false, true] {
                let (folder, path) = folder();
                if is_there {
                    write(&path, MODE);
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
        write(&path, MODE);
        // Only root can give a folder away.
        if chown(folder.path(), Some(12_345), None).is_ok() {
            let sentence = text(&path).unwrap_err();
            assert!(sentence.contains("belongs to another user"), "{sentence}");
        }
    }

    #[test]
    fn one_like_tmp_will_do_for_a_file_that_was_never_open_to_others() {
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
        // One that others could only read is taken back from them.
        let (_folder, path) = folder();
        write(&path, 0o644);
        assert!(text(&path).is_ok());
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, MODE);
    }

    #[test]
    fn only_a_regular_file_of_its_own_is_read() {
        let (folder, path) = folder();
        let other = folder.path().join("other");
        write(&other, MODE);
        symlink(&other, &path).unwrap();
        assert!(text(&path).unwrap_err().contains("must be a regular file"));
        // Nor is one made where a link that leads nowhere stands.
        fs::remove_file(&other).unwrap();
        assert!(text(&path).unwrap_err().contains("must be a regular file"));
        assert!(!other.exists());
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(text(&path).unwrap_err().contains("must be a regular file"));
        fs::remove_dir(&path).unwrap();
        #[cfg(target_os = "linux")]
        {
            // A pipe: reading from it would wait for somebody who writes.
            use rustix::fs::{CWD, FileType, mknodat};
            mknodat(CWD, &path, FileType::Fifo, Mode::RUSR, 0).unwrap();
            assert!(text(&path).unwrap_err().contains("must be a regular file"));
        }
    }

    #[test]
    fn a_file_of_another_user_is_refused() {
        let (_folder, path) = folder();
        write(&path, MODE);
        // Only root can give files away; where tests run as somebody else there is none to be had.
        if std::os::unix::fs::chown(&path, Some(65_534), None).is_ok() {
            assert!(text(&path).unwrap_err().contains("belongs to another user"));
        }
    }

    #[test]
    fn what_is_there_half_is_not_made_whole() {
        let (_folder, path) = folder();
        fs::write(&path, "half").unwrap();
        assert_eq!(text(&path).as_deref(), Ok("half"), "too short, which the caller says");
        assert_eq!(fs::read_to_string(&path).unwrap(), "half");
    }
}
