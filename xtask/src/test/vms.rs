//! The checks in VMs: builds what they need, runs each suite's scripts, and counts what they print.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::Result;

use super::{cargo, joined, passes, Found, Tally, Verdict};
use crate::build::build_module;
use crate::kernels::{self, Kernel};
use crate::kexec;
use crate::paths::root;
use crate::suites::{self, with_added, Added, Length, Suite};
use crate::vm::{self, VmOptions};
use crate::{klog, module};

/// A program of ours that scripts run in the guest, which sees this machine's files.
struct Program {
    /// Its package, and its file's name.
    name: &'static str,
    /// The variable that tells the scripts where it is.
    variable: &'static str,
    /// Who runs it.
    scripts: &'static [&'static str],
}

const PROGRAMS: [Program; 2] = [
    Program {
        name: "nvmev",
        variable: "NVMEV_COMMAND",
        scripts: &["flash", "keyvalue", "namespaces", "sweep"],
    },
    Program {
        name: "nvme-userdriver",
        variable: "NVMEV_USERDRIVER",
        scripts: &["uio", "peer"],
    },
];

/// A module that scripts load, in tests/vm, and who loads it: a DMA engine.
const DMA_PROVIDER: &str = "dma_provider";
const DMA_SCRIPT: &str = "dma";

fn needs_dma_provider(suite: &Suite) -> bool {
    suite.scripts.contains(&DMA_SCRIPT)
}

impl Program {
    fn is_run_by(&self, suite: &Suite) -> bool {
        suite.scripts.iter().any(|script| self.scripts.contains(script))
    }

    fn path(&self) -> PathBuf {
        root().join("target/debug").join(self.name)
    }
}

/// The suites of `make test`, or the others, whose name starts so.
///
/// # Errors
/// If there is none.
pub(super) fn select(is_usual: bool, start: &str) -> Result<Vec<&'static Suite>> {
    let suites: Vec<&Suite> = suites::all()
        .filter(|suite| suite.length.is_usual() == is_usual && suite.name.starts_with(start))
        .collect();
    anyhow::ensure!(!suites.is_empty(), "no suite's name starts with '{start}'");
    Ok(suites)
}

/// What has ended.
pub(super) enum Ended<'a> {
    /// All that is built for the suites.
    Builds,
    Suite(&'a Suite),
}

/// Runs these suites with what is added to their settings, and tells `ended` of each end.
///
/// # Errors
/// If `ended` fails.
pub(super) fn run(
    tally: &mut Tally,
    suites: &[&'static Suite],
    added: &Added,
    mut ended: impl FnMut(Ended<'_>, Verdict) -> Result<()>,
) -> Result<()> {
    let mut modules: Vec<Module> = Vec::new();
    let mut missing = Vec::new();
    let mut kernels: Vec<&str> = suites.iter().map(|suite| suite.kver).collect();
    kernels.sort_by_key(|kver| suites.iter().position(|suite| suite.kver == *kver));
    kernels.dedup();
    for kver in kernels {
        let kernel = match kernels::provide(Some(kver)) {
            Ok(kernel) => kernel,
            Err(error) => {
                // Its suites have nothing to run with.
                missing.extend(tally.step(&format!("Linux {kver}"), || Err(error)).failed);
                continue;
            }
        };
        for faults in [false, true] {
            let is_meant = |suite: &&&Suite| suite.kver == kver && suite.faults == faults;
            let suites: Vec<&Suite> = suites.iter().filter(is_meant).copied().collect();
            if !suites.is_empty() {
                modules.push(Module {
                    kernel: kernel.clone(),
                    faults,
                    suites,
                });
            }
        }
    }
    let (paths, mut verdict) = build(tally, &programs_of(suites), &modules);
    verdict.failed.extend(missing);
    ended(Ended::Builds, verdict)?;
    for (module, path) in modules.iter().zip(paths) {
        // A failed build has been counted; its suites have nothing to run with.
        let Some(path) = path else { continue };
        for suite in &module.suites {
            let verdict = tally.step(&format!("VM {}", suite.name), || {
                run_suite(suite, added, &module.kernel, &path)
            });
            ended(Ended::Suite(suite), verdict)?;
        }
    }
    Ok(())
}

/// A module to build, and the suites that load it.
struct Module {
    kernel: Kernel,
    faults: bool,
    suites: Vec<&'static Suite>,
}

impl Module {
    fn name(&self) -> String {
        let with = if self.faults { ", with test faults" } else { "" };
        format!("module for {}{with}", self.kernel.release)
    }

    fn build(&self) -> Result<PathBuf> {
        if self.suites.iter().any(|suite| needs_dma_provider(suite)) {
            module::build_for_tests(&(&self.kernel).into(), DMA_PROVIDER)?;
        }
        build_module(&self.kernel, self.faults)
    }
}

fn programs_of(suites: &[&Suite]) -> Vec<&'static str> {
    let is_needed = |program: &&Program| suites.iter().any(|suite| program.is_run_by(suite));
    let needed = PROGRAMS.iter().filter(is_needed);
    needed.map(|program| program.name).collect()
}

/// Builds all of it at once, but one module after the other for a kernel: they have a folder together, and most of a build's time goes
/// into a single crate, on one CPU. Returns the modules' paths.
fn build(tally: &mut Tally, programs: &[&str], modules: &[Module]) -> (Vec<Option<PathBuf>>, Verdict) {
    let mut paths = Vec::new();
    let mut names: Vec<String> = programs.iter().map(|&name| name.to_owned()).collect();
    names.extend(modules.iter().map(Module::name));
    let verdict = tally.step(&names.join("; "), || {
        let results = thread::scope(|scope| {
            let programs = scope.spawn(|| build_programs(programs));
            let kernels: Vec<_> = modules
                .chunk_by(|module, other| module.kernel.release == other.kernel.release)
                .map(|modules| scope.spawn(|| modules.iter().map(Module::build).collect::<Vec<_>>()))
                .collect();
            (
                joined(programs),
                kernels.into_iter().flat_map(joined).collect::<Vec<_>>(),
            )
        });
        let mut found = results.0?;
        for (module, built) in modules.iter().zip(results.1) {
            found.add(built.is_ok(), &module.name());
            if let Err(error) = &built {
                found.output += &format!("error: {error:#}\n");
            }
            paths.push(built.ok());
        }
        Ok(found)
    });
    (paths, verdict)
}

fn build_programs(names: &[&str]) -> Result<Found> {
    if names.is_empty() {
        return Ok(Found::default());
    }
    // As the tests are built, so that little of it is left to do after them: in release it takes three minutes. At once: one after the other, they
    // would build what they share with different features.
    let mut command = cargo(&["build", "--quiet"]);
    command.args(names.iter().flat_map(|name| ["--package", name]));
    passes(command)
}

fn run_suite(suite: &Suite, added: &Added, kernel: &Kernel, nvmev: &Path) -> Result<Found> {
    let modparams = with_added(&with_added(suite.modparams, suite.added), &added.modparams);
    let folder = root().join("tests/vm");
    let mut command = String::new();
    for script in suite.scripts {
        command += &format!("bash '{}/{script}.sh'\n", folder.display());
    }
    let long = suite.length == Length::Long;
    let flag = |name: &str, on: bool| (name.to_owned(), if on { "1".to_owned() } else { String::new() });
    let mut environment = vec![
        flag("NVMEV_LONG", long),
        flag("NVMEV_BRIEF", suite.brief),
        ("NVMEV_ENGINES".to_owned(), suite.engines.to_owned()),
        ("NVMEV_PARAMETERS".to_owned(), modparams.clone()),
    ];
    environment
        .extend(PROGRAMS.map(|program| (program.variable.to_owned(), program.path().display().to_string())));
    if needs_dma_provider(suite) {
        let path = module::path_for_tests(&kernel.release, DMA_PROVIDER);
        environment.push(("NVMEV_DMA_PROVIDER".to_owned(), path.display().to_string()));
    }
    if suite.scripts.contains(&kexec::SCRIPT) {
        environment.extend(kexec::environment(kernel)?);
    }
    let options = VmOptions {
        kernel: kernel.clone(),
        module: Some(nvmev.to_owned()),
        cpus: suite.cpus.max(vm::cpus_for(&modparams)),
        memory: vm::memory_for(&modparams),
        modparams: if suite.loaded { modparams } else { String::new() },
        command: Some(command),
        append: format!("{} {}", suite.append, added.append),
        qemuopts: format!("{} {}", suite.qemuopts, added.qemuopts),
        environment,
        timeout: Some(suite.length.timeout()),
        live: false,
    };
    let mut outcome = vm::run(&options)?;
    if outcome.emulator_tripped() {
        eprintln!(
            "the emulator, not the guest, went wrong (see emulator_tripped in xtask/src/vm.rs); running {} again",
            suite.name
        );
        outcome = vm::run(&options)?;
    }
    let logs = root().join("target/vm-logs");
    fs::create_dir_all(&logs)?;
    fs::write(logs.join(format!("{}.output", suite.name)), &outcome.output)?;
    fs::write(logs.join(format!("{}.kernel", suite.name)), &outcome.kernel_log)?;
    let mut found = read_checks(&outcome.output, suite.scripts);
    found.add(
        matches!(outcome.end, vm::End::Exited(_)),
        "the VM came to its end",
    );
    let complaints = klog::complaints(&outcome.kernel_log);
    found.add(complaints.is_empty(), "the kernel's log is without complaints");
    for line in outcome
        .output
        .lines()
        .filter(|line| line.starts_with("# ") && line.ends_with(" ms"))
    {
        println!("       {line}");
    }
    found.output = format!(
        "{}\n{}\nAll of it: {}/{}.*",
        failures_of(&outcome.output),
        outcome.trouble(),
        logs.display(),
        suite.name
    );
    Ok(found)
}

/// The failed checks with what is said about them, and the script's last lines.
fn failures_of(output: &str) -> String {
    let mut text = String::new();
    let mut failing = false;
    for line in output.lines() {
        failing = line.starts_with("not ok ") || (failing && line.starts_with('#'));
        if failing {
            text += &format!("{line}\n");
        }
    }
    text + "...\n" + &klog::tail(output, 5)
}

/// Counts the checks in what the scripts printed; one that did not reach its end is a failure.
fn read_checks(output: &str, scripts: &[&str]) -> Found {
    let mut found = Found::default();
    for line in output.lines() {
        if line.starts_with("ok ") {
            found.add(true, line);
        } else if let Some(what) = line.strip_prefix("not ok ") {
            found.add(false, what);
        }
    }
    for script in scripts {
        let end = format!("# {script}: ");
        if !output
            .lines()
            .any(|line| line.starts_with(&end) && line.ends_with(" checks done"))
        {
            found.add(false, &format!("{script}.sh did not reach its end"));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_that_stops_half_way_is_a_failure() {
        let output = "ok fio: a\nnot ok fio: b: why\n# fio: 2 checks done\nok idle: c\n";
        let found = read_checks(output, &["fio", "idle"]);
        assert_eq!(found.passed, 2);
        assert_eq!(found.failed, ["fio: b: why", "idle.sh did not reach its end"]);
    }
}
