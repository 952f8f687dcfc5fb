//! Seeds of the target `data_pointers`.

use zerocopy::IntoBytes;

use crate::seeds::steps::{io, lbas, with_pointer};
use crate::step::Step;
use crate::SCRIPT_WORDS;

/// A step, and words for its data pointer.
fn scripted(step: Step, script: [u16; SCRIPT_WORDS]) -> Vec<u8> {
    let mut bytes = step.as_bytes().to_vec();
    script.iter().for_each(|word| bytes.extend(word.to_le_bytes()));
    bytes
}

pub(super) fn of_data_pointers() -> Vec<(&'static str, Vec<Vec<u8>>)> {
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
