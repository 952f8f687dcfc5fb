//! One line of a trace, from text to meaning. Pure and total: any text gives a [`Line`] or a reason why not.

use super::field::{checksum, fields, flag, number, value_of};
use super::phase::Phase;
use super::request::{Outcome, Request};

/// The line that names the columns.
const COLUMNS: &str =
    "index,arrival_ns,opcode,slba,nlb,fua,accepted_start_ns,latency_ns,status,result,zsa,all";
/// How many columns there are.
const COLUMN_COUNT: usize = 12;

/// The values of the two running checksums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sums {
    /// Over the inputs (IN).
    pub input: u64,
    /// Over the outputs (OUT).
    pub output: u64,
}

/// A line of a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// `#trace`: the trace's name.
    Trace(String),
    /// `#desc` or `#note`: text for people.
    Text,
    /// `#param`: a parameter of the device.
    Param { key: String, value: u64 },
    /// `#phase`: the requests that follow.
    Phase(Phase),
    /// The names of the columns.
    Columns,
    /// A recorded request.
    Row {
        index: u64,
        request: Request,
        outcome: Outcome,
    },
    /// `#sum`: the checksums after a request.
    Sum { index: u64, sums: Sums },
    /// `#state` or `#zone`: the reference's insides, not compared.
    State,
    /// `#accept`: when a phase's last request was accepted.
    Accept { index: u64, last_start_ns: u64 },
    /// `#stall`: the reference never accepts this request.
    Stall { index: u64, at_ns: u64 },
    /// `#end`: number of requests and the final checksums.
    End { requests: u64, sums: Sums },
}

impl Line {
    /// Parses a line without its line break.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text == COLUMNS {
            return Ok(Self::Columns);
        }
        let Some(metadata) = text.strip_prefix('#') else {
            return row(text);
        };
        let (tag, rest) = metadata.split_once(',').unwrap_or((metadata, ""));
        match tag {
            "trace" if !rest.is_empty() => Ok(Self::Trace(rest.to_owned())),
            "trace" => Err("#trace has no name".to_owned()),
            "desc" | "note" => Ok(Self::Text),
            "param" => {
                let (key, value) = rest
                    .split_once('=')
                    .ok_or_else(|| format!("#param {rest:?} is not KEY=VALUE"))?;
                Ok(Self::Param {
                    key: key.to_owned(),
                    value: number(key, value)?,
                })
            }
            "phase" => Phase::parse(rest).map(Self::Phase),
            "sum" => {
                let [index, input, output] = fields(tag, rest)?;
                let sums = Sums {
                    input: checksum("IN", input)?,
                    output: checksum("OUT", output)?,
                };
                Ok(Self::Sum {
                    index: number("index", index)?,
                    sums,
                })
            }
            "state" | "zone" => Ok(Self::State),
            "accept" => {
                let [index, start] = fields(tag, rest)?;
                let last_start_ns = number("last_start", value_of("last_start", start)?)?;
                Ok(Self::Accept {
                    index: number("index", index)?,
                    last_start_ns,
                })
            }
            "stall" => {
                let [index, at_ns] = fields(tag, rest)?;
                Ok(Self::Stall {
                    index: number("index", index)?,
                    at_ns: number("time", at_ns)?,
                })
            }
            "end" => {
                let [requests, input, output] = fields(tag, rest)?;
                let sums = Sums {
                    input: checksum("in", value_of("in", input)?)?,
                    output: checksum("out", value_of("out", output)?)?,
                };
                Ok(Self::End {
                    requests: number("requests", value_of("requests", requests)?)?,
                    sums,
                })
            }
            _ => Err(format!("unknown metadata line #{tag}")),
        }
    }

    /// What kind of line this is, for messages.
    pub fn what(&self) -> &'static str {
        match self {
            Self::Trace(_) => "#trace",
            Self::Text => "#desc or #note",
            Self::Param { .. } => "#param",
            Self::Phase(_) => "#phase",
            Self::Columns => "the line of column names",
            Self::Row { .. } => "a row",
            Self::Sum { .. } => "#sum",
            Self::State => "#state or #zone",
            Self::Accept { .. } => "#accept",
            Self::Stall { .. } => "#stall",
            Self::End { .. } => "#end",
        }
    }
}

fn row(text: &str) -> Result<Line, String> {
    let mut columns = [""; COLUMN_COUNT];
    let mut count = 0;
    for column in text.split(',') {
        if let Some(place) = columns.get_mut(count) {
            *place = column;
        }
        count += 1;
    }
    if count != COLUMN_COUNT {
        return Err(format!("a row has {COLUMN_COUNT} columns, this line has {count}"));
    }
    let [index, arrival_ns, opcode, slba, nlb, fua, accepted_start_ns, latency_ns, status, result, zsa, all] =
        columns;
    let request = Request {
        arrival_ns: number("arrival_ns", arrival_ns)?,
        opcode: number("opcode", opcode)?,
        slba: number("slba", slba)?,
        nlb: number("nlb", nlb)?,
        fua: flag("fua", fua)?,
        zsa: number("zsa", zsa)?,
        all: flag("all", all)?,
    };
    let outcome = Outcome {
        accepted_start_ns: number("accepted_start_ns", accepted_start_ns)?,
        latency_ns: number("latency_ns", latency_ns)?,
        status: number("status", status)?,
        result: number("result", result)?,
    };
    Ok(Line::Row {
        index: number("index", index)?,
        request,
        outcome,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_row_is_read_column_by_column() {
        let line = Line::parse("5,1000,121,8,0,1,2000,-3,444,7,4,1").expect("a good row");
        let request = Request {
            arrival_ns: 1000,
            opcode: 121,
            slba: 8,
            nlb: 0,
            fua: true,
            zsa: 4,
            all: true,
        };
        let outcome = Outcome {
            accepted_start_ns: 2000,
            latency_ns: -3,
            status: 444,
            result: 7,
        };
        assert_eq!(
            line,
            Line::Row {
                index: 5,
                request,
                outcome
            }
        );
    }

    #[test]
    fn bad_lines_have_reasons() {
        let cases = [
            ("", "a row has 12 columns, this line has 1"),
            (
                "1,2,3,4,5,0,7,8,9,10,11,0,0",
                "a row has 12 columns, this line has 13",
            ),
            (
                "x,2,3,4,5,0,7,8,9,10,11,0",
                "index is \"x\", not a decimal number",
            ),
            (
                "+1,2,3,4,5,0,7,8,9,10,11,0",
                "index is \"+1\", not a decimal number",
            ),
            (
                "1,-2,3,4,5,0,7,8,9,10,11,0",
                "arrival_ns is -2, which is out of range",
            ),
            (
                "1,2,256,4,5,0,7,8,9,10,11,0",
                "opcode is 256, which is out of range",
            ),
            ("1,2,3,4,5,2,7,8,9,10,11,0", "fua is \"2\", neither 0 nor 1"),
            ("#trace", "#trace has no name"),
            ("#parm,a=1", "unknown metadata line #parm"),
            ("#param,a", "#param \"a\" is not KEY=VALUE"),
            ("#param,a=", "a is \"\", not a decimal number"),
            ("#sum,1,0123456789abcdef", "#sum has 3 fields, this line has 2"),
            (
                "#sum,1,0123456789abcdef,123",
                "checksum OUT is \"123\", not 16 hexadecimal digits",
            ),
            (
                "#accept,1,first=2",
                "expected last_start=VALUE, found \"first=2\"",
            ),
            (
                "#end,requests=1,in=0123456789abcdef,aus=0",
                "expected out=VALUE, found \"aus=0\"",
            ),
        ];
        for (text, reason) in cases {
            assert_eq!(Line::parse(text), Err(reason.to_owned()), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in "#?(phase|sum|end|stall|param|row)?[,=a-z0-9-]{0,60}", other in any::<String>()) {
            let _line_or_reason = (Line::parse(&text), Line::parse(&other));
        }
    }
}
