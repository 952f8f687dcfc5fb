//! Seeds of the targets `registers` and `config_space`.

use crate::seeds::steps::{io, lbas};
use crate::step::Step;
use crate::storm::{Access, Act};

pub(super) fn of_registers() -> Vec<(&'static str, Vec<Act>)> {
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

pub(super) fn of_config_space() -> Vec<(&'static str, Vec<Access>)> {
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
