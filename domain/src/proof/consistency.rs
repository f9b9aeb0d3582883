//! That one tree is the beginning of another.

use super::merkle::{ProofError, node_hash, range, split};
use crate::chain::Hash;

/// That the tree of an older size is the beginning of the tree of a newer size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsistencyProof {
    /// How many leaves the older tree has; at least one.
    pub old_size: u64,
    /// How many leaves the newer tree has.
    pub new_size: u64,
    /// The hashes, in the order of RFC 6962.
    pub path: Vec<Hash>,
}

impl ConsistencyProof {
    /// Checks that nothing of the older tree was changed or removed in the newer.
    pub fn verify(&self, old_root: &Hash, new_root: &Hash) -> Result<(), ProofError> {
        if self.old_size == 0 || self.old_size > self.new_size {
            return Err(ProofError::OutOfRange);
        }
        if self.old_size == self.new_size {
            return match (self.path.is_empty(), old_root == new_root) {
                (true, true) => Ok(()),
                (true, false) => Err(ProofError::Root),
                (false, _) => Err(ProofError::Length),
            };
        }
        // A complete older tree is itself the first hash, and is not written down.
        let whole = self.old_size.is_power_of_two().then_some(old_root);
        let mut hashes = whole.into_iter().chain(&self.path);
        let first = *hashes.next().ok_or(ProofError::Length)?;
        let (mut old, mut new) = (first, first);
        let (mut index, mut last) = (self.old_size - 1, self.new_size - 1);
        while index & 1 == 1 {
            (index, last) = (index >> 1, last >> 1);
        }
        for hash in hashes {
            if last == 0 {
                return Err(ProofError::Length);
            }
            if index & 1 == 1 || index == last {
                (old, new) = (node_hash(hash, &old), node_hash(hash, &new));
                while index & 1 == 0 && index != 0 {
                    (index, last) = (index >> 1, last >> 1);
                }
            } else {
                new = node_hash(&new, hash);
            }
            (index, last) = (index >> 1, last >> 1);
        }
        match (last, old == *old_root && new == *new_root) {
            (0, true) => Ok(()),
            (0, false) => Err(ProofError::Root),
            _ => Err(ProofError::Length),
        }
    }
}

/// Proves that the tree of `old_size` is the beginning of that of `new_size`. `node` answers complete subtrees, as for
/// `root`. The older size must be at least 1 and not above the newer.
pub fn prove_consistency<E>(
    old_size: u64,
    new_size: u64,
    node: &mut (impl FnMut(u32, u64) -> Result<Hash, E> + ?Sized),
) -> Result<ConsistencyProof, E> {
    assert!(0 < old_size && old_size <= new_size, "a tree of {old_size} is not the beginning of one of {new_size}");
    let (mut low, mut high, mut path) = (0, new_size, Vec::new());
    while high != old_size {
        let middle = low + split(high - low);
        if old_size <= middle {
            path.push(range(middle, high, node)?);
            high = middle;
        } else {
            path.push(range(low, middle, node)?);
            low = middle;
        }
    }
    // The verifier has the older root, which is this subtree when it begins with the first leaf.
    if low > 0 {
        path.push(range(low, high, node)?);
    }
    path.reverse();
    Ok(ConsistencyProof { old_size, new_size, path })
}
