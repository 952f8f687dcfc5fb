//! Seeds of the target `commands`.

use crate::seeds::steps::{act, action, admin, at_once, io, lbas, pair, pairs, zone};
use crate::step::Step;

type Script = (&'static str, Vec<Step>);

pub(super) fn of_commands() -> Vec<Script> {
    [of_lbas(), of_zones(), of_pairs(), of_the_controller()].concat()
}

/// Of namespaces with LBAs.
fn of_lbas() -> Vec<Script> {
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
    ]
}

/// Of the zoned namespace.
fn of_zones() -> Vec<Script> {
    vec![
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
    ]
}

/// Of namespaces with pairs.
fn of_pairs() -> Vec<Script> {
    vec![
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
    ]
}

/// Of admin commands, and of what happens to a controller.
fn of_the_controller() -> Vec<Script> {
    vec![
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
