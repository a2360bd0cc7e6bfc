//! Who may come in: the files of `-u` and `-U`.
//!
//! A line is `user:password`, the password plain, or as MD5 or SHA-1 in hexadecimal digits, as kdb+ has it.

use subtle::ConstantTimeEq as _;

/// Largest file that is read.
const MOST: u64 = 16 << 20;

/// Reads the file and looks the user up; `hashes` are those of the password, in hexadecimal digits. Takes as long for
/// an unknown user as for a wrong password.
pub(crate) fn is_right(file: &str, user: &str, password: &str, hashes: &[String]) -> bool {
    let small = std::fs::metadata(file).is_ok_and(|m| m.len() <= MOST);
    let text = if small { std::fs::read_to_string(file).unwrap_or_default() } else { String::new() };
    let mut right = subtle::Choice::from(0);
    for line in text.lines() {
        let (name, secret) = line.trim_end_matches('\r').split_once(':').unwrap_or((line, ""));
        let lower = secret.to_ascii_lowercase();
        let mut matches = secret.as_bytes().ct_eq(password.as_bytes());
        for hash in hashes {
            matches |= lower.as_bytes().ct_eq(hash.as_bytes());
        }
        right |= name.as_bytes().ct_eq(user.as_bytes()) & matches;
    }
    right.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_right_plain_or_hashed_for_its_user_only() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("users");
        std::fs::write(&file, "ann:secret\nbob:6A6b\r\n").expect("written");
        let file = file.to_string_lossy();
        let right = |user, password, hash: &str| is_right(&file, user, password, &[hash.to_owned()]);
        assert!(right("ann", "secret", "00"));
        assert!(right("bob", "anything", "6a6b"));
        assert!(!right("ann", "anything", "6a6b"));
        assert!(!right("bob", "secret", "00"));
        assert!(!right("eve", "", ""));
        assert!(!is_right("/no/such/file", "ann", "secret", &[]));
    }
}
