//! Enum settings with named variants. The names serve the parser, CONFIG GET and the error that
//! lists them.

/// An enum with a name for each variant.
pub(super) trait Choice: Copy + Sized + 'static {
    /// Variants in the order in which errors list them.
    const VARIANTS: &'static [(&'static str, Self)];

    fn named(name: &str) -> Option<Self> {
        Self::VARIANTS.iter().find(|(known, _)| *known == name).map(|(_, variant)| *variant)
    }
}

/// Declares enums with their variants' names.
macro_rules! choices {
    ($($(#[$meta:meta])* pub enum $enum:ident {
        $($(#[$mark:meta])* $variant:ident = $name:literal),* $(,)?
    })*) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub enum $enum {
            $(#[doc = concat!("`", $name, "`")] $(#[$mark])* $variant),*
        }

        impl $enum {
            /// The names of the variants, in order.
            pub const NAMES: &'static [&'static str] = &[$($name),*];

            /// The name of this variant.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }
        }

        impl Choice for $enum {
            const VARIANTS: &'static [(&'static str, Self)] = &[$(($name, Self::$variant)),*];
        }
    )*};
}

pub(super) use choices;
