//! Keys with a few values to choose from.

use std::fmt;

use serde::Deserialize;

macro_rules! choices {
    ($(#[$doc:meta])* $name:ident { $($(#[$attribute:meta])* $variant:ident = $text:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
        pub(in crate::config) enum $name {
            $($(#[$attribute])* #[serde(rename = $text)] $variant),*
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $text),* })
            }
        }
    };
}

choices!(LogLevel { Error = "error", Warn = "warn", #[default] Info = "info", Debug = "debug", Trace = "trace" });
choices!(LogFormat { #[default] Text = "text", Json = "json" });
choices!(Sandbox { #[default] Auto = "auto", Off = "off", Required = "required" });
choices!(TlsMode { Implicit = "implicit", Off = "off", #[default] StartTls = "starttls" });
choices!(AlertDelivery { #[default] AtOnce = "at once", Digest = "digest" });
choices!(AccountRule { LocalPart = "local-part", #[default] Name = "name" });
choices!(AuthRule { #[default] AfterTls = "after-tls", Always = "always", Off = "off" });
choices!(ClientCertificates { #[default] Off = "off", Requested = "requested", Required = "required" });
choices!(ListenerProfile { #[default] Device = "device" });
choices!(OnPortInUse { #[default] Fail = "fail", Skip = "skip" });
choices!(BareNewlines { #[default] Repair = "repair", Refuse = "refuse" });
choices!(TlsPolicy {
    Disabled = "disabled",
    Opportunistic = "opportunistic",
    #[default]
    Required = "required",
    Implicit = "implicit",
});
choices!(Canonicalization {
    #[default]
    RelaxedRelaxed = "relaxed/relaxed",
    RelaxedSimple = "relaxed/simple",
    SimpleRelaxed = "simple/relaxed",
    SimpleSimple = "simple/simple",
});
choices!(Unfit { #[default] Convert = "convert", Send = "send" });
choices!(Smtputf8 { #[default] Auto = "auto", On = "on", Off = "off" });
choices!(PriorityHeader { #[default] Keep = "keep", Set = "set", Strip = "strip" });
choices!(OverQuota { #[default] Refuse = "refuse", Queue = "queue" });
choices!(OnUnauthorized { #[default] Reject = "reject", Alert = "alert", Hold = "hold", Rewrite = "rewrite" });
choices!(VerifiedSenders { #[default] Additional = "additional", Off = "off", Required = "required" });
choices!(Autoconfig { #[default] Address = "address", LocalPart = "local-part", Off = "off" });
choices!(ClientAuth { Basic = "basic", #[default] Post = "post" });
choices!(ForeignRecipients { #[default] Rewrite = "rewrite", Smtp = "smtp" });
choices!(Large { Refuse = "refuse", #[default] Smtp = "smtp" });
choices!(AcmeChallenge { #[default] Http01 = "http-01", TlsAlpn01 = "tls-alpn-01", Dns01 = "dns-01" });
choices!(AcmeKey { #[default] EcdsaP256 = "ecdsa-p256", Rsa2048 = "rsa-2048" });
choices!(Cloud { China = "china", #[default] Global = "global", UsDod = "us_dod", UsGov = "us_gov" });
