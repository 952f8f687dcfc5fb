//! `kmod-build KDIR FILE`: builds the module for the kernel whose build folder is `KDIR` and copies it
//! to `FILE`. For DKMS.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};

use kmod_build::module;

fn main() -> ExitCode {
    let mut arguments = env::args_os().skip(1);
    let (Some(kdir), Some(file), None) = (arguments.next(), arguments.next(), arguments.next()) else {
        eprintln!("usage: kmod-build KDIR FILE");
        return ExitCode::from(2);
    };
    match build(kdir, Path::new(&file)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn build(kdir: OsString, file: &Path) -> Result<()> {
    let built = module::build(&module::Options {
        target: module::Target {
            kdir: PathBuf::from(kdir),
            tools: None,
        },
        test_faults: false,
    })?;
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    fs::copy(&built, file).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(())
}
