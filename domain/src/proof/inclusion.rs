//! That one leaf is in a tree.

use super::merkle::{ProofError, node_hash, range, split};
use crate::chain::Hash;

/// That the leaf with an index is in the tree of a size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InclusionProof {
    /// The leaf's index: the event's position less one.
    pub index: u64,
    /// How many leaves the tree has.
    pub size: u64,
    /// The hashes beside the way from the leaf to the root, the leaf's neighbour first.
    pub path: Vec<Hash>,
}

impl InclusionProof {
    /// Checks that a leaf is where the proof says, in the tree with this root.
    pub fn verify(&self, leaf: &Hash, root: &Hash) -> Result<(), ProofError> {
        if self.index >= self.size {
            return Err(ProofError::OutOfRange);
        }
        let (mut index, mut last, mut hash) = (self.index, self.size - 1, *leaf);
        for beside in &self.path {
            if last == 0 {
                return Err(ProofError::Length);
            }
            if index & 1 == 1 || index == last {
                hash = node_hash(beside, &hash);
                // The last node of a level without a right neighbour rises unchanged.
                while index & 1 == 0 && index != 0 {
                    (index, last) = (index >> 1, last >> 1);
                }
            } else {
                hash = node_hash(&hash, beside);
            }
            (index, last) = (index >> 1, last >> 1);
        }
        match (last, hash == *root) {
            (0, true) => Ok(()),
            (0, false) => Err(ProofError::Root),
            _ => Err(ProofError::Length),
        }
    }
}

/// Proves that the leaf with an index is in the tree of a size. `node` answers complete subtrees, as for `root`.
/// The index must be below the size.
pub fn prove_inclusion<E>(
    index: u64,
    size: u64,
    node: &mut (impl FnMut(u32, u64) -> Result<Hash, E> + ?Sized),
) -> Result<InclusionProof, E> {
    assert!(index < size, "leaf {index} is not in a tree of {size}");
    let (mut low, mut high, mut path) = (0, size, Vec::new());
    while high - low > 1 {
        let middle = low + split(high - low);
        if index < middle {
            path.push(range(middle, high, node)?);
            high = middle;
        } else {
            path.push(range(low, middle, node)?);
            low = middle;
        }
    }
    path.reverse();
    Ok(InclusionProof { index, size, path })
}
