//! What must always hold in a partition, found by looking at everything. For tests: it takes long.

use super::lines::{LineState, Lines};
use super::mapping::PageMapping;
use super::victim::Victims;

/// Checks mapping, lines and candidates against each other.
///
/// # Errors
/// What does not hold.
pub(super) fn check(
    mapping: &impl PageMapping,
    lines: &Lines,
    victims: &impl Victims,
    open: [u32; 2],
) -> Result<(), &'static str> {
    for logical in 0..mapping.len() {
        if let Some(physical) = mapping.lookup(logical) {
            if lines.owner(physical) != Some(logical) {
                return Err("a mapped page does not map back");
            }
        }
    }
    let (mut free, mut candidates) = (0, 0);
    for line in 0..lines.len() {
        let first = lines.first_page(line);
        let valid = lines.count_valid(first, lines.pages_per_line());
        if valid != lines.valid_pages(line) {
            return Err("a line's count of valid pages is not that of a recount");
        }
        for physical in first..first + lines.pages_per_line() {
            if lines
                .owner(physical)
                .is_some_and(|logical| mapping.lookup(logical) != Some(physical))
            {
                return Err("a page has two valid copies");
            }
        }
        let is_open = open.contains(&line);
        let is_as_it_should_be = match lines.state(line) {
            LineState::Free => {
                free += 1;
                valid == 0 && !is_open
            }
            LineState::Open => is_open,
            LineState::Full => valid == lines.pages_per_line() && !is_open,
            LineState::Victim => {
                candidates += 1;
                valid < lines.pages_per_line() && !is_open
            }
        };
        if !is_as_it_should_be {
            return Err("a line's state is not that of its pages");
        }
    }
    if free != lines.free_len() || free == 0 {
        return Err("there is no free line, or their count is wrong");
    }
    if candidates != victims.len() {
        return Err("the candidates are not the lines with invalid pages");
    }
    Ok(())
}
