//! How an aggregate declares its events, and the shapes they had before.

/// Declares an aggregate's events: a variant per payload struct, with its stored name and version. Where a shape was
/// another once, the older structs stand behind it, oldest first, each with the version that it was; `From` leads from
/// each to the next, and from the last to the present one. So `evolve` and the folds see one shape only:
///
/// ```text
/// NoteTaken = "note.taken" v 3 { 1 => NoteTakenV1, 2 => NoteTakenV2 },
/// ```
macro_rules! events {
    ($(#[$doc:meta])* $name:ident in $wrap:ident { $($declared:tt)* }) => {
        $crate::event::declare::event_enum! { $(#[$doc])* $name { $($declared)* } }

        impl From<$name> for $crate::event::Event {
            fn from(event: $name) -> Self {
                Self::$wrap(event)
            }
        }

        impl TryFrom<$crate::event::Event> for $name {
            type Error = $crate::event::Event;

            fn try_from(event: $crate::event::Event) -> Result<Self, Self::Error> {
                match event {
                    $crate::event::Event::$wrap(event) => Ok(event),
                    other => Err(other),
                }
            }
        }
    };
}

/// The enum of `events!`, without its place among the product's events.
macro_rules! event_enum {
    // Reads the payload of an older version and leads it, shape by shape, to the newest.
    (@older $version:ident, $payload:ident, $newest:ty;) => {
        None
    };
    (@older $version:ident, $payload:ident, $newest:ty;
        $old:literal => $shape:ident $(, $later:literal => $next:ident)*
    ) => {
        if $version == $old {
            let read: serde_json::Result<$shape> = serde_json::from_str($payload);
            Some(read.map(|old| {
                $(let old = $next::from(old);)*
                <$newest>::from(old)
            }))
        } else {
            $crate::event::declare::event_enum!(@older $version, $payload, $newest; $($later => $next),*)
        }
    };
    ($(#[$doc:meta])* $name:ident {
        $($variant:ident = $stored:literal v $version:literal $({ $($old:literal => $shape:ident),+ $(,)? })?,)*
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub enum $name {
            $(#[doc = concat!("`", $stored, "`")] $variant($variant),)*
        }

        impl $name {
            /// Every type that this aggregate writes.
            pub const STORED: &'static [$crate::event::StoredType] =
                &[$($crate::event::StoredType { name: $stored, version: $version },)*];

            /// Every type that it ever wrote, and so can read.
            pub const READABLE: &'static [$crate::event::StoredType] = &[$(
                $($($crate::event::StoredType { name: $stored, version: $old },)+)?
                $crate::event::StoredType { name: $stored, version: $version },
            )*];

            /// Whether this aggregate writes events of this name, in whatever version.
            pub fn stores(name: &str) -> bool {
                matches!(name, $($stored)|*)
            }

            /// The name and version under which this event is stored.
            pub fn stored_type(&self) -> $crate::event::StoredType {
                match self {
                    $(Self::$variant(_) => $crate::event::StoredType { name: $stored, version: $version },)*
                }
            }

            /// The payload as JSON.
            pub fn payload(&self) -> String {
                match self {
                    $(Self::$variant(payload) => serde_json::to_string(payload),)*
                }
                .expect("payload structs hold nothing that JSON cannot")
            }

            /// Reads a payload, and leads an older shape to the present one; `None` when the type is not one of this
            /// aggregate's, or of a version that it does not know.
            pub(crate) fn decode(name: &str, version: i16, payload: &str) -> Option<serde_json::Result<Self>> {
                match (name, version) {
                    $(
                        ($stored, $version) => Some(serde_json::from_str(payload).map(Self::$variant)),
                        $(($stored, _) => {
                            $crate::event::declare::event_enum!(@older version, payload, $variant; $($old => $shape),+)
                                .map(|read| read.map(Self::$variant))
                        })?
                    )*
                    _ => None,
                }
            }

            /// The shape of every type that it can read.
            #[cfg(test)]
            pub(crate) fn shapes() -> Vec<($crate::event::StoredType, serde_json::Value)> {
                use $crate::event::tests::shape;
                vec![$(
                    $($(($crate::event::StoredType { name: $stored, version: $old }, shape::<$shape>()),)+)?
                    ($crate::event::StoredType { name: $stored, version: $version }, shape::<$variant>()),
                )*]
            }
        }

        $(impl From<$variant> for $name {
            fn from(payload: $variant) -> Self {
                Self::$variant(payload)
            }
        })*
    };
}

pub(crate) use {event_enum, events};
