//! The replay: one dispatcher handles the requests strictly in order, in virtual time.

use std::io::BufRead;

use super::checksum::Checksum;
use super::error::TraceError;
use super::line::{Line, Sums};
use super::phase::{Phase, PhaseKind};
use super::reader::Lines;
use super::report::{Difference, Report, Tally, Verdict};
use super::request::{Outcome, Request};
use super::subject::{
    is_of_key_value, shows_a_defect, subject_for, Answer, Kind, Parameters, Subject, TraceHeader,
};

/// How often a request may be put before it counts as never accepted. The reference needs a few hundred at most.
const ATTEMPTS_MAX: u32 = 1_000_000;

/// Checks the trace in `reader` against the model that it asks for; `file` is its name in messages.
///
/// # Errors
/// [`TraceError`] when the trace cannot be read or is not in the format. A difference is a verdict, not an error.
pub fn check<R: BufRead>(file: &str, reader: R) -> Result<Report, TraceError> {
    check_with(file, reader, subject_for)
}

/// Checks the trace in `reader` against what `subject` makes of its header.
///
/// # Errors
/// As [`check`]; a reason returned by `subject` becomes such an error.
pub fn check_with<R: BufRead>(
    file: &str,
    reader: R,
    subject: impl FnOnce(&TraceHeader) -> Result<Box<dyn Subject>, String>,
) -> Result<Report, TraceError> {
    let mut lines = Lines::new(file, reader);
    let header = read_header(&mut lines)?;
    let subject = subject(&header).map_err(|reason| lines.error(reason))?;
    let mut replay = Replay {
        lines,
        dispatcher: Some(Dispatcher { subject, clock_ns: 0 }),
        kind: header.kind,
        columns_named: false,
        requests: 0,
        input: Checksum::default(),
        output: Checksum::default(),
        rows: Tally::default(),
        input_sums: Tally::default(),
        output_sums: Tally::default(),
        first_difference: None,
        input_difference: None,
    };
    replay.run()?;
    if shows_a_defect(replay.requests, replay.input.value()) {
        // The outputs were compared in vain: nothing is said of them.
        replay.rows.equal = 0;
        replay.output_sums = Tally::default();
        let verdict = replay
            .input_difference
            .take()
            .map_or(Verdict::NotToBeMatched, Verdict::Different);
        return Ok(replay.report(header.name, verdict));
    }
    let verdict = replay
        .first_difference
        .take()
        .map_or(Verdict::Equal, Verdict::Different);
    Ok(replay.report(header.name, verdict))
}

/// Reads up to the first phase, which stays the next line.
fn read_header<R: BufRead>(lines: &mut Lines<R>) -> Result<TraceHeader, TraceError> {
    let name = match lines.next()? {
        Some(Line::Trace(name)) => name,
        other => return Err(lines.unexpected("#trace", other.as_ref())),
    };
    let mut parameters = Parameters::default();
    loop {
        match lines.peek()? {
            Some(Line::Phase(_)) => break,
            Some(Line::Text | Line::Param { .. }) => {
                if let Some(Line::Param { key, value }) = lines.next()? {
                    let is_new = parameters.insert(key.clone(), value);
                    if !is_new {
                        return Err(lines.error(format!("#param,{key} is there twice")));
                    }
                }
            }
            _ => {
                let found = lines.next()?;
                return Err(lines.unexpected("#param or #phase", found.as_ref()));
            }
        }
    }
    TraceHeader::new(name, parameters).map_err(|reason| lines.error(reason))
}

/// The one that handles requests in order.
struct Dispatcher {
    subject: Box<dyn Subject>,
    /// Accepted start of the request before, ns.
    clock_ns: u64,
}

/// What became of a request in the replay.
enum Handled {
    Done(Outcome),
    /// It is not accepted and nothing will change that.
    Stalled,
}

impl Dispatcher {
    fn handle(&mut self, request: &Request) -> Result<Handled, String> {
        self.clock_ns = self.clock_ns.max(request.arrival_ns);
        for _ in 0..ATTEMPTS_MAX {
            match self.subject.submit(self.clock_ns, request)? {
                Answer::Done {
                    done_at_ns,
                    status,
                    result,
                } => {
                    let accepted_start_ns = self.clock_ns;
                    // The difference of two times as two's complement: negative where completion lies in the past.
                    let latency_ns = done_at_ns.wrapping_sub(accepted_start_ns) as i64;
                    return Ok(Handled::Done(Outcome {
                        accepted_start_ns,
                        latency_ns,
                        status,
                        result,
                    }));
                }
                // No release is pending.
                Answer::Busy { retry_at_ns } if retry_at_ns <= self.clock_ns || retry_at_ns == u64::MAX => {
                    break
                }
                Answer::Busy { retry_at_ns } => self.clock_ns = retry_at_ns,
            }
        }
        Ok(Handled::Stalled)
    }
}

struct Replay<R> {
    lines: Lines<R>,
    /// Gone after a stall.
    dispatcher: Option<Dispatcher>,
    /// Kind of drive, as far as it is known.
    kind: Kind,
    columns_named: bool,
    /// Requests handled so far: the index of the next one.
    requests: u64,
    input: Checksum,
    output: Checksum,
    rows: Tally,
    input_sums: Tally,
    output_sums: Tally,
    first_difference: Option<Difference>,
    /// The first one of the checksums over the inputs, which concerns the file and no model.
    input_difference: Option<Difference>,
}

impl<R: BufRead> Replay<R> {
    fn report(self, name: String, verdict: Verdict) -> Report {
        Report {
            name,
            kind: self.kind,
            verdict,
            requests: self.requests,
            rows: self.rows,
            input_sums: self.input_sums,
            output_sums: self.output_sums,
        }
    }

    /// All phases, to the end of the file.
    fn run(&mut self) -> Result<(), TraceError> {
        let mut phases = 0;
        loop {
            match self.lines.next()? {
                Some(Line::Phase(phase)) => {
                    if (phase.number, phase.first) != (phases, self.requests) {
                        let expected = format!("phase {phases} with first={}", self.requests);
                        return Err(self.lines.error(format!("expected {expected}, found another")));
                    }
                    phases += 1;
                    if self.phase(&phase)? {
                        return self.end_of_file_after_stall();
                    }
                }
                Some(Line::End { requests, sums }) => {
                    if requests != self.requests {
                        let reason =
                            format!("#end counts {requests} requests, the file has {}", self.requests);
                        return Err(self.lines.error(reason));
                    }
                    self.compare_sums(requests.saturating_sub(1), sums);
                    return match self.lines.next()? {
                        None => Ok(()),
                        found => Err(self.lines.unexpected("nothing after #end", found.as_ref())),
                    };
                }
                found => return Err(self.lines.unexpected("#phase or #end", found.as_ref())),
            }
        }
    }

    /// One phase. True if it ended in `#stall`.
    fn phase(&mut self, phase: &Phase) -> Result<bool, TraceError> {
        let generator = match &phase.kind {
            PhaseKind::Rows => None,
            PhaseKind::Generated(generator) => Some(generator),
        };
        let mut random = generator.map(|generator| generator.random());
        let mut last_sum_index = None;
        for j in 0..phase.count {
            let index = phase.first + j;
            let generated = generator
                .zip(random.as_mut())
                .map(|(generator, random)| generator.request(j, random));
            if !self.columns_named && matches!(self.lines.peek()?, Some(Line::Columns)) {
                self.lines.next()?;
                self.columns_named = true;
            }
            if let Some(&Line::Stall {
                index: stalled,
                at_ns,
            }) = self.lines.peek()?
            {
                self.stall(index, stalled, at_ns, generated.as_ref())?;
                return Ok(true);
            }
            let (request, expected) = if j % phase.every == 0 {
                let (request, outcome) = self.row(index, generated.as_ref())?;
                (request, Some(outcome))
            } else {
                // A phase of rows has every = 1, so the request is generated.
                let Some(request) = generated else {
                    return Err(self
                        .lines
                        .error("a phase of kind rows records all of its requests"));
                };
                (request, None)
            };
            self.request(index, &request, expected.as_ref())?;
            if matches!(self.lines.peek()?, Some(Line::Sum { index: at, .. }) if *at == index) {
                if let Some(Line::Sum { sums, .. }) = self.lines.next()? {
                    self.compare_sums(index, sums);
                    last_sum_index = Some(index);
                }
            }
        }
        let last_index = phase.first + (phase.count - 1);
        if last_sum_index != Some(last_index) {
            let found = self.lines.next()?;
            return Err(self
                .lines
                .unexpected(&format!("#sum,{last_index}"), found.as_ref()));
        }
        while matches!(self.lines.peek()?, Some(Line::State)) {
            self.lines.next()?;
        }
        match self.lines.next()? {
            Some(Line::Accept { index, last_start_ns }) if index == last_index => {
                if let Some(dispatcher) = &self.dispatcher {
                    let clock_ns = dispatcher.clock_ns;
                    self.compare(index, "last_start of #accept", &last_start_ns, &clock_ns);
                }
                Ok(false)
            }
            found => Err(self
                .lines
                .unexpected(&format!("#accept,{last_index}"), found.as_ref())),
        }
    }

    /// The row of request `index`, whose inputs are those generated, if they are.
    fn row(&mut self, index: u64, generated: Option<&Request>) -> Result<(Request, Outcome), TraceError> {
        match self.lines.next()? {
            Some(Line::Row { index: found, .. }) if found != index => Err(self.lines.error(format!(
                "expected the row of request {index}, found that of {found}"
            ))),
            Some(Line::Row { .. }) if !self.columns_named => {
                Err(self.lines.error("this row comes before the line of column names"))
            }
            Some(Line::Row { request, outcome, .. }) => match generated {
                Some(generated) if *generated != request => Err(self.lines.error(format!(
                    "the row's inputs are not those its phase generates: {request:?} instead of {generated:?}"
                ))),
                _ => Ok((request, outcome)),
            },
            found => Err(self
                .lines
                .unexpected(&format!("the row of request {index}"), found.as_ref())),
        }
    }

    /// Handles request `index` and compares with its row, if it has one.
    fn request(
        &mut self,
        index: u64,
        request: &Request,
        expected: Option<&Outcome>,
    ) -> Result<(), TraceError> {
        self.requests = index + 1;
        self.input.add_request(request);
        if self.kind == Kind::Nvm && is_of_key_value(request.opcode) {
            self.kind = Kind::KeyValue;
        }
        let handled = match &mut self.dispatcher {
            Some(dispatcher) => {
                let handled = dispatcher.handle(request);
                Some(handled.map_err(|reason| self.lines.error(format!("request {index}: {reason}")))?)
            }
            None => None,
        };
        let is_equal = match (handled, expected) {
            (Some(Handled::Done(outcome)), expected) => {
                self.output.add_outcome(&outcome);
                expected.is_none_or(|expected| self.compare_outcomes(index, expected, &outcome))
            }
            (Some(Handled::Stalled), _) => {
                self.dispatcher = None;
                self.compare(
                    index,
                    "acceptance",
                    &"an accepted request",
                    &"a request that is never accepted",
                );
                false
            }
            (None, _) => false,
        };
        if expected.is_some() {
            self.rows.count(is_equal);
        }
        Ok(())
    }

    /// `#stall` comes where request `index` is due.
    fn stall(
        &mut self,
        index: u64,
        stalled_index: u64,
        at_ns: u64,
        request: Option<&Request>,
    ) -> Result<(), TraceError> {
        self.lines.next()?;
        if stalled_index != index {
            return Err(self.lines.error(format!(
                "#stall names request {stalled_index}, but {index} is next"
            )));
        }
        let (Some(dispatcher), Some(request)) = (&mut self.dispatcher, request) else {
            return Ok(());
        };
        let handled = dispatcher.handle(request);
        let clock_ns = dispatcher.clock_ns;
        match handled.map_err(|reason| self.lines.error(format!("request {index}: {reason}")))? {
            Handled::Stalled => self.compare(index, "time of #stall", &at_ns, &clock_ns),
            Handled::Done(_) => self.compare(
                index,
                "acceptance",
                &"a request that is never accepted",
                &"an accepted request",
            ),
        };
        Ok(())
    }

    fn end_of_file_after_stall(&mut self) -> Result<(), TraceError> {
        loop {
            match self.lines.next()? {
                None => return Ok(()),
                Some(Line::State) => {}
                found => {
                    return Err(self
                        .lines
                        .unexpected("nothing but #state after #stall", found.as_ref()))
                }
            }
        }
    }

    fn compare_outcomes(&mut self, index: u64, file: &Outcome, replay: &Outcome) -> bool {
        // Every column is named, so that a new one cannot be overlooked. Each is compared, to report the leftmost.
        let Outcome {
            accepted_start_ns,
            latency_ns,
            status,
            result,
        } = file;
        self.compare(
            index,
            "column accepted_start_ns",
            accepted_start_ns,
            &replay.accepted_start_ns,
        ) && self.compare(index, "column latency_ns", latency_ns, &replay.latency_ns)
            && self.compare(index, "column status", status, &replay.status)
            && self.compare(index, "column result", result, &replay.result)
    }

    fn compare_sums(&mut self, index: u64, file: Sums) {
        let hexadecimal = |value: u64| format!("{value:016x}");
        let (input, output) = (self.input.value(), self.output.value());
        let is_equal = self.compare(
            index,
            "checksum IN",
            &hexadecimal(file.input),
            &hexadecimal(input),
        );
        self.input_sums.count(is_equal);
        if !is_equal && self.input_difference.is_none() {
            self.input_difference = Some(Difference {
                index,
                column: "checksum IN",
                file: hexadecimal(file.input),
                replay: hexadecimal(input),
            });
        }
        let is_equal = self.compare(
            index,
            "checksum OUT",
            &hexadecimal(file.output),
            &hexadecimal(output),
        );
        self.output_sums.count(is_equal);
    }

    /// Whether the two are equal; the first pair that is not is kept.
    fn compare<T: PartialEq + ToString>(
        &mut self,
        index: u64,
        column: &'static str,
        file: &T,
        replay: &T,
    ) -> bool {
        let is_equal = file == replay;
        if !is_equal && self.first_difference.is_none() {
            let (file, replay) = (file.to_string(), replay.to_string());
            self.first_difference = Some(Difference {
                index,
                column,
                file,
                replay,
            });
        }
        is_equal
    }
}
