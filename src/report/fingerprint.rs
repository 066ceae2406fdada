//! A short stable name for a finding or an object: the same in every run, on every machine, in every version.

/// FNV-1a with 128 bits (RFC 9923), as 32 hexadecimal digits. `std`'s hasher may change with the compiler, and what compares two
/// runs must not. Nothing here needs to resist somebody who looks for collisions.
#[must_use]
pub fn fingerprint(parts: &[&str]) -> String {
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013B;
    let mut hash: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    let mut add = |byte: u8| hash = (hash ^ u128::from(byte)).wrapping_mul(PRIME);
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            // no UTF-8 has this byte, so ["ab", "c"] is not ["a", "bc"]
            add(0xFF);
        }
        part.bytes().for_each(&mut add);
    }
    format!("{hash:032x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_published_hash() {
        // the test vectors of the hash's authors
        assert_eq!(fingerprint(&[""]), "6c62272e07bb014262b821756295c58d");
        assert_eq!(fingerprint(&["a"]), "d228cb696f1a8caf78912b704e4a8964");
        assert_eq!(fingerprint(&["foobar"]), "343e1662793c64bf6f0d3597ba446f18");
    }

    #[test]
    fn parts_do_not_run_together() {
        assert_ne!(fingerprint(&["ab", "c"]), fingerprint(&["a", "bc"]));
        assert_ne!(fingerprint(&["a"]), fingerprint(&["a", ""]));
    }
}
