//! `nvmev lateness`: whether the loaded module keeps to the times of its drive, from `/proc/nvmev/lateness`.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use serde::Serialize;

use crate::error::CommandError;

/// Show how late the loaded module posts completions: whether the emulator keeps up
#[derive(Debug, clap::Args)]
pub struct LatenessArguments {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Then count anew; needs root
    #[arg(long)]
    reset: bool,
    /// The module's file, or a copy of it
    #[arg(long, value_name = "FILE", default_value = "/proc/nvmev/lateness")]
    file: PathBuf,
}

/// What the file says; all times in ns.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Lateness {
    bound_ns: u64,
    count: u64,
    misses: u64,
    p50_ns: u64,
    p90_ns: u64,
    p99_ns: u64,
    p99_9_ns: u64,
    max_ns: u64,
    buckets: Vec<Bucket>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Bucket {
    from_ns: u64,
    to_ns: u64,
    count: u64,
}

/// Does what `arguments` ask.
pub fn run(arguments: &LatenessArguments, output: &mut dyn Write) -> Result<(), CommandError> {
    let path = arguments.file.display();
    let text = fs::read_to_string(&arguments.file).map_err(|error| {
        CommandError::Failed(format!("{path} cannot be read: {error}; is the module loaded?"))
    })?;
    let lateness = parse(&text)
        .ok_or_else(|| CommandError::Failed(format!("{path} does not look like /proc/nvmev/lateness")))?;
    if arguments.json {
        serde_json::to_writer(&mut *output, &lateness).map_err(io::Error::from)?;
        writeln!(output)?;
    } else {
        write(&lateness, output)?;
    }
    if arguments.reset {
        fs::write(&arguments.file, "0\n")
            .map_err(|error| CommandError::Failed(format!("{path} cannot be written: {error}")))?;
    }
    Ok(())
}

/// Takes the text apart. Names that are not known are those of a newer module.
fn parse(text: &str) -> Option<Lateness> {
    let mut lateness = Lateness::default();
    let mut has_count = false;
    for line in text.lines() {
        let (name, values) = line.split_once(' ')?;
        let mut values = values.split(' ').map(|value| value.parse::<u64>().ok());
        let mut next = || values.next().flatten();
        match name {
            "bound_ns" => lateness.bound_ns = next()?,
            "count" => (lateness.count, has_count) = (next()?, true),
            "misses" => lateness.misses = next()?,
            "p50_ns" => lateness.p50_ns = next()?,
            "p90_ns" => lateness.p90_ns = next()?,
            "p99_ns" => lateness.p99_ns = next()?,
            "p99_9_ns" => lateness.p99_9_ns = next()?,
            "max_ns" => lateness.max_ns = next()?,
            "bucket" => lateness.buckets.push(Bucket {
                from_ns: next()?,
                to_ns: next()?,
                count: next()?,
            }),
            _ => {}
        }
    }
    has_count.then_some(lateness)
}

fn write(lateness: &Lateness, output: &mut dyn Write) -> io::Result<()> {
    let Lateness {
        bound_ns,
        count,
        misses,
        p50_ns,
        p90_ns,
        p99_ns,
        p99_9_ns,
        max_ns,
        ref buckets,
    } = *lateness;
    if count == 0 {
        return writeln!(output, "no completions yet");
    }
    let percent = |part: u64| part as f64 * 100.0 / count as f64;
    writeln!(output, "{count} completions, posted after their time by (ns)")?;
    writeln!(
        output,
        "{:>12}{:>12}{:>12}{:>12}{:>12}",
        "p50", "p90", "p99", "p99.9", "max"
    )?;
    writeln!(
        output,
        "{p50_ns:>12}{p90_ns:>12}{p99_ns:>12}{p99_9_ns:>12}{max_ns:>12}"
    )?;
    writeln!(output)?;
    let mut seen = 0;
    writeln!(
        output,
        "{:>12}{:>12}{:>12}{:>12}",
        "from", "to", "count", "so far"
    )?;
    for bucket in buckets {
        seen += bucket.count;
        // The last one has no end.
        let to_ns = bucket.to_ns.min(max_ns.max(bucket.from_ns));
        writeln!(
            output,
            "{:>12}{to_ns:>12}{:>12}{:>10.3} %",
            bucket.from_ns,
            bucket.count,
            percent(seen)
        )?;
    }
    writeln!(output)?;
    match misses {
        0 => writeln!(
            output,
            "The emulator kept up: none was more than {bound_ns} ns late."
        ),
        _ => writeln!(
            output,
            "The emulator did not always keep up: {misses} ({:.3} %) were more than {bound_ns} ns late.",
            percent(misses)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use module_params::proc_text::{write_lateness, LatenessBucketLine, LatenessSummary};

    #[test]
    fn what_the_module_writes_is_understood() {
        let summary = LatenessSummary {
            bound_ns: 1,
            count: 2,
            misses: 3,
            max_ns: 4,
            p50_ns: 5,
            p90_ns: 6,
            p99_ns: 7,
            p99_9_ns: 8,
        };
        let bucket = LatenessBucketLine {
            from_ns: 9,
            to_ns: u64::MAX,
            count: 10,
        };
        let mut text = String::new();
        write_lateness(&mut text, summary, [bucket].into_iter()).unwrap();
        let expected = Lateness {
            bound_ns: 1,
            count: 2,
            misses: 3,
            p50_ns: 5,
            p90_ns: 6,
            p99_ns: 7,
            p99_9_ns: 8,
            max_ns: 4,
            buckets: vec![Bucket {
                from_ns: 9,
                to_ns: u64::MAX,
                count: 10,
            }],
        };
        assert_eq!(parse(&text), Some(expected));
        assert!(parse(&(text + "something new\n")).is_some());
    }

    #[test]
    fn other_texts_are_not_taken_for_it() {
        for text in [
            "",
            "x",
            "count x\n",
            "bound_ns 1\n",
            "count 1\nbucket 1 2\n",
            " 1:  0    0\n",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
