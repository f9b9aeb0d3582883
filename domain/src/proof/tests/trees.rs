use proptest::prelude::*;

use super::*;

/// The tree of Certificate Transparency's own test suite: eight entries, and the root after each.
const ENTRIES: [&[u8]; 8] = [
    b"",
    b"\x00",
    b"\x10",
    b"\x20\x21",
    b"\x30\x31",
    b"\x40\x41\x42\x43",
    b"\x50\x51\x52\x53\x54\x55\x56\x57",
    b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
];
const ROOTS: [&str; 9] = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

#[test]
fn the_roots_are_those_of_certificate_transparency() {
    let mut edge = Edge::default();
    assert_eq!(hex(&edge.root()), ROOTS[0]);
    for (entry, root) in ENTRIES.iter().zip(&ROOTS[1..]) {
        edge.push(entry_hash(entry), &mut Vec::new());
        assert_eq!(hex(&edge.root()), *root);
    }
}

#[test]
fn the_smallest_trees_have_every_proof_and_no_other() {
    for size in 1..=33_u64 {
        let leaves = leaves(size);
        let (tiles, edge) = grown(&leaves);
        let (root, node) = (edge.root(), &mut |level, index| tiles.node(level, index));
        assert_eq!(root, naive_root(&leaves));
        for index in 0..size {
            let proof = prove_inclusion(index, size, node).unwrap();
            assert_eq!(proof.path, naive_path(index as usize, &leaves));
            for (other, leaf) in (0..).zip(&leaves) {
                let moved = InclusionProof { index: other, ..proof.clone() };
                assert_eq!(proof.verify(leaf, &root).is_ok(), other == index, "{size} {index} {other}");
                assert_eq!(moved.verify(&leaves[index as usize], &root).is_ok(), other == index);
            }
        }
        for old in 1..=size {
            let proof = prove_consistency(old, size, node).unwrap();
            assert_eq!(proof.path, naive_subproof(old as usize, &leaves, true));
            for other in 1..=size {
                let old_root = naive_root(&leaves[..other as usize]);
                assert_eq!(proof.verify(&old_root, &root).is_ok(), other == old, "{size} {old} {other}");
            }
        }
    }
}

#[test]
fn tiles_are_finished_at_their_borders() {
    for size in [1, 255, 256, 257, 511, 512, 513, 65_535, 65_536, 65_537, 65_793] {
        let leaves = leaves(size);
        let (tiles, edge) = grown(&leaves);
        assert_eq!(edge.root(), naive_root(&leaves), "{size}");
        assert_eq!(root_of_tiles(size, &tiles), Ok(edge.root()));
        let widths: u64 = tiles.0.iter().filter(|(id, _)| id.level == 0).map(|(_, t)| t.hashes().len() as u64).sum();
        assert_eq!(widths, size, "every leaf stands in one tile");
        let open = |level| edge.open().find(|(id, _)| id.level == level).map_or(0, |(_, hashes)| hashes.len() as u64);
        assert_eq!((open(0), open(1), open(2)), (size % 256, (size >> 8) % 256, size >> 16), "as C2SP counts them");
        let node = &mut |level, index| tiles.node(level, index);
        for index in [0, size / 2, size - 1] {
            let proof = prove_inclusion(index, size, node).unwrap();
            assert_eq!(proof.path, naive_path(index as usize, &leaves));
            assert_eq!(proof.verify(&leaves[index as usize], &edge.root()), Ok(()));
        }
        for old in [1, size.div_ceil(2), size] {
            let proof = prove_consistency(old, size, node).unwrap();
            assert_eq!(proof.verify(&naive_root(&leaves[..old as usize]), &edge.root()), Ok(()));
        }
    }
}

#[test]
fn an_edge_goes_on_where_it_was_left() {
    let leaves = leaves(600);
    for size in [0, 1, 255, 256, 257, 512, 599] {
        let (_, edge) = grown(&leaves[..size]);
        let mut open = vec![Vec::new(); if size == 0 { 0 } else { 1 + usize::from(size >= 256) }];
        edge.open().for_each(|(id, hashes)| open[id.level as usize] = hashes.to_vec());
        let mut taken_up = Edge::new(size as u64, open.clone()).unwrap();
        assert_eq!(Edge::new(size as u64 + 1, open), None, "a wrong size is noticed");
        leaves[size..].iter().for_each(|leaf| taken_up.push(*leaf, &mut Vec::new()));
        assert_eq!(taken_up.root(), naive_root(&leaves));
    }
}

#[test]
fn garbage_is_refused() {
    let leaves = leaves(7);
    let (tiles, edge) = grown(&leaves);
    let (root, node) = (edge.root(), &mut |level, index| tiles.node(level, index));
    let good = prove_inclusion(3, 7, node).unwrap();
    let with = |change: fn(&mut InclusionProof)| {
        let mut proof = good.clone();
        change(&mut proof);
        proof.verify(&leaves[3], &root)
    };
    assert_eq!(with(|_| ()), Ok(()));
    assert_eq!(with(|p| p.size = 0), Err(ProofError::OutOfRange));
    assert_eq!(with(|p| p.index = 7), Err(ProofError::OutOfRange));
    assert_eq!(with(|p| p.index = u64::MAX), Err(ProofError::OutOfRange));
    assert_eq!(with(|p| p.path.push([0; 32])), Err(ProofError::Length));
    assert_eq!(with(|p| p.path.truncate(p.path.len() - 1)), Err(ProofError::Length));
    assert_eq!(with(|p| p.path.clear()), Err(ProofError::Length));
    assert_eq!(with(|p| p.path.swap(0, 1)), Err(ProofError::Root));
    assert_eq!(with(|p| (p.size, p.index) = (u64::MAX, u64::MAX - 1)), Err(ProofError::Length));
    let good = prove_consistency(3, 7, node).unwrap();
    let old_root = naive_root(&leaves[..3]);
    let with = |change: fn(&mut ConsistencyProof)| {
        let mut proof = good.clone();
        change(&mut proof);
        proof.verify(&old_root, &root)
    };
    assert_eq!(with(|_| ()), Ok(()));
    assert_eq!(with(|p| p.old_size = 0), Err(ProofError::OutOfRange));
    assert_eq!(with(|p| p.old_size = 8), Err(ProofError::OutOfRange));
    assert_eq!(with(|p| p.old_size = 7), Err(ProofError::Length));
    assert_eq!(with(|p| p.path.push([0; 32])), Err(ProofError::Length));
    assert_eq!(with(|p| p.path.truncate(p.path.len() - 1)), Err(ProofError::Length));
    assert_eq!(with(|p| p.path.clear()), Err(ProofError::Length));
    assert_eq!(good.verify(&root, &root), Err(ProofError::Root));
    assert_eq!(good.verify(&old_root, &old_root), Err(ProofError::Root));
    let same = prove_consistency(7, 7, node).unwrap();
    assert_eq!((same.verify(&root, &root), same.verify(&old_root, &root)), (Ok(()), Err(ProofError::Root)));
    assert_eq!(tiles.node(3, 0), Err(TileId { level: 0, index: 0 }), "seven leaves have no subtree of eight");
}

proptest! {
    #[test]
    fn any_tree_is_that_of_the_standard(size in 1_u64..300, index in any::<prop::sample::Index>(), old in any::<prop::sample::Index>()) {
        let leaves = leaves(size);
        let (tiles, edge) = grown(&leaves);
        let (index, old) = (index.index(size as usize), 1 + old.index(size as usize));
        let (root, node) = (edge.root(), &mut |level, index| tiles.node(level, index));
        prop_assert_eq!(root, naive_root(&leaves));
        let proof = prove_inclusion(index as u64, size, node).unwrap();
        prop_assert_eq!(&proof.path, &naive_path(index, &leaves));
        prop_assert_eq!(proof.verify(&leaves[index], &root), Ok(()));
        let proof = prove_consistency(old as u64, size, node).unwrap();
        prop_assert_eq!(&proof.path, &naive_subproof(old, &leaves, true));
        prop_assert_eq!(proof.verify(&naive_root(&leaves[..old]), &root), Ok(()));
        // A proof against an older tree holds with the tiles of the newer.
        let proof = prove_inclusion(0, old as u64, node).unwrap();
        prop_assert_eq!(proof.verify(&leaves[0], &naive_root(&leaves[..old])), Ok(()));
    }

    #[test]
    fn a_proof_with_one_wrong_bit_is_refused(
        size in 2_u64..300, index in any::<prop::sample::Index>(), hash in any::<prop::sample::Index>(), bit in 0_usize..256,
    ) {
        let leaves = leaves(size);
        let (tiles, edge) = grown(&leaves);
        let index = index.index(size as usize);
        let (root, node) = (edge.root(), &mut |level, index| tiles.node(level, index));
        let flip = |hash: &mut Hash| hash[bit / 8] ^= 1 << (bit % 8);
        let good = prove_inclusion(index as u64, size, node).unwrap();
        let mut bad = good.clone();
        let at = hash.index(bad.path.len());
        flip(&mut bad.path[at]);
        prop_assert_eq!(bad.verify(&leaves[index], &root), Err(ProofError::Root));
        let (mut leaf, mut other_root) = (leaves[index], root);
        flip(&mut leaf);
        flip(&mut other_root);
        prop_assert_eq!(good.verify(&leaf, &root), Err(ProofError::Root));
        prop_assert_eq!(good.verify(&leaves[index], &other_root), Err(ProofError::Root));
        let old = 1 + index as u64;
        let mut bad = prove_consistency(old, size, node).unwrap();
        if !bad.path.is_empty() {
            let at = hash.index(bad.path.len());
            flip(&mut bad.path[at]);
            prop_assert_eq!(bad.verify(&naive_root(&leaves[..=index]), &root), Err(ProofError::Root));
        }
    }

    #[test]
    fn random_bytes_prove_nothing(index in any::<u64>(), size in any::<u64>(), path in prop::collection::vec(any::<Hash>(), 0..70), leaf in any::<Hash>(), root in any::<Hash>()) {
        let inclusion = InclusionProof { index, size, path: path.clone() };
        prop_assert!(inclusion.verify(&leaf, &root).is_err());
        let consistency = ConsistencyProof { old_size: index, new_size: size, path };
        prop_assert!(consistency.verify(&leaf, &root).is_err());
    }
}
