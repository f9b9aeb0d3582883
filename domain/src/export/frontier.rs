//! The tree of a book's events as it grows: of each complete subtree at its right edge, the hash.

use crate::chain::Hash;
use crate::proof::{empty_root, node_hash};

/// The complete subtrees that a tree of some size consists of, the largest first: one for each 1 in the binary size.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    subtrees: Vec<Hash>,
}

impl Frontier {
    /// The frontier of a tree of this size; `None` where these cannot be its subtrees.
    pub fn new(size: u64, subtrees: Vec<Hash>) -> Option<Self> {
        (subtrees.len() == size.count_ones() as usize).then_some(Self { size, subtrees })
    }

    /// Where the subtrees of a tree of this size stand: how many levels up, and which, the largest first.
    pub fn places(size: u64) -> impl Iterator<Item = (u32, u64)> {
        let levels = (0..u64::BITS).rev().filter(move |level| size >> level & 1 == 1);
        levels.map(move |level| (level, (size >> level) - 1))
    }

    /// Takes the next leaf.
    pub fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        // Each 1 at the low end of the size is a subtree as large as what is carried.
        for _ in 0..self.size.trailing_ones() {
            let left = self.subtrees.pop().expect("there is one subtree for each 1 in the size");
            hash = node_hash(&left, &hash);
        }
        self.subtrees.push(hash);
        self.size += 1;
    }

    /// The complete subtrees, the largest first.
    pub fn subtrees(&self) -> &[Hash] {
        &self.subtrees
    }

    /// How many leaves there are.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The root of the tree.
    pub fn root(&self) -> Hash {
        let from_the_right = self.subtrees.iter().rev().copied();
        from_the_right.reduce(|right, left| node_hash(&left, &right)).unwrap_or_else(empty_root)
    }
}
