//! `make matrix`: builds the module for every kernel whose headers a suite of the distribution has, one after the other. Of each only the headers are fetched,
//! and they are removed again.

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};

use crate::catalogue::{self, Offer};
use crate::kernels;
use crate::module::{self, Options};
use crate::packages::{self, Purpose};
use crate::paths::{self, Lock};
use crate::process::seconds;

/// Builds for the kernels that `kver` selects, all if it is empty, and prints a table; returns the status to end with: 1 if one of them failed.
///
/// # Errors
/// If the lists of kernels cannot be had, or none is selected.
pub fn run(kver: &str) -> Result<i32> {
    packages::provide(&[Purpose::Module])?;
    let offers = catalogue::select(kernels::offers()?, kver);
    anyhow::ensure!(
        !offers.is_empty(),
        "no suite has a kernel with headers that KVER={kver} selects"
    );
    let logs = paths::root().join("target/matrix");
    fs::create_dir_all(&logs).with_context(|| format!("cannot make {}", logs.display()))?;
    let folder = paths::cache()?.join("matrix");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let _lock = Lock::take(&folder.join("lock"), "another matrix")?;

    let start = Instant::now();
    let mut failed = Vec::new();
    let mut rows = Vec::new();
    for (index, offer) in offers.iter().enumerate() {
        eprintln!("==> {} of {}: {}", index + 1, offers.len(), offer.release);
        let began = Instant::now();
        let built = build(offer, folder.join(&offer.release));
        let result = match &built {
            Ok(()) => "ok".to_owned(),
            Err(error) => {
                failed.push(offer.release.clone());
                let log = logs.join(format!("{}.log", offer.release));
                fs::write(&log, format!("{error:#}\n"))
                    .with_context(|| format!("cannot write {}", log.display()))?;
                format!("FAILED: {} ({})", reason(&format!("{error:#}")), log.display())
            }
        };
        eprintln!("    {result}");
        rows.push([
            offer.release.clone(),
            offer.suite.clone(),
            seconds(began.elapsed()),
            result,
        ]);
    }
    print!("{}", table(&rows));
    println!(
        "{} of {} build, {}",
        offers.len() - failed.len(),
        offers.len(),
        seconds(start.elapsed())
    );
    Ok(i32::from(!failed.is_empty()))
}

/// Builds for one kernel; nothing of it stays, unless it was there before.
fn build(offer: &Offer, headers: PathBuf) -> Result<()> {
    let outcome = kernels::fetch_headers(offer, &headers).and_then(|kernel| {
        let folder = paths::root().join("target/module").join(&kernel.release);
        let stays = folder.exists();
        let built = module::build(&Options {
            target: (&kernel).into(),
            test_faults: false,
        });
        if folder.exists() && !stays {
            fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
        }
        built.map(drop)
    });
    if headers.exists() {
        fs::remove_dir_all(&headers).with_context(|| format!("cannot remove {}", headers.display()))?;
    }
    outcome
}

/// The line of a failed build's output that says most: the first error or warning, else the last line.
fn reason(text: &str) -> &str {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let says = |line: &&str| {
        let lower = line.to_ascii_lowercase();
        lower.contains("error:") || lower.contains("warning:")
    };
    lines.clone().find(says).or(lines.next_back()).unwrap_or(text)
}

/// Columns as wide as they have to be.
fn table(rows: &[[String; 4]]) -> String {
    let heading = ["kernel", "suite", "time", "result"].map(str::to_owned);
    let rows: Vec<&[String; 4]> = std::iter::once(&heading).chain(rows).collect();
    let width = |column: usize| {
        let lengths = rows.iter().filter_map(|row| row.get(column));
        lengths.map(String::len).max().unwrap_or(0)
    };
    let widths = [0, 1, 2].map(width);
    let line = |row: &&[String; 4]| {
        let [kernel, suite, time, result] = row;
        let [first, second, third] = widths;
        format!("{kernel:first$}  {suite:second$}  {time:>third$}  {result}\n")
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_aligned() {
        let rows = [
            ["6.1.0-50-amd64", "bookworm", "9.5 s", "ok"],
            ["7.3.4+deb13-cloud-amd64", "sid", "101.0 s", "FAILED: x"],
        ]
        .map(|row| row.map(str::to_owned));
        assert_eq!(
            table(&rows),
            "kernel                   suite        time  result\n\
             6.1.0-50-amd64           bookworm    9.5 s  ok\n\
             7.3.4+deb13-cloud-amd64  sid       101.0 s  FAILED: x\n"
        );
    }

    #[test]
    fn of_a_failed_build_the_first_error_is_shown() {
        let text = "make: Entering directory\nshim_irq.c:5:1: error: implicit declaration\nmake: *** Error 2\n\nmake: exit status: 2";
        assert_eq!(reason(text), "shim_irq.c:5:1: error: implicit declaration");
        assert_eq!(reason("no such package\n"), "no such package");
    }
}
