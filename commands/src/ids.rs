//! New ids. Those that follow from a request are computed from it, so that a retried request names the same things.

use domain::RequestId;
use domain::chain::Hash;
use domain::id::Id;
use serde::Serialize;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::log::Request;

/// A new id, ordered by time.
#[expect(clippy::disallowed_methods, reason = "this is the edge: here ids come from")]
pub fn new_id<N>() -> Id<N> {
    Id::new(Uuid::now_v7())
}

/// The id of what `label` names within `source`: a UUIDv7 with the time of `source` and a hash for the rest.
pub fn derived<N>(source: Uuid, label: &str) -> Id<N> {
    let digest = Sha256::new().chain_update(source.as_bytes()).chain_update(label).finalize();
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&source.as_bytes()[..6]);
    bytes[6..].copy_from_slice(&digest[..10]);
    bytes[6] = 0x70 | bytes[6] & 0x0f;
    bytes[8] = 0x80 | bytes[8] & 0x3f;
    Id::new(Uuid::from_bytes(bytes))
}

/// A caller's request: its id, and the hash of what it asks for.
pub fn request(id: RequestId, input: &impl Serialize) -> Request {
    let json = serde_json::to_vec(input).expect("inputs hold nothing that JSON cannot");
    Request { id, hash: Sha256::digest(json).into() }
}

/// A worker's request: its id follows from the item that it works on.
pub fn item_request(item: Uuid, label: &str) -> Request {
    let hash: Hash = Sha256::digest(label).into();
    Request { id: derived(item, label), hash }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_derived_id_is_a_uuid_v7_of_the_same_time_and_always_the_same() {
        let source = new_id::<()>().uuid();
        let one: RequestId = derived(source, "run");
        assert_eq!(one, derived(source, "run"));
        assert_ne!(one, derived(source, "session"));
        assert_eq!(one.uuid().get_version_num(), 7);
        assert_eq!(one.uuid().as_bytes()[..6], source.as_bytes()[..6]);
    }
}
