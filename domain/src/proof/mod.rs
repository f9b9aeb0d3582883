//! Each book as a Merkle log (RFC 6962): leaves, tiles, roots, proofs, and checkpoints signed as C2SP describes them.
//!
//! Verifying matters most: whatever is given is taken for garbage until it has been checked, and every byte of it
//! counts. docs/log-format.md describes the same bytes for other programs. Never here: a key is made, a tile is read.

mod checkpoint;
mod consistency;
mod file;
mod inclusion;
mod key;
mod leaf;
mod merkle;
mod note;
mod tile;

pub use checkpoint::{Checkpoint, CheckpointError, book_of, origin};
pub use consistency::{ConsistencyProof, prove_consistency};
pub use file::{CONSISTENCY_WORD, ConsistencyFile, FileError, PROOF_LINE, ProofFile};
pub use inclusion::{InclusionProof, prove_inclusion};
pub use key::{CheckpointKey, KeyError, PUBLIC_KEY_BYTES, SEED_BYTES, VerifierKey};
pub use leaf::{Leaf, LeafError};
pub(crate) use leaf::{from_hex, to_hex};
pub use merkle::{ProofError, empty_root, entry_hash, leaf_hash, node_hash, root};
pub use note::{NoteError, SignedNote};
pub use tile::{Edge, FinishedTile, TILE_HEIGHT, TILE_WIDTH, Tile, TileId, Tiles, root_of_tiles};

#[cfg(test)]
mod tests;
