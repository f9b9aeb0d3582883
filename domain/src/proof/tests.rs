//! Trees against a naive one, public vectors, and garbage that must be refused.

use super::*;
use crate::chain::Hash;

mod files;
mod notes;
mod trees;

/// RFC 6962, 2.1, word for word and without any cleverness.
fn naive_root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => empty_root(),
        [one] => *one,
        _ => {
            let middle = naive_split(leaves.len());
            node_hash(&naive_root(&leaves[..middle]), &naive_root(&leaves[middle..]))
        }
    }
}

/// RFC 6962, 2.1.1.
fn naive_path(index: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let middle = naive_split(leaves.len());
    let (left, right) = leaves.split_at(middle);
    let (mut path, beside) = if index < middle {
        (naive_path(index, left), naive_root(right))
    } else {
        (naive_path(index - middle, right), naive_root(left))
    };
    path.push(beside);
    path
}

/// RFC 6962, 2.1.2.
fn naive_subproof(old: usize, leaves: &[Hash], whole: bool) -> Vec<Hash> {
    if old == leaves.len() {
        return if whole { Vec::new() } else { vec![naive_root(leaves)] };
    }
    let middle = naive_split(leaves.len());
    let (left, right) = leaves.split_at(middle);
    let (mut path, beside) = if old <= middle {
        (naive_subproof(old, left, whole), naive_root(right))
    } else {
        (naive_subproof(old - middle, right, false), naive_root(left))
    };
    path.push(beside);
    path
}

fn naive_split(leaves: usize) -> usize {
    (0..).map(|power| 1 << power).take_while(|middle| *middle < leaves).last().unwrap()
}

/// Leaves that all differ.
fn leaves(count: u64) -> Vec<Hash> {
    (0..count).map(|number| entry_hash(&number.to_be_bytes())).collect()
}

/// The tiles of these leaves, as a follower makes them, and the edge.
fn grown(leaves: &[Hash]) -> (Tiles, Edge) {
    let (mut edge, mut finished, mut tiles) = (Edge::default(), Vec::new(), Tiles::default());
    leaves.iter().for_each(|leaf| edge.push(*leaf, &mut finished));
    tiles.0.extend(finished.into_iter().map(|tile| (tile.id, Tile::new(tile.hashes))));
    tiles.0.extend(edge.open().map(|(id, hashes)| (id, Tile::new(hashes.to_vec()))));
    (tiles, edge)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Every text that differs from this one by one bit and is still a text.
fn one_bit_away(text: &str) -> impl Iterator<Item = String> {
    (0..text.len() * 8).filter_map(|bit| {
        let mut bytes = text.as_bytes().to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        String::from_utf8(bytes).ok()
    })
}
