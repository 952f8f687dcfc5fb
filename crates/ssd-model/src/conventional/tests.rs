//! The translation layer against a plain oracle, for every policy and geometry; and what the reference's figures are.

use std::collections::BTreeSet;
use std::vec::Vec;
use std::{format, vec};

use proptest::prelude::*;
use ssd_profile::{
    AllocationOrder, ConventionalParameters, GeometryRule, ProfileKind, VictimPolicy, WriteBufferPolicy,
};

use super::*;
use crate::{profiles, Model};

const MIB: u64 = 1 << 20;

fn parameters_of(name: &str) -> ConventionalParameters {
    match profiles::by_name(name).expect("a built-in profile").kind {
        ProfileKind::Conventional(parameters) => parameters,
        _ => panic!("{name} is not a conventional drive"),
    }
}

/// Small drives of every kind that there is.
fn parameters() -> impl Strategy<Value = ConventionalParameters> {
    let shape = (
        1..=4_u32,
        1..=3_u32,
        prop_oneof![Just(1_u32), Just(3), Just(4)],
        1..=2_u32,
        prop_oneof![Just(1_u32), Just(2), Just(4)],
    );
    let policies = (
        prop_oneof![
            Just(VictimPolicy::Greedy),
            Just(VictimPolicy::CostBenefit),
            Just(VictimPolicy::Random)
        ],
        prop_oneof![
            Just(AllocationOrder::ChannelFirst),
            Just(AllocationOrder::LunFirst)
        ],
        prop_oneof![Just(WriteBufferPolicy::Bytes), Just(WriteBufferPolicy::Pages)],
        prop_oneof![Just(GeometryRule::Reference), Just(GeometryRule::FollowsCapacity)],
    );
    (shape, policies, any::<bool>(), 1..=20_u32, 16..=64_u32, 2..=5_u32).prop_map(
        |(shape, (victim, allocation, policy, geometry), reference_quirks, percent, blocks, free_lines)| {
            let (channels, luns_per_channel, flash_pages, pages, partitions) = shape;
            let mut parameters = parameters_of("970pro");
            parameters.reference_quirks = reference_quirks;
            parameters.nand.channels = channels * partitions;
            parameters.nand.luns_per_channel = luns_per_channel;
            parameters.nand.flash_page_bytes = pages * 4096;
            parameters.nand.oneshot_page_bytes = flash_pages * pages * 4096;
            parameters.nand.erase_ns = 1_000_000;
            parameters.ftl.partitions = partitions;
            parameters.ftl.over_provisioning_percent = percent;
            parameters.ftl.geometry = geometry;
            parameters.ftl.blocks_per_lun = blocks;
            parameters.ftl.gc_free_lines_min = free_lines;
            parameters.ftl.victim = victim;
            parameters.ftl.allocation = allocation;
            parameters.write_buffer.policy = policy;
            parameters
        },
    )
}

/// What a host does, in parts of the namespace.
#[derive(Clone, Copy, Debug)]
enum Act {
    Write {
        at: u32,
        len: u32,
        fua: bool,
    },
    Read {
        at: u32,
        len: u32,
    },
    Deallocate {
        at: u32,
        len: u32,
    },
    WriteZeroes {
        at: u32,
        len: u32,
        deallocate: bool,
    },
    Flush,
    Wait {
        ns: u64,
    },
    /// Every `step`th page from `first` on, once.
    Sweep {
        first: u32,
        step: u32,
    },
}

fn act() -> impl Strategy<Value = Act> {
    let place = || {
        (
            any::<u32>(),
            prop_oneof![4 => Just(8_u32), 2 => 1..=64_u32, 1 => 1..=512_u32],
        )
    };
    prop_oneof![
        8 => (place(), any::<bool>()).prop_map(|((at, len), fua)| Act::Write { at, len, fua }),
        3 => place().prop_map(|(at, len)| Act::Read { at, len }),
        2 => place().prop_map(|(at, len)| Act::Deallocate { at, len }),
        1 => (place(), any::<bool>()).prop_map(|((at, len), deallocate)| Act::WriteZeroes { at, len, deallocate }),
        1 => Just(Act::Flush),
        1 => prop_oneof![0..=1_000_000_u64, any::<u64>().prop_map(|ns| ns >> 24)].prop_map(|ns| Act::Wait { ns }),
        3 => (0..40_u32, 1..40_u32).prop_map(|(first, step)| Act::Sweep { first, step }),
    ]
}

/// A drive, and which of its pages must have data.
struct Checked {
    model: ConventionalModel,
    mapped: BTreeSet<u64>,
    now_ns: u64,
    sectors: u64,
}

impl Checked {
    fn new(parameters: &ConventionalParameters, capacity_bytes: u64) -> Result<Self, SetupError> {
        let model = ConventionalModel::new(parameters, capacity_bytes)?;
        let sectors = model.geometry().namespace_bytes / 512;
        Ok(Self {
            model,
            mapped: BTreeSet::new(),
            now_ns: 1_000_000_000,
            sectors,
        })
    }

    /// Puts a command until it is taken on; a refusal changes nothing but the count of refusals.
    fn submit(&mut self, command: Command) -> u64 {
        loop {
            match self.model.submit(self.now_ns, &command) {
                Ok(accepted) => {
                    assert!(
                        accepted.done_at_ns >= self.now_ns,
                        "{command:?} is done before it began"
                    );
                    return accepted.done_at_ns;
                }
                Err(Refusal::Busy { retry_at_ns }) => {
                    assert!(retry_at_ns > self.now_ns, "a retry without a wait");
                    self.now_ns = retry_at_ns;
                }
                Err(refusal) => panic!("{command:?} failed: {refusal:?}"),
            }
        }
    }

    /// A range inside the namespace, from any two numbers; bytes.
    fn range(&self, at: u32, len: u32) -> (u64, u32) {
        let len = u64::from(len).min(self.sectors);
        let at = u64::from(at) % (self.sectors - len + 1);
        (at * 512, len as u32 * 512)
    }

    fn write(&mut self, offset_bytes: u64, len_bytes: u32, fua: bool) {
        self.submit(Command::Write {
            offset_bytes,
            len_bytes,
            fua,
        });
        let pages = PageRange::touched(offset_bytes, len_bytes.into());
        self.mapped.extend(pages.first..pages.first + pages.count);
    }

    fn forget(&mut self, offset_bytes: u64, len_bytes: u32) {
        let pages = PageRange::whole(offset_bytes, len_bytes.into());
        for page in pages.first..pages.first + pages.count {
            self.mapped.remove(&page);
        }
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Write { at, len, fua } => {
                let (offset_bytes, len_bytes) = self.range(at, len);
                self.write(offset_bytes, len_bytes, fua);
            }
            Act::Read { at, len } => {
                let (offset_bytes, len_bytes) = self.range(at, len);
                self.submit(Command::Read {
                    offset_bytes,
                    len_bytes,
                });
            }
            Act::Deallocate { at, len } => {
                let (offset_bytes, len_bytes) = self.range(at, len);
                self.submit(Command::Deallocate {
                    offset_bytes,
                    len_bytes: len_bytes.into(),
                });
                self.forget(offset_bytes, len_bytes);
            }
            Act::WriteZeroes { at, len, deallocate } => {
                let (offset_bytes, len_bytes) = self.range(at, len);
                self.submit(Command::WriteZeroes {
                    offset_bytes,
                    len_bytes,
                    fua: false,
                    deallocate,
                });
                if deallocate {
                    self.forget(offset_bytes, len_bytes);
                } else {
                    let pages = PageRange::touched(offset_bytes, len_bytes.into());
                    self.mapped.extend(pages.first..pages.first + pages.count);
                }
            }
            Act::Flush => {
                self.submit(Command::Flush);
            }
            Act::Wait { ns } => self.now_ns += ns,
            Act::Sweep { first, step } => {
                let pages = self.sectors / 8;
                for page in (u64::from(first)..pages).step_by(step as usize) {
                    self.write(page * 4096, 4096, false);
                }
            }
        }
    }

    fn check(&self) -> Result<(), TestCaseError> {
        self.model.check().map_err(TestCaseError::fail)?;
        prop_assert_eq!(self.model.report().mapped_pages, self.mapped.len() as u64);
        for page in 0..self.sectors.div_ceil(8) {
            let (partition, logical) = self.model.place(page);
            let is_mapped = self.model.partitions[partition].is_mapped(logical);
            prop_assert_eq!(is_mapped, self.mapped.contains(&page), "page {}", page);
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn whatever_hosts_do_the_translation_layer_holds(
        parameters in parameters(), mib in 1..=6_u64, rest in 0..5000_u64, acts in proptest::collection::vec(act(), 1..60),
    ) {
        // Some have too few blocks for what they are to hold, and say so.
        let Ok(mut drive) = Checked::new(&parameters, mib * MIB + rest) else { return Ok(()) };
        for act in acts {
            drive.act(act);
            drive.model.check().map_err(TestCaseError::fail)?;
        }
        drive.check()?;
    }

    #[test]
    fn a_full_drive_can_be_overwritten_in_any_order(
        parameters in parameters(), mib in 1..=3_u64, steps in proptest::collection::vec((0..40_u32, 1..40_u32), 1..30), seed: u64,
    ) {
        let Ok(mut drive) = Checked::new(&parameters, mib * MIB) else { return Ok(()) };
        drive.act(Act::Sweep { first: 0, step: 1 });
        // Every so manieth page: lines with one invalid page each, the worst for collection.
        for (first, step) in steps {
            drive.act(Act::Sweep { first, step });
        }
        let pages = drive.sectors / 8;
        let mut random = seed | 1;
        for _ in 0..3 * pages {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            drive.write((random >> 33) % pages * 4096, 4096, false);
        }
        drive.check()?;
    }

    #[test]
    fn a_refused_write_changes_nothing_but_the_count(parameters in parameters(), writes in 1..200_u32) {
        let Ok(mut drive) = Checked::new(&parameters, 4 * MIB) else { return Ok(()) };
        for index in 0..writes {
            let (offset_bytes, len_bytes) = drive.range(index.wrapping_mul(977), 512);
            let command = Command::Write { offset_bytes, len_bytes, fua: false };
            let before = drive.model.clone();
            if let Err(Refusal::Busy { retry_at_ns }) = drive.model.submit(drive.now_ns, &command) {
                // Waiting for nothing helps nobody: until then it is refused again, and then something has changed.
                let again = drive.model.submit(retry_at_ns - 1, &command);
                prop_assert_eq!(again, Err(Refusal::Busy { retry_at_ns }));
                let (mut before, mut after) = (before.report(), drive.model.report());
                before.statistics.buffer_stalls = 0;
                after.statistics.buffer_stalls = 0;
                // What was due had been given back in the attempt.
                before.buffered_bytes = after.buffered_bytes;
                prop_assert_eq!(before, after);
                drive.now_ns = retry_at_ns;
            }
        }
    }

    #[test]
    fn without_quirks_the_buffer_is_never_larger_than_it_is_and_empties(parameters in parameters(), writes in proptest::collection::vec((any::<u32>(), 1..=512_u32), 1..100)) {
        let parameters = ConventionalParameters { reference_quirks: false, ..parameters };
        let Ok(mut drive) = Checked::new(&parameters, 4 * MIB) else { return Ok(()) };
        for (at, len) in writes {
            drive.act(Act::Write { at, len, fua: false });
            let report = drive.model.report();
            prop_assert!(report.buffered_bytes <= report.buffer_bytes);
        }
        // Long after, only what no one-shot page was completed for is held.
        drive.now_ns += 1 << 50;
        drive.act(Act::Write { at: 0, len: 8, fua: false });
        let held: u64 = drive.model.unfinished_bytes.iter().map(|&bytes| u64::from(bytes)).sum();
        let written_now = drive.model.write_buffer.pending_bytes();
        prop_assert_eq!(drive.model.report().buffered_bytes, held + written_now);
    }

    #[test]
    fn a_geometry_holds_its_namespace_with_the_over_provisioning_it_promises(
        mib in 64..=(16_u64 << 20), percent in 1..=100_u32, partitions in prop_oneof![Just(1_u32), Just(2), Just(8)],
    ) {
        let mut parameters = parameters_of("tlc-ssd");
        parameters.ftl.over_provisioning_percent = percent;
        parameters.ftl.partitions = partitions;
        let geometry = match Geometry::new(&parameters, mib * MIB) {
            Ok(geometry) => geometry,
            // Beyond 2^32 pages of a partition.
            Err(SetupError::TooLarge { .. }) => return Ok(()),
            Err(error) => return Err(TestCaseError::fail(format!("{error}"))),
        };
        prop_assert_eq!(geometry.namespace_bytes, mib * MIB);
        let logical = u128::from(geometry.logical_pages) * u128::from(partitions);
        let physical = u128::from(geometry.physical_pages) * u128::from(partitions);
        prop_assert!(logical * 4096 >= u128::from(geometry.namespace_bytes));
        prop_assert!(physical * 100 + 100 >= logical * u128::from(100 + percent));
        prop_assert_eq!(u64::from(geometry.lines) * u64::from(geometry.pages_per_line), u64::from(geometry.physical_pages));
        prop_assert!(geometry.lines <= parameters.ftl.blocks_per_lun + 8 || mib < 1024);
    }
}

#[test]
fn the_reference_figures_of_the_known_good_set() {
    // Capacity, namespace, pages of an instance, block and line in KiB: golden/README.md.
    for (capacity, namespace, pages, block_kib, line_kib) in [
        (1_073_741_824, 1_003_497_031, 262_144, 32, 128),
        (4_293_918_720, 4_013_008_149, 262_144, 32, 128),
        (8_588_886_016, 8_026_996_276, 524_288, 64, 256),
        (10_737_418_240, 10_034_970_317, 786_432, 96, 384),
    ] {
        let geometry = Geometry::new(&parameters_of("970pro"), capacity).unwrap();
        assert_eq!(geometry.namespace_bytes, namespace);
        assert_eq!(
            (geometry.partitions, geometry.lines, geometry.physical_pages),
            (4, 8192, pages)
        );
        assert_eq!(
            (geometry.block_bytes() >> 10, geometry.line_bytes() >> 10),
            (block_kib, line_kib)
        );
    }
}

/// Bytes of the translation layer's tables, without what does not grow with the drive.
fn translation_bytes(model: &ConventionalModel) -> u64 {
    model.partitions.iter().map(Partition::metadata_bytes).sum()
}

#[test]
fn tables_take_at_most_nine_bytes_per_page_of_flash() {
    for (name, capacity) in [
        ("970pro", 4095 * MIB),
        ("tlc-ssd", 1024 * MIB),
        ("tlc-ssd", 16 * 1024 * MIB),
    ] {
        let model = ConventionalModel::new(&parameters_of(name), capacity).unwrap();
        let pages = model.report().physical_pages;
        let bytes = translation_bytes(&model);
        assert!(bytes <= 9 * pages, "{name}: {bytes} bytes for {pages} pages");
        // Links and write buffer: the same for every size.
        assert!(model.report().metadata_bytes - bytes < 3 * MIB, "{name}");
    }
}

#[test]
fn a_terabyte_fits_the_arithmetic() {
    for (name, capacity) in [("970pro", 1 << 40), ("tlc-ssd", 1 << 40), ("tlc-ssd", 10 << 40)] {
        let geometry = Geometry::new(&parameters_of(name), capacity).unwrap();
        let flash = u64::from(geometry.physical_pages) * u64::from(geometry.partitions) * 4096;
        assert!(flash > geometry.namespace_bytes && flash < 2 * capacity, "{name}");
    }
    let too_large = Geometry::new(&parameters_of("tlc-ssd"), 1 << 60).unwrap_err();
    assert!(format!("{too_large}").contains("more than the tables can address"));
    assert!(Geometry::new(&parameters_of("970pro"), u64::MAX).is_err());
    assert_eq!(
        Geometry::new(&parameters_of("970pro"), 1),
        Err(SetupError::TooSmall {
            capacity_bytes: 1,
            // A page, and 7 % of it beside it: 4382.72.
            needed_bytes: 4383,
            key: None,
        })
    );
}

/// Takes 2.4 GiB of memory: `make test-long` runs it.
#[test]
#[ignore = "takes 2.4 GiB of memory"]
fn a_terabyte_drive_works_from_its_first_page_to_its_last() {
    let mut drive = Checked::new(&parameters_of("tlc-ssd"), 1 << 40).unwrap();
    let bytes = drive.sectors * 512;
    for offset_bytes in [0, bytes / 2, bytes - 4096] {
        drive.write(offset_bytes, 4096, true);
        let read = Command::Read {
            offset_bytes,
            len_bytes: 4096,
        };
        let start_ns = drive.now_ns + 1_000_000_000;
        drive.now_ns = start_ns;
        assert!(drive.submit(read) > start_ns + 38_000, "it comes from flash");
    }
    assert_eq!(drive.model.report().mapped_pages, 3);
    assert!(translation_bytes(&drive.model) <= 9 * drive.model.report().physical_pages);
}

#[test]
fn a_profile_whose_parameters_do_not_go_together_is_refused_with_the_rule() {
    let mut parameters = parameters_of("970pro");
    parameters.ftl.blocks_per_lun = 16;
    let error = Geometry::new(&parameters, 1 << 30).unwrap_err();
    assert_eq!(
        format!("{error}"),
        "ftl.blocks_per_lun is 16: at least 21 is needed, to hold the namespace and leave garbage collection room to work"
    );
}

/// Overwrites a drive at random, a fifth of it four times in five, and says how much that amplified.
fn amplification(victim: VictimPolicy) -> u64 {
    let mut parameters = parameters_of("tlc-ssd");
    parameters.ftl.victim = victim;
    let mut drive = Checked::new(&parameters, 256 * MIB).unwrap();
    drive.act(Act::Sweep { first: 0, step: 1 });
    drive.model.reset_statistics();
    let pages = drive.sectors / 8;
    let mut random = 88_172_645_463_325_252_u64;
    for _ in 0..4 * pages {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let span = if random % 5 == 0 { pages } else { pages / 5 };
        drive.write((random >> 20) % span * 4096, 4096, false);
    }
    drive.model.check().unwrap();
    drive
        .model
        .report()
        .statistics
        .write_amplification_milli()
        .unwrap()
}

/// A drive whose page at 0 is on flash, not in an unfinished one-shot page any more, with no work left.
fn with_a_page_on_flash(name: &str) -> (ConventionalModel, u64) {
    let parameters = parameters_of(name);
    let mut model = ConventionalModel::new(&parameters, 256 * MIB).unwrap();
    let mut now_ns = 1_000_000_000;
    // Enough that each partition finishes its first one-shot pages.
    for offset_bytes in (0..2 * MIB).step_by(4096) {
        write_at(&mut model, now_ns, offset_bytes, 4096, false);
        now_ns += 10_000_000;
    }
    now_ns += 1_000_000_000;
    model.reset_statistics();
    (model, now_ns)
}

fn write_at(model: &mut ConventionalModel, now_ns: u64, offset_bytes: u64, len_bytes: u32, fua: bool) -> u64 {
    let write = Command::Write {
        offset_bytes,
        len_bytes,
        fua,
    };
    model.submit(now_ns, &write).unwrap().done_at_ns - now_ns
}

#[test]
fn a_write_that_leaves_some_of_a_page_reads_it_first() {
    let page = 4096;
    // What is written, pages that are read for it, and pages that are programmed for it.
    for (offset_bytes, len_bytes, reads, programs) in [
        (0, 512, 1, 1),
        (512, 3584, 1, 1),
        (512, 512, 1, 1),
        (0, 4096, 0, 1),
        (0, 8192, 0, 2),
        (0, 4608, 1, 2),
        (3584, 4608, 1, 2),
        (3584, 1024, 2, 2),
        (512, 8192, 2, 3),
        // Nothing is on flash there.
        (128 * MIB, 512, 0, 1),
    ] {
        let (mut model, now_ns) = with_a_page_on_flash("tlc-ssd");
        write_at(&mut model, now_ns, offset_bytes, len_bytes, false);
        let report = model.report();
        let statistics = report.statistics;
        let read_pages = statistics.nand_read_bytes / page;
        assert_eq!(
            (read_pages, statistics.host_pages),
            (reads, programs),
            "{offset_bytes} {len_bytes}"
        );
        assert_eq!(statistics.write_amplification_milli(), Some(1000));
        let in_bytes = programs * page * 1000 / u64::from(len_bytes);
        assert_eq!(report.write_amplification_bytes_milli(), Some(in_bytes));
        model.check().unwrap();
    }
}

#[test]
fn reading_to_merge_delays_what_waits_for_flash_and_nothing_else() {
    let latency = |offset_bytes, len_bytes, fua| {
        let (mut model, now_ns) = with_a_page_on_flash("tlc-ssd");
        write_at(&mut model, now_ns, offset_bytes, len_bytes, fua)
    };
    // The buffer takes it at once.
    assert_eq!(latency(0, 512, false), latency(128 * MIB, 512, false));
    let parameters = parameters_of("tlc-ssd");
    let read_ns = u64::from(*parameters.nand.read_4k_ns.ns[..3].iter().min().unwrap());
    assert!(latency(0, 512, true) >= latency(128 * MIB, 512, true) + read_ns);
    assert_eq!(latency(0, 4096, true), latency(128 * MIB, 4096, true));
}

#[test]
fn what_is_merged_in_an_unfinished_one_shot_page_is_not_read() {
    let mut model = ConventionalModel::new(&parameters_of("tlc-ssd"), 256 * MIB).unwrap();
    write_at(&mut model, 1_000_000_000, 0, 4096, false);
    write_at(&mut model, 2_000_000_000, 512, 512, false);
    assert_eq!(model.report().statistics.nand_read_bytes, 0);
}

#[test]
fn the_reference_reads_nothing_to_merge() {
    let (mut model, now_ns) = with_a_page_on_flash("970pro");
    write_at(&mut model, now_ns, 512, 512, true);
    let report = model.report();
    assert_eq!(report.statistics.nand_read_bytes, 0);
    // It programs whole pages, too.
    assert_eq!(report.write_amplification_bytes_milli(), Some(8000));
}

#[test]
fn policies_choose_differently_and_random_is_the_baseline() {
    let [greedy, cost_benefit, random] = [
        VictimPolicy::Greedy,
        VictimPolicy::CostBenefit,
        VictimPolicy::Random,
    ]
    .map(amplification);
    assert!(greedy > 1000 && cost_benefit > 1000);
    assert!(greedy < random, "{greedy} {random}");
    assert!(cost_benefit < random, "{cost_benefit} {random}");
}

#[test]
fn deallocation_spares_collection_work() {
    let overwrite = |trimmed: bool| {
        let mut drive = Checked::new(&parameters_of("tlc-ssd"), 64 * MIB).unwrap();
        drive.act(Act::Sweep { first: 0, step: 1 });
        if trimmed {
            drive.submit(Command::Deallocate {
                offset_bytes: 0,
                len_bytes: 32 * MIB,
            });
        }
        drive.model.reset_statistics();
        for round in 0..8_u64 {
            for page in 0..8192 {
                drive.write(32 * MIB + (page * 7919 + round) % 8192 * 4096, 4096, false);
            }
        }
        drive.model.report().statistics.gc_copied_pages
    };
    assert!(overwrite(true) < overwrite(false) / 2);
}

#[test]
fn reads_of_what_is_not_there_take_the_firmwares_time_or_none_with_quirks() {
    let read = Command::Read {
        offset_bytes: 0,
        len_bytes: 4096,
    };
    let time = |name: &str| {
        let mut drive = Checked::new(&parameters_of(name), 64 * MIB).unwrap();
        drive.write(0, 4096, false);
        drive.submit(Command::Deallocate {
            offset_bytes: 0,
            len_bytes: 4096,
        });
        drive.submit(read) - drive.now_ns
    };
    assert_eq!((time("970pro"), time("tlc-ssd")), (0, 12_000));
}

#[test]
fn nothing_that_a_device_could_pass_panics() {
    for name in ["970pro", "tlc-ssd"] {
        let mut model = ConventionalModel::new(&parameters_of(name), 64 * MIB).unwrap();
        for offset_bytes in [0, 511, 64 * MIB - 1, 1 << 44, u64::MAX - 4096, u64::MAX] {
            for len_bytes in [0, 1, 4096, 1 << 20, u32::MAX] {
                for now_ns in [u64::MAX, 0, 1 << 40] {
                    for command in [
                        Command::Read {
                            offset_bytes,
                            len_bytes: len_bytes.min(1 << 24),
                        },
                        Command::Write {
                            offset_bytes: offset_bytes.min(u64::MAX - (1 << 33)),
                            len_bytes,
                            fua: true,
                        },
                        Command::Deallocate {
                            offset_bytes,
                            len_bytes: u64::from(len_bytes) << 20,
                        },
                    ] {
                        let _ = model.submit(now_ns, &command);
                    }
                }
            }
        }
        assert_eq!(model.check(), Ok(()));
    }
}

#[test]
fn orders_visit_every_lun_once() {
    for choice in [AllocationOrder::ChannelFirst, AllocationOrder::LunFirst] {
        for (channels, luns) in [(1, 1), (2, 3), (8, 4)] {
            let order = allocation::order(choice);
            let mut places: Vec<_> = (0..channels * luns)
                .map(|unit| order.place(unit, channels, luns))
                .collect();
            let first_two = (places[0], places.get(1).copied());
            places.sort_unstable();
            let all: Vec<_> = (0..channels)
                .flat_map(|channel| (0..luns).map(move |lun| (channel, lun)))
                .collect();
            assert_eq!(places, all);
            if (channels, luns) == (8, 4) {
                let second = if choice == AllocationOrder::ChannelFirst {
                    (1, 0)
                } else {
                    (0, 1)
                };
                assert_eq!(first_two, ((0, 0), Some(second)));
            }
        }
    }
}

#[test]
fn partitions_share_pages_in_turn() {
    let model = ConventionalModel::new(&parameters_of("970pro"), 64 * MIB).unwrap();
    let places: Vec<_> = (0..6).map(|page| model.place(page)).collect();
    assert_eq!(places, vec![(0, 0), (1, 0), (2, 0), (3, 0), (0, 1), (1, 1)]);
    assert_eq!(model.place(5 << 32 >> 1), (0, 5 << 29));
    assert_eq!(model.place(u64::MAX).1, u32::MAX);
}
