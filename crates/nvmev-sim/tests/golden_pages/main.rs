//! Identify and log pages of a new drive of each kind, byte for byte, against the texts in `golden_pages/`.
//!
//! A text has a line for each field: its offset, its name, its bytes and the number or the text that they are. It was reviewed field by field against the
//! figures that `fields.rs` names, and is changed by nothing but a review: after a change that is meant,
//! `NVMEV_WRITE_GOLDEN_PAGES=1 cargo test -p nvmev-sim --test golden_pages` writes the texts anew, and `git diff` shows each field that is another.

mod fields;
mod pages;

use std::fmt::Write;
use std::path::PathBuf;

use fields::{Field, Shown};
use nvmev_sim::host::DRIVES;
use pages::{Page, PAGES};

const HEADER: &str = "\
# What a new drive of this kind says of itself. A line has a field's offset (hexadecimal), its name, its bytes and their value.
#
# Reviewed by eye against the figures that are named. After a change that is meant, the test writes the texts anew with
#     NVMEV_WRITE_GOLDEN_PAGES=1 cargo test -p nvmev-sim --test golden_pages
# and `git diff` shows each field that is another: look each of them up before you commit it.
";
/// Firmware revisions are the version of the crate, which is no reason to review a page.
const VERSION: &str = env!("CARGO_PKG_VERSION");

fn path(drive: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden_pages/{drive}.txt"))
}

/// What a field is, beside its bytes.
fn value(bytes: &[u8], shown: Shown) -> String {
    match shown {
        Shown::Number => {
            let number = bytes
                .iter()
                .rev()
                .fold(0, |number: u128, byte| number << 8 | u128::from(*byte));
            format!("= {number}")
        }
        Shown::Text => {
            let text: String = bytes
                .iter()
                .take_while(|&&byte| byte != 0)
                .map(|&byte| char::from(byte))
                .collect();
            format!("{text:?}")
        }
        Shown::Bytes => String::new(),
    }
}

fn hex(bytes: &[u8]) -> String {
    let all: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    all.join(" ")
}

fn line(offset: usize, name: &str, bytes: &[u8], shown: Shown) -> String {
    let padded = format!("{VERSION:<8}");
    if shown == Shown::Text && bytes == padded.as_bytes() {
        return format!("{offset:04x}  {name:<22} (version of the crate)");
    }
    // Text is legible without its bytes, and nothing can be behind its end.
    let is_whole_text =
        shown == Shown::Text && bytes.iter().skip_while(|&&byte| byte != 0).all(|&byte| byte == 0);
    let dump = if is_whole_text { String::new() } else { hex(bytes) };
    let shown = [dump, value(bytes, shown)].join(" ");
    format!("{offset:04x}  {name:<22} {}", shown.trim())
}

/// A line for each of the `fields`, and for each other byte that is not zero.
fn lines(bytes: &[u8], fields: &[Field]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut at = 0;
    for &(offset, len, name, shown) in fields {
        assert!(at <= offset, "{name} comes after what is behind it");
        lines.extend(unnamed(bytes, at..offset));
        lines.push(line(offset, name, &bytes[offset..offset + len], shown));
        at = offset + len;
    }
    lines.extend(unnamed(bytes, at..bytes.len()));
    lines
}

fn unnamed(bytes: &[u8], range: std::ops::Range<usize>) -> impl Iterator<Item = String> + '_ {
    let not_zero = range.filter(|&at| bytes[at] != 0);
    not_zero.map(|at| line(at, "RESERVED", &bytes[at..=at], Shown::Number))
}

fn section(page: &Page, bytes: &[u8]) -> Vec<String> {
    let mut section = vec![format!("== {}", page.name)];
    section.extend(match page.fields {
        pages::Fields::Named(fields) => lines(bytes, fields),
        pages::Fields::Dwords(name) => {
            let dwords = bytes.chunks_exact(4).enumerate();
            let not_zero = dwords.filter(|(_, dword)| dword.iter().any(|&byte| byte != 0));
            not_zero
                .map(|(index, dword)| line(index * 4, &name(index), dword, Shown::Number))
                .collect()
        }
    });
    section
}

/// Differences between two texts, page by page and offset by offset.
fn differences(golden: &str, found: &str) -> String {
    let parse = |text: &str| {
        let mut page = String::new();
        let mut parsed = std::collections::BTreeMap::new();
        for line in text
            .lines()
            .filter(|line| !line.starts_with('#') && !line.is_empty())
        {
            match line.strip_prefix("== ") {
                Some(name) => page = name.to_string(),
                None => {
                    let (offset, field) = line.split_at(4);
                    parsed.insert((page.clone(), offset.to_string()), field.trim().to_string());
                }
            }
        }
        parsed
    };
    let (golden, found) = (parse(golden), parse(found));
    let mut report = String::new();
    let places: std::collections::BTreeSet<_> = golden.keys().chain(found.keys()).collect();
    for place @ (page, offset) in places {
        let [old, new] = [&golden, &found].map(|text| text.get(place).map_or("(not there)", String::as_str));
        if old != new {
            writeln!(report, "{page}, offset {offset}h:\n    was {old}\n    is  {new}").unwrap();
        }
    }
    report
}

#[test]
fn pages_are_those_that_were_reviewed() {
    let writes = std::env::var_os("NVMEV_WRITE_GOLDEN_PAGES").is_some();
    let mut report = String::new();
    for drive in DRIVES {
        let mut host = drive.host(512, 1);
        host.enable();
        let mut found = String::from(HEADER);
        for page in PAGES {
            if let Some(bytes) = page.read(&mut host) {
                write!(found, "\n{}\n", section(page, &bytes).join("\n")).unwrap();
            }
        }
        assert!(
            !found.contains("RESERVED"),
            "{}: reserved bytes are not zero:\n{found}",
            drive.name
        );
        if writes {
            std::fs::write(path(drive.name), &found).unwrap();
            continue;
        }
        let golden = std::fs::read_to_string(path(drive.name)).unwrap();
        if golden != found {
            let differences = differences(&golden, &found);
            write!(report, "{}.txt:\n{differences}", drive.name).unwrap();
        }
    }
    assert!(report.is_empty(), "pages have changed:\n{report}");
}

#[test]
fn a_changed_byte_is_reported_with_offset_field_old_and_new() {
    let fields: &[Field] = &[(0, 2, "NN", Shown::Number), (4, 3, "SN", Shown::Text)];
    let page = |bytes: &[u8]| format!("== Page\n{}\n", lines(bytes, fields).join("\n"));
    let golden = page(b"\x01\x02\0\0AB \0");
    assert_eq!(differences(&golden, &golden), "");
    let found = page(b"\x01\x03\0\0AB \x07");
    let expected = "Page, offset 0000h:\n    was NN                     01 02 = 513\n    is  NN                     01 03 = 769\n\
        Page, offset 0007h:\n    was (not there)\n    is  RESERVED               07 = 7\n";
    assert_eq!(differences(&golden, &found), expected);
}
