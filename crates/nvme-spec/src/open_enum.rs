//! The macro behind every open enum.

/// Declares a transparent integer with named values: any bit pattern is a value, known ones have a name in `Debug`.
macro_rules! open_enum {
    ($(#[$outer:meta])* $name:ident: $int:ty { $($(#[$inner:meta])* $variant:ident = $value:expr,)+ }) => {
        $(#[$outer])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub $int);

        impl $name {
            $($(#[$inner])* pub const $variant: Self = Self($value);)+
        }

        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                match *self {
                    $(Self::$variant => f.write_str(stringify!($variant)),)+
                    Self(other) => write!(f, concat!(stringify!($name), "({:#x})"), other),
                }
            }
        }
    };
}

pub(crate) use open_enum;
