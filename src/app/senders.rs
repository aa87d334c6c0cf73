//! Verified senders: what operators and links do to the ledger, and what accounts may send as from then on.

mod view;

use std::collections::HashSet;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use crate::config::{Checked, with_verified};
use crate::control::senders::{Evidence, SenderRequest, SenderView};
use crate::control::server::SenderError;
use crate::dns::ResolveError;
use crate::identity::AccountName;
use crate::mail::{Date, Envelope, Mailbox, Notify, Priority, QueueId, Recipient, ReversePath};
use crate::policy::{Grant, VerifiedSenders};
use crate::spool::{Message, SpoolError};
use crate::submission::Directory;
use crate::telemetry::chain;
use crate::verification::{
    Digest, Ledger, LedgerError, Letter, Proof, Question, Standing, Token, parse, record_name,
    record_text, written,
};

use super::reload::Reloader;

pub use view::views;

/// Reads the ledger, without the senders of accounts that are gone. Where it cannot be read, it is put aside and nothing is
/// verified: mail of accounts that need a proof is refused rather than believed.
pub(super) fn ledger(config: &Checked) -> Ledger {
    let data_dir = &config.server.data_dir;
    let mut ledger = Ledger::load(data_dir).unwrap_or_else(|error| {
        let empty = Ledger::empty(data_dir);
        let aside = empty.path().with_extension("unreadable");
        let is_aside = std::fs::rename(empty.path(), aside).is_ok();
        tracing::error!(%error, is_aside, "the file of verified senders cannot be read; none is verified");
        empty
    });
    forget_gone(&mut ledger, |account| config.profiles.contains_key(account));
    ledger
}

/// Takes out the senders of accounts that are gone. The log has what an operator needs to take that back.
fn forget_gone(ledger: &mut Ledger, exists: impl Fn(&AccountName) -> bool) {
    match ledger.forget_gone(exists) {
        Ok(gone) => {
            for entry in gone {
                let (account, sender) = (&entry.account, written(&entry.subject));
                let was_verified = entry.verified.is_some();
                tracing::warn!(%account, sender, was_verified, "sender forgotten: its account is gone");
            }
        }
        Err(error) => tracing::error!(
            error = chain(&error),
            "senders of accounts that are gone count no more, but stay in their file"
        ),
    }
}

/// An account and a sender.
#[derive(Clone)]
struct Target {
    account: AccountName,
    subject: Grant,
}

impl Target {
    fn pair(&self) -> (&AccountName, &Grant) {
        (&self.account, &self.subject)
    }
}

impl Reloader {
    /// Does what an operator asks.
    pub(super) async fn senders(
        self: &Arc<Self>,
        request: SenderRequest,
    ) -> Result<Vec<SenderView>, SenderError> {
        match request {
            SenderRequest::Add { account, sender } => {
                let target = self.target(Some(&account), &sender)?;
                self.add_sender(target).await
            }
            SenderRequest::Delete { account, sender } => {
                let target = self.target(account.as_deref(), &sender)?;
                self.delete_sender(target).await
            }
            SenderRequest::List { account } => {
                let account = account.map(|account| self.account(&account)).transpose()?;
                Ok(self.sender_views(|view| {
                    let own = account.as_ref().map(AccountName::as_str);
                    own.is_none_or(|account| view.account == account)
                }))
            }
            SenderRequest::Verify {
                account,
                sender,
                evidence,
            } => {
                let target = self.target(account.as_deref(), &sender)?;
                match evidence {
                    Evidence::Operator => self.believe(target).await,
                    Evidence::Record => self.look_for_record(target).await,
                }
            }
        }
    }

    /// Returns the ledger without the senders of accounts that a configuration does not have. The caller has the turn.
    pub(super) async fn ledger_of(&self, config: &Checked) -> Ledger {
        let mut ledger = self.kept().ledger.clone();
        let accounts: HashSet<AccountName> = config.profiles.keys().cloned().collect();
        let work = move || {
            forget_gone(&mut ledger, |account| accounts.contains(account));
            ledger
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(ledger) => ledger,
            Err(error) => {
                tracing::error!(%error, "senders of accounts that are gone cannot be forgotten; none is verified");
                Ledger::empty(&config.server.data_dir)
            }
        }
    }

    /// Uses a link for somebody at this address. Runs to its end where it is dropped.
    pub(super) async fn confirm_sender(
        self: &Arc<Self>,
        digest: Digest,
        peer: IpAddr,
    ) -> Result<Standing, LedgerError> {
        let now = self.clock.now();
        let confirm = move |ledger: &mut Ledger| {
            let standing = ledger.confirm(&digest, now)?;
            if let Standing::Open(entry) = &standing {
                let (account, sender) = (&entry.account, written(&entry.subject));
                tracing::info!(%account, sender, by = "link", %peer, "sender verified");
            }
            Ok(standing)
        };
        self.change_ledger(confirm).await
    }

    async fn add_sender(self: &Arc<Self>, target: Target) -> Result<Vec<SenderView>, SenderError> {
        let how = self.kept().verified_senders.get(&target.account).copied();
        if how == Some(VerifiedSenders::Off) {
            return Err(SenderError::Refused(format!(
                "verified senders do not count for account `{}`: verified_senders is \"off\"",
                target.account
            )));
        }
        let known = self
            .kept()
            .ledger
            .find(&target.account, &target.subject)
            .cloned();
        if known.is_some_and(|entry| entry.verified.is_some()) {
            return Ok(self.told(&target, "It is verified already.".to_owned()));
        }
        match target.subject.clone() {
            Grant::Mailbox(address) => self.send_link(target, &address).await,
            Grant::Domain(_) | Grant::Subdomains(_) => {
                self.ask_for_record(&target).await?;
                Ok(self.told(
                    &target,
                    format!("Publish the record, then: {}", verify(&target)),
                ))
            }
        }
    }

    async fn send_link(
        self: &Arc<Self>,
        target: Target,
        address: &Mailbox,
    ) -> Result<Vec<SenderView>, SenderError> {
        let Some(public) = &self.fixed.public else {
            return Err(SenderError::Refused(format!(
                "links need a page to lead to, which [http.public] serves; or take your own word: {}",
                verify(&target)
            )));
        };
        let token = Token::random().map_err(|error| SenderError::Store(error.to_string()))?;
        let (digest, now) = (Digest::of(token.expose()), self.clock.now());
        let is_new = self
            .kept()
            .ledger
            .find(&target.account, &target.subject)
            .is_none();
        let asked = (target.account.clone(), address.clone());
        // First the ledger: a link that is in the mail and nowhere else would be a mail that lies.
        let until = self
            .change_ledger(move |ledger| ledger.ask_by_link((&asked.0, &asked.1), digest, now))
            .await
            .map_err(|error| refused(&error))?;
        let sent = self
            .commit_letter(
                (&target.account, address),
                &public.link(token.expose()),
                until.into(),
            )
            .await;
        match sent {
            Ok(queue_id) => {
                let (account, sender) = (&target.account, written(&target.subject));
                tracing::info!(%queue_id, %account, sender, "link sent");
                let note = format!("A mail with the link is on its way: {queue_id}.");
                Ok(self.told(&target, note))
            }
            Err(error) => {
                if is_new {
                    let Target { account, subject } = target;
                    let withdrawn =
                        self.change_ledger(move |ledger| ledger.delete(&account, &subject));
                    if let Err(error) = withdrawn.await {
                        tracing::warn!(
                            error = chain(&error),
                            "a sender waits for a link that was not sent"
                        );
                    }
                }
                Err(error)
            }
        }
    }

    /// Queues the mail with the link on the route of the account.
    async fn commit_letter(
        &self,
        (account, to): (&AccountName, &Mailbox),
        link: &str,
        until: Date,
    ) -> Result<QueueId, SenderError> {
        let directory = self.parts.directory();
        let Some(choice) = directory.routes.route_to(account, to) else {
            let message = format!("no upstream takes mail of account `{account}` to {to}");
            return Err(SenderError::Refused(message));
        };
        let unspooled = |error: SpoolError| SenderError::Store(chain(&error));
        let spool = &self.parts.spool;
        let mut draft = spool.draft().await.map_err(unspooled)?;
        let now = self.clock.now();
        let letter = Letter {
            hostname: &directory.hostname,
            from: &self.fixed.system_mail.sender,
            from_name: &self.fixed.system_mail.name,
            to,
            account,
            date: now.into(),
            until,
            queue_id: draft.id(),
        }
        .write(link);
        draft.write(letter.octets).await.map_err(unspooled)?;
        let accounts = self.parts.authenticator.accounts();
        let message = Message {
            envelope: Envelope {
                body: letter.body,
                smtputf8: letter.smtputf8,
                recipients: vec![Recipient {
                    notify: Some(Notify::NEVER),
                    ..Recipient::new(to.clone().into())
                }],
                ..Envelope::new(ReversePath::Null)
            },
            account: Some(account.clone()),
            tenant: accounts
                .find(account.as_str())
                .and_then(|account| account.tenant.clone()),
            route: choice.route.clone(),
            priority: Priority::Normal,
            accepted: now,
            due: now,
            peer: None,
            message_id: None,
            held: None,
        };
        spool.commit(draft, message).await.map_err(unspooled)
    }

    async fn ask_for_record(self: &Arc<Self>, target: &Target) -> Result<(), SenderError> {
        let token = Token::random().map_err(|error| SenderError::Store(error.to_string()))?;
        let (target, now) = (target.clone(), self.clock.now());
        self.change_ledger(move |ledger| ledger.ask_by_record(target.pair(), token.expose(), now))
            .await
            .map_err(|error| refused(&error))
    }

    async fn delete_sender(
        self: &Arc<Self>,
        target: Target,
    ) -> Result<Vec<SenderView>, SenderError> {
        let before = self.told(&target, "It is deleted.".to_owned());
        let Target { account, subject } = target.clone();
        let deleted = self
            .change_ledger(move |ledger| ledger.delete(&account, &subject))
            .await
            .map_err(|error| refused(&error))?;
        if !deleted {
            return Err(unknown(&target));
        }
        tracing::info!(account = %target.account, sender = written(&target.subject), "sender deleted");
        Ok(before)
    }

    async fn believe(self: &Arc<Self>, target: Target) -> Result<Vec<SenderView>, SenderError> {
        self.prove(&target, Proof::Operator).await?;
        Ok(self.told(&target, "It is verified by your word.".to_owned()))
    }

    /// Looks for the record of a domain. A proof by a record that is gone is taken back.
    async fn look_for_record(
        self: &Arc<Self>,
        target: Target,
    ) -> Result<Vec<SenderView>, SenderError> {
        let Some(name) = record_name(&target.subject) else {
            let message = "an address is verified by its link, or by an operator's word";
            return Err(SenderError::Refused(message.to_owned()));
        };
        let entry = self
            .kept()
            .ledger
            .find(&target.account, &target.subject)
            .cloned();
        let entry = entry.ok_or_else(|| unknown(&target))?;
        let Question::Record { token } = &entry.question else {
            let message = "nobody has asked for its record; `posthouse sender delete` and `add` do";
            return Err(SenderError::Refused(message.to_owned()));
        };
        let texts = match self.resolver.texts_anew(&name).await {
            Ok(texts) => texts,
            Err(error @ ResolveError::Temporary { .. }) => {
                let message = format!("{error}; nothing has changed");
                return Err(SenderError::Temporary(message));
            }
            Err(
                ResolveError::NotFound(_) | ResolveError::NullMx(_) | ResolveError::NoService(_),
            ) => Vec::new(),
        };
        let wanted = record_text(token);
        if texts.iter().any(|text| text.trim() == wanted) {
            self.prove(&target, Proof::Dns).await?;
            return Ok(self.told(&target, "The record is there.".to_owned()));
        }
        if entry.verified.is_some_and(|proof| proof.by == Proof::Dns) {
            let Target { account, subject } = target.clone();
            let doubted = self.change_ledger(move |ledger| ledger.doubt(&account, &subject));
            doubted.await.map_err(|error| refused(&error))?;
            tracing::warn!(account = %target.account, sender = written(&target.subject), "the record of a verified sender is gone");
        }
        let note = format!(
            "There is no such record at {name} ({} others).",
            texts.len()
        );
        Ok(self.told(&target, note))
    }

    async fn prove(self: &Arc<Self>, target: &Target, by: Proof) -> Result<(), SenderError> {
        let (changed, now) = (target.clone(), self.clock.now());
        self.change_ledger(move |ledger| ledger.prove(changed.pair(), by, now))
            .await
            .map_err(|error| refused(&error))?;
        let (account, sender, by) = (&target.account, written(&target.subject), view::word(by));
        tracing::info!(%account, sender, by, "sender verified");
        Ok(())
    }

    /// Changes the ledger, and then what accounts may send as. Runs to its end where it is dropped: what is on the disk
    /// and what is in force are never two things.
    async fn change_ledger<T: Send + 'static>(
        self: &Arc<Self>,
        change: impl FnOnce(&mut Ledger) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, LedgerError> {
        let one = Arc::clone(&self.ledger_turn).lock_owned().await;
        let reloader = Arc::clone(self);
        let changed = tokio::task::spawn_blocking(move || {
            // Not while a reload exchanges the accounts.
            let _turn = reloader.turn.blocking_lock();
            let mut ledger = reloader.kept().ledger.clone();
            let told = change(&mut ledger)?;
            let profiles = {
                let mut kept = reloader.kept();
                kept.ledger = ledger;
                with_verified(&kept.profiles, &kept.verified_senders, &kept.ledger)
            };
            let directory = reloader.parts.directory();
            reloader.parts.replace_directory(Directory {
                profiles,
                hostname: directory.hostname.clone(),
                routes: directory.routes.clone(),
            });
            drop(one);
            Ok(told)
        });
        changed
            .await
            .unwrap_or_else(|error| Err(LedgerError::Write(io::Error::other(error))))
    }

    /// Finds whose and which sender is meant.
    fn target(&self, account: Option<&str>, sender: &str) -> Result<Target, SenderError> {
        let subject = parse(sender).ok_or_else(|| {
            let message = format!("`{sender}` is no address and no domain");
            SenderError::Refused(message)
        })?;
        if let Some(account) = account {
            let account = self.account(account)?;
            return Ok(Target { account, subject });
        }
        let kept = self.kept();
        let has_it = |entry: &&crate::verification::Entry| entry.subject == subject;
        let mut owners = kept.ledger.entries().iter().filter(has_it);
        match (owners.next(), owners.next()) {
            (Some(entry), None) => Ok(Target {
                account: entry.account.clone(),
                subject: entry.subject.clone(),
            }),
            (None, _) => Err(SenderError::Refused(format!(
                "nobody has asked for {sender}; name the account with --account"
            ))),
            (Some(_), Some(_)) => Err(SenderError::Refused(format!(
                "several accounts have {sender}; name one with --account"
            ))),
        }
    }

    fn account(&self, name: &str) -> Result<AccountName, SenderError> {
        let accounts = self.parts.authenticator.accounts();
        let found = accounts.find(name).map(|account| account.name.clone());
        // What an account that is gone has left can be looked at and deleted.
        let left = || {
            let kept = self.kept();
            let mut entries = kept.ledger.entries().iter();
            entries
                .find(|entry| entry.account.as_str() == name)
                .map(|entry| entry.account.clone())
        };
        found
            .or_else(left)
            .ok_or_else(|| SenderError::Account(name.to_owned()))
    }

    /// Returns the sender as it is now, with what is to be said of it.
    fn told(&self, target: &Target, note: String) -> Vec<SenderView> {
        let sender = written(&target.subject);
        let mut views = self.sender_views(|view| {
            view.account == target.account.as_str() && view.sender.eq_ignore_ascii_case(&sender)
        });
        if let Some(view) = views.first_mut() {
            view.note = Some(note);
        }
        views
    }

    fn sender_views(&self, wanted: impl Fn(&SenderView) -> bool) -> Vec<SenderView> {
        let kept = self.kept();
        let now = self.clock.now();
        let mut views = views(&kept.ledger, &kept.profiles, &kept.verified_senders, now);
        views.retain(wanted);
        views
    }
}

/// The command that verifies a sender.
fn verify(target: &Target) -> String {
    let (sender, account) = (written(&target.subject), &target.account);
    format!("posthouse sender verify '{sender}' --account {account}")
}

fn unknown(target: &Target) -> SenderError {
    let (sender, account) = (written(&target.subject), &target.account);
    SenderError::Refused(format!(
        "nobody has asked for {sender} for account `{account}`"
    ))
}

fn refused(error: &LedgerError) -> SenderError {
    match error {
        LedgerError::TooMany { .. } => SenderError::Temporary(error.to_string()),
        LedgerError::Waiting(_) => SenderError::Refused(error.to_string()),
        LedgerError::Write(_) => SenderError::Store(chain(error)),
    }
}
