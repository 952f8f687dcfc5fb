//! Phases of a trace and the requests that they generate.

use super::field::{number, value_of};
use super::request::Request;

/// Most requests that a trace may have. The largest known one has 4.5 million; the limit keeps a damaged count from
/// running for years.
pub const REQUESTS_MAX: u64 = 1_000_000_000;

/// A stretch of requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phase {
    /// Number of the phase, from 0.
    pub number: u64,
    /// Index of its first request.
    pub first: u64,
    /// Number of its requests, at least 1.
    pub count: u64,
    /// Of its requests, those at a multiple of this distance from the first are recorded as rows. At least 1.
    pub every: u64,
    /// Where the requests come from.
    pub kind: PhaseKind,
}

/// Where a phase's requests come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PhaseKind {
    /// Every one is a row.
    Rows,
    /// They are generated.
    Generated(Generator),
}

/// The rule that generates a phase's requests. When parsed, the largest values it can reach are checked, so that
/// [`Generator::request`] cannot overflow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generator {
    first_arrival_ns: u64,
    gap_ns: u64,
    /// Requests that arrive together.
    burst: u64,
    first_slba: u64,
    nlb: u32,
    pattern: Pattern,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    Sequential {
        opcode: u8,
        fua: bool,
    },
    Random {
        seed: u64,
        places: Places,
        opcode: u8,
        fua: bool,
    },
    Mixed {
        seed: u64,
        places: Places,
        reads_per_mille: u64,
        fua_per_mille: u64,
    },
}

/// `count` start addresses, `align` blocks apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Places {
    count: u64,
    align: u64,
}

impl Phase {
    /// Parses what follows `#phase,`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (phase_number, rest) = text.split_once(',').unwrap_or((text, ""));
        let mut keys = Keys(rest.split(','));
        let phase_number = number("phase number", phase_number)?;
        let (first, count, every) = (
            keys.number("first")?,
            keys.number("count")?,
            keys.number("every")?,
        );
        if count == 0 || every == 0 {
            return Err(format!(
                "count is {count} and every is {every}: both must be at least 1"
            ));
        }
        if first > REQUESTS_MAX || count > REQUESTS_MAX - first {
            return Err(format!(
                "requests {first} and {count} more exceed the limit of {REQUESTS_MAX}"
            ));
        }
        let kind = match keys.text("kind")? {
            "rows" if every != 1 => {
                return Err(format!(
                    "every is {every}: a phase of kind rows records all of its requests"
                ))
            }
            "rows" => PhaseKind::Rows,
            kind => PhaseKind::Generated(Generator::parse(kind, &mut keys, count)?),
        };
        match keys.0.next() {
            None => Ok(Self {
                number: phase_number,
                first,
                count,
                every,
                kind,
            }),
            Some(extra) => Err(format!("unexpected {extra:?} at the end of #phase")),
        }
    }
}

/// `KEY=VALUE` fields in a fixed order.
struct Keys<'a>(std::str::Split<'a, char>);

impl<'a> Keys<'a> {
    fn text(&mut self, key: &str) -> Result<&'a str, String> {
        value_of(key, self.0.next().unwrap_or_default())
    }

    fn number<T: std::str::FromStr>(&mut self, key: &str) -> Result<T, String> {
        number(key, self.text(key)?)
    }

    fn flag(&mut self, key: &str) -> Result<bool, String> {
        match self.number(key)? {
            0_u64 => Ok(false),
            1 => Ok(true),
            other => Err(format!("{key} is {other}, neither 0 nor 1")),
        }
    }

    fn per_mille(&mut self, key: &str) -> Result<u64, String> {
        let value = self.number(key)?;
        if value > 1000 {
            return Err(format!(
                "{key} is {value}: a share in thousandths is at most 1000"
            ));
        }
        Ok(value)
    }

    fn places(&mut self) -> Result<Places, String> {
        let places = Places {
            count: self.number("n")?,
            align: self.number("align")?,
        };
        if places.count == 0 {
            return Err("n is 0: there must be at least one place".to_owned());
        }
        Ok(places)
    }
}

impl Generator {
    fn parse(kind: &str, keys: &mut Keys<'_>, count: u64) -> Result<Self, String> {
        let seed = match kind {
            "seq" => 0,
            "rand" | "mix" => keys.number("seed")?,
            _ => {
                return Err(format!(
                    "unknown kind of phase {kind:?}: rows, seq, rand and mix are known"
                ))
            }
        };
        let (first_arrival_ns, gap_ns) = (keys.number("t0")?, keys.number("gap")?);
        let burst = keys.number("burst")?;
        if burst == 0 {
            return Err("burst is 0: at least one request arrives at a time".to_owned());
        }
        let opcode = if kind == "mix" { 0 } else { keys.number("op")? };
        let first_slba = keys.number("s0")?;
        let places = if kind == "seq" { None } else { Some(keys.places()?) };
        let nlb = keys.number("nlb")?;
        let pattern = match places {
            None => Pattern::Sequential {
                opcode,
                fua: keys.flag("fua")?,
            },
            Some(places) if kind == "rand" => Pattern::Random {
                seed,
                places,
                opcode,
                fua: keys.flag("fua")?,
            },
            Some(places) => {
                let reads_per_mille = keys.per_mille("rd")?;
                Pattern::Mixed {
                    seed,
                    places,
                    reads_per_mille,
                    fua_per_mille: keys.per_mille("fua")?,
                }
            }
        };
        let generator = Self {
            first_arrival_ns,
            gap_ns,
            burst,
            first_slba,
            nlb,
            pattern,
        };
        if generator.is_bounded(count) {
            Ok(generator)
        } else {
            Err("the times or addresses of this phase exceed 64 bits".to_owned())
        }
    }

    /// Whether none of `count` requests exceeds 64 bits.
    fn is_bounded(&self, count: u64) -> bool {
        let (steps, step) = match &self.pattern {
            Pattern::Sequential { .. } => (count - 1, u64::from(self.nlb)),
            Pattern::Random { places, .. } | Pattern::Mixed { places, .. } => {
                (places.count - 1, places.align)
            }
        };
        let end_of = |start: u64, steps: u64, step: u64| start.checked_add(steps.checked_mul(step)?);
        end_of(self.first_slba, steps, step).is_some()
            && end_of(self.first_arrival_ns, (count - 1) / self.burst, self.gap_ns).is_some()
    }

    /// The state of the random numbers at the start of the phase.
    pub fn random(&self) -> Random {
        match self.pattern {
            Pattern::Sequential { .. } => Random(0),
            Pattern::Random { seed, .. } | Pattern::Mixed { seed, .. } => Random(seed),
        }
    }

    /// Request `j` of the phase, `j < count`. To be called for each `j` in turn, with the same `random`.
    pub fn request(&self, j: u64, random: &mut Random) -> Request {
        let place = |places: &Places, u: u64| self.first_slba + (u % places.count) * places.align;
        let (slba, opcode, fua) = match &self.pattern {
            Pattern::Sequential { opcode, fua } => (self.first_slba + j * u64::from(self.nlb), *opcode, *fua),
            Pattern::Random {
                places, opcode, fua, ..
            } => (place(places, random.next()), *opcode, *fua),
            Pattern::Mixed {
                places,
                reads_per_mille,
                fua_per_mille,
                ..
            } => {
                let (u, v) = (random.next(), random.next());
                let opcode = if v % 1000 < *reads_per_mille { 2 } else { 1 };
                (place(places, u), opcode, (v >> 32) % 1000 < *fua_per_mille)
            }
        };
        let arrival_ns = self.first_arrival_ns + (j / self.burst) * self.gap_ns;
        Request {
            arrival_ns,
            opcode,
            slba,
            nlb: self.nlb,
            fua,
            zsa: 0,
            all: false,
        }
    }
}

/// xorshift64* with the multiplier of the format.
#[derive(Clone, Copy, Debug)]
pub struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequential_bursts() {
        let text = "0,first=0,count=5,every=2,kind=seq,t0=100,gap=10,burst=2,op=1,s0=64,nlb=8,fua=1";
        let phase = Phase::parse(text).expect("a good phase");
        let PhaseKind::Generated(generator) = phase.kind else {
            panic!("{phase:?}")
        };
        let mut random = generator.random();
        let requests: Vec<Request> = (0..phase.count)
            .map(|j| generator.request(j, &mut random))
            .collect();
        assert_eq!(
            requests
                .iter()
                .map(|request| request.arrival_ns)
                .collect::<Vec<_>>(),
            [100, 100, 110, 110, 120]
        );
        assert_eq!(
            requests.iter().map(|request| request.slba).collect::<Vec<_>>(),
            [64, 72, 80, 88, 96]
        );
        assert!(requests
            .iter()
            .all(|request| request.fua && request.opcode == 1 && request.nlb == 8));
    }

    #[test]
    fn bad_phases_have_reasons() {
        let max = u64::MAX;
        let cases = [
            ("0,first=0,count=0,every=1,kind=rows".to_owned(), "count is 0"),
            ("0,first=0,count=1,every=0,kind=rows".to_owned(), "every is 0"),
            ("0,first=0,count=4,every=2,kind=rows".to_owned(), "every is 2"),
            (
                format!("0,first={max},count=1,every=1,kind=rows"),
                "exceed the limit",
            ),
            (
                "0,first=0,count=1,every=1,kind=rows,x=1".to_owned(),
                "unexpected \"x=1\"",
            ),
            (
                "0,first=0,count=1,every=1,kind=zig".to_owned(),
                "unknown kind of phase \"zig\"",
            ),
            (
                "0,first=0,count=1,every=1,kind=seq,t0=0".to_owned(),
                "expected gap=VALUE",
            ),
            (
                "0,first=0,count=1,every=1,kind=seq,t0=0,gap=0,burst=0,op=1".to_owned(),
                "burst is 0",
            ),
            (
                "0,first=0,count=1,every=1,kind=rand,seed=1,t0=0,gap=0,burst=1,op=1,s0=0,n=0,align=1"
                    .to_owned(),
                "n is 0",
            ),
            (
                format!("0,first=0,count=2,every=1,kind=seq,t0=1,gap={max},burst=1,op=1,s0=0,nlb=8,fua=0"),
                "exceed 64 bits",
            ),
        ];
        for (text, reason) in cases {
            let error = Phase::parse(&text).expect_err(&text);
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
