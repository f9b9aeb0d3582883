//! A tree kept in tiles, as C2SP tlog-tiles describes them: 256 hashes each, of leaves at level 0 and of whole tiles of
//! the level below above it. Every complete subtree of the tree can be had from one tile.

use std::collections::HashMap;

use super::merkle::{node_hash, root};
use crate::chain::Hash;

/// A tile spans this many levels of the tree.
pub const TILE_HEIGHT: u32 = 8;
/// A whole tile has this many hashes.
pub const TILE_WIDTH: usize = 1 << TILE_HEIGHT;

/// Which tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TileId {
    /// 0 for leaves, 1 for tiles of leaves, and so on.
    pub level: u32,
    /// From the left, from 0.
    pub index: u64,
}

impl TileId {
    /// The tile that has a complete subtree, and where the subtree stands within: how many levels up, and which.
    pub fn of(level: u32, index: u64) -> (Self, u32, usize) {
        let up = level % TILE_HEIGHT;
        let wide = TILE_HEIGHT - up;
        let within = usize::try_from(index & ((1 << wide) - 1)).expect("below 256");
        (Self { level: level / TILE_HEIGHT, index: index >> wide }, up, within)
    }
}

/// A tile with every complete subtree within it hashed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tile {
    levels: Vec<Vec<Hash>>,
}

impl Tile {
    /// Hashes what can be hashed.
    pub fn new(hashes: Vec<Hash>) -> Self {
        let mut levels = vec![hashes];
        while let Some(last) = levels.last().filter(|last| last.len() > 1) {
            let above = last.chunks_exact(2).map(|pair| node_hash(&pair[0], &pair[1])).collect();
            levels.push(above);
        }
        Self { levels }
    }

    /// The hashes as they are kept.
    pub fn hashes(&self) -> &[Hash] {
        &self.levels[0]
    }

    /// The hash over the whole tile, which stands in the level above; `None` for a tile that is not whole.
    pub fn top(&self) -> Option<Hash> {
        self.node(TILE_HEIGHT, 0)
    }

    /// A complete subtree: how many levels up, and which.
    fn node(&self, up: u32, within: usize) -> Option<Hash> {
        self.levels.get(up as usize)?.get(within).copied()
    }
}

/// Tiles that were read.
#[derive(Debug, Clone, Default)]
pub struct Tiles(pub HashMap<TileId, Tile>);

impl Tiles {
    /// A complete subtree from its tile; the tile's id when it is not there or not wide enough.
    pub fn node(&self, level: u32, index: u64) -> Result<Hash, TileId> {
        let (tile, up, within) = TileId::of(level, index);
        self.0.get(&tile).and_then(|tile| tile.node(up, within)).ok_or(tile)
    }
}

/// The root of the first `size` leaves from tiles that were read; the id of a tile that is missing.
pub fn root_of_tiles(size: u64, tiles: &Tiles) -> Result<Hash, TileId> {
    root(size, &mut |level, index| tiles.node(level, index))
}

/// A tile that became whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FinishedTile {
    /// Which.
    pub id: TileId,
    /// Its 256 hashes.
    pub hashes: Vec<Hash>,
}

/// The right edge of a growing tree: of each level the tile that is not whole yet. It takes leaves and finishes tiles.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edge {
    size: u64,
    open: Vec<Vec<Hash>>,
}

impl Edge {
    /// The edge of a tree of this size, of whose levels these are the open tiles, level 0 first; `None` where their
    /// widths are not those of this size.
    pub fn new(size: u64, open: Vec<Vec<Hash>>) -> Option<Self> {
        let mut rest = size;
        for tile in &open {
            if rest == 0 || tile.len() as u64 != rest % TILE_WIDTH as u64 {
                return None;
            }
            rest >>= TILE_HEIGHT;
        }
        (rest == 0).then_some(Self { size, open })
    }

    /// How many leaves the tree has.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The open tiles that are not empty.
    pub fn open(&self) -> impl Iterator<Item = (TileId, &[Hash])> {
        let tiles = (0..).zip(&self.open).filter(|(_, hashes)| !hashes.is_empty());
        tiles.map(|(level, hashes)| (TileId { level, index: self.index(level) }, hashes.as_slice()))
    }

    /// Takes the next leaf; `finished` gets the tiles that it makes whole.
    pub fn push(&mut self, leaf: Hash, finished: &mut Vec<FinishedTile>) {
        let mut hash = leaf;
        for level in 0.. {
            if self.open.len() == level {
                self.open.push(Vec::new());
            }
            let tile = &mut self.open[level];
            tile.push(hash);
            if tile.len() < TILE_WIDTH {
                break;
            }
            let whole = Tile::new(std::mem::take(tile));
            hash = whole.top().expect("a tile of 256 hashes is whole");
            let level = u32::try_from(level).expect("at most 8 levels");
            finished
                .push(FinishedTile { id: TileId { level, index: self.index(level) }, hashes: whole.levels[0].clone() });
        }
        self.size += 1;
    }

    /// The root of the tree.
    pub fn root(&self) -> Hash {
        let tiles = self.open().map(|(id, hashes)| (id, Tile::new(hashes.to_vec()))).collect();
        root_of_tiles(self.size, &Tiles(tiles)).expect("the edge has every complete subtree at the right end")
    }

    /// Which tile of a level is open while the tree has this size.
    fn index(&self, level: u32) -> u64 {
        self.size.checked_shr(TILE_HEIGHT * (level + 1)).unwrap_or(0)
    }
}
