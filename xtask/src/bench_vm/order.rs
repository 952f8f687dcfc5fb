//! Whose turn it is: the two sides one after the other in each round, and the one that was second is first in the next.

/// One of the two modules (or of the two sets of parameters) that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// This project's module with `MODPARAMS`.
    Ours,
    /// The module in `OTHER`, or ours again, with `OTHERPARAMS`.
    Other,
}

impl Side {
    /// As scripts in the guest and files call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Other => "other",
        }
    }
}

/// One side's run of all jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Counted from 1.
    pub number: usize,
    /// Counted from 1.
    pub round: usize,
    /// Whose turn.
    pub side: Side,
}

/// The turns of so many rounds: ours, other; other, ours; ours, other; … What drifts while they run (the machine's other load, its
/// clock) then meets each side as often first as second.
pub fn turns(rounds: usize) -> Vec<Turn> {
    let sides = (1..=rounds).flat_map(|round| {
        let [first, second] = if round % 2 == 1 {
            [Side::Ours, Side::Other]
        } else {
            [Side::Other, Side::Ours]
        };
        [(round, first), (round, second)]
    });
    let numbered = (1..).zip(sides);
    numbered
        .map(|(number, (round, side))| Turn { number, round, side })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_second_is_first_in_the_next_round() {
        use Side::{Other, Ours};
        let turns = turns(3);
        let sides: Vec<Side> = turns.iter().map(|turn| turn.side).collect();
        assert_eq!(sides, [Ours, Other, Other, Ours, Ours, Other]);
        let rounds: Vec<usize> = turns.iter().map(|turn| turn.round).collect();
        assert_eq!(rounds, [1, 1, 2, 2, 3, 3]);
        let numbers: Vec<usize> = turns.iter().map(|turn| turn.number).collect();
        assert_eq!(numbers, [1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn every_round_has_both_sides() {
        for round in turns(9).chunks(2) {
            assert_ne!(round[0].side, round[1].side);
            assert_eq!(round[0].round, round[1].round);
        }
    }
}
