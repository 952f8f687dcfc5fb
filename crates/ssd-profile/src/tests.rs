//! Settings by text: what is taken, what is refused, and with which words.

use std::borrow::ToOwned;
use std::string::{String, ToString};
use std::vec::Vec;

use nvme_spec::CommandSet;
use proptest::prelude::*;

use crate::{KeyValueCommandSet, Profile, ProfileKind, SetError};

fn blank(kind: &str) -> Profile<'static> {
    Profile {
        name: "test",
        description: "For tests",
        mdts: 5,
        kind: ProfileKind::blank(kind).expect("a kind"),
    }
}

/// All parameters as a list that `set_list` takes.
fn list(profile: &Profile<'_>) -> String {
    let mut entries = Vec::new();
    profile.for_each_field(|key, value| entries.push(std::format!("{key}={value}")));
    entries.join(",")
}

#[test]
fn a_kind_says_what_follows_from_it() {
    let kind = |name: &str| blank(name).kind;
    for (name, command_set, is_timed_without_flash) in [
        ("nvm", CommandSet::NVM, true),
        ("conventional", CommandSet::NVM, false),
        ("zoned", CommandSet::ZONED, false),
        ("key-value", CommandSet::KEY_VALUE, true),
    ] {
        assert_eq!(kind(name).command_set(), command_set, "{name}");
        assert_eq!(kind(name).nvm().is_some(), is_timed_without_flash, "{name}");
        assert_eq!(
            kind(name).zone_capacity_bytes().is_some(),
            name == "zoned",
            "{name}"
        );
        assert_eq!(kind(name).needs_medium(), name == "key-value", "{name}");
    }
    let mut with_lbas = kind("key-value");
    if let ProfileKind::KeyValue(parameters) = &mut with_lbas {
        parameters.command_set = KeyValueCommandSet::WithLbas;
    }
    assert!(with_lbas.has_lbas() && with_lbas.needs_medium());
    let mut zoned = kind("zoned");
    assert_eq!(zoned.append_limit(), None);
    if let ProfileKind::Zoned(parameters) = &mut zoned {
        parameters.zone.zasl = 5;
        parameters.zone.size_kib = 2048;
        parameters.zone.capacity_kib = 1024;
    }
    assert_eq!(zoned.append_limit(), Some(5));
    assert_eq!(zoned.zone_capacity_bytes(), Some(1 << 20));
}

const CONVENTIONAL: &str = "mdts=6,reference_quirks=false,nand.channels=8,nand.luns_per_channel=2,\
    nand.flash_page_bytes=32768,nand.oneshot_page_bytes=98304,nand.cell_bits=3,nand.read_4k_ns=1/2/3,nand.read_ns=4/5/6,\
    nand.program_ns=7,nand.erase_ns=8,nand.channel_mib_per_s=800,nand.channel_transfer_bytes_max=16384,\
    nand.channel_firmware_ns_per_4k=0,link.mib_per_s=3360,firmware.small_read_bytes_max=16384,firmware.small_read_ns=9,\
    firmware.read_ns=10,firmware.write_ns=11,firmware.write_ns_per_4k=12,write_buffer.size_bytes=1048576,\
    write_buffer.policy=pages,write_buffer.early_completion=true,ftl.partitions=2,ftl.over_provisioning_percent=7,\
    ftl.geometry=follows-capacity,ftl.blocks_per_lun=1024,ftl.gc_free_lines_min=2,ftl.mapping=page,\
    ftl.allocation=lun-first,ftl.victim=cost-benefit";

fn conventional() -> Profile<'static> {
    let mut profile = blank("conventional");
    profile.set_list(CONVENTIONAL).expect("all keys are known");
    profile
}

#[test]
fn what_was_set_is_what_is_shown() {
    assert_eq!(list(&conventional()), CONVENTIONAL);
    assert_eq!(conventional().validate(), Ok(()));
    let mut other = blank("conventional");
    other
        .set_list(&list(&conventional()))
        .expect("what is shown can be set");
    assert_eq!(other, conventional());
    assert!(list(&blank("nvm")).starts_with("mdts=5,reference_quirks=false,nvm.io_units=0,"));
}

#[test]
fn what_cannot_be_set_is_refused_with_the_key_the_value_and_the_rule() {
    for (entry, message) in [
        ("nand.dies=4", "nand.dies is no parameter of a drive of kind conventional: `nvmev profile keys` lists them"),
        ("nvm.io_units=4", "nvm.io_units is no parameter of a drive of kind conventional: `nvmev profile keys` lists them"),
        ("nand.channels", "nand.channels is not of the form key=value"),
        ("nand.channels=many", "nand.channels is many: choose a value from 1 to 64"),
        ("nand.channels=4294967296", "nand.channels is 4294967296: choose a value from 1 to 64"),
        ("reference_quirks=maybe", "reference_quirks is maybe: choose true or false"),
        ("ftl.victim=lazy", "ftl.victim is lazy: choose greedy or cost-benefit or random"),
        (
            "nand.read_ns=1/2/3/4/5",
            "nand.read_ns is 1/2/3/4/5: give 1 to 4 times up to 4294967295 with slashes between them, one for each page of a cell",
        ),
    ] {
        let mut profile = conventional();
        assert_eq!(profile.set_list(entry).unwrap_err().to_string(), message);
        assert_eq!(profile, conventional(), "{entry} changed something");
    }
    // Spaces do no harm; what stands before a wrong entry has been set.
    let mut profile = conventional();
    profile
        .set_list(" nand.channels = 4 , ftl.partitions=4 ")
        .expect("sound");
    assert_eq!(
        profile
            .set_list("nand.channels=2,x=1")
            .unwrap_err()
            .to_string()
            .split(' ')
            .next(),
        Some("x")
    );
}

#[test]
fn an_entry_that_is_empty_or_there_twice_is_refused() {
    for list in [
        ",",
        "nand.channels=4,",
        ",nand.channels=4",
        "nand.channels=4, ,ftl.partitions=4",
    ] {
        let error = conventional().set_list(list).unwrap_err();
        assert_eq!(error, SetError::EmptyEntry, "{list}");
    }
    for (list, key) in [
        ("nand.channels=4,nand.channels=4", "nand.channels"),
        ("mdts=5,ftl.victim=random, mdts =6", "mdts"),
        ("ftl.victim=random,ftl.victim", "ftl.victim is not of the form"),
    ] {
        let error = conventional().set_list(list).unwrap_err().to_string();
        assert!(error.starts_with(key), "{list}: {error}");
    }
    let error = conventional().set_list("mdts=5,mdts=6").unwrap_err().to_string();
    assert_eq!(error, "mdts is there twice: give it one value");
    for list in ["", "  "] {
        let mut profile = conventional();
        profile.set_list(list).expect("nothing to set");
        assert_eq!(profile, conventional());
    }
}

#[test]
fn values_that_break_a_rule_are_named() {
    for (entries, message) in [
        ("mdts=0", "mdts is 0: choose a value from 1 to 13"),
        ("nand.channels=65", "nand.channels is 65: choose a value from 1 to 64"),
        ("link.mib_per_s=30", "link.mib_per_s is 30: choose a value from 31 to 122070"),
        ("ftl.gc_free_lines_min=1", "ftl.gc_free_lines_min is 1: choose a value from 2 to 1024"),
        ("ftl.partitions=3", "nand.channels is 8: choose a multiple of 3 (ftl.partitions)"),
        ("nand.flash_page_bytes=6144", "nand.flash_page_bytes is 6144: choose a multiple of 4096 (a mapping page)"),
        ("nand.flash_page_bytes=65536", "nand.oneshot_page_bytes is 98304: choose a multiple of 65536 (nand.flash_page_bytes)"),
        ("nand.cell_bits=2", "nand.read_4k_ns is 3: give 2 of them (nand.cell_bits)"),
        (
            "write_buffer.size_bytes=262144",
            "write_buffer.size_bytes is 262144: at least 466944 is needed, for a transfer of 2^mdts pages that begins inside a page, \
             beside one unfinished one-shot page per partition",
        ),
    ] {
        let mut profile = conventional();
        profile.set_list(entries).expect("each by itself can be read");
        assert_eq!(profile.validate().unwrap_err().to_string(), message);
    }
}

#[test]
fn a_key_value_drive_is_checked_as_a_whole() {
    let sound =
        "nvm.io_units=8,nvm.io_unit_shift=12,key_value.unit_bytes=512,key_value.average_pair_bytes=1024,\
        key_value.value_bytes_max=2097152";
    let drive = |more| {
        let mut profile = blank("key-value");
        profile.set_list(sound).expect("all keys are known");
        profile.set_list(more).expect("all keys are known");
        profile.validate().map_err(|error| error.to_string())
    };
    assert_eq!(drive(""), Ok(()));
    for (more, message) in [
        ("key_value.unit_bytes=500", "key_value.unit_bytes is 500: choose a power of two"),
        ("key_value.unit_bytes=32", "key_value.unit_bytes is 32: choose a value from 64 to 65536"),
        (
            "key_value.unit_bytes=64",
            "key_value.value_bytes_max is 2097152: at most 1048576 is possible (16384 times key_value.unit_bytes)",
        ),
        (
            "key_value.unit_bytes=8192,key_value.command_set=nvm",
            "key_value.unit_bytes is 8192: at most 4096 is possible (a page of LBAs)",
        ),
        ("key_value.value_bytes_max=16777216", "key_value.value_bytes_max is 16777216: choose a value from 4096 to 16777215"),
    ] {
        assert_eq!(drive(more), Err(message.to_owned()));
    }
}

#[cfg(feature = "file")]
mod files {
    use super::*;
    use crate::file::{check_file_name, ProfileFile};

    const NVM: &str =
        "name = \"mine\"\ndescription = \"My own\"\nkind = \"nvm\"\nmdts = 5\nreference_quirks = false\n\
        [nvm]\nio_units = 8\nio_unit_shift = 12\n[nvm.read]\ndelay_ns = 1\ntime_ns = 2\ntrailing_ns = 3\n\
        [nvm.write]\ndelay_ns = 4\ntime_ns = 5\ntrailing_ns = 6\n";

    #[test]
    fn a_file_is_a_profile() {
        let file = ProfileFile::parse(NVM).expect("sound");
        let profile = file.profile();
        assert_eq!(
            (profile.name, profile.description, profile.mdts),
            ("mine", "My own", 5)
        );
        assert!(list(&profile).ends_with("nvm.write.delay_ns=4,nvm.write.time_ns=5,nvm.write.trailing_ns=6"));
        assert_eq!(check_file_name(&profile, "mine"), Ok(()));
        let wrong = check_file_name(&profile, "yours").unwrap_err();
        assert_eq!(
            wrong,
            "name is \"mine\" in a file called yours.toml: make them the same"
        );
    }

    #[test]
    fn a_file_that_is_wrong_is_refused_with_the_reason() {
        for (from, to, message) in [
            ("name = \"mine\"\n", "", "name is missing: give it a value"),
            (
                "\"mine\"",
                "\"My Drive\"",
                "name is \"My Drive\": use 1 to 24 lower-case letters, digits and hyphens",
            ),
            (
                "\"My own\"",
                "\"\"",
                "description is \"\": use 1 to 80 printable ASCII characters",
            ),
            (
                "\"nvm\"",
                "\"tape\"",
                "kind is \"tape\": choose nvm or conventional",
            ),
            (
                "io_units = 8",
                "io_unit = 8",
                "nvm.io_units is missing: give it a value",
            ),
            (
                "io_units = 8",
                "io_units = 8\nextra = 1",
                "nvm.extra is no parameter of a drive of kind nvm",
            ),
            (
                "io_units = 8",
                "io_units = 0",
                "nvm.io_units is 0: choose a value from 1 to 4096",
            ),
            (
                "io_units = 8",
                "io_units = 8.0",
                "nvm.io_units is of type float: give a whole number",
            ),
            (
                "io_units = 8",
                "io_units = [8, \"x\"]",
                "nvm.io_units is of type array: give a whole number",
            ),
            (
                "io_units = 8",
                "io_units = [8, 9]",
                "nvm.io_units is 8/9: choose a value from 1 to 4096",
            ),
        ] {
            let error = ProfileFile::parse(&NVM.replacen(from, to, 1)).unwrap_err();
            assert!(error.starts_with(message), "{to}: {error}");
        }
        let no_toml = ProfileFile::parse("name = ").unwrap_err();
        assert!(no_toml.contains("line 1"), "{no_toml}");
    }

    proptest! {
        #[test]
        fn any_text_is_a_profile_or_refused(lines in proptest::collection::vec("[ -~]{0,40}", 0..12)) {
            let _ = ProfileFile::parse(&lines.join("\n"));
            let _ = ProfileFile::parse(&std::format!("{NVM}{}", lines.join("\n")));
        }
    }
}

proptest! {
    #[test]
    fn any_list_is_taken_or_refused(text in "[ -~]{0,80}", key in 0..31_usize) {
        let mut profile = conventional();
        let _ = profile.set_list(&text);
        let mut keys = Vec::new();
        profile.for_each_field(|key, _| keys.push(key));
        let _ = profile.set(keys[key % keys.len()], &text);
        let _ = profile.validate();
    }
}
