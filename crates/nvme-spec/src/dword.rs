//! The macro behind every typed command dword.

/// Declares a transparent dword with typed fields: for each `get, with: type = high:low`, an accessor and a builder.
///
/// Types are `bool`, unsigned integers, and open enums of 8 bits. A builder keeps the bits that the field has, and leaves
/// all other bits as they are. Reserved bits are kept as they came. The fields of a dword must not overlap.
macro_rules! dword {
    ($(#[$outer:meta])* $name:ident {
        $($(#[$inner:meta])* $get:ident, $with:ident: $kind:ident = $high:literal : $low:literal,)+
    }) => {
        $(#[$outer])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[repr(transparent)]
        pub struct $name(pub u32);

        impl $name {
            $(
                $(#[$inner])*
                #[inline]
                pub const fn $get(self) -> $kind {
                    dword!(@from $kind, self.0 >> $low & dword!(@mask $high, $low))
                }

                #[doc = concat!("The same dword with another value in [`Self::", stringify!($get), "`].")]
                #[inline]
                #[must_use]
                pub const fn $with(self, value: $kind) -> Self {
                    let mask = dword!(@mask $high, $low);
                    Self(self.0 & !(mask << $low) | (dword!(@into $kind, value) & mask) << $low)
                }
            )+
        }

        const _: () = assert!(
            (0u32 $(| dword!(@mask $high, $low) << $low)+).count_ones() == 0 $(+ ($high - $low + 1))+,
            "fields overlap"
        );

        #[cfg(test)]
        impl crate::dword::Fields for $name {
            fn check(dword: u32, value: u32) {
                $(
                    let mask = dword!(@mask $high, $low);
                    let field = dword!(@from $kind, value & mask);
                    let built = Self(dword).$with(field);
                    assert_eq!(built.$get(), field, "{} of {built:?}", stringify!($get));
                    assert_eq!(built.0 & !(mask << $low), dword & !(mask << $low));
                    assert_eq!(Self(dword).$with(Self(dword).$get()).0, dword);
                    assert!(dword!(@into $kind, Self(dword).$get()) <= mask);
                )+
            }
        }
    };
    (@mask $high:literal, $low:literal) => { u32::MAX >> (31 - ($high - $low)) };
    (@from bool, $raw:expr) => { $raw != 0 };
    (@from u8, $raw:expr) => { ($raw) as u8 };
    (@from u16, $raw:expr) => { ($raw) as u16 };
    (@from u32, $raw:expr) => { $raw };
    (@from $open:ident, $raw:expr) => { $open(($raw) as u8) };
    (@into bool, $value:expr) => { $value as u32 };
    (@into u8, $value:expr) => { $value as u32 };
    (@into u16, $value:expr) => { $value as u32 };
    (@into u32, $value:expr) => { $value };
    (@into $open:ident, $value:expr) => { $value.0 as u32 };
}

pub(crate) use dword;

/// Fields of a typed dword, for the property test below.
#[cfg(test)]
pub(crate) trait Fields {
    /// Checks that each field takes `value`, as far as it has bits, and leaves the rest of `dword` alone.
    fn check(dword: u32, value: u32);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Fields;
    use crate::*;

    proptest! {
        #[test]
        fn fields_round_trip(dword: u32, value: u32) {
            Cdw10Queue::check(dword, value);
            Cdw11CreateIoCompletionQueue::check(dword, value);
            Cdw11CreateIoSubmissionQueue::check(dword, value);
            Cdw10Abort::check(dword, value);
            Cdw10Identify::check(dword, value);
            Cdw11Identify::check(dword, value);
            Cdw10GetLogPage::check(dword, value);
            Cdw11GetLogPage::check(dword, value);
            Cdw14GetLogPage::check(dword, value);
            Cdw10GetFeatures::check(dword, value);
            Cdw10SetFeatures::check(dword, value);
            PowerManagement::check(dword, value);
            TemperatureThreshold::check(dword, value);
            NumberOfQueues::check(dword, value);
            InterruptCoalescing::check(dword, value);
            InterruptVectorConfiguration::check(dword, value);
            LbaStatusInformationAttributes::check(dword, value);
            PowerTransition::check(dword, value);
            Cdw11HostIdentifier::check(dword, value);
            Cdw11KeyValue::check(dword, value);
            VendorCdw11KeyValue::check(dword, value);
            VendorCdw11Iterate::check(dword, value);
            Cdw10FirmwareCommit::check(dword, value);
            Cdw10Format::check(dword, value);
            Cdw10Sanitize::check(dword, value);
            Cdw10DeviceSelfTest::check(dword, value);
            Cdw11Directive::check(dword, value);
            Cdw12EnableDirective::check(dword, value);
            Cdw12AllocateStreams::check(dword, value);
            Cdw10NamespaceManagement::check(dword, value);
            Cdw11NamespaceManagement::check(dword, value);
            Cdw10NamespaceAttachment::check(dword, value);
            Cdw13GetLbaStatus::check(dword, value);
            Cdw10ReservationRegister::check(dword, value);
            Cdw10ReservationAcquire::check(dword, value);
            Cdw10ReservationRelease::check(dword, value);
            Cdw11ReservationReport::check(dword, value);
            Cdw12ReadWrite::check(dword, value);
            Cdw13Write::check(dword, value);
            Cdw10DatasetManagement::check(dword, value);
            Cdw11DatasetManagement::check(dword, value);
            Cdw12Copy::check(dword, value);
            Cdw13ZoneReceive::check(dword, value);
            Cdw13ZoneSend::check(dword, value);
        }

        #[test]
        fn identifiers_that_are_split_round_trip(dword: u32, index in 0u8..64, dwords_z: u32) {
            prop_assert_eq!(Cdw10Format(dword).with_format_index(index).format_index(), index);
            let (cdw10, cdw11) = number_of_dwords_z(dwords_z);
            prop_assert_eq!(cdw10.dwords_z(cdw11), dwords_z);
        }
    }

    /// Where the specification has a field, for one of each shape: numbers written out by hand.
    #[test]
    fn fields_lie_where_the_specification_has_them() {
        assert_eq!(
            Cdw10Abort::default().with_cid(0xABCD).with_sqid(0x1234).0,
            0xABCD_1234
        );
        assert_eq!(
            Cdw11Identify::default().with_command_set(CommandSet::ZONED).0,
            0x0200_0000
        );
        assert_eq!(Cdw10GetLogPage(0x0001_8F02).log(), LogPageId::SMART_HEALTH);
        assert_eq!(Cdw10GetLogPage(0x0001_8F02).specific(), 0x0F);
        assert!(Cdw10GetLogPage(0x0001_8F02).retains_event());
        assert_eq!(Cdw10SetFeatures::default().with_is_saved(true).0, 0x8000_0000);
        assert_eq!(Cdw10Format(0x3405).secure_erase(), 0b010);
        assert_eq!(Cdw10Format(0x3405).format_index(), 0x35);
        assert_eq!(Cdw10Sanitize(0x0323).action(), SanitizeAction::OVERWRITE);
        assert_eq!(Cdw10Sanitize(0x0323).passes(), 2);
        assert!(Cdw10Sanitize(0x0323).inverts_pattern() && Cdw10Sanitize(0x0323).keeps_allocated());
        assert_eq!(TemperatureThreshold(0x001F_0157).sensor(), 0xF);
        assert_eq!(TemperatureThreshold(0x001F_0157).kind(), 1);
        assert_eq!(
            Cdw12ReadWrite::default()
                .with_force_unit_access(true)
                .with_lbas_z(7)
                .0,
            0x4000_0007
        );
        assert_eq!(Cdw12ReadWrite(0x0010_0000).directive(), DirectiveType::STREAMS);
        assert_eq!(
            Cdw13ZoneSend::default()
                .with_action(ZoneSendAction::RESET)
                .with_selects_all(true)
                .0,
            0x104
        );
        assert_eq!(
            Cdw10ReservationRegister(0xC000_000A).persistence(),
            ChangePersistence::SET
        );
    }
}
