//! `ns=`: the namespaces of a device, what each is and how much of the memory it has; and `profile_set=`, which changes their profiles.

use core::fmt;
use core::ops::Range;

use crate::limits::MEMORY_ALIGNMENT;
use crate::size::{parse_size, Bytes, SizeError};

/// Most namespaces of a device.
pub const NAMESPACES_MAX: usize = 16;

/// A namespace as it was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NamespaceRequest<'a> {
    /// Name of its profile.
    pub profile: &'a str,
    /// Its memory; `None`: what the others leave.
    pub size_bytes: Option<u64>,
}

/// The namespaces of a device, at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamespaceList<'a> {
    entries: [NamespaceRequest<'a>; NAMESPACES_MAX],
    len: usize,
}

/// What is wrong with a list of namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NamespaceListError<'a> {
    /// An entry without a profile.
    Empty,
    /// More than [`NAMESPACES_MAX`].
    TooMany,
    /// A size that cannot be read.
    Size(&'a str, SizeError),
    /// A size of nothing, or that is no multiple of [`MEMORY_ALIGNMENT`].
    Unaligned(&'a str),
    /// More than one without a size.
    TwoRests,
    /// They want more than there is.
    TooLarge {
        /// What they want, bytes.
        wanted: u64,
        /// What there is, bytes.
        there: u64,
    },
    /// The others leave nothing for the one without a size.
    NothingLeft {
        /// What there is for all, bytes.
        there: u64,
    },
}

impl fmt::Display for NamespaceListError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("an entry has no profile; write PROFILE:SIZE,PROFILE:SIZE,..."),
            Self::TooMany => write!(f, "more than {NAMESPACES_MAX} namespaces"),
            Self::Size(text, error) => write!(f, "{text}: {error}"),
            Self::Unaligned(text) => write!(f, "{text} is not a multiple of {}, or nothing", Bytes(MEMORY_ALIGNMENT)),
            Self::TwoRests => f.write_str("more than one namespace is without a size; only one can have what the others leave"),
            Self::TooLarge { wanted, there } => write!(
                f,
                "the namespaces want {wanted} bytes, but there are {there} (1M of the device's memory is for its registers)"
            ),
            Self::NothingLeft { there } => write!(
                f,
                "the other namespaces take all of the {there} bytes that there are; nothing is left for the one without a size"
            ),
        }
    }
}

impl<'a> NamespaceList<'a> {
    /// A single namespace that has everything.
    pub fn one(profile: &'a str) -> Self {
        let mut entries = [NamespaceRequest::default(); NAMESPACES_MAX];
        if let Some(first) = entries.first_mut() {
            first.profile = profile;
        }
        Self { entries, len: 1 }
    }

    /// Reads `PROFILE[:SIZE],...`.
    ///
    /// # Errors
    /// What is wrong first.
    pub fn parse(text: &'a str) -> Result<Self, NamespaceListError<'a>> {
        let mut list = Self {
            entries: [NamespaceRequest::default(); NAMESPACES_MAX],
            len: 0,
        };
        for entry in text.trim().split(',').map(str::trim) {
            let (profile, size) = match entry.split_once(':') {
                Some((profile, size)) => (profile.trim(), Some(size)),
                None => (entry, None),
            };
            if profile.is_empty() {
                return Err(NamespaceListError::Empty);
            }
            let size_bytes = size.map(read_size).transpose()?;
            let slot = list
                .entries
                .get_mut(list.len)
                .ok_or(NamespaceListError::TooMany)?;
            *slot = NamespaceRequest { profile, size_bytes };
            list.len += 1;
        }
        let rests = list.as_slice().iter().filter(|entry| entry.size_bytes.is_none());
        if rests.count() > 1 {
            return Err(NamespaceListError::TwoRests);
        }
        Ok(list)
    }

    /// The namespaces, from nsid 1 on.
    pub fn as_slice(&self) -> &[NamespaceRequest<'a>] {
        self.entries.get(..self.len).unwrap_or_default()
    }

    /// The part of `storage_bytes` that each namespace has, from nsid 1 on.
    ///
    /// # Errors
    /// If they want more than there is.
    pub fn divide(&self, storage_bytes: u64) -> Result<[Range<u64>; NAMESPACES_MAX], NamespaceListError<'a>> {
        let mut parts = [const { 0..0 }; NAMESPACES_MAX];
        let sizes = || self.as_slice().iter().map(|entry| entry.size_bytes);
        let wanted = sizes().flatten().fold(0_u64, u64::saturating_add);
        let there = storage_bytes;
        let rest = there
            .checked_sub(wanted)
            .ok_or(NamespaceListError::TooLarge { wanted, there })?;
        if rest == 0 && sizes().any(|size| size.is_none()) {
            return Err(NamespaceListError::NothingLeft { there });
        }
        let mut start = 0;
        for (part, size) in parts.iter_mut().zip(sizes()) {
            let end = start + size.unwrap_or(rest);
            *part = start..end;
            start = end;
        }
        Ok(parts)
    }
}

fn read_size(text: &str) -> Result<u64, NamespaceListError<'_>> {
    let bytes = parse_size(text).map_err(|error| NamespaceListError::Size(text, error))?;
    if bytes == 0 || bytes % MEMORY_ALIGNMENT != 0 {
        return Err(NamespaceListError::Unaligned(text));
    }
    Ok(bytes)
}

/// Parameters of profiles to be changed: `key=value,...`, or `NSID/key=value,...` where there are several namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProfileSet<'a> {
    text: &'a str,
    namespaces: u32,
}

/// An entry of [`ProfileSet`] that is for no namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProfileSetError<'a> {
    /// There are several namespaces, and the entry does not say for which it is.
    WhichNamespace(&'a str),
    /// There is no such namespace.
    NoSuchNamespace {
        /// The entry.
        entry: &'a str,
        /// How many there are.
        namespaces: u32,
    },
    /// Nothing between two commas, or before the first or after the last one.
    EmptyEntry,
    /// An earlier entry sets the same parameter of the same namespace.
    Twice(&'a str),
}

impl fmt::Display for ProfileSetError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WhichNamespace(entry) => write!(
                f,
                "{entry} does not say for which namespace it is; write 1/{entry} for the first one"
            ),
            Self::NoSuchNamespace { entry, namespaces } => {
                write!(
                    f,
                    "{entry} is for none of the namespaces, which are 1 to {namespaces}"
                )
            }
            Self::EmptyEntry => f.write_str("an entry is empty: take out the comma before or after it"),
            Self::Twice(entry) => write!(f, "{entry} sets what an entry before it has set: give one value"),
        }
    }
}

impl<'a> ProfileSet<'a> {
    /// Checks for which of the `namespaces` each entry is, and that none sets what another one does; what it says, the profiles know.
    ///
    /// # Errors
    /// The first entry that is for none, is empty, or is there twice.
    pub fn new(text: &'a str, namespaces: u32) -> Result<Self, ProfileSetError<'a>> {
        for (index, entry) in entries(text).enumerate() {
            if entry.is_empty() {
                return Err(ProfileSetError::EmptyEntry);
            }
            let (nsid, rest) = namespace_of(entry);
            match nsid {
                Some(nsid) if !(1..=namespaces).contains(&nsid) => {
                    return Err(ProfileSetError::NoSuchNamespace { entry, namespaces });
                }
                None if namespaces > 1 => return Err(ProfileSetError::WhichNamespace(entry)),
                _ => {}
            }
            let sets_the_same = |earlier: &str| {
                let (its_nsid, its_rest) = namespace_of(earlier);
                (its_nsid.unwrap_or(1), key_of(its_rest)) == (nsid.unwrap_or(1), key_of(rest))
            };
            if entries(text).take(index).any(sets_the_same) {
                return Err(ProfileSetError::Twice(entry));
            }
        }
        Ok(Self { text, namespaces })
    }

    /// The entries for namespace `nsid`, each `key=value`.
    pub fn of(&self, nsid: u32) -> impl Iterator<Item = &'a str> {
        entries(self.text).filter_map(move |entry| match namespace_of(entry) {
            (Some(its_nsid), entry) => (its_nsid == nsid).then_some(entry),
            (None, entry) => Some(entry),
        })
    }
}

/// The entries of a list, empty ones among them; none in an empty list.
fn entries(text: &str) -> impl Iterator<Item = &str> {
    let text = text.trim();
    text.split(',').map(str::trim).filter(move |_| !text.is_empty())
}

/// For which namespace an entry is, if it says so (0 if what it says is no number), and the rest of it. A slash in a value, as in the times of pages, is
/// none of a namespace.
fn namespace_of(entry: &str) -> (Option<u32>, &str) {
    match entry.split_once('/') {
        Some((nsid, rest)) if !nsid.contains('=') => (Some(nsid.trim().parse().unwrap_or(0)), rest),
        _ => (None, entry),
    }
}

fn key_of(entry: &str) -> &str {
    entry.split_once('=').map_or(entry, |(key, _)| key).trim()
}

#[cfg(test)]
mod tests {
    use std::string::ToString;
    use std::vec::Vec;

    use super::*;

    #[test]
    fn namespaces_are_cut_out_of_the_memory_one_after_another() {
        let list = NamespaceList::parse(" zn540:4G , 970pro,optane:64M\n").unwrap();
        let names: Vec<&str> = list.as_slice().iter().map(|entry| entry.profile).collect();
        assert_eq!(names, ["zn540", "970pro", "optane"]);
        let parts = list.divide(5 << 30).unwrap();
        let rest = (1 << 30) - (64 << 20);
        assert_eq!(parts[0], 0..4 << 30);
        assert_eq!(parts[1], 4 << 30..(4 << 30) + rest);
        assert_eq!(parts[2], (4 << 30) + rest..5 << 30);
        assert_eq!(parts[3], 0..0);
        assert_eq!(NamespaceList::one("optane").divide(77).unwrap()[0], 0..77);
        // What nobody has is left over.
        assert_eq!(
            NamespaceList::parse("a:1M").unwrap().divide(3 << 20).unwrap()[0],
            0..1 << 20
        );
    }

    #[test]
    fn lists_that_cannot_be_are_refused_with_the_reason() {
        for (text, reason) in [
            ("", "an entry has no profile"),
            ("a:1G,,b", "an entry has no profile"),
            (":1G", "an entry has no profile"),
            ("a,b", "more than one namespace is without a size"),
            ("a:0", "0 is not a multiple of 16K, or nothing"),
            ("a:1000", "1000 is not a multiple of 16K"),
            ("a:much", "much: not a size"),
            (
                "a,b:1G,c:1G,d:1G,e:1G,f:1G,g:1G,h:1G,i:1G,j:1G,k:1G,l:1G,m:1G,n:1G,o:1G,p:1G,q:1G",
                "more than 16",
            ),
        ] {
            let error = NamespaceList::parse(text).unwrap_err().to_string();
            assert!(error.contains(reason), "{text:?}: {error}");
        }
        let list = NamespaceList::parse("a:1G,b:1G").unwrap();
        let error = list.divide((2 << 30) - (1 << 20)).unwrap_err().to_string();
        assert_eq!(
            error,
            "the namespaces want 2147483648 bytes, but there are 2146435072 (1M of the device's memory is for its registers)"
        );
        let list = NamespaceList::parse("a:1G,b").unwrap();
        assert!(list
            .divide(1 << 30)
            .unwrap_err()
            .to_string()
            .contains("nothing is left"));
        let huge = NamespaceList::parse("a:16383P,b:16383P").unwrap();
        assert!(huge.divide(1 << 40).is_err());
    }

    #[test]
    fn profile_set_goes_to_the_namespace_that_it_names() {
        let set = ProfileSet::new("1/a=1, 2/b=2 ,1/c=3", 2).unwrap();
        assert_eq!(set.of(1).collect::<Vec<_>>(), ["a=1", "c=3"]);
        assert_eq!(set.of(2).collect::<Vec<_>>(), ["b=2"]);
        let set = ProfileSet::new("a=1,1/b=2", 1).unwrap();
        assert_eq!(set.of(1).collect::<Vec<_>>(), ["a=1", "b=2"]);
        assert_eq!(
            ProfileSet::new("a=1", 2).unwrap_err().to_string(),
            "a=1 does not say for which namespace it is; write 1/a=1 for the first one"
        );
        for text in ["3/a=1", "0/a=1", "x/a=1", "/a=1"] {
            let error = ProfileSet::new(text, 2).unwrap_err().to_string();
            assert_eq!(
                error,
                std::format!("{text} is for none of the namespaces, which are 1 to 2")
            );
        }
    }

    #[test]
    fn a_slash_in_a_value_names_no_namespace() {
        let set = ProfileSet::new("nand.read_4k_ns=1/2/3,a=4", 1).unwrap();
        assert_eq!(set.of(1).collect::<Vec<_>>(), ["nand.read_4k_ns=1/2/3", "a=4"]);
        let set = ProfileSet::new("2/nand.read_4k_ns=1/2/3", 2).unwrap();
        assert_eq!(set.of(1).count(), 0);
        assert_eq!(set.of(2).collect::<Vec<_>>(), ["nand.read_4k_ns=1/2/3"]);
    }

    #[test]
    fn entries_that_are_empty_or_there_twice_are_refused() {
        for text in [",", "a=1,", ",a=1", "a=1, ,b=2"] {
            assert_eq!(
                ProfileSet::new(text, 1),
                Err(ProfileSetError::EmptyEntry),
                "{text}"
            );
        }
        for (text, namespaces, entry) in [
            ("a=1,b=2,a=1", 1, "a=1"),
            ("a=1, a =2", 1, "a =2"),
            ("a=1,1/a=2", 1, "1/a=2"),
            ("1/a=1,2/a=1,1/a=2", 2, "1/a=2"),
        ] {
            let expected = Err(ProfileSetError::Twice(entry));
            assert_eq!(ProfileSet::new(text, namespaces), expected, "{text}");
        }
        assert!(ProfileSet::new("1/a=1,2/a=1", 2).is_ok());
        for text in ["", " ", "\n"] {
            assert_eq!(ProfileSet::new(text, 2).unwrap().of(1).count(), 0);
        }
    }
}
