//! The account at an authority.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use instant_acme::{
    Account, AccountBuilder, Error as ProtocolError, ExternalAccountKey, Key, NewAccount,
};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use zeroize::Zeroizing;

use super::error::AcmeError;
use super::settings::{Binding, Settings};
use super::store::StoredAccount;

/// Opens the account that is kept, or makes one.
///
/// The key is stored before the authority hears of it, so that after a crash the same account is found. Only where the
/// authority wants a person's account besides (`eab`), the protocol library makes the key itself, and a crash between
/// answer and file costs that account.
pub(super) async fn open(
    settings: &Settings,
    transport: impl Fn() -> AccountBuilder,
) -> Result<Account, AcmeError> {
    let failed = |source| AcmeError::Account {
        host: settings.directory.host_str().unwrap_or_default().into(),
        source,
    };
    let mut stored = StoredAccount::read(&settings.folder, &settings.directory)?;
    if stored.is_none() && settings.binding.is_none() {
        let (_, key) = Key::generate_pkcs8().map_err(failed)?;
        let fresh = StoredAccount {
            key: Zeroizing::new(key.secret_pkcs8_der().to_vec()),
            id: None,
            contact: Vec::new(),
        };
        fresh.write(&settings.folder, &settings.directory)?;
        stored = Some(fresh);
    }
    let (account, mut stored) = match stored {
        Some(stored) => {
            let account = reopen(settings, &stored, transport())
                .await
                .map_err(failed)?;
            (account, stored)
        }
        None => register(settings, transport()).await.map_err(failed)?,
    };
    let is_new = stored.id.as_deref() != Some(account.id());
    let has_moved = stored.contact != settings.contact;
    if has_moved {
        let contact: Vec<&str> = settings.contact.iter().map(String::as_str).collect();
        account.update_contacts(&contact).await.map_err(failed)?;
    }
    if is_new || has_moved {
        stored.id = Some(account.id().to_owned());
        stored.contact.clone_from(&settings.contact);
        stored.write(&settings.folder, &settings.directory)?;
    }
    if is_new {
        tracing::info!(directory = %settings.directory, account = account.id(), "account at the authority");
    }
    Ok(account)
}

/// Forgets what the authority called an account that it knows no more; its key stays.
pub(super) fn forget(settings: &Settings) -> Result<(), AcmeError> {
    if let Some(mut stored) = StoredAccount::read(&settings.folder, &settings.directory)? {
        stored.id = None;
        stored.contact.clear();
        stored.write(&settings.folder, &settings.directory)?;
    }
    Ok(())
}

async fn reopen(
    settings: &Settings,
    stored: &StoredAccount,
    transport: AccountBuilder,
) -> Result<Account, ProtocolError> {
    let key = PrivatePkcs8KeyDer::from(stored.key.to_vec());
    let directory = settings.directory.to_string();
    if let Some(id) = &stored.id {
        return transport.from_parts(id.clone(), key, directory).await;
    }
    let signing = Key::from_pkcs8_der(key.clone_key())?;
    let key = PrivateKeyDer::from(key);
    let made = transport.create_from_key((signing, key), directory).await?;
    Ok(made.0)
}

async fn register(
    settings: &Settings,
    transport: AccountBuilder,
) -> Result<(Account, StoredAccount), ProtocolError> {
    let contact: Vec<&str> = settings.contact.iter().map(String::as_str).collect();
    let new = NewAccount {
        contact: &contact,
        terms_of_service_agreed: true,
        only_return_existing: false,
    };
    let binding = settings.binding.as_ref().map(external);
    let directory = settings.directory.to_string();
    let (account, credentials) = transport.create(&new, directory, binding.as_ref()).await?;
    let stored = StoredAccount {
        key: Zeroizing::new(credentials.private_key().secret_pkcs8_der().to_vec()),
        id: None,
        contact: settings.contact.clone(),
    };
    Ok((account, stored))
}

fn external(binding: &Binding) -> ExternalAccountKey {
    // The check of the configuration has seen that it can be decoded.
    let key = BASE64_URL_SAFE_NO_PAD.decode(binding.hmac_key.expose());
    let key = Zeroizing::new(key.unwrap_or_default());
    ExternalAccountKey::new(binding.key_id.clone(), &key)
}
