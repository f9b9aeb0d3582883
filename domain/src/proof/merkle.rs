//! The hashes of a Merkle tree, and the root of any range of it from the complete subtrees within.

use sha2::{Digest, Sha256};

use crate::chain::{Hash, Header};

/// Set before a leaf's entry, so that a leaf is never taken for a node.
const LEAF: u8 = 0;
/// Set before the two halves of a node.
const NODE: u8 = 1;

/// Why a proof does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The index is not one of the tree's, or the sizes are in the wrong order or zero.
    #[error("the proof speaks of a leaf or a size that the tree does not have")]
    OutOfRange,
    /// There are too many or too few hashes.
    #[error("the proof has the wrong number of hashes")]
    Length,
    /// The hashes lead to another root.
    #[error("the proof leads to another root")]
    Root,
}

/// The leaf of an event: `SHA-256(0x00 || header || commitment)`. Its index is the event's position less one.
pub fn leaf_hash(header: &Header<'_>, commitment: &Hash) -> Hash {
    let mut entry = Vec::with_capacity(512);
    header.write(&mut entry);
    entry.extend_from_slice(commitment);
    entry_hash(&entry)
}

/// The leaf of an event whose header and commitment are bytes already.
pub fn entry_hash(entry: &[u8]) -> Hash {
    Sha256::new().chain_update([LEAF]).chain_update(entry).finalize().into()
}

/// The hash over two subtrees.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([NODE]).chain_update(left).chain_update(right).finalize().into()
}

/// The root of a tree without leaves.
pub fn empty_root() -> Hash {
    Sha256::digest([]).into()
}

/// The root of the first `size` leaves. `node` answers the complete subtree of `2^level` leaves that begins with leaf
/// `index * 2^level`.
pub fn root<E>(size: u64, node: &mut (impl FnMut(u32, u64) -> Result<Hash, E> + ?Sized)) -> Result<Hash, E> {
    if size == 0 { Ok(empty_root()) } else { range(0, size, node) }
}

/// The hash over the leaves from `low` up to, but not with, `high`; there is at least one.
pub(super) fn range<E>(
    low: u64,
    high: u64,
    node: &mut (impl FnMut(u32, u64) -> Result<Hash, E> + ?Sized),
) -> Result<Hash, E> {
    let leaves = high - low;
    if leaves.is_power_of_two() {
        // A range that RFC 6962 cuts off on the left begins at a multiple of its own size.
        return node(leaves.trailing_zeros(), low >> leaves.trailing_zeros());
    }
    let middle = low + split(leaves);
    Ok(node_hash(&range(low, middle, node)?, &range(middle, high, node)?))
}

/// The largest power of two below a number of leaves above one.
pub(super) fn split(leaves: u64) -> u64 {
    1 << (u64::BITS - 1 - (leaves - 1).leading_zeros())
}
