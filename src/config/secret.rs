//! Secrets: from a file, from the environment, or written in the configuration.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use toml::Spanned;

use super::check::Context;
use super::raw;
use crate::secret::Secret;

/// The longest secret, in octets. OAuth tokens have a few thousand.
const MAX_SECRET: u64 = 64 << 10;

/// What to do before a secret ends.
const RENEW: &str = "Have a new one made where it comes from, put it in the place of the old one with its own `expires`, and \
                     reload.";

/// Why a secret file is not used.
#[derive(Debug, thiserror::Error)]
enum SecretFileError {
    #[error("others can read the secret file {path} (mode {mode:03o})")]
    Exposed { path: PathBuf, mode: u32 },
    #[error("others can write the secret file {path} (mode {mode:03o})")]
    Writable { path: PathBuf, mode: u32 },
    #[error("cannot read the secret file {path}: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error("the secret file {path} is larger than 64 KiB")]
    TooLarge { path: PathBuf },
}

/// Returns the secret, or `None` after an error has been reported.
pub(super) fn resolve(
    context: &mut Context,
    source: &Spanned<raw::SecretSource>,
) -> Option<Secret> {
    let raw::SecretSource {
        file,
        env,
        inline,
        expires,
    } = source.get_ref();
    let secret = match (file, env, inline) {
        (Some(file), None, None) => from_file(context, file)?,
        (None, Some(name), None) => from_environment(context, name)?,
        (None, None, Some(inline)) => written(context, inline),
        _ => {
            context.error(
                source.span(),
                "a secret stands in exactly one place",
                "write one of { file = \"…\" }, { env = \"…\" } and { inline = \"…\" }",
            );
            return None;
        }
    };
    let is_usable = !secret.expose().is_empty() && !secret.expose().contains(['\0', '\r', '\n']);
    if !is_usable {
        let message = if secret.expose().is_empty() {
            "the secret is empty"
        } else {
            "the secret has a line break or a NUL inside"
        };
        let hint = "a password is one line of text; one line break after it is left out";
        context.error(source.span(), message, hint);
        return None;
    }
    if let Some(day) = expires {
        context.ends(day.span(), "the secret", day.get_ref().begins(), RENEW);
    }
    Some(secret)
}

fn from_file(context: &mut Context, file: &Spanned<PathBuf>) -> Option<Secret> {
    const HINT: &str = "the file holds the password and nothing else; a relative path starts at the folder of the \
                        configuration";
    key_file(context, file, HINT)
}

/// Reads a file that holds a secret of any form, such as a private key; `None` after an error has been reported. `hint`
/// says what the file should be, where it cannot be read.
pub(super) fn key_file(
    context: &mut Context,
    file: &Spanned<PathBuf>,
    hint: &str,
) -> Option<Secret> {
    let path = context.path(file.get_ref());
    match read(&path) {
        Ok(secret) => Some(secret),
        Err(error) => {
            let hint = match &error {
                SecretFileError::Exposed { path, .. } | SecretFileError::Writable { path, .. } => {
                    format!("chmod 600 {}", path.display())
                }
                SecretFileError::Read { .. } => hint.to_owned(),
                SecretFileError::TooLarge { .. } => "is this the right file?".to_owned(),
            };
            context.error(file.span(), error.to_string(), hint);
            None
        }
    }
}

fn from_environment(context: &mut Context, name: &Spanned<String>) -> Option<Secret> {
    let variable = name.get_ref();
    let is_name = !variable.is_empty() && !variable.contains(['=', '\0']);
    let value = is_name.then(|| std::env::var(variable).ok()).flatten();
    if value.is_none() {
        context.error(
            name.span(),
            format!("the environment has no variable `{variable}`"),
            "set it for the process that runs posthouse, as text in UTF-8",
        );
    }
    value.map(Secret::new)
}

fn written(context: &mut Context, inline: &Spanned<raw::Hidden>) -> Secret {
    if context.is_readable_by_others {
        context.warning(
            inline.span(),
            "others can read this password",
            "chmod 600 this file, or move the password to a file of its own: { file = \"…\" }",
        );
    }
    inline.get_ref().0.clone()
}

/// Reads a secret file. The mode is asked of the open file, so that it cannot be exchanged meanwhile.
fn read(path: &Path) -> Result<Secret, SecretFileError> {
    let unreadable = |source| SecretFileError::Read {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(unreadable)?;
    let mode = file.metadata().map_err(unreadable)?.permissions().mode() & 0o777;
    let path = path.to_owned();
    if mode & 0o004 != 0 {
        return Err(SecretFileError::Exposed { path, mode });
    }
    if mode & 0o022 != 0 {
        return Err(SecretFileError::Writable { path, mode });
    }
    let mut text = String::new();
    let read = file.take(MAX_SECRET + 1).read_to_string(&mut text);
    // Taken in at once, so that the text is overwritten whatever follows.
    let text = Secret::new(text);
    match read {
        Err(source) => Err(SecretFileError::Read { path, source }),
        Ok(octets) if octets as u64 > MAX_SECRET => Err(SecretFileError::TooLarge { path }),
        Ok(_) => {
            let line = text.expose();
            let line = line.strip_suffix('\n').unwrap_or(line);
            let line = line.strip_suffix('\r').unwrap_or(line);
            Ok(Secret::new(line.to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::io::Write as _;

    use super::*;

    fn file(content: &str, mode: u32) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        File::create(&path)
            .unwrap()
            .write_all(content.as_bytes())
            .unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        (folder, path)
    }

    #[test]
    fn the_line_break_at_the_end_is_left_out() {
        for content in ["hunter2", "hunter2\n", "hunter2\r\n"] {
            let (_folder, path) = file(content, 0o600);
            assert_eq!(read(&path).unwrap().expose(), "hunter2");
        }
    }

    #[test]
    fn spaces_belong_to_the_secret() {
        let (_folder, path) = file(" a b \n", 0o640);
        assert_eq!(read(&path).unwrap().expose(), " a b ");
    }

    #[test]
    fn a_secret_file_that_others_can_read_is_refused() {
        let (_folder, path) = file("hunter2", 0o644);
        let error = read(&path).unwrap_err();
        assert!(matches!(
            error,
            SecretFileError::Exposed { mode: 0o644, .. }
        ));
    }

    #[test]
    fn a_secret_file_that_others_can_write_is_refused() {
        let (_folder, path) = file("hunter2", 0o620);
        let error = read(&path).unwrap_err();
        assert!(matches!(error, SecretFileError::Writable { .. }));
    }

    #[test]
    fn a_file_that_is_no_secret_is_refused() {
        let (_folder, path) = file(&"x".repeat(100_000), 0o600);
        let error = read(&path).unwrap_err();
        assert!(matches!(error, SecretFileError::TooLarge { .. }));
    }
}
