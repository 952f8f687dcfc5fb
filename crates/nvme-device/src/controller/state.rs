//! Where the controller stands.

use crate::command::work::Ticket;

/// Why the controller is being reset: what is lost differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reset {
    /// CC.EN went to 0: the admin queue registers stay.
    Controller,
    /// Function level reset: all registers are cleared.
    Function,
    /// NSSR: as a function level reset, and CSTS.NSSRO tells of it.
    Subsystem,
}

/// Where the controller stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// CC.EN = 0.
    Disabled,
    /// CSTS.RDY = 1.
    Ready,
    /// Waiting for the workers to forget everything.
    Resetting {
        reset: Reset,
        ticket: Ticket,
        unanswered: usize,
    },
    /// CSTS.CFS = 1: waiting for a reset.
    Failed,
}

/// How far a shutdown has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shutdown {
    No,
    /// Nothing is fetched any more; commands under way are being completed.
    Processing,
    /// Left only by a reset.
    Complete,
}
