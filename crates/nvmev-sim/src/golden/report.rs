//! What the check of a trace found.

use std::fmt;

use super::subject::Kind;

/// How many of something agree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Those that agree.
    pub equal: u64,
    /// All that were compared; for a trace that was not replayed, all rows that it has.
    pub total: u64,
}

impl Tally {
    pub(super) fn count(&mut self, is_equal: bool) {
        self.total += 1;
        self.equal += u64::from(is_equal);
    }
}

/// A place where file and replay are not the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The request concerned, or after which a checksum stands.
    pub index: u64,
    /// The column, or which checksum.
    pub column: &'static str,
    /// What the file has.
    pub file: String,
    /// What the replay gave.
    pub replay: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            index,
            column,
            file,
            replay,
        } = self;
        write!(
            formatter,
            "request {index}, {column}: the file has {file}, the replay {replay}"
        )
    }
}

/// The outcome for one trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Replayed, and all that can be compared is equal.
    Equal,
    /// Something differs; this is the first. Without a replay it can only be a checksum over the inputs.
    Different(Difference),
    /// Not replayed: the trace shows a defect of the reference.
    NotToBeMatched,
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Equal => "equal",
            Self::Different(_) => "DIFFERENT",
            Self::NotToBeMatched => "not to be matched",
        })
    }
}

/// What the check of one trace found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The trace's own name.
    pub name: String,
    /// Kind of drive.
    pub kind: Kind,
    /// The outcome.
    pub verdict: Verdict,
    /// Requests in the trace, recorded or not.
    pub requests: u64,
    /// Recorded rows.
    pub rows: Tally,
    /// Checksums over the inputs: they check the file and the generated requests, with or without a model.
    pub input_sums: Tally,
    /// Checksums over the outputs.
    pub output_sums: Tally,
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name: _,
            kind,
            verdict,
            requests,
            rows,
            input_sums,
            output_sums,
        } = self;
        let is_replayed = output_sums.total > 0;
        let of_total = |tally: &Tally, is_compared: bool| {
            let equal = if is_compared {
                tally.equal.to_string()
            } else {
                "-".to_owned()
            };
            format!("{equal}/{}", tally.total)
        };
        write!(
            formatter,
            "{verdict:<17}  {kind:<12}  rows {:>13}  requests {requests:>7}  checksums in {:>7} out {:>7}",
            of_total(rows, is_replayed),
            of_total(input_sums, true),
            if is_replayed {
                of_total(output_sums, true)
            } else {
                "-".to_owned()
            },
        )?;
        match verdict {
            Verdict::Different(difference) => write!(formatter, "\n    first difference: {difference}"),
            Verdict::Equal | Verdict::NotToBeMatched => Ok(()),
        }
    }
}
