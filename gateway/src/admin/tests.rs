//! The token file: it is made once, whole, for its owner alone; and what is no token opens nothing.

use std::os::unix::fs::PermissionsExt;

use super::Token;
use crate::words::SystemRandom;

#[test]
fn a_token_is_made_once_whole_and_for_its_owner_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("admin.token");
    let made = Token::read_or_make(&path, &SystemRandom).expect("made");
    let kept = std::fs::read_to_string(&path).expect("kept");
    assert!(made.is(&kept) && kept.len() == 68, "{kept}");
    assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
    assert!(Token::read_or_make(&path, &SystemRandom).expect("read").is(&kept));
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1, "nothing is left beside it");
}

/// A full disk or a crash once could leave such a file, and then every caller without a token had the right one.
#[test]
fn an_empty_or_cut_token_file_opens_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("admin.token");
    for text in ["", "\n", "xda_0123456789"] {
        std::fs::write(&path, text).expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("private");
        let refused = Token::read_or_make(&path, &SystemRandom).err().expect("refused");
        assert!(refused.to_string().contains("a token has at least 32"), "{refused}");
    }
}
