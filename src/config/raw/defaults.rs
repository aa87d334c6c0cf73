//! The defaults.

use std::time::Duration;

use toml::Spanned;

use super::{
    Account, AccountDefaults, AccountRule, Accounts, Acme, AcmeChallenge, AcmeKey, AlertDelivery,
    Alerts, Auth, Canonicalization, ClientAuth, Cloud, Connections, Dkim, ForeignRecipients, Graph,
    Http, Introspection, Issuer, Journal, Large, Limits, List, Listener, Log, Login,
    MessagesPerConnection, Microsoft, Named, OnUnauthorized, OverQuota, OwnLimits, OwnRetry,
    OwnTimeouts, Port, PriorityHeader, Rates, RecipientsPerMessage, Relay, Retry, Root, Sandbox,
    Server, Session, Smtp, Smtputf8, Spool, SystemMail, Tenant, Timeouts, Tls, TlsMode, TlsPolicy,
    Unfit, UpstreamTimeouts, VerifiedSenders,
};
use crate::acme;
use crate::alert::Kind;
use crate::config::units::{ByteSize, Number, Span};
use crate::schedule::RetryPlan;
use crate::smtp::server;
use crate::upstream::smtp;

impl Default for Root {
    /// The listeners of the product: every submission port, and implicit TLS on 465.
    fn default() -> Self {
        let listener = |name: &str, ports: &[&str], tls| Listener {
            name: Some(unplaced(name.to_owned())),
            ports: Some(unplaced(List::of(ports))),
            tls: Some(tls),
            ..Listener::default()
        };
        Self {
            server: Server::default(),
            log: Log::default(),
            listener: vec![
                unplaced(listener(
                    "submission",
                    &["25", "587", "1025-5000"],
                    TlsMode::StartTls,
                )),
                unplaced(listener("submissions", &["465"], TlsMode::Implicit)),
            ],
            login: Login::default(),
            session: Session::default(),
            tls: unplaced(Tls::default()),
            auth: Auth::default(),
            relay: Relay::default(),
            route: Vec::new(),
            upstream: Named::new(),
            dkim: Named::new(),
            tenant: Named::new(),
            accounts: Accounts::default(),
            spool: Spool::default(),
            journal: Journal::default(),
            system_mail: SystemMail::default(),
            alerts: Alerts::default(),
            http: Http::default(),
        }
    }
}

impl Default for Server {
    fn default() -> Self {
        Self {
            hostname: None,
            data_dir: unplaced("data".into()),
            run_as: None,
            shutdown_grace: Span::of(Duration::from_secs(30)),
            connections: Number::of(10_000),
            connections_per_address: Number::of(500),
            connections_per_prefix: Number::of(2_000),
            sandbox: Sandbox::default(),
        }
    }
}

impl Default for Listener {
    fn default() -> Self {
        Self {
            name: None,
            profile: None,
            address: unplaced(List::of(&["[::]"])),
            ports: None,
            tls: None,
            auth: None,
            mechanisms: None,
            client_certificate: None,
            plain_text_auth_networks: None,
            auth_equals: None,
            discard_keywords: None,
            bare_newlines: None,
            proxy_protocol: None,
            connections: None,
            connections_per_address: None,
            on_port_in_use: None,
            limits: OwnLimits::default(),
            timeouts: OwnTimeouts::default(),
            network: Vec::new(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        let limits = server::Limits::default();
        Self {
            message_size: ByteSize::of(limits.message_size),
            recipients: Number::of(limits.recipients.into()),
            command_line: ByteSize::of(limits.command_line as u64),
            auth_line: ByteSize::of(limits.auth_line as u64),
            data_line: ByteSize::of(limits.data_line as u64),
            errors: Number::of(limits.errors.into()),
            auth_failures: Number::of(limits.auth_failures.into()),
            idle_commands: Number::of(limits.idle_commands.into()),
            messages: Number::of(limits.messages.into()),
            future_release: Span::of(limits.future_release.unwrap_or_default()),
            deliver_by_min: Span::of(limits.deliver_by_min.unwrap_or_default()),
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        let timeouts = server::Timeouts::default();
        Self {
            before_auth: Span::of(timeouts.before_auth),
            command: Span::of(timeouts.command),
            data: Span::of(timeouts.data),
            handshake: Span::of(timeouts.handshake),
        }
    }
}

impl Default for Relay {
    fn default() -> Self {
        Self {
            enabled: true,
            upstream: None,
            ageing: Span::of(Duration::ZERO),
            retry: Retry::default(),
        }
    }
}

impl Default for Retry {
    fn default() -> Self {
        let plan = RetryPlan::default();
        Self {
            first: unplaced(Span::of(plan.first())),
            longest: unplaced(Span::of(plan.longest())),
            lifetime: unplaced(Span::of(plan.lifetime())),
            warn_after: unplaced(Span::of(plan.warn_after().unwrap_or_default())),
        }
    }
}

impl Default for Issuer {
    fn default() -> Self {
        Self {
            jwt: None,
            introspection: None,
            claim: None,
            accounts: unplaced(AccountRule::default()),
            domains: None,
            tenant: None,
            audience: None,
            clients: None,
            scopes: None,
            ca_file: None,
        }
    }
}

impl Default for Introspection {
    fn default() -> Self {
        Self {
            url: None,
            client_id: None,
            client_secret: None,
            client_auth: ClientAuth::Basic,
            remember: unplaced(Span::of(Duration::from_mins(1))),
        }
    }
}

impl Default for Smtp {
    fn default() -> Self {
        Self {
            profile: None,
            host: None,
            port: None,
            mx: unplaced(false),
            srv: unplaced(false),
            tls: None,
            verify: unplaced(true),
            ca_file: None,
            fingerprint: None,
            dane: None,
            mta_sts: None,
            username: None,
            password: None,
            oauth: None,
            plain_text_login: unplaced(false),
            client_certificate: None,
            client_key: None,
            helo: None,
            envelope_sender: None,
            local_address: None,
            proxy: None,
            connections: None,
            reserved_connections: None,
            rate: None,
            messages_per_connection: None,
            recipients_per_message: None,
            bandwidth: None,
            keep_idle: None,
            smtputf8: unplaced(Smtputf8::default()),
            eight_bit: Unfit::default(),
            long_lines: Unfit::default(),
            dkim: true,
            timeout: UpstreamTimeouts::default(),
            retry: OwnRetry::default(),
        }
    }
}

/// What counts for an SMTP upstream where neither its table nor its profile says otherwise.
pub(in crate::config) struct SmtpDefaults {
    pub(in crate::config) tls: TlsPolicy,
    pub(in crate::config) connections: Connections,
    pub(in crate::config) messages_per_connection: MessagesPerConnection,
    pub(in crate::config) recipients_per_message: RecipientsPerMessage,
    pub(in crate::config) keep_idle: Span<0>,
    pub(in crate::config) timeout: TimeoutDefaults,
}

impl Default for SmtpDefaults {
    fn default() -> Self {
        Self {
            tls: TlsPolicy::default(),
            connections: Number::of(20),
            messages_per_connection: Number::of(1000),
            recipients_per_message: Number::of(100),
            keep_idle: Span::of(Duration::from_secs(30)),
            timeout: TimeoutDefaults::default(),
        }
    }
}

/// The same, of its timeouts.
pub(in crate::config) struct TimeoutDefaults {
    pub(in crate::config) connect: Span<1000>,
    pub(in crate::config) command: Span<1000>,
    pub(in crate::config) data: Span<1000>,
    pub(in crate::config) final_reply: Span<1000>,
}

impl Default for TimeoutDefaults {
    fn default() -> Self {
        let timeouts = smtp::Timeouts::default();
        Self {
            connect: Span::of(timeouts.connect),
            command: Span::of(timeouts.command),
            data: Span::of(timeouts.data),
            final_reply: Span::of(timeouts.final_reply),
        }
    }
}

impl Default for Dkim {
    fn default() -> Self {
        Self {
            domain: None,
            selector: None,
            key: None,
            subdomains: true,
            canonicalization: Canonicalization::default(),
            valid_for: Span::of(Duration::ZERO),
            expires: None,
        }
    }
}

impl Default for Acme {
    fn default() -> Self {
        Self {
            agree_to_terms: unplaced(false),
            contact: None,
            names: None,
            challenge: unplaced(AcmeChallenge::default()),
            http: unplaced(List::of(&["[::]:80"])),
            tls_alpn: unplaced(List::of(&["[::]:443"])),
            dns_hook: None,
            dns_hook_timeout: Span::of(Duration::from_mins(5)),
            renew_before: Span::of(Duration::from_hours(30 * 24)),
            key: AcmeKey::default(),
            directory: unplaced(acme::LETS_ENCRYPT.to_owned()),
            ca_file: None,
            eab: None,
        }
    }
}

impl Default for Microsoft {
    fn default() -> Self {
        Self {
            tenant_id: None,
            client_id: None,
            client_secret: None,
            certificate: None,
            key: None,
            login: unplaced(false),
            refresh_token: None,
            cloud: Cloud::default(),
            authority: None,
            scope: None,
            ca_file: None,
        }
    }
}

impl Default for Graph {
    fn default() -> Self {
        Self {
            tenant_id: None,
            client_id: None,
            client_secret: None,
            certificate: None,
            key: None,
            cloud: Cloud::default(),
            mailbox: None,
            large: Large::default(),
            foreign_recipients: unplaced(ForeignRecipients::default()),
            message_size: unplaced(ByteSize::of(3_000_000)),
            // Four, which is what Graph allows a mailbox, one that is ready when another is being recorded, and one for
            // urgent mail.
            connections: Number::of(6),
            reserved_connections: None,
            rate: Rates::default(),
            recipients_per_message: Number::of(500),
            timeout: Span::of(Duration::from_mins(2)),
            endpoint: None,
            authority: None,
            smtp_host: None,
            smtp_port: Port::of(587),
            ca_file: None,
            proxy: None,
            retry: OwnRetry::default(),
        }
    }
}

impl Default for Tenant {
    fn default() -> Self {
        Self {
            parent: None,
            upstream: None,
            check_header_from: None,
            plus_addressing: None,
            on_unauthorized: None,
            verified_senders: None,
            default_sender: None,
            messages: Rates::default(),
            recipients: Rates::default(),
            size: Rates::default(),
            sessions: Number::of(0),
            alert_mail: None,
            alert_webhook: None,
        }
    }
}

impl Default for Accounts {
    fn default() -> Self {
        Self {
            file: unplaced("accounts.toml".into()),
            defaults: AccountDefaults::default(),
        }
    }
}

impl Default for AccountDefaults {
    fn default() -> Self {
        Self {
            priority: Number::of(3),
            max_priority: Number::of(1),
            priority_header: PriorityHeader::default(),
            strict_addresses: true,
            check_header_from: true,
            plus_addressing: false,
            on_unauthorized: OnUnauthorized::default(),
            verified_senders: VerifiedSenders::default(),
            default_sender: None,
            added_fields: Named::new(),
            messages: Rates::default(),
            recipients: Rates::default(),
            size: Rates::default(),
            sessions: Number::of(0),
            over_quota: OverQuota::default(),
        }
    }
}

impl Default for Account {
    fn default() -> Self {
        Self {
            password: None,
            scram: None,
            app_password: Named::new(),
            active: true,
            tenant: None,
            upstream: None,
            networks: None,
            certificates: None,
            aliases: None,
            authorized_domains: None,
            authorized_senders: None,
            priority: None,
            max_priority: None,
            priority_header: None,
            strict_addresses: None,
            check_header_from: None,
            plus_addressing: None,
            on_unauthorized: None,
            verified_senders: None,
            default_sender: None,
            added_fields: None,
            messages: None,
            recipients: None,
            size: None,
            sessions: None,
            over_quota: None,
            alert_mail: None,
            note: None,
        }
    }
}

impl Default for Spool {
    fn default() -> Self {
        Self {
            segment_size: ByteSize::of(64 << 20),
            memory_budget: ByteSize::of(64 << 20),
            max_messages: Number::of(1_000_000),
            max_size: ByteSize::of(100 << 30),
            max_memory: ByteSize::of(1 << 30),
            min_free: ByteSize::of(256 << 20),
        }
    }
}

impl Default for Journal {
    fn default() -> Self {
        Self {
            keep: Span::of(Duration::from_hours(7 * 24)),
            max_size: ByteSize::of(1 << 30),
        }
    }
}

impl Default for SystemMail {
    fn default() -> Self {
        Self {
            sender: None,
            name: unplaced("Mail Delivery System".to_owned()),
        }
    }
}

impl Default for Alerts {
    fn default() -> Self {
        Self {
            kinds: unplaced(List::of(&Kind::ALL.map(Kind::as_str))),
            mail: None,
            delivery: AlertDelivery::default(),
            digest_every: Span::of(Duration::from_hours(1)),
            upstream: None,
            delivery_time: Span::of(Duration::from_hours(1)),
            keep: Span::of(Duration::from_hours(30 * 24)),
            webhook: None,
        }
    }
}

/// A value that stands in no file.
fn unplaced<T>(value: T) -> Spanned<T> {
    Spanned::new(0..0, value)
}
