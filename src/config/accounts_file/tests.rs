use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::auth::hash_password;
use crate::secret::Secret;

const FILE: &str = "\
# Accounts of example.com. Ask Bob before you change anything.

[account.bob]    # the boss
password = \"$old\" # set in 2025
active   = true
note     = \"do not touch\"

# The web shop.
[account.\"shop@example.com\"]
password = \"$shop\"
authorized_domains = \"example.com;example.net\"
";

fn file(text: &str) -> (tempfile::TempDir, AccountsFile) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("accounts.toml");
    File::create(&path)
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    (folder, AccountsFile::new(path))
}

fn text(file: &AccountsFile) -> String {
    fs::read_to_string(&file.path).unwrap()
}

fn name(text: &str) -> AccountName {
    AccountName::parse(text).unwrap()
}

fn hash() -> PasswordHash {
    hash_password(&Secret::new("secret".to_owned()), [1; 16]).unwrap()
}

fn account(of: &str) -> NewAccount {
    NewAccount {
        name: name(of),
        password: Some(hash()),
        scram: None,
        keys: vec![
            (AccountKey::Priority, AccountValue::Number(2)),
            (
                AccountKey::Note,
                AccountValue::Text("a \"note\"".to_owned()),
            ),
            (
                AccountKey::AuthorizedDomains,
                AccountValue::List(vec!["example.org".to_owned()]),
            ),
        ],
    }
}

#[test]
fn a_new_password_changes_one_value_and_nothing_else() {
    let (_folder, file) = file(FILE);
    file.set_password(&name("bob"), &hash(), None).unwrap();
    assert_eq!(text(&file), FILE.replace("$old", hash().as_str()));
}

#[test]
fn an_account_is_disabled_and_enabled_in_place() {
    let (_folder, file) = file(FILE);
    file.disable(&name("BOB")).unwrap();
    assert_eq!(
        text(&file),
        FILE.replace("active   = true", "active   = false")
    );
    file.enable(&name("bob")).unwrap();
    assert_eq!(text(&file), FILE);
}

#[test]
fn a_key_that_is_not_there_is_added() {
    let (_folder, file) = file(FILE);
    file.disable(&name("shop@example.com")).unwrap();
    assert_eq!(text(&file), format!("{FILE}active = false\n"));
}

#[test]
fn a_new_account_stands_at_the_end() {
    let (_folder, file) = file(FILE);
    file.add(&account("carol")).unwrap();
    let expected = format!(
        "{FILE}\n[account.carol]\npassword = \"{}\"\nactive = true\npriority = 2\nnote = 'a \"note\"'\n\
         authorized_domains = [\"example.org\"]\n",
        hash().as_str()
    );
    assert_eq!(text(&file), expected);
}

#[test]
fn a_name_with_dots_is_quoted() {
    let (_folder, file) = file("");
    file.add(&account("carol@example.com")).unwrap();
    assert!(text(&file).contains("[account.\"carol@example.com\"]"));
    assert!(!text(&file).contains("[account]"));
}

#[test]
fn a_deleted_account_goes_with_its_comment() {
    let (_folder, file) = file(FILE);
    file.delete(&name("shop@example.com")).unwrap();
    let kept = FILE.split("\n# The web shop").next().unwrap();
    assert_eq!(text(&file), kept);
}

#[test]
fn an_account_is_not_added_twice() {
    let (_folder, file) = file(FILE);
    let error = file.add(&account("Bob")).unwrap_err();
    assert!(matches!(error, AccountsFileError::Exists(existing) if existing == name("bob")));
    assert_eq!(text(&file), FILE);
}

#[test]
fn what_is_not_there_cannot_be_changed() {
    let (_folder, file) = file(FILE);
    for result in [
        file.delete(&name("eve")),
        file.disable(&name("eve")),
        file.set_password(&name("eve"), &hash(), None),
    ] {
        assert!(matches!(result, Err(AccountsFileError::Missing(_))));
    }
    assert_eq!(text(&file), FILE);
}

#[test]
fn a_missing_file_is_made_for_its_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = AccountsFile::new(folder.path().join("accounts.toml"));
    file.add(&account("carol")).unwrap();
    let mode = fs::metadata(&file.path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn the_mode_is_kept() {
    let (_folder, file) = file(FILE);
    fs::set_permissions(&file.path, fs::Permissions::from_mode(0o640)).unwrap();
    file.disable(&name("bob")).unwrap();
    let mode = fs::metadata(&file.path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
}

#[test]
fn a_symbolic_link_stays_one() {
    let (folder, real) = file(FILE);
    let link = folder.path().join("link.toml");
    std::os::unix::fs::symlink(&real.path, &link).unwrap();
    AccountsFile::new(link.clone())
        .disable(&name("bob"))
        .unwrap();
    assert!(fs::symlink_metadata(link).unwrap().is_symlink());
    assert!(text(&real).contains("active   = false"));
}

#[test]
fn a_file_with_faults_is_left_alone() {
    let (_folder, file) = file("[account.bob\n");
    let error = file.add(&account("carol")).unwrap_err();
    assert!(matches!(error, AccountsFileError::Invalid(_)));
    assert_eq!(text(&file), "[account.bob\n");
}

#[test]
fn what_an_interrupted_edit_left_is_no_obstacle() {
    let (folder, file) = file(FILE);
    File::create(folder.path().join("accounts.toml.new")).unwrap();
    file.disable(&name("bob")).unwrap();
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), 1);
}

#[test]
fn edits_at_once_all_count() {
    let (_folder, file) = file("");
    std::thread::scope(|scope| {
        for number in 0..8 {
            let file = file.clone();
            scope.spawn(move || file.add(&account(&format!("a{number}"))).unwrap());
        }
    });
    assert_eq!(text(&file).matches("[account.a").count(), 8);
}
