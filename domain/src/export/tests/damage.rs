//! Damage that nobody repaired: refused, and the line that is named is not after the damage.

use proptest::prelude::*;

use super::*;

/// What happens to a file on its way.
#[derive(Debug, Clone)]
enum Damage {
    Flip { at: usize, bit: u8 },
    Delete(usize),
    Double(usize),
    Swap(usize, usize),
    Cut(usize),
    Append(Vec<u8>),
    Blank(usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    let place = any::<usize>;
    prop_oneof![
        (place(), 0..8u8).prop_map(|(at, bit)| Damage::Flip { at, bit }),
        place().prop_map(Damage::Delete),
        place().prop_map(Damage::Double),
        (place(), place()).prop_map(|(one, other)| Damage::Swap(one, other)),
        place().prop_map(Damage::Cut),
        prop::collection::vec(any::<u8>(), 1..20).prop_map(Damage::Append),
        place().prop_map(Damage::Blank),
    ]
}

/// Damages a file; answers the first line that differs, or nothing where none does.
fn damaged(bytes: &[u8], damage: &Damage) -> Option<(Vec<u8>, u64)> {
    let mut lines: Vec<Vec<u8>> = bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    let count = lines.len();
    let (result, first) = match damage {
        Damage::Flip { at, bit } => {
            let mut bytes = bytes.to_vec();
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            let line = line_of(&lines, at);
            return Some((bytes, line as u64 + 1));
        }
        Damage::Cut(at) => {
            let at = at % bytes.len();
            return Some((bytes[..at].to_vec(), line_of(&lines, at) as u64 + 1));
        }
        Damage::Append(garbage) => ([bytes, garbage].concat(), count),
        Damage::Delete(line) => {
            lines.remove(line % count);
            (lines.concat(), line % count)
        }
        Damage::Double(line) => {
            lines.insert(line % count, lines[line % count].clone());
            (lines.concat(), line % count + 1)
        }
        Damage::Blank(line) => {
            lines.insert(line % (count + 1), b"\n".to_vec());
            (lines.concat(), line % (count + 1))
        }
        Damage::Swap(one, other) => {
            lines.swap(one % count, other % count);
            (lines.concat(), (one % count).min(other % count))
        }
    };
    (result != bytes).then_some((result, first as u64 + 1))
}

/// The line, from 0, in which a byte stands.
fn line_of(lines: &[Vec<u8>], at: usize) -> usize {
    let mut end = 0;
    lines
        .iter()
        .position(|line| {
            end += line.len();
            at < end
        })
        .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_damage_goes_unnoticed(damage in damage(), events in 3..14i64, kind in 0..3) {
        let log = Log::new(events);
        let file = match kind {
            0 => log.session(),
            1 => log.book(1, events),
            _ => log.book(2, events - 1),
        };
        let Some((bytes, line)) = damaged(&file.bytes(), &damage) else { return Ok(()) };
        let faulty = check(&bytes, Some(&verifier())).expect_err("damage is refused");
        prop_assert!(faulty.line <= line, "line {line} is damaged, and line {faulty}");
    }
}

#[test]
fn every_bit_of_a_file_counts() {
    for file in [Log::new(3).session(), Log::new(5).book(2, 3)] {
        let bytes = file.bytes();
        for at in 0..bytes.len() {
            let (damaged, line) = damaged(&bytes, &Damage::Flip { at, bit: (at % 8) as u8 }).unwrap();
            let faulty = check(&damaged, None).expect_err("a flipped bit is refused");
            assert!(faulty.line <= line, "byte {at} in line {line}: {faulty}");
        }
    }
}

#[test]
fn a_line_that_never_ends_is_refused() {
    let mut bytes = Log::new(3).session().bytes();
    bytes.extend(vec![b'x'; MAX_LINE_BYTES + 1]);
    let faulty = check(&bytes, None).unwrap_err();
    assert_eq!(faulty.fault, Fault::TooLong);
}

#[test]
fn what_is_no_export_is_no_export() {
    for bytes in [&b""[..], b"\n", b"{}\n", b"{\"format\":\"daybook-export\"}\n", b"\xff\xfe\n"] {
        let faulty = check(bytes, None).unwrap_err();
        assert_eq!(faulty.line, 1);
        assert!(!is_export(bytes));
    }
    let later = b"{\"format\":\"daybook-export\",\"version\":2,\"sha256\":\"\"}\n";
    assert!(is_export(later));
    assert_eq!(check(later, None).unwrap_err().fault, Fault::Version(2));
}
