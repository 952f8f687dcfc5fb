//! One parameter under its key: how its text is read and written, and what can be wrong with it.

use core::fmt;
use core::ops::RangeInclusive;

/// Most bits per cell: QLC.
pub const CELL_BITS_MAX: usize = 4;

/// A time for each page of a cell, least significant bit first, ns. Written `30013/42013`; in a file, an array.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PageTimes {
    /// The times; those from `count` on are 0.
    pub ns: [u32; CELL_BITS_MAX],
    /// How many there are.
    pub count: u8,
}

/// A parameter that is one of a few names.
pub trait Choice {
    /// All names, in the order of their meaning.
    fn names(&self) -> &'static [&'static str];
    /// The name in force.
    fn name(&self) -> &'static str;
    /// Takes another name; false, and no change, if there is none like it.
    fn choose(&mut self, name: &str) -> bool;
}

/// Makes an enum whose variants have names.
macro_rules! choice {
    ($(#[$meta:meta])* pub enum $type:ident { $($(#[$doc:meta])* $variant:ident = $name:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum $type { $($(#[$doc])* $variant,)+ }

        impl $crate::Choice for $type {
            fn names(&self) -> &'static [&'static str] {
                &[$($name),+]
            }
            fn name(&self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
            fn choose(&mut self, name: &str) -> bool {
                match name {
                    $($name => *self = Self::$variant,)+
                    _ => return false,
                }
                true
            }
        }
    };
}
pub(crate) use choice;

/// A parameter of a profile, to be read or changed.
pub enum Field<'a> {
    /// A number and the range that it must lie in.
    Number(&'a mut u32, RangeInclusive<u32>),
    /// Yes or no.
    Switch(&'a mut bool),
    /// One of a few names.
    Choice(&'a mut dyn Choice),
    /// A time for each page of a cell.
    PageTimes(&'a mut PageTimes),
}

impl fmt::Debug for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The value as [`Field::parse`] takes it.
impl fmt::Display for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(value, _) => value.fmt(f),
            Self::Switch(value) => value.fmt(f),
            Self::Choice(value) => f.write_str(value.name()),
            Self::PageTimes(times) => {
                for (index, ns) in times.ns.iter().take(times.count.into()).enumerate() {
                    if index > 0 {
                        f.write_str("/")?;
                    }
                    ns.fmt(f)?;
                }
                Ok(())
            }
        }
    }
}

impl Field<'_> {
    /// Takes the value that `text` says. Ranges are [`Field::check`]'s business, so that related values can be set one after another.
    ///
    /// # Errors
    /// The rule that `text` does not follow; nothing has changed then.
    pub fn parse(&mut self, text: &str) -> Result<(), Rule> {
        match self {
            Self::Number(value, range) => **value = text.parse().map_err(|_| Rule::range(range))?,
            Self::Switch(value) => **value = text.parse().map_err(|_| Rule::YesOrNo)?,
            Self::Choice(value) => {
                if !value.choose(text) {
                    return Err(Rule::OneOf(value.names()));
                }
            }
            Self::PageTimes(times) => **times = PageTimes::parse(text).ok_or(Rule::PageTimes)?,
        }
        Ok(())
    }

    /// Checks the value by itself.
    ///
    /// # Errors
    /// The value and the rule that it breaks.
    pub fn check(&self) -> Result<(), (u64, Rule)> {
        match self {
            Self::Number(value, range) if !range.contains(value) => {
                Err((u64::from(**value), Rule::range(range)))
            }
            _ => Ok(()),
        }
    }
}

impl PageTimes {
    fn parse(text: &str) -> Option<Self> {
        let mut times = Self::default();
        for part in text.split('/') {
            *times.ns.get_mut(usize::from(times.count))? = part.trim().parse().ok()?;
            times.count += 1;
        }
        Some(times)
    }
}

/// What a value must be like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rule {
    /// Within these bounds, inclusive.
    Range {
        /// The smallest.
        min: u32,
        /// The largest.
        max: u32,
    },
    /// At least as much, for a reason.
    AtLeast {
        /// The smallest value.
        min: u64,
        /// Where that comes from.
        because: &'static str,
    },
    /// At most as much as something else.
    AtMost {
        /// The largest value.
        max: u64,
        /// What has that value.
        what: &'static str,
    },
    /// 1, 2, 4, 8, ...
    PowerOfTwo,
    /// A whole multiple.
    MultipleOf {
        /// The value of the other parameter.
        of: u64,
        /// The other parameter's key, or what the number is.
        what: &'static str,
    },
    /// As many values as another parameter says.
    CountOf {
        /// The value of the other parameter.
        of: u64,
        /// The other parameter's key.
        what: &'static str,
    },
    /// `true` or `false`.
    YesOrNo,
    /// One of these names.
    OneOf(&'static [&'static str]),
    /// Numbers with slashes between them.
    PageTimes,
}

impl Rule {
    pub(crate) fn range(range: &RangeInclusive<u32>) -> Self {
        Self::Range {
            min: *range.start(),
            max: *range.end(),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Range { min, max } => write!(f, "choose a value from {min} to {max}"),
            Self::AtLeast { min, because } => write!(f, "at least {min} is needed, {because}"),
            Self::AtMost { max, what } => write!(f, "at most {max} is possible ({what})"),
            Self::PowerOfTwo => f.write_str("choose a power of two"),
            Self::MultipleOf { of, what } => write!(f, "choose a multiple of {of} ({what})"),
            Self::CountOf { of, what } => write!(f, "give {of} of them ({what})"),
            Self::YesOrNo => f.write_str("choose true or false"),
            Self::OneOf(names) => {
                f.write_str("choose ")?;
                for (index, name) in names.iter().enumerate() {
                    f.write_str(if index == 0 { "" } else { " or " })?;
                    f.write_str(name)?;
                }
                Ok(())
            }
            Self::PageTimes => write!(
                f,
                "give 1 to {CELL_BITS_MAX} times up to {} with slashes between them, one for each page of a cell",
                u32::MAX
            ),
        }
    }
}

/// A parameter has a value that no drive can have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ParameterError {
    /// The parameter's key.
    pub key: &'static str,
    /// The value it has.
    pub value: u64,
    /// What it must be like.
    pub rule: Rule,
}

impl fmt::Display for ParameterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {}: {}", self.key, self.value, self.rule)
    }
}

impl core::error::Error for ParameterError {}

/// A parameter cannot be set to what a text says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SetError<'a> {
    /// This kind of drive has no such parameter.
    UnknownKey {
        /// What was asked for.
        key: &'a str,
        /// The kind of drive.
        kind: &'static str,
    },
    /// Not `key=value`.
    NoValue(&'a str),
    /// Nothing between two commas, or before the first or after the last one.
    EmptyEntry,
    /// There is another value for it in the same list.
    Twice(&'a str),
    /// The value cannot be read.
    Value {
        /// The parameter's key.
        key: &'a str,
        /// What was given for it.
        value: &'a str,
        /// What it must be like.
        rule: Rule,
    },
}

impl fmt::Display for SetError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownKey { key, kind } => write!(
                f,
                "{key} is no parameter of a drive of kind {kind}: `nvmev profile keys` lists them"
            ),
            Self::NoValue(text) => write!(f, "{text} is not of the form key=value"),
            Self::EmptyEntry => f.write_str("an entry is empty: take out the comma before or after it"),
            Self::Twice(key) => write!(f, "{key} is there twice: give it one value"),
            Self::Value { key, value, rule } => write!(f, "{key} is {value}: {rule}"),
        }
    }
}

impl core::error::Error for SetError<'_> {}
