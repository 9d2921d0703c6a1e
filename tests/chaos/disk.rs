//! A small disk in memory, in a mount namespace of its own: it is gone when its processes have ended.

use crate::{
    Result,
    harness::{
        programs::{User, has},
        wait::until,
    },
};
use std::{
    fs::{self, File},
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
    process::Stdio,
};
use tokio::{
    io::AsyncReadExt,
    process::{Child, Command},
};

/// Room for PostgreSQL with three small databases, and more.
const DISK_MEGABYTES: u32 = 160;
/// Output of the holder process once the disk is mounted.
const MOUNTED_MESSAGE: &[u8; 8] = b"mounted\n";

pub struct Disk {
    /// Process whose mount namespace has the disk.
    holder: Child,
    id: u32,
    folder: PathBuf,
}

impl Disk {
    /// Mounts a disk at this folder. The error is the reason why that is not possible here.
    pub async fn mount(folder: &Path) -> Result<Self> {
        for program in ["unshare", "nsenter", "setpriv"] {
            if !has(program) {
                return Err(format!("{program} is missing").into());
            }
        }
        let mount = format!("mount -t tmpfs -o size={DISK_MEGABYTES}m,mode=755 tmpfs \"$1\"");
        let script = format!("{mount} && echo mounted && exec sleep infinity");
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig=KILL", "unshare", "--mount", "--propagation=private"]);
        command.args(["sh", "-c", &script, "sh"]).arg(folder);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut holder = command.kill_on_drop(true).process_group(0).spawn()?;
        let id = holder.id().ok_or("it ended at once")?;
        let mut said = [0; MOUNTED_MESSAGE.len()];
        let output = holder.stdout.as_mut().ok_or("no output")?;
        if output.read_exact(&mut said).await.is_ok() && said == *MOUNTED_MESSAGE {
            return Ok(Self { holder, id, folder: folder.to_owned() });
        }
        let mut why = String::new();
        holder.stderr.as_mut().ok_or("no errors")?.read_to_string(&mut why).await?;
        Err(format!("a disk can't be mounted, which takes root: {}", why.trim()).into())
    }

    /// Returns the command prefix that runs a program in the mount namespace of the disk.
    pub fn inside(&self) -> Vec<String> {
        vec!["nsenter".into(), format!("--mount=/proc/{}/ns/mnt", self.id), "--".into()]
    }

    /// Returns the folder as other processes can reach it.
    fn seen(&self) -> PathBuf {
        let absolute = self.folder.strip_prefix("/").unwrap_or(&self.folder);
        PathBuf::from(format!("/proc/{}/root", self.id)).join(absolute)
    }

    pub async fn make_folder(&mut self, name: &str) -> Result<PathBuf> {
        if let Some(status) = self.holder.try_wait()? {
            return Err(format!("the disk is gone: {status}").into());
        }
        let seen = self.seen().join(name);
        until("the disk is there", async || Ok(fs::create_dir(&seen).ok())).await?;
        Ok(self.folder.join(name))
    }

    /// Changes the owner of a folder on the disk.
    pub fn own(&self, name: &str, user: &User) -> Result<()> {
        user.own(&self.seen().join(name))
    }

    pub fn fill(&self) -> Result<()> {
        let mut ballast = File::options().create(true).append(true).open(self.seen().join("ballast"))?;
        for size in [1024 * 1024, 4096] {
            let block = vec![0_u8; size];
            loop {
                match ballast.write_all(&block) {
                    Ok(()) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }

    pub fn empty(&self) -> Result<()> {
        Ok(fs::remove_file(self.seen().join("ballast"))?)
    }
}
