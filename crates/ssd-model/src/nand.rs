//! The flash array: LUNs behind channels (MODELS.md §2). Planes are not modelled; a LUN does one thing at a time.

use alloc::vec::Vec;

use ssd_profile::{NandParameters, CELL_BITS_MAX};

use crate::divisor::Divisor;
use crate::link::Link;
use crate::table::{room, table};
use crate::{SetupError, Utilisation};

/// A LUN, named over all channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lun {
    /// Its channel.
    pub channel: u32,
    /// Its number in [`Nand`]'s table.
    pub index: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct LunState {
    available_at_ns: u64,
    busy_ns: u64,
}

impl LunState {
    /// Busy from `begin_ns` to `end_ns`.
    #[inline]
    fn work(&mut self, begin_ns: u64, end_ns: u64) {
        self.busy_ns += end_ns.saturating_sub(begin_ns);
        self.available_at_ns = end_ns;
    }
}

/// All channels and LUNs of a drive.
#[derive(Clone, Debug)]
pub struct Nand {
    channels: Vec<Link>,
    luns: Vec<LunState>,
    luns_per_channel: u32,
    cell_bits: Divisor,
    read_4k_ns: [u64; CELL_BITS_MAX],
    read_ns: [u64; CELL_BITS_MAX],
    program_ns: u64,
    erase_ns: u64,
    transfer_bytes_max: u32,
    read_bytes: u64,
    programmed_bytes: u64,
}

impl Nand {
    /// An idle array.
    ///
    /// # Errors
    /// [`SetupError::OutOfMemory`].
    pub fn new(parameters: &NandParameters, reference_quirks: bool) -> Result<Self, SetupError> {
        let mut channels = room(parameters.channels as usize)?;
        for _ in 0..parameters.channels {
            channels.push(Link::new(
                parameters.channel_mib_per_s,
                parameters.channel_firmware_ns_per_4k,
                reference_quirks,
            )?);
        }
        let luns = parameters.channels as usize * parameters.luns_per_channel as usize;
        Ok(Self {
            channels,
            luns: table(luns, LunState::default())?,
            luns_per_channel: parameters.luns_per_channel,
            cell_bits: Divisor::new(parameters.cell_bits),
            read_4k_ns: parameters.read_4k_ns.ns.map(u64::from),
            read_ns: parameters.read_ns.ns.map(u64::from),
            program_ns: parameters.program_ns.into(),
            erase_ns: parameters.erase_ns.into(),
            transfer_bytes_max: parameters.channel_transfer_bytes_max.max(1),
            read_bytes: 0,
            programmed_bytes: 0,
        })
    }

    /// LUN `lun` of `channel`.
    pub fn lun(&self, channel: u32, lun: u32) -> Lun {
        Lun {
            channel,
            index: channel * self.luns_per_channel + lun,
        }
    }

    /// Reads `bytes` of one flash page, the `flash_page`th of its block, from `start_ns` on; the result is when the last of them have arrived: over `link`,
    /// which each piece enters as soon as it has left the channel, or else at the controller.
    // Always: see `Link::request`.
    #[inline(always)]
    pub fn read(
        &mut self,
        now_ns: u64,
        start_ns: u64,
        lun: Lun,
        flash_page: u32,
        bytes: u32,
        mut link: Option<&mut Link>,
    ) -> u64 {
        let (_, cell) = self.cell_bits.divide_with_rest(flash_page);
        let times = if bytes == 4096 {
            &self.read_4k_ns
        } else {
            &self.read_ns
        };
        let state = &mut self.luns[lun.index as usize];
        let channel = &mut self.channels[lun.channel as usize];
        let begin_ns = state.available_at_ns.max(start_ns);
        let mut at_channel_ns = begin_ns.saturating_add(times[cell as usize]);
        let mut done_ns = at_channel_ns;
        let mut left = bytes;
        while left > 0 {
            let chunk = left.min(self.transfer_bytes_max);
            left -= chunk;
            at_channel_ns = channel.request(now_ns, at_channel_ns, chunk);
            done_ns = match &mut link {
                Some(link) => link.request(now_ns, at_channel_ns, chunk),
                None => at_channel_ns,
            };
        }
        state.work(begin_ns, at_channel_ns);
        self.read_bytes += u64::from(bytes);
        done_ns
    }

    /// Programs a one-shot page of `bytes` from `start_ns` on; the result is when it is on flash.
    #[inline]
    pub fn program(&mut self, now_ns: u64, start_ns: u64, lun: Lun, bytes: u32) -> u64 {
        let state = &mut self.luns[lun.index as usize];
        let begin_ns = state.available_at_ns.max(start_ns);
        let arrived_ns = self.channels[lun.channel as usize].request(now_ns, begin_ns, bytes);
        let end_ns = arrived_ns.saturating_add(self.program_ns);
        state.work(begin_ns, end_ns);
        self.programmed_bytes += u64::from(bytes);
        end_ns
    }

    /// Erases a block from `start_ns` on.
    #[inline]
    pub fn erase(&mut self, start_ns: u64, lun: Lun) {
        let state = &mut self.luns[lun.index as usize];
        let begin_ns = state.available_at_ns.max(start_ns);
        state.work(begin_ns, begin_ns.saturating_add(self.erase_ns));
    }

    /// Keeps a LUN for data that stays in its page register until the one-shot page is whole.
    #[inline]
    pub fn hold(&mut self, start_ns: u64, lun: Lun) {
        let state = &mut self.luns[lun.index as usize];
        state.available_at_ns = state.available_at_ns.max(start_ns);
    }

    /// When all LUNs are idle, ns.
    pub fn idle_at_ns(&self) -> u64 {
        self.luns.iter().map(|lun| lun.available_at_ns).max().unwrap_or(0)
    }

    /// Bytes read and bytes programmed since the last reset.
    pub fn bytes(&self) -> (u64, u64) {
        (self.read_bytes, self.programmed_bytes)
    }

    /// How long each channel was at work.
    pub fn channel_utilisation(&self) -> impl ExactSizeIterator<Item = Utilisation> + '_ {
        self.channels.iter().map(|channel| Utilisation {
            busy_ns: channel.busy_ns(),
        })
    }

    /// How long each LUN was at work, channel by channel.
    pub fn lun_utilisation(&self) -> impl ExactSizeIterator<Item = Utilisation> + '_ {
        self.luns.iter().map(|lun| Utilisation { busy_ns: lun.busy_ns })
    }

    /// Counts anew.
    pub fn reset_statistics(&mut self) {
        (self.read_bytes, self.programmed_bytes) = (0, 0);
        self.channels.iter_mut().for_each(Link::reset_busy);
        self.luns.iter_mut().for_each(|lun| lun.busy_ns = 0);
    }

    /// Bytes of the tables.
    pub(crate) fn metadata_bytes(&self) -> u64 {
        let channels: u64 = self.channels.iter().map(Link::metadata_bytes).sum();
        channels + size_of_val(self.luns.as_slice()) as u64
    }
}
