//! The options for the keys of an account, of `add` and `edit` alike.
//!
//! They are written as they are given; whether they are right is for the check of the whole configuration to say, with
//! line, column and hint.

use crate::auth::{Account, CertificateId};
use crate::cli::failure::{Code, Failure};
use crate::config::{AccountKey, AccountValue, Checked};
use crate::identity::{AccountName, folded};

/// What an account is allowed, and where its mail goes.
#[derive(Debug, Default, clap::Args)]
pub(super) struct KeyOptions {
    /// A domain it may send as; *.example.com stands for all below. May be given several times
    #[arg(long = "domain", value_name = "DOMAIN")]
    domains: Vec<String>,
    /// An address it may send as. May be given several times
    #[arg(long = "sender", value_name = "ADDRESS")]
    senders: Vec<String>,
    /// The tenant it belongs to
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// An upstream of its own; several in failover order
    #[arg(long = "upstream", value_name = "NAME")]
    upstreams: Vec<String>,
    /// A network whose clients need no password, such as 192.0.2.0/28. May be given several times
    #[arg(long = "network", value_name = "NETWORK")]
    networks: Vec<String>,
    /// A certificate that it logs in with: a SHA-256 fingerprint or a name in it. May be given several times
    #[arg(long = "certificate", value_name = "CERTIFICATE", value_parser = CertificateId::parse)]
    certificates: Vec<CertificateId>,
    /// Another name to log in with. May be given several times
    #[arg(long = "alias", value_name = "NAME", value_parser = AccountName::parse)]
    aliases: Vec<AccountName>,
    /// Its priority: 1 very high, 2 high, 3 normal, 4 low, 5 very low
    #[arg(long, value_name = "1-5", value_parser = clap::value_parser!(u32).range(1..=5))]
    priority: Option<u32>,
    /// The highest priority that a message of it can claim
    #[arg(long, value_name = "1-5", value_parser = clap::value_parser!(u32).range(1..=5))]
    max_priority: Option<u32>,
    /// What recipients see of the priority
    #[arg(long, value_parser = ["keep", "set", "strip"])]
    priority_header: Option<String>,
    /// Whether messages are refused whose address fields are not RFC 5322
    #[arg(long, value_name = "BOOL")]
    strict_addresses: Option<bool>,
    /// Whether From:, Sender: and Resent-* are judged like the envelope
    #[arg(long, value_name = "BOOL")]
    check_header_from: Option<bool>,
    /// Whether info+x@example.com counts as info@example.com
    #[arg(long, value_name = "BOOL")]
    plus_addressing: Option<bool>,
    /// What becomes of mail whose sender is not authorized
    #[arg(long, value_parser = ["alert", "hold", "reject", "rewrite"])]
    on_unauthorized: Option<String>,
    /// What counts of senders that have been verified
    #[arg(long, value_parser = ["additional", "off", "required"])]
    verified_senders: Option<String>,
    /// The sender that unauthorized ones are rewritten to
    #[arg(long, value_name = "ADDRESS")]
    default_sender: Option<String>,
    /// A field that each message gets, such as 'X-Account: {account}'. May be given several times
    #[arg(long = "added-field", value_name = "NAME: VALUE", value_parser = field)]
    added_fields: Vec<(String, String)>,
    /// How many messages it may send, such as 100/h. May be given several times
    #[arg(long, value_name = "RATE")]
    messages: Vec<String>,
    /// To how many recipients it may send, such as 500/h. May be given several times
    #[arg(long, value_name = "RATE")]
    recipients: Vec<String>,
    /// How much it may send, such as '1 GiB/d'. May be given several times
    #[arg(long, value_name = "RATE")]
    size: Vec<String>,
    /// How many sessions it may have at once; 0: any number
    #[arg(long, value_name = "NUMBER")]
    sessions: Option<u32>,
    /// What becomes of mail over these limits
    #[arg(long, value_parser = ["queue", "refuse"])]
    over_quota: Option<String>,
    /// Who is told of alerts about it. May be given several times
    #[arg(long = "alert-mail", value_name = "ADDRESS")]
    alert_mail: Vec<String>,
    /// A note for people
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
}

fn field(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text
        .split_once(':')
        .ok_or("a field is written NAME: VALUE")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

impl KeyOptions {
    /// Returns whether neither a domain nor an address is among it that the account may send as.
    pub(super) fn may_send_as_anyone(&self) -> bool {
        self.domains.is_empty() && self.senders.is_empty()
    }

    /// Returns whether the account has something to log in with that is no password.
    pub(super) fn has_certificate(&self) -> bool {
        !self.certificates.is_empty()
    }

    /// Returns what was given, in the order of the file.
    pub(super) fn values(&self) -> Vec<(AccountKey, AccountValue)> {
        let text = |text: &Option<String>| text.clone().map(AccountValue::Text);
        let flag = |flag: Option<bool>| flag.map(AccountValue::Flag);
        let number = |number: Option<u32>| number.map(AccountValue::Number);
        let list = |list: &[String]| (!list.is_empty()).then(|| AccountValue::List(list.to_vec()));
        let aliases: Vec<_> = self.aliases.iter().map(ToString::to_string).collect();
        let certificates: Vec<_> = self.certificates.iter().map(ToString::to_string).collect();
        let fields = &self.added_fields;
        let fields = (!fields.is_empty()).then(|| AccountValue::Table(fields.clone()));
        let all = [
            (AccountKey::Tenant, text(&self.tenant)),
            (AccountKey::Priority, number(self.priority)),
            (AccountKey::Note, text(&self.note)),
            (AccountKey::AuthorizedDomains, list(&self.domains)),
            (AccountKey::AuthorizedSenders, list(&self.senders)),
            (AccountKey::OnUnauthorized, text(&self.on_unauthorized)),
            (AccountKey::DefaultSender, text(&self.default_sender)),
            (AccountKey::VerifiedSenders, text(&self.verified_senders)),
            (AccountKey::CheckHeaderFrom, flag(self.check_header_from)),
            (AccountKey::PlusAddressing, flag(self.plus_addressing)),
            (AccountKey::StrictAddresses, flag(self.strict_addresses)),
            (AccountKey::Upstream, list(&self.upstreams)),
            (AccountKey::Networks, list(&self.networks)),
            (AccountKey::Certificates, list(&certificates)),
            (AccountKey::Aliases, list(&aliases)),
            (AccountKey::MaxPriority, number(self.max_priority)),
            (AccountKey::PriorityHeader, text(&self.priority_header)),
            (AccountKey::AddedFields, fields),
            (AccountKey::Messages, list(&self.messages)),
            (AccountKey::Recipients, list(&self.recipients)),
            (AccountKey::Size, list(&self.size)),
            (AccountKey::Sessions, number(self.sessions)),
            (AccountKey::OverQuota, text(&self.over_quota)),
            (AccountKey::AlertMail, list(&self.alert_mail)),
        ];
        let given = all.into_iter();
        given
            .filter_map(|(key, value)| Some((key, value?)))
            .collect()
    }

    /// Refuses names to log in with that another account has.
    pub(super) fn refuse_taken(&self, config: &Checked, own: &AccountName) -> Result<(), Failure> {
        let mut aliases = self.aliases.iter();
        aliases.try_for_each(|alias| refuse_taken(config, alias, own))
    }
}

/// Refuses a name to log in with that is the name or an alias of another account than `own`.
pub(super) fn refuse_taken(
    config: &Checked,
    name: &AccountName,
    own: &AccountName,
) -> Result<(), Failure> {
    let is = |account: &Account, name: &AccountName| {
        folded(account.name.as_str()) == folded(name.as_str())
    };
    let Some(other) = config.accounts.find(name.as_str()) else {
        return Ok(());
    };
    if is(other, own) && !is(other, name) {
        return Ok(());
    }
    let message = if is(other, name) {
        format!("there is an account `{}` already", other.name)
    } else {
        format!("`{name}` is an alias of account `{}` already", other.name)
    };
    let hint = "a name to log in with belongs to one account; letter case does not count";
    Err(Failure::new(Code::CannotCreate, message).with_hint(hint))
}
