//! The folder through which host and guest tell each other things: settings in, the exit status and results out.

use std::env;
use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{ensure, Context, Result};

use crate::paths;
use crate::vm::VmOptions;

const STAGE2: &str = include_str!("../../tests/vm/stage2");

/// The folder that host and guest share; gone when dropped.
pub struct Share {
    /// Where it is on the host.
    pub path: PathBuf,
}

impl Share {
    /// Makes the folder and puts everything into it that the guest has to know.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn make(options: &VmOptions) -> Result<Self> {
        let folder = paths::cache()?.join("vm");
        // Whoever made what is there is gone: we have the lock.
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
        }
        fs::create_dir_all(&folder)?;
        let share = Self { path: folder };
        let directory = env::current_dir()?;
        let module = options
            .module
            .as_deref()
            .map_or(String::new(), |path| path.display().to_string());
        ensure!(
            options.modparams.is_empty() || !module.is_empty(),
            "parameters for the module, but no module"
        );
        share.write("stage2", STAGE2)?;
        share.write("modparams", options.modparams.trim())?;
        share.write("module", &module)?;
        share.write("modules", &options.kernel.modules.display().to_string())?;
        share.write("directory", &directory.display().to_string())?;
        share.write("environment", &environment(options, &module)?)?;
        match &options.command {
            Some(command) => share.write("command", command)?,
            None => {
                let size = Command::new("stty")
                    .arg("size")
                    .stdin(Stdio::inherit())
                    .output()?;
                let size = String::from_utf8_lossy(&size.stdout).into_owned();
                let size: Vec<&str> = size.split_whitespace().collect();
                share.write(
                    "interactive",
                    &match size[..] {
                        [rows, columns] if rows != "0" => format!("rows {rows} cols {columns}"),
                        _ => "rows 25 cols 80".to_owned(),
                    },
                )?;
            }
        }
        Ok(share)
    }

    /// The command's exit status, if it came to that.
    pub fn status(&self) -> Option<i32> {
        fs::read_to_string(self.path.join("status"))
            .ok()?
            .trim()
            .parse()
            .ok()
    }

    /// The files in the folder `results`, if the command made one, by name.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn results(&self) -> Result<Vec<(String, String)>> {
        let folder = self.path.join("results");
        let mut results = Vec::new();
        if folder.is_dir() {
            for entry in fs::read_dir(&folder)? {
                let entry = entry?;
                let content = fs::read(entry.path())
                    .with_context(|| format!("cannot read {}", entry.path().display()))?;
                let name = entry.file_name().to_string_lossy().into_owned();
                results.push((name, String::from_utf8_lossy(&content).into_owned()));
            }
        }
        results.sort();
        Ok(results)
    }

    /// Whether the guest came as far as the host's files, so that its end is no longer the boot's fault.
    pub fn started(&self) -> bool {
        self.path.join("started").exists()
    }

    fn write(&self, name: &str, content: &str) -> Result<()> {
        let path = self.path.join(name);
        let mut file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        writeln!(file, "{content}")?;
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            eprintln!("cannot remove {}: {error}", self.path.display());
        }
    }
}

/// Shell text that sets the guest's environment.
fn environment(options: &VmOptions, module: &str) -> Result<String> {
    let path = env::var("PATH").unwrap_or_default()
        + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let given = |name: &str, otherwise: &str| env::var(name).unwrap_or_else(|_| otherwise.to_owned());
    let mut variables = vec![
        ("PATH".to_owned(), path),
        ("HOME".to_owned(), "/root".to_owned()),
        ("TERM".to_owned(), given("TERM", "dumb")),
        ("LANG".to_owned(), given("LANG", "C.UTF-8")),
        ("NVMEV_MODULE".to_owned(), module.to_owned()),
        ("NVMEV_MODPARAMS".to_owned(), options.modparams.clone()),
    ];
    variables.extend(options.environment.iter().cloned());
    let mut text = String::new();
    for (name, value) in variables {
        let quoted = shlex::try_quote(&value)
            .with_context(|| format!("{name} has a character that no shell can pass on"))?;
        text += &format!("export {name}={quoted}\n");
    }
    Ok(text)
}
