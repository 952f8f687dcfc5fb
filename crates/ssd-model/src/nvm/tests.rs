//! The NVM model against a word-for-word rendering of MODELS.md §4, and properties that hold for any parameters.

use std::vec::Vec;

use proptest::prelude::*;

use ssd_profile::{Timing, IO_UNIT_SHIFT};

use super::*;

/// MODELS.md §4 as it is written there: one step per piece, the oddities included.
struct Transcript {
    parameters: NvmParameters,
    busy: Vec<u64>,
}

impl Transcript {
    fn new(parameters: NvmParameters) -> Self {
        Self {
            parameters,
            busy: std::vec![0; parameters.io_units as usize],
        }
    }

    fn submit(&mut self, now: u64, command: &Command) -> u64 {
        let (offset, len, timing) = match *command {
            Command::Read {
                offset_bytes,
                len_bytes,
            } => (offset_bytes, len_bytes, self.parameters.read),
            Command::Write {
                offset_bytes,
                len_bytes,
                ..
            }
            | Command::WriteZeroes {
                offset_bytes,
                len_bytes,
                ..
            } => (offset_bytes, len_bytes, self.parameters.write),
            Command::Deallocate { .. } => return now,
            Command::Append { .. } | Command::ZoneSend { .. } | Command::ZoneSendAll { .. } => {
                panic!("not a command of this drive")
            }
            Command::Flush => return *self.busy.iter().max().expect("at least one unit"),
        };
        let unit_bytes = 1_u64 << self.parameters.io_unit_shift;
        let units = self.busy.len();
        let lba = offset / 512;
        let mut unit = ((lba >> (self.parameters.io_unit_shift - 9)) % units as u64) as usize;
        let mut len = u64::from(len);
        let mut left = (units as u64).min(len.div_ceil(unit_bytes));
        let mut t = now.max(self.busy[unit]) + u64::from(timing.delay_ns);
        loop {
            t += u64::from(timing.time_ns);
            self.busy[unit] = t;
            if left > 0 {
                self.busy[unit] += u64::from(timing.trailing_ns);
                left -= 1;
            }
            len = len.saturating_sub(unit_bytes);
            unit = (unit + 1) % units;
            if len == 0 {
                return t;
            }
        }
    }
}

fn timing() -> impl Strategy<Value = Timing> {
    let time_ns = || prop_oneof![0..=10_000_u32, any::<u32>()];
    (time_ns(), time_ns(), time_ns()).prop_map(|(delay_ns, time_ns, trailing_ns)| Timing {
        delay_ns,
        time_ns,
        trailing_ns,
    })
}

fn parameters(reference_quirks: impl Strategy<Value = bool>) -> impl Strategy<Value = NvmParameters> {
    let io_units = prop_oneof![1..=9_u32, IO_UNITS];
    (io_units, IO_UNIT_SHIFT, timing(), timing(), reference_quirks).prop_map(
        |(io_units, io_unit_shift, read, write, reference_quirks)| NvmParameters {
            io_units,
            io_unit_shift,
            read,
            write,
            reference_quirks,
        },
    )
}

fn command() -> impl Strategy<Value = Command> {
    let len_bytes = || prop_oneof![30 => 0..=200_000_u32, 10 => 0..=2_000_000_u32, 1 => Just(u32::MAX)];
    let offset_bytes = || prop_oneof![3 => 0..=1_000_000_u64, 1 => any::<u64>()];
    prop_oneof![
        4 => (offset_bytes(), len_bytes())
            .prop_map(|(offset_bytes, len_bytes)| Command::Read { offset_bytes, len_bytes }),
        4 => (offset_bytes(), len_bytes(), any::<bool>())
            .prop_map(|(offset_bytes, len_bytes, fua)| Command::Write { offset_bytes, len_bytes, fua }),
        1 => (offset_bytes(), len_bytes(), any::<bool>(), any::<bool>())
            .prop_map(|(offset_bytes, len_bytes, fua, deallocate)| Command::WriteZeroes { offset_bytes, len_bytes, fua, deallocate }),
        1 => (offset_bytes(), any::<u64>())
            .prop_map(|(offset_bytes, len_bytes)| Command::Deallocate { offset_bytes, len_bytes }),
        1 => Just(Command::Flush),
    ]
}

/// Commands with the time since the one before.
fn stream() -> impl Strategy<Value = Vec<(u64, Command)>> {
    let gap_ns = prop_oneof![Just(0_u64), 0..=50_000_u64, 0..=1_u64 << 40];
    proptest::collection::vec((gap_ns, command()), 1..40)
}

fn model(parameters: NvmParameters) -> NvmModel {
    NvmModel::new(parameters).expect("the strategy makes valid parameters")
}

fn done_at_ns(model: &mut NvmModel, now_ns: u64, command: &Command) -> u64 {
    model
        .submit(now_ns, command)
        .expect("this model takes every command on")
        .done_at_ns
}

fn timing_of(parameters: &NvmParameters, command: &Command) -> Option<Timing> {
    match command {
        Command::Read { .. } => Some(parameters.read),
        Command::Write { .. } | Command::WriteZeroes { .. } => Some(parameters.write),
        Command::Flush
        | Command::Deallocate { .. }
        | Command::Append { .. }
        | Command::ZoneSend { .. }
        | Command::ZoneSendAll { .. } => None,
    }
}

proptest! {
    #[test]
    fn agrees_with_the_transcript(parameters in parameters(Just(true)), stream in stream()) {
        let (mut model, mut transcript) = (model(parameters), Transcript::new(parameters));
        let mut now_ns = 1_000_000_000;
        for (gap_ns, command) in stream {
            now_ns += gap_ns;
            prop_assert_eq!(done_at_ns(&mut model, now_ns, &command), transcript.submit(now_ns, &command));
            prop_assert_eq!(model.busy_until_ns(), transcript.busy.as_slice());
        }
    }

    #[test]
    fn same_commands_same_answers(parameters in parameters(any::<bool>()), stream in stream()) {
        let (mut one, mut other) = (model(parameters), model(parameters));
        let mut now_ns = 0;
        for (gap_ns, command) in stream {
            now_ns += gap_ns;
            prop_assert_eq!(one.submit(now_ns, &command), other.submit(now_ns, &command));
        }
        prop_assert_eq!(one.busy_until_ns(), other.busy_until_ns());
    }

    #[test]
    fn shared_units_give_one_thread_the_same_answers(
        parameters in parameters(any::<bool>()), before in stream(), meanwhile in stream(), after in stream(),
    ) {
        let (mut alone, mut sharing) = (model(parameters), model(parameters));
        let units = SharedUnits::new().expect("memory");
        let mut now_ns = 0;
        for (gap_ns, command) in before {
            now_ns += gap_ns;
            prop_assert_eq!(alone.submit(now_ns, &command), sharing.submit(now_ns, &command));
        }
        sharing.share(&units);
        for (gap_ns, command) in meanwhile {
            now_ns += gap_ns;
            prop_assert_eq!(alone.submit(now_ns, &command), units.submit(&parameters, now_ns, &command));
        }
        sharing.take_back(&units);
        prop_assert_eq!(alone.busy_until_ns(), sharing.busy_until_ns());
        for (gap_ns, command) in after {
            now_ns += gap_ns;
            prop_assert_eq!(alone.submit(now_ns, &command), sharing.submit(now_ns, &command));
        }
    }

    #[test]
    fn a_transfer_takes_at_least_its_own_times(parameters in parameters(any::<bool>()), stream in stream()) {
        let mut model = model(parameters);
        let mut now_ns = 0;
        for (gap_ns, command) in stream {
            now_ns += gap_ns;
            let done_at_ns = done_at_ns(&mut model, now_ns, &command);
            if let Some(timing) = timing_of(&parameters, &command) {
                prop_assert!(done_at_ns >= now_ns + u64::from(timing.delay_ns) + u64::from(timing.time_ns));
            }
        }
    }

    #[test]
    fn without_quirks_no_unit_gets_idle_earlier_and_no_flush_ends_in_the_past(
        parameters in parameters(Just(false)), stream in stream(),
    ) {
        let mut model = model(parameters);
        let mut now_ns = 0;
        for (gap_ns, command) in stream {
            now_ns += gap_ns;
            let before = model.busy_until_ns().to_vec();
            let done_at_ns = done_at_ns(&mut model, now_ns, &command);
            prop_assert!(done_at_ns >= now_ns);
            prop_assert!(before.iter().zip(model.busy_until_ns()).all(|(before, after)| before <= after));
        }
    }

    #[test]
    fn any_values_and_times_are_survived(
        parameters in parameters(any::<bool>()),
        calls in proptest::collection::vec(
            (prop_oneof![any::<u64>(), u64::MAX - 100_000..=u64::MAX], command()), 1..40),
    ) {
        let mut model = model(parameters);
        for (now_ns, command) in calls {
            let done_at_ns = done_at_ns(&mut model, now_ns, &command);
            prop_assert!(command == Command::Flush || done_at_ns >= now_ns);
        }
    }

    #[test]
    fn invalid_parameters_are_refused_and_change_nothing(
        valid in parameters(any::<bool>()), io_units in any::<u32>(), io_unit_shift in any::<u32>(),
    ) {
        let asked = NvmParameters { io_units, io_unit_shift, ..valid };
        let is_valid = IO_UNITS.contains(&io_units) && IO_UNIT_SHIFT.contains(&io_unit_shift);
        let mut model = model(valid);
        model.set_parameters(asked);
        prop_assert_eq!(model.parameters(), if is_valid { &asked } else { &valid });
        prop_assert_eq!(NvmModel::new(asked).is_ok(), is_valid);
    }
}

const CUSTOM: NvmParameters = NvmParameters {
    io_units: 4,
    io_unit_shift: 12,
    read: Timing {
        delay_ns: 3_000,
        time_ns: 700,
        trailing_ns: 100,
    },
    write: Timing {
        delay_ns: 5_000,
        time_ns: 900,
        trailing_ns: 200,
    },
    reference_quirks: true,
};
const SANE: NvmParameters = NvmParameters {
    reference_quirks: false,
    ..CUSTOM
};

const fn read(unit: u64, units: u32) -> Command {
    Command::Read {
        offset_bytes: unit << 12,
        len_bytes: units << 12,
    }
}

const fn write(unit: u64, units: u32) -> Command {
    Command::Write {
        offset_bytes: unit << 12,
        len_bytes: units << 12,
        fua: false,
    }
}

#[test]
fn q8_a_later_unit_forgets_what_it_was_busy_with_only_with_quirks() {
    for (parameters, unit_1_busy_until_ns) in [(CUSTOM, 4_500), (SANE, 6_100)] {
        let mut model = model(parameters);
        // Unit 1 is busy with a write when a read comes to it second, after unit 0.
        assert_eq!(done_at_ns(&mut model, 0, &write(1, 1)), 5_900);
        assert_eq!(done_at_ns(&mut model, 0, &read(0, 2)), 4_400);
        assert_eq!(model.busy_until_ns(), [3_800, unit_1_busy_until_ns, 0, 0]);
    }
}

#[test]
fn q9_a_command_that_wraps_round_has_no_trailing_time_only_with_quirks() {
    for (parameters, first_unit_busy_until_ns) in [(CUSTOM, 6_500), (SANE, 6_600)] {
        let mut model = model(parameters);
        assert_eq!(done_at_ns(&mut model, 0, &read(0, 5)), 6_500);
        assert_eq!(
            model.busy_until_ns(),
            [first_unit_busy_until_ns, 4_500, 5_200, 5_900]
        );
    }
}

#[test]
fn q10_a_flush_of_an_idle_drive_ends_in_the_past_only_with_quirks() {
    for (parameters, idle_flush_ns, later_flush_ns) in [(CUSTOM, 0, 3_800), (SANE, 50, 9_000)] {
        let mut model = model(parameters);
        assert_eq!(done_at_ns(&mut model, 50, &Command::Flush), idle_flush_ns);
        done_at_ns(&mut model, 0, &read(0, 1));
        assert_eq!(done_at_ns(&mut model, 10, &Command::Flush), 3_800);
        assert_eq!(done_at_ns(&mut model, 9_000, &Command::Flush), later_flush_ns);
    }
}

#[test]
fn no_data_takes_the_time_of_one_piece_without_trailing() {
    let mut model = model(CUSTOM);
    assert_eq!(done_at_ns(&mut model, 0, &read(2, 0)), 3_700);
    assert_eq!(model.busy_until_ns(), [0, 0, 3_700, 0]);
}

#[test]
fn only_another_geometry_makes_the_units_idle() {
    let mut model = model(CUSTOM);
    done_at_ns(&mut model, 0, &read(0, 1));
    let slower = NvmParameters {
        read: Timing {
            delay_ns: 9_000,
            ..CUSTOM.read
        },
        ..CUSTOM
    };
    model.set_parameters(slower);
    assert_eq!(model.busy_until_ns(), [3_800, 0, 0, 0]);
    assert_eq!(done_at_ns(&mut model, 0, &read(1, 1)), 9_700);

    model.set_parameters(NvmParameters {
        io_units: 4_096,
        ..slower
    });
    assert!(model
        .busy_until_ns()
        .iter()
        .all(|busy_until_ns| *busy_until_ns == 0));
    assert_eq!(model.busy_until_ns().len(), 4_096);
}

#[test]
fn errors_name_the_parameter_the_value_and_the_range() {
    let none = NvmParameters {
        io_units: 0,
        ..CUSTOM
    }
    .validate()
    .expect_err("no units");
    assert_eq!(
        std::format!("{none}"),
        "nvm.io_units is 0: choose a value from 1 to 4096"
    );
    let small = NvmParameters {
        io_unit_shift: 8,
        ..CUSTOM
    }
    .validate()
    .expect_err("too small");
    assert_eq!(
        std::format!("{small}"),
        "nvm.io_unit_shift is 8: choose a value from 9 to 31"
    );
}

#[test]
fn threads_that_share_a_unit_lose_none_of_its_time() {
    const COMMANDS: u64 = 20_000;
    let timing = Timing {
        delay_ns: 3,
        time_ns: 7,
        trailing_ns: 2,
    };
    let parameters = NvmParameters {
        io_units: 1,
        read: timing,
        write: timing,
        reference_quirks: false,
        ..SANE
    };
    let units = SharedUnits::new().expect("memory");
    let read = Command::Read {
        offset_bytes: 0,
        len_bytes: 512,
    };
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..COMMANDS {
                    units.submit(&parameters, 0, &read).expect("a read");
                }
            });
        }
    });
    // Each command begins when the one before has left the unit.
    let flushed = units.submit(&parameters, 0, &Command::Flush).expect("a flush");
    assert_eq!(flushed.done_at_ns, 2 * COMMANDS * (3 + 7 + 2));
}
