//! Putting a device together.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::AtomicU32;

use crate::command::work::Report;
use crate::command::zone_transfer::ZoneTransfers;
use crate::controller::{Controller, Wiring};
use crate::dispatch::link::{WorkerLink, COMMAND_ROOM};
use crate::dispatcher::Dispatcher;
use crate::identity::Identity;
use crate::limits::{transfer_bytes_max, BAR_SIZE_BYTES, DISPATCHERS_MAX};
use crate::namespace::provisioning::{Provisioning, Templates};
use crate::namespace::{DeviceTraits, Namespace, NamespaceConfig};
use crate::ring::{ring, Consumer};
use crate::setup::SetupError;
use crate::shared::Shared;
use crate::worker::receiver::{WorkCounts, WorkSource};
use crate::worker::{Worker, IN_FLIGHT_MAX};

/// Slots of the ring to a worker: few, because each pass over them goes through the caches of two CPUs. What finds no room waits in its
/// submission queue; a worker keeps what it has taken on in its schedule.
const ITEMS: usize = 1024;
const _: () = assert!(ITEMS >= 2 * COMMAND_ROOM);
/// Slots of the ring that leads back.
const REPORTS: usize = 64;

/// What a device is to be. [`Device::new`] checks it.
#[derive(Clone, Debug)]
pub struct DeviceConfig {
    /// Its names.
    pub identity: Identity,
    /// Dispatchers, from 1 to [`DISPATCHERS_MAX`]. Each I/O completion queue, with its submission queues, belongs to one of them.
    pub dispatcher_count: usize,
    /// I/O workers, at least 1. Each I/O completion queue belongs to one of them.
    pub worker_count: usize,
    /// The namespaces that are there from the beginning, from nsid 1 on; at least one.
    pub namespaces: Vec<NamespaceConfig>,
    /// Bytes of the medium. What no namespace has is there for a host to create others.
    pub media_bytes: u64,
    /// Whether the medium keeps what is written to it. If not, the machine's reads of it return zeros and its writes do nothing (see [`crate::host::Host`]),
    /// and the device never fills it, however large it is. Key-value namespaces cannot be without it: their keys are there.
    pub has_medium: bool,
    /// Whether a host can have shadow doorbells (Doorbell Buffer Config).
    pub has_shadow_doorbells: bool,
    /// For the index of keys: whoever does not know this number cannot choose keys that make it slow. Also for marks that are not another drive's.
    pub hash_seed: u64,
}

/// A device, in the parts that a shell runs on its threads.
pub struct Device {
    /// For the first dispatcher's thread. Boxed, because it passes over kernel stacks of 16 KiB, some of them more than once.
    pub controller: Box<Controller>,
    /// One for each other dispatcher's thread.
    pub dispatchers: Vec<Dispatcher>,
    /// One for each worker thread.
    pub workers: Vec<Worker>,
    /// For configuration space accesses and statistics.
    pub shared: Arc<Shared>,
}

impl Device {
    /// Builds a device, and puts its registers into `bar` as they are after power on.
    ///
    /// # Errors
    /// See [`SetupError`].
    #[inline(never)]
    pub fn new(config: DeviceConfig, bar: &[AtomicU32]) -> Result<Self, SetupError> {
        if bar.len() * 4 < BAR_SIZE_BYTES {
            return Err(SetupError::BarSize { bytes: bar.len() * 4 });
        }
        if config.worker_count == 0 {
            return Err(SetupError::NoWorkers);
        }
        if !(1..=DISPATCHERS_MAX).contains(&config.dispatcher_count) {
            return Err(SetupError::Dispatchers {
                count: config.dispatcher_count,
            });
        }
        let mdts = config
            .namespaces
            .iter()
            .map(|namespace| namespace.mdts)
            .min()
            .ok_or(SetupError::NoNamespace)?;
        let used_bytes = config
            .namespaces
            .iter()
            .map(|namespace| namespace.media_offset.saturating_add(namespace.media_len_bytes));
        if let Some(needed_bytes) = used_bytes.max().filter(|&end| end > config.media_bytes) {
            return Err(SetupError::MediaSize {
                bytes: config.media_bytes,
                needed_bytes,
            });
        }
        let needs_medium = |namespace: &NamespaceConfig| namespace.kind.needs_medium();
        if !config.has_medium && config.namespaces.iter().any(needs_medium) {
            return Err(SetupError::NoMediumForKeys);
        }
        let templates = Templates::new(&config.namespaces, config.has_medium)?;
        let zones_min_bytes = smallest_zone_bytes(config.namespaces.iter().chain(templates.all()));
        let traits = DeviceTraits {
            zone_transfers: Arc::new(ZoneTransfers::new(
                config.media_bytes,
                zones_min_bytes,
                config.worker_count * config.dispatcher_count,
            )?),
            has_several_dispatchers: config.dispatcher_count > 1,
            transfer_bytes_max: transfer_bytes_max(mdts),
            hash_seed: config.hash_seed,
        };
        let namespaces = build_namespaces(&config, &traits)?;
        Self::assemble(config, traits, templates, mdts, namespaces, bar)
    }

    #[inline(never)]
    fn assemble(
        config: DeviceConfig,
        traits: DeviceTraits,
        templates: Templates,
        mdts: u8,
        namespaces: Vec<Namespace>,
        bar: &[AtomicU32],
    ) -> Result<Self, SetupError> {
        let shared = Arc::new(Shared::new(traits.zone_transfers.clone(), config.worker_count)?);
        let (has_medium, has_shadow_doorbells) = (config.has_medium, config.has_shadow_doorbells);
        let seed = config.hash_seed;
        let (links, sources) = connect(config.dispatcher_count, config.worker_count)?;
        let (workers, reports) = employ(sources, &shared, mdts, has_medium)?;
        let provisioning = Provisioning::new(templates, traits, config.media_bytes);
        let (mut controller, dispatchers) = Controller::new(
            config.identity,
            mdts,
            namespaces,
            provisioning,
            Wiring { links, reports },
            shared.clone(),
            has_medium,
        )?;
        if !has_shadow_doorbells {
            controller.core.queue_set.withhold_shadow_doorbells();
        }
        controller.core.queue_set.seed_shadow_doorbells(seed);
        controller.initialise_registers(bar);
        Ok(Self {
            controller: Box::new(controller),
            dispatchers,
            workers,
            shared,
        })
    }
}

/// Makes a worker for each of `sources`; the result is also what they tell the controller.
#[inline(never)]
fn employ(
    sources: Vec<Vec<WorkSource>>,
    shared: &Arc<Shared>,
    mdts: u8,
    has_medium: bool,
) -> Result<(Vec<Worker>, Vec<Consumer<Report>>), SetupError> {
    let (mut workers, mut reports) = (Vec::new(), Vec::new());
    workers.try_reserve_exact(sources.len())?;
    reports.try_reserve_exact(sources.len())?;
    for (number, sources) in sources.into_iter().enumerate() {
        let (reports_in, reports_out) = ring(REPORTS)?;
        let transfer_bytes_max = transfer_bytes_max(mdts);
        let shared = shared.clone();
        workers.push(Worker::new(
            number,
            sources,
            reports_in,
            shared,
            transfer_bytes_max,
            has_medium,
        )?);
        reports.push(reports_out);
    }
    Ok((workers, reports))
}

/// A worker's sources, one of each queue set; and for each queue set its links to the workers.
type Ends = (Vec<Vec<WorkerLink>>, Vec<Vec<WorkSource>>);

/// Makes the rings from each queue set to each worker.
#[inline(never)]
fn connect(queue_sets: usize, workers: usize) -> Result<Ends, SetupError> {
    let mut links: Vec<Vec<WorkerLink>> = Vec::new();
    links.try_reserve_exact(queue_sets)?;
    for _ in 0..queue_sets {
        let mut of_set = Vec::new();
        of_set.try_reserve_exact(workers)?;
        links.push(of_set);
    }
    let mut sources = Vec::new();
    sources.try_reserve_exact(workers)?;
    for _ in 0..workers {
        let mut of_worker = Vec::new();
        of_worker.try_reserve_exact(queue_sets)?;
        for of_set in &mut links {
            let (items_in, items) = ring(ITEMS)?;
            let done = Arc::new(WorkCounts::default());
            of_set.push(WorkerLink::new(
                items_in,
                done.clone(),
                IN_FLIGHT_MAX / queue_sets,
            ));
            of_worker.push(WorkSource { items, done });
        }
        sources.push(of_worker);
    }
    Ok((links, sources))
}

/// The namespaces, numbered from 1. The frames of building and of assembling are large and must not come on top of each other: a
/// kernel stack has 16 KiB.
#[inline(never)]
fn build_namespaces(config: &DeviceConfig, traits: &DeviceTraits) -> Result<Vec<Namespace>, SetupError> {
    let mut namespaces = Vec::new();
    namespaces.try_reserve_exact(config.namespaces.len())?;
    for (nsid, namespace) in (1..).zip(&config.namespaces) {
        namespaces.push(Namespace::new(nsid, namespace, traits)?);
    }
    Ok(namespaces)
}

/// What every zone has of the medium at least.
fn smallest_zone_bytes<'a>(namespaces: impl Iterator<Item = &'a NamespaceConfig>) -> u64 {
    let zones = namespaces.filter_map(|namespace| namespace.kind.zone_capacity_bytes());
    zones.min().unwrap_or(u64::MAX)
}

// They pass over kernel stacks of 16 KiB, some of them more than once.
const _: () = assert!(size_of::<Shared>() + size_of::<Controller>() + size_of::<Worker>() <= 4096);
