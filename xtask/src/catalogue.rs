//! Which kernels the distribution's suites have, and which of them a person means by `KVER=`.

use std::cmp::Reverse;

use anyhow::{bail, Result};

use crate::archive::Archive;

/// What `KVER=` calls the newest kernel there is.
pub const NEWEST: &str = "newest";

/// A kernel that a suite has, with its headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// What `uname -r` says under it, and the end of its packages' names.
    pub release: String,
    /// The version of its source, such as 6.12.43.
    pub upstream: String,
    /// Where it comes from.
    pub suite: String,
    /// Whether the machine itself uses that suite.
    pub is_own: bool,
}

/// The usual kernel, and what else Debian builds it as.
const FLAVOURS: [&str; 2] = ["cloud", "rt"];
/// Ends of the usual kernels' names: Debian's on amd64, Ubuntu's.
const USUAL: [&str; 2] = ["amd64", "generic"];

impl Offer {
    /// `None` for the usual kernel, else `cloud` or `rt`; `Err` for what is neither.
    fn flavour(&self) -> Result<Option<&str>, ()> {
        let (_, end) = self.release.split_once('-').ok_or(())?;
        // Before the flavour there may be the number of an ABI: 6.1.0-57-cloud-amd64.
        let end = match end.split_once('-') {
            Some((number, rest)) if number.bytes().all(|byte| byte.is_ascii_digit()) => rest,
            _ => end,
        };
        if USUAL.contains(&end) {
            return Ok(None);
        }
        match end.split_once('-') {
            Some((flavour, "amd64")) if FLAVOURS.contains(&flavour) => Ok(Some(flavour)),
            _ => Err(()),
        }
    }

    /// The series with the flavour: 7.3, 6.12-rt.
    pub fn series(&self) -> String {
        let series = numbers(&self.upstream)
            .iter()
            .take(2)
            .map(u64::to_string)
            .collect::<Vec<_>>()
            .join(".");
        match self.flavour() {
            Ok(Some(flavour)) => format!("{series}-{flavour}"),
            _ => series,
        }
    }

    fn order(&self) -> (Vec<u64>, Vec<u64>) {
        (numbers(&self.upstream), numbers(&self.release))
    }
}

/// The numbers in a version, for comparison.
fn numbers(version: &str) -> Vec<u64> {
    version
        .split(|c: char| !c.is_ascii_digit())
        .filter(|part| !part.is_empty())
        .filter_map(|part| part.parse().ok())
        .collect()
}

/// Whether `version` begins with the numbers of `start`: 6.12.43 with 6.12, not with 6.1. Each does with an empty one.
fn starts_with(version: &str, start: &str) -> bool {
    let is_version = start.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    is_version && numbers(version).starts_with(&numbers(start))
}

/// A series of the kernel, with or without a flavour: 6.12, 6.12-rt.
pub fn is_series(name: &str) -> bool {
    let (version, flavour) = match name.split_once('-') {
        Some((version, flavour)) => (version, Some(flavour)),
        None => (name, None),
    };
    flavour.is_none_or(|flavour| FLAVOURS.contains(&flavour))
        && version.split('.').count() == 2
        && version
            .split('.')
            .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
}

/// All kernels that the suites have with headers, oldest first.
///
/// # Errors
/// If the lists of packages cannot be read.
pub fn offers(archive: &Archive) -> Result<Vec<Offer>> {
    const PREFIX: &str = "linux-headers-";
    let found = archive.find("^linux-headers-[0-9].*-(amd64|generic)$")?;
    let mut offers: Vec<Offer> = found
        .into_iter()
        .filter_map(|(name, version)| {
            let release = name.strip_prefix(PREFIX)?.to_owned();
            // A name without three numbers is of a package that has the newest kernel of a series.
            let is_kernel = numbers(release.split('-').next()?).len() >= 3;
            let offer = Offer {
                release,
                upstream: version.version.split('-').next()?.to_owned(),
                is_own: archive.is_own(&version.suite),
                suite: version.suite,
            };
            (is_kernel && offer.flavour().is_ok()).then_some(offer)
        })
        .collect();
    offers.sort_by_key(Offer::order);
    Ok(offers)
}

/// The kernel of `offers` that `wanted` names: a release, a version of the source (6.12.43), a series (6.12), or `newest`. The last
/// three take `-cloud` or `-rt` for these flavours. For a series it is the newest one in a suite that the machine uses, else in any.
///
/// # Errors
/// If there is none: what there is.
pub fn choose<'a>(offers: &'a [Offer], wanted: &str) -> Result<&'a Offer> {
    if let Some(offer) = offers.iter().find(|offer| offer.release == wanted) {
        return Ok(offer);
    }
    let (version, flavour) = match wanted.split_once('-') {
        Some((version, flavour)) => (version, Some(flavour)),
        None => (wanted, None),
    };
    let of_flavour = offers.iter().filter(|offer| offer.flavour() == Ok(flavour));
    let chosen = if version == NEWEST {
        of_flavour.max_by_key(|offer| (offer.order().0, offer.is_own))
    } else if is_series(version) {
        of_flavour
            .filter(|offer| starts_with(&offer.upstream, version))
            .max_by_key(|offer| (offer.is_own, offer.order()))
    } else {
        of_flavour
            .filter(|offer| offer.upstream == version)
            .max_by_key(|offer| (offer.is_own, offer.order()))
    };
    match chosen {
        Some(offer) => Ok(offer),
        None => bail!(
            "no suite has a Linux {wanted} with headers. There is: {}",
            listing(offers)
        ),
    }
}

/// What there is, in a few words.
fn listing(offers: &[Offer]) -> String {
    let mut series: Vec<String> = Vec::new();
    for offer in offers.iter().filter(|offer| offer.flavour() == Ok(None)) {
        let name = offer.series();
        match series
            .iter_mut()
            .find(|known| known.split(' ').next() == Some(&name))
        {
            Some(known) => {
                known.pop();
                *known += &format!(", {})", offer.release);
            }
            None => series.push(format!("{name} ({})", offer.release)),
        }
    }
    if series.is_empty() {
        return "none".to_owned();
    }
    format!(
        "{NEWEST}, {}; each also with -cloud or -rt where Debian builds it so",
        series.join(", ")
    )
}

/// The kernel to boot where nobody named one: of the suites that the machine uses, `series` if it is there, else the newest; else the newest of all.
///
/// # Errors
/// If there is none at all.
pub fn choose_usual<'a>(offers: &'a [Offer], series: &str) -> Result<&'a Offer> {
    let own: Vec<&Offer> = offers
        .iter()
        .filter(|offer| offer.is_own && offer.flavour() == Ok(None))
        .collect();
    let of_series = own.iter().rev().find(|offer| offer.series() == series);
    match of_series.or(own.last()) {
        Some(offer) => Ok(offer),
        None => choose(offers, NEWEST),
    }
}

/// Those of `offers` that `wanted` selects, newest last: all of a series or a version, all flavours if it names none; everything if it is empty.
pub fn select(mut offers: Vec<Offer>, wanted: &str) -> Vec<Offer> {
    let (version, flavour) = match wanted.split_once('-') {
        Some((version, flavour)) => (version, Some(flavour)),
        None => (wanted, None),
    };
    if version == NEWEST {
        let newest = offers.iter().map(|offer| Reverse(numbers(&offer.upstream))).min();
        offers.retain(|offer| Some(Reverse(numbers(&offer.upstream))) == newest);
    } else {
        offers.retain(|offer| offer.release == wanted || starts_with(&offer.upstream, version));
    }
    offers.retain(|offer| {
        offer.release == wanted || flavour.is_none_or(|flavour| offer.flavour() == Ok(Some(flavour)))
    });
    offers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(release: &str, upstream: &str, suite: &str) -> Offer {
        Offer {
            release: release.to_owned(),
            upstream: upstream.to_owned(),
            suite: suite.to_owned(),
            is_own: suite.starts_with("bookworm"),
        }
    }

    fn some() -> Vec<Offer> {
        let mut offers = vec![
            offer("6.1.0-9-amd64", "6.1.27", "bookworm"),
            offer("6.1.0-50-amd64", "6.1.180", "bookworm-security"),
            offer("6.1.0-50-rt-amd64", "6.1.180", "bookworm-security"),
            offer("6.12.99+deb12-amd64", "6.12.99", "bookworm-security"),
            offer("6.12.117+deb12-amd64", "6.12.117", "bookworm-security"),
            offer("6.12.118+deb13-amd64", "6.12.118", "trixie"),
            offer("6.12.118+deb13-cloud-amd64", "6.12.118", "trixie"),
            offer("7.2.13+deb14-amd64", "7.2.13", "sid"),
            offer("7.3.4+deb13-amd64", "7.3.4", "trixie-backports"),
            offer("7.3.4+deb13-rt-amd64", "7.3.4", "trixie-backports"),
        ];
        offers.sort_by_key(Offer::order);
        offers
    }

    #[test]
    fn kver_names_a_series_a_version_a_release_or_the_newest() {
        let offers = some();
        for (wanted, release) in [
            ("6.1", "6.1.0-50-amd64"),
            // One that fits the machine's programs goes before a newer one that does not.
            ("6.12", "6.12.117+deb12-amd64"),
            ("6.12-cloud", "6.12.118+deb13-cloud-amd64"),
            ("6.12.118", "6.12.118+deb13-amd64"),
            ("6.1.27", "6.1.0-9-amd64"),
            ("6.1.180-rt", "6.1.0-50-rt-amd64"),
            ("6.12.99+deb12-amd64", "6.12.99+deb12-amd64"),
            ("7.2", "7.2.13+deb14-amd64"),
            ("newest", "7.3.4+deb13-amd64"),
            ("newest-rt", "7.3.4+deb13-rt-amd64"),
        ] {
            assert_eq!(choose(&offers, wanted).unwrap().release, release, "{wanted}");
        }
    }

    #[test]
    fn a_kernel_that_is_not_there_is_answered_with_those_that_are() {
        let offers = some();
        for wanted in [
            "6.13",
            "6.12.1",
            "7.3-cloud",
            "7.30",
            "six",
            "6.1.0-51-amd64",
            "6",
        ] {
            let said = choose(&offers, wanted).unwrap_err().to_string();
            assert!(
                said.contains(&format!("no suite has a Linux {wanted} ")),
                "{said}"
            );
            assert!(
                said.contains("newest, 6.1 (6.1.0-9-amd64, 6.1.0-50-amd64), 6.12 ("),
                "{said}"
            );
        }
    }

    #[test]
    fn without_a_name_the_machine_s_own_suites_go_first() {
        let mut offers = some();
        assert_eq!(
            choose_usual(&offers, "6.12").unwrap().release,
            "6.12.117+deb12-amd64"
        );
        assert_eq!(
            choose_usual(&offers, "6.18").unwrap().release,
            "6.12.117+deb12-amd64"
        );
        offers.retain(|offer| !offer.is_own);
        assert_eq!(
            choose_usual(&offers, "6.12").unwrap().release,
            "7.3.4+deb13-amd64"
        );
        assert!(choose_usual(&[], "6.12").is_err());
    }

    #[test]
    fn the_matrix_can_be_of_a_part() {
        let count = |wanted| select(some(), wanted).len();
        assert_eq!(count(""), 10);
        assert_eq!(count("6.1"), 3);
        assert_eq!(count("6.12"), 4);
        assert_eq!(count("7"), 3);
        assert_eq!(count("newest"), 2);
        assert_eq!(count("7.3-rt"), 1);
        assert_eq!(count("6.1.0-9-amd64"), 1);
        assert_eq!(count("5.15"), 0);
        assert_eq!(count("six"), 0);
    }

    #[test]
    fn a_series_is_two_numbers() {
        assert!(is_series("6.12") && is_series("7.3-rt"));
        for other in ["6.12.1", "6", "6.x", "6.", "7.3-pae", "7.3-"] {
            assert!(!is_series(other), "{other}");
        }
    }

    #[test]
    fn a_kernel_s_series_says_its_flavour() {
        assert_eq!(
            offer("6.1.0-9-cloud-amd64", "6.1.27", "sid").series(),
            "6.1-cloud"
        );
        assert_eq!(offer("6.8.0-45-generic", "6.8.0", "noble").series(), "6.8");
        assert!(offer("6.8.0-45-lowlatency", "6.8.0", "noble").flavour().is_err());
    }
}
