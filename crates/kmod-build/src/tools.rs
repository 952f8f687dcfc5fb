//! Programs of another distribution's suite than the machine's, in a root folder of their own: the compiler that a kernel was built with, and what its build
//! system needs, such as a C library that is newer than the machine's. Who unpacks them there is xtask.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{ensure, Context, Result};

use crate::process::show;

/// Mounts what a program needs below the root folder `$1`, then runs it there: folders, `--`, program, arguments.
const ENTER: &str = r#"
set -e
root=$1
shift
mkdir -p "$root/dev" "$root/proc" "$root/tmp"
mount --rbind /dev "$root/dev"
mount --rbind /proc "$root/proc"
mount -t tmpfs tmpfs "$root/tmp"
while [ "$1" != -- ]; do
    mkdir -p "$root$1"
    mount --bind "$1" "$root$1"
    shift
done
shift
exec chroot "$root" "$@"
"#;

/// A root folder with programs, and the one folder outside that they can see without asking for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tools {
    /// The root folder.
    pub root: PathBuf,
    /// The kernel's files, at the same path inside.
    pub kernel: PathBuf,
}

impl Tools {
    /// `program` run inside, where the folder `visible` is at the same path.
    pub fn command(&self, program: &str, visible: &Path) -> Command {
        let mut command = Command::new("unshare");
        command.arg("--mount");
        if !rustix::process::geteuid().is_root() {
            command.arg("--map-root-user");
        }
        command
            .args(["sh", "-c", ENTER, "sh"])
            .args([&self.root, &self.kernel, visible])
            .args(["--", program])
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LC_ALL", "C");
        command
    }

    /// Runs a program inside.
    ///
    /// # Errors
    /// If that is not possible on this machine: what to do about it.
    pub fn check(&self) -> Result<()> {
        let mut command = self.command("true", &self.kernel);
        let output = command
            .output()
            .with_context(|| format!("cannot start {}", show(&command)))?;
        ensure!(
            output.status.success(),
            "the programs in {} cannot be run ({}). They need mount namespaces: become root, or allow unprivileged user namespaces \
             (sysctl kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0)",
            self.root.display(),
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Ok(())
    }
}
