//! Where the fuzzer begins: what the tests in `crates/nvmev-sim/tests/` do, as inputs. `cargo xtask fuzz --write-seeds` writes them to `seeds/`.

use zerocopy::{Immutable, IntoBytes};

use crate::step::{Header, Step, AT_ONCE};
use crate::storm::{Access, Act};
use crate::SCRIPT_WORDS;

/// A seed: for which target, its name, its bytes.
pub type Seed = (&'static str, &'static str, Vec<u8>);

const HEADER: Header = Header {
    workers: 0x11,
    queues: 2,
    entries: 12,
    interrupts: 1,
};

/// Values of [`Step::action`].
mod action {
    pub const IO: u8 = 0;
    pub const ADMIN: u8 = 14;
    pub const FUSED: u8 = 18;
    pub const ABORT: u8 = 20;
    pub const EVENT: u8 = 21;
    pub const POLL_CONTROLLER: u8 = 22;
    pub const POLL_WORKER: u8 = 23;
    pub const WAIT: u8 = 26;
    pub const SETTLE: u8 = 27;
    pub const RESET: u8 = 28;
    pub const RECREATE: u8 = 29;
    pub const MASK: u8 = 30;
}

/// Values of [`Step::opcode`] for LBAs; one more is a command for pairs where a namespace has both.
mod lbas {
    pub const WRITE: u8 = 0;
    pub const READ: u8 = 2;
    pub const WRITE_ZEROES: u8 = 8;
    pub const DATASET_MANAGEMENT: u8 = 10;
    pub const COPY: u8 = 12;
    pub const COMPARE: u8 = 14;
    pub const VERIFY: u8 = 16;
    pub const WRITE_UNCORRECTABLE: u8 = 18;
    pub const FLUSH: u8 = 20;
    pub const APPEND: u8 = 22;
    pub const ZONE_SEND: u8 = 24;
    pub const ZONE_RECEIVE: u8 = 26;
}

/// Values of [`Step::opcode`] for pairs, of a namespace that has LBAs as well or not.
mod pairs {
    pub const STORE: u8 = 1;
    pub const RETRIEVE: u8 = 5;
    pub const LIST: u8 = 9;
    pub const DELETE: u8 = 11;
    pub const EXIST: u8 = 13;
    pub const VENDOR_STORE: u8 = 17;
    pub const VENDOR_APPEND: u8 = 21;
    pub const VENDOR_RETRIEVE: u8 = 23;
    pub const VENDOR_DELETE: u8 = 25;
    pub const VENDOR_BATCH: u8 = 27;
    pub const VENDOR_ITERATE: u8 = 29;
}

fn input<T: IntoBytes + Immutable>(records: &[T]) -> Vec<u8> {
    let mut bytes = HEADER.as_bytes().to_vec();
    records
        .iter()
        .for_each(|record| bytes.extend_from_slice(record.as_bytes()));
    bytes
}

fn act(action: u8) -> Step {
    Step {
        action,
        ..Step::default()
    }
}

/// A command for LBAs of namespace `nsid`.
fn io(nsid: u8, opcode: u8, lba: u16, count: u8) -> Step {
    Step {
        action: action::IO,
        nsid: nsid - 1,
        opcode,
        lba: lba.into(),
        lbas: count - 1,
        ..Step::default()
    }
}

fn zone(action: u8, zone: u16) -> Step {
    Step {
        detail: action,
        ..io(3, lbas::ZONE_SEND, zone << 8, 1)
    }
}

fn pair(nsid: u8, opcode: u8, key: u8, len: u8) -> Step {
    Step {
        detail: key,
        ..io(nsid, opcode, 0, len)
    }
}

fn admin(opcode: u8, detail: u8) -> Step {
    Step {
        opcode,
        detail,
        ..act(action::ADMIN)
    }
}

fn at_once(step: Step) -> Step {
    Step {
        action: step.action | AT_ONCE,
        ..step
    }
}

fn with_pointer(step: Step, pointer: u8, pointer_detail: u8) -> Step {
    Step {
        pointer,
        pointer_detail,
        ..step
    }
}

fn of_commands() -> Vec<(&'static str, Vec<Step>)> {
    let everywhere = |steps: &dyn Fn(u8) -> Vec<Step>| [1, 2, 5, 6].into_iter().flat_map(steps).collect();
    vec![
        (
            "write_and_read_back",
            everywhere(&|nsid| vec![io(nsid, lbas::WRITE, 7, 8), io(nsid, lbas::READ, 5, 12)]),
        ),
        (
            "beyond_the_end",
            everywhere(&|nsid| vec![io(nsid, lbas::WRITE, 0xF808, 4), io(nsid, lbas::READ, 0xFFFF, 1)]),
        ),
        (
            "longest_transfer",
            vec![
                io(1, lbas::WRITE, 0, 0xF4),
                io(1, lbas::READ, 0, 0xF4),
                io(1, lbas::READ, 0, 0xF5),
            ],
        ),
        (
            "zeroes_and_deallocation",
            everywhere(&|nsid| {
                vec![
                    io(nsid, lbas::WRITE, 0, 12),
                    io(nsid, lbas::WRITE_ZEROES, 2, 3),
                    Step {
                        detail: 0x32,
                        ..io(nsid, lbas::DATASET_MANAGEMENT, 4, 3)
                    },
                    io(nsid, lbas::READ, 0, 12),
                    io(nsid, lbas::FLUSH, 0, 1),
                ]
            }),
        ),
        (
            "copy_compare_verify",
            everywhere(&|nsid| {
                vec![
                    io(nsid, lbas::WRITE, 0, 8),
                    Step {
                        detail: 0x20,
                        ..io(nsid, lbas::COPY, 40, 3)
                    },
                    io(nsid, lbas::COMPARE, 0, 8),
                    io(nsid, lbas::VERIFY, 0, 8),
                    io(nsid, lbas::READ, 40, 12),
                ]
            }),
        ),
        (
            "uncorrectable",
            everywhere(&|nsid| {
                vec![
                    io(nsid, lbas::WRITE_UNCORRECTABLE, 3, 2),
                    io(nsid, lbas::READ, 0, 4),
                    io(nsid, lbas::WRITE, 3, 2),
                    io(nsid, lbas::READ, 0, 8),
                ]
            }),
        ),
        (
            "fused",
            vec![
                io(1, lbas::WRITE, 0, 4),
                Step {
                    action: action::FUSED,
                    ..io(1, lbas::WRITE, 0, 4)
                },
            ],
        ),
        (
            "fused_and_ended_early",
            [action::RESET, action::RECREATE, action::SETTLE]
                .into_iter()
                .flat_map(|end| {
                    [
                        at_once(Step {
                            action: action::FUSED,
                            ..io(1, lbas::WRITE, 0, 4)
                        }),
                        at_once(act(action::POLL_CONTROLLER)),
                        act(end),
                        io(1, lbas::READ, 0, 4),
                    ]
                })
                .collect(),
        ),
        (
            "append_report_reset",
            vec![
                io(3, lbas::APPEND, 0, 8),
                at_once(io(3, lbas::APPEND, 0, 8)),
                io(3, lbas::READ, 0, 12),
                io(3, lbas::ZONE_RECEIVE, 0, 40),
                zone(0, 0),
                io(3, lbas::READ, 0, 12),
            ],
        ),
        (
            "zone_states",
            (0..7)
                .map(|action| zone(action, 1))
                .chain([Step {
                    flags: 0x40,
                    ..zone(0, 0)
                }])
                .collect(),
        ),
        (
            "random_write_area",
            vec![
                Step {
                    flags: 0x80,
                    ..zone(1, 2)
                },
                io(3, lbas::WRITE, 0x200, 8),
                Step {
                    flags: 0x10,
                    ..io(3, lbas::WRITE, 0x208, 8)
                },
                Step {
                    flags: 0x10,
                    ..zone(6, 2)
                },
                zone(3, 2),
            ],
        ),
        (
            "store_retrieve_delete",
            vec![
                pair(4, pairs::STORE, 5, 100),
                pair(4, pairs::RETRIEVE, 5, 120),
                pair(4, pairs::EXIST, 5, 1),
                pair(4, pairs::LIST, 5, 0xC0),
                pair(4, pairs::DELETE, 5, 1),
                pair(4, pairs::RETRIEVE, 5, 100),
            ],
        ),
        (
            "vendor_pairs",
            [4, 5]
                .into_iter()
                .flat_map(|nsid| {
                    [
                        pairs::VENDOR_STORE,
                        pairs::VENDOR_APPEND,
                        pairs::VENDOR_RETRIEVE,
                        pairs::VENDOR_DELETE,
                    ]
                    .map(|opcode| pair(nsid, opcode, 7, 60))
                })
                .collect(),
        ),
        (
            "batch_and_iterators",
            vec![
                pair(4, pairs::VENDOR_BATCH, 4, 0xF8),
                Step {
                    flags: 1,
                    ..pair(4, pairs::VENDOR_ITERATE, 0, 1)
                },
                pair(4, pairs::VENDOR_ITERATE, 1, 0xC0),
                pair(4, pairs::VENDOR_ITERATE, 1, 0xC0),
            ],
        ),
        (
            "fill_the_pairs",
            (0..24)
                .map(|key| pair(5, pairs::VENDOR_STORE, key, 0xF8))
                .collect(),
        ),
        (
            "abort_and_delete_under_way",
            vec![
                at_once(io(2, lbas::WRITE, 0, 0xF4)),
                at_once(io(2, lbas::READ, 0, 0xF4)),
                at_once(act(action::POLL_CONTROLLER)),
                at_once(act(action::POLL_WORKER)),
                at_once(Step {
                    detail: 1,
                    ..act(action::ABORT)
                }),
                at_once(act(action::RECREATE)),
                act(action::SETTLE),
            ],
        ),
        (
            "resets",
            (0..5)
                .flat_map(|how| {
                    [
                        io(1, lbas::WRITE, 9, 4),
                        at_once(io(2, lbas::WRITE, 9, 4)),
                        Step {
                            detail: how,
                            ..act(action::RESET)
                        },
                    ]
                })
                .collect(),
        ),
        (
            "events_and_masks",
            vec![
                at_once(act(action::EVENT)),
                Step {
                    detail: 4,
                    value: 0.into(),
                    ..admin(3, 4)
                },
                at_once(Step {
                    detail: 2,
                    value: 1.into(),
                    ..act(action::MASK)
                }),
                io(1, lbas::READ, 0, 1),
                Step {
                    value: 4_000_000.into(),
                    ..act(action::WAIT)
                },
            ],
        ),
        (
            "identify_logs_features",
            (0..0x20)
                .flat_map(|which| [admin(0, which), admin(1, which), admin(2, which), admin(3, which)])
                .collect(),
        ),
        (
            "self_test",
            vec![admin(4, 0), admin(4, 1), admin(1, 6), admin(4, 2)],
        ),
        (
            "odd_opcodes",
            (0..32)
                .map(|which: u32| Step {
                    opcode: 0xC0,
                    value: (which * 8 + 1).into(),
                    ..io(1 + which as u8 % 6, 0, 0, 1)
                })
                .collect(),
        ),
    ]
}

/// A step, and words for its data pointer.
fn scripted(step: Step, script: [u16; SCRIPT_WORDS]) -> Vec<u8> {
    let mut bytes = step.as_bytes().to_vec();
    script.iter().for_each(|word| bytes.extend(word.to_le_bytes()));
    bytes
}

fn of_data_pointers() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let long = |form: u8| {
        let both = [lbas::WRITE, lbas::READ].map(|opcode| with_pointer(io(1, opcode, 0, 0xF3), form, 5));
        both.map(|step| scripted(step, [0x10, 0x20, 0x31, 0x40, 0x50, 0x60, 0x70, 0x80]))
            .to_vec()
    };
    vec![
        ("right_lists", (0..4).flat_map(long).collect()),
        ("wrong_lists", (4..12).flat_map(long).collect()),
        ("sgls", (12..17).flat_map(long).collect()),
        (
            "scripts",
            [0x0Bu16, 0x0D, 0x0E, 0x0F, 0x09, 0x0A]
                .iter()
                .flat_map(|&word| {
                    [11, 15].map(|form| {
                        let step = with_pointer(io(2, lbas::READ, 0, 0xF2), form, 7);
                        scripted(step, [0, 0x10, word, 0x30 | word, 0x20, 0x11, word, 0x40])
                    })
                })
                .collect(),
        ),
        (
            "lists_of_ranges",
            [lbas::DATASET_MANAGEMENT, lbas::COPY]
                .iter()
                .flat_map(|&opcode| {
                    [0, 1, 6, 11]
                        .map(|form| scripted(with_pointer(io(1, opcode, 0, 30), form, 9), [0; SCRIPT_WORDS]))
                })
                .collect(),
        ),
    ]
}

fn of_registers() -> Vec<(&'static str, Vec<Act>)> {
    let run = |act: Act| Act {
        step: Step {
            action: 0b1011,
            ..act.step
        },
        ..act
    };
    let kind = |kind: u8| {
        run(Act {
            kind,
            ..Act::default()
        })
    };
    let queue = |detail: u8| {
        run(Act {
            kind: 15,
            step: Step {
                detail,
                queue: 0,
                nsid: 0,
                lbas: 8,
                ..Step::default()
            },
            ..Act::default()
        })
    };
    let enabled = || {
        vec![
            kind(14),
            queue(0),
            queue(3),
            Act {
                step: Step {
                    lbas: 6,
                    ..Step::default()
                },
                ..kind(21)
            },
        ]
    };
    let with = |mut acts: Vec<Act>, more: &[Act]| {
        acts.extend_from_slice(more);
        acts
    };
    let submit = |step: Step| {
        run(Act {
            kind: 18,
            which: 1,
            step,
            ..Act::default()
        })
    };
    vec![
        ("enable_and_queues", enabled()),
        (
            "commands_of_a_host_that_never_reaps",
            with(enabled(), &[submit(io(2, lbas::WRITE, 0, 4)); 12]),
        ),
        (
            "subsystem_reset_under_way",
            with(enabled(), &[submit(io(2, lbas::READ, 0, 4)), kind(13), kind(14)]),
        ),
        (
            "doorbells_without_queues",
            (0..8)
                .map(|which| {
                    run(Act {
                        kind: 4 + which % 3,
                        which,
                        value: 3.into(),
                        ..Act::default()
                    })
                })
                .collect(),
        ),
        (
            "queues_without_memory",
            vec![
                run(Act {
                    kind: 10,
                    value: 0x000F_000C.into(),
                    ..Act::default()
                }),
                run(Act {
                    kind: 9,
                    value: 1.into(),
                    ..Act::default()
                }),
            ],
        ),
        (
            "bytes_of_registers",
            (0..16)
                .map(|at: u16| {
                    run(Act {
                        kind: 7,
                        which: at as u8,
                        offset: (at * 3).into(),
                        value: u32::MAX.into(),
                        ..Act::default()
                    })
                })
                .collect(),
        ),
        (
            "deletion_with_commands",
            with(
                enabled(),
                &[submit(io(2, lbas::WRITE, 0, 8)), queue(6), queue(7), queue(0)],
            ),
        ),
        (
            "shutdown",
            with(
                enabled(),
                &[
                    run(Act {
                        kind: 9,
                        value: 0x4001.into(),
                        ..Act::default()
                    }),
                    kind(14),
                ],
            ),
        ),
    ]
}

fn of_config_space() -> Vec<(&'static str, Vec<Access>)> {
    let access = |offset: u16, width: u8, value: u32| Access {
        offset: offset.into(),
        width,
        place: 0x80,
        value: value.into(),
    };
    vec![
        ("function_level_reset", vec![access(0x68, 2, 0x8000)]),
        (
            "sizing_the_bar",
            vec![access(0x10, 4, u32::MAX), access(0x14, 4, u32::MAX)],
        ),
        (
            "msix",
            vec![access(0x52, 2, 0xC000), access(4, 2, 0x0406), access(0x52, 2, 0)],
        ),
        (
            "odd_accesses",
            vec![
                access(1, 2, 0),
                access(4095, 4, 0),
                access(0, 3, 0),
                access(4096, 1, 0),
            ],
        ),
    ]
}

/// Traces in all formats, with each kind of line.
fn of_traces() -> Vec<(&'static str, &'static str)> {
    vec![
        ("iolog_1", "0, 4096, 512\n1, 8192, 4096\n"),
        (
            "iolog_2",
            "fio version 2 iolog\n/x add\n/x open\n/x write 0 4096\n/y read 512 300000\n/x wait 100 0\n/x sync 0 0\n/x datasync\n\
             /x trim 0 1048576\n/x write 0 0\n/x close\n",
        ),
        (
            "iolog_3",
            "fio version 3 iolog\n1 /x add\n9 /x write 4096 4096\n7 /x read 0 512\n8 /x trim 0 4096\n9 /x sync_file_range 0 0\n9 /x wait 5 0\n",
        ),
        (
            "msr",
            "Timestamp,Hostname,DiskNumber,Type,Offset,Size,ResponseTime\n128166372003061629,hm,0,Read,7014609920,24576,41286\n\
             128166372003061529,hm,1,Write,8192,4096,26\n",
        ),
        (
            "blkparse",
            "Input file sda.blktrace.0 added\n  8,0    1        1     0.000000000   700  D  WS 4096 + 8 [writer]\n  8,0    1        2     0.001000000    71  D  FN \
             [kworker/1:1H]\n  8,16   1        2     0.331614356   184  D   R 36 (12 00 00 00 24 00 ..) [a b]\n  8,0    0        3     0.000000500   700  \
             D FWFS 64 + 8 [x]\n  8,0    0        4     0.5   700  Q  DS 64 + 8192 [x]\n  8,0    0        5     0.6   700  D  DS 64 + 8192 [x]\nCPU0 (sda):\n \
             Reads Queued:           0,        0KiB\n",
        ),
    ]
}

/// All of them.
pub fn all() -> Vec<Seed> {
    let mut seeds = Vec::new();
    seeds.extend(
        of_commands()
            .into_iter()
            .map(|(name, steps)| ("commands", name, input(&steps))),
    );
    seeds.extend(of_data_pointers().into_iter().map(|(name, steps)| {
        (
            "data_pointers",
            name,
            [HEADER.as_bytes(), &steps.concat()].concat(),
        )
    }));
    seeds.extend(
        of_registers()
            .into_iter()
            .map(|(name, acts)| ("registers", name, input(&acts))),
    );
    seeds.extend(
        of_config_space()
            .into_iter()
            .map(|(name, accesses)| ("config_space", name, input(&accesses))),
    );
    seeds.extend(
        of_traces()
            .into_iter()
            .map(|(name, text)| ("traces", name, text.as_bytes().to_vec())),
    );
    seeds
}
