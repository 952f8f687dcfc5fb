//! What the commands of zoned namespaces mean.

use nvme_spec::ZoneSendAction;

use super::meaning::{Context, Meaning, Transfer};
use crate::drive::ZONE_LBAS;

/// Of what writes.
pub const WRITE_STATUSES: &[u16] = &[
    0x080, 0x1B6, 0x1B7, 0x1B8, 0x1B9, 0x1BA, 0x1BB, 0x1BC, 0x1BD, 0x1BE,
];
/// Of what reads.
pub const READ_STATUSES: &[u16] = &[0x080, 0x281, 0x285, 0x1B8, 0x1BB];
/// Of Copy.
pub const COPY_STATUSES: &[u16] = &[
    0x080, 0x183, 0x281, 0x1B6, 0x1B7, 0x1B8, 0x1B9, 0x1BA, 0x1BB, 0x1BC, 0x1BD, 0x1BE,
];
/// Of Zone Management Send; Zone Boundary Error if what is to be flushed is not in the random write area.
pub const SEND_STATUSES: &[u16] = &[
    0x080, 0x1B6, 0x1B7, 0x1B8, 0x1BA, 0x1BB, 0x1BC, 0x1BD, 0x1BE, 0x1BF,
];

/// Zone Append: all of the zone, until the result says where.
pub fn append(context: &Context<'_>) -> Meaning {
    let zslba = context.entry.slba();
    Meaning::Append(zslba..zslba.saturating_add(ZONE_LBAS), context.count())
}

fn action(context: &Context<'_>) -> ZoneSendAction {
    ZoneSendAction(context.entry.cdw13.get() as u8)
}

/// Zone Management Send.
pub fn send_data(context: &Context<'_>) -> Transfer {
    match action(context) {
        ZoneSendAction::SET_ZONE_DESCRIPTOR_EXTENSION => Transfer::FromHost(64),
        _ => Transfer::None,
    }
}

/// Zone Management Send.
pub fn send(context: &Context<'_>) -> Meaning {
    let cdw13 = context.entry.cdw13.get();
    let has_zrwa = cdw13 & 1 << 9 != 0;
    let slba = context.entry.slba();
    let zone = match cdw13 & 1 << 8 {
        0 => slba - slba % ZONE_LBAS..(slba - slba % ZONE_LBAS).saturating_add(ZONE_LBAS),
        _ => 0..context.namespace.traits.size_lbas,
    };
    match action(context) {
        ZoneSendAction::RESET => Meaning::ResetZones(zone),
        ZoneSendAction::OPEN | ZoneSendAction::SET_ZONE_DESCRIPTOR_EXTENSION if has_zrwa => {
            Meaning::Loosen(zone)
        }
        ZoneSendAction::CLOSE
        | ZoneSendAction::FINISH
        | ZoneSendAction::OPEN
        | ZoneSendAction::OFFLINE
        | ZoneSendAction::SET_ZONE_DESCRIPTOR_EXTENSION
        | ZoneSendAction::FLUSH_EXPLICIT_ZRWA => Meaning::Nothing,
        _ => Meaning::Anything,
    }
}
