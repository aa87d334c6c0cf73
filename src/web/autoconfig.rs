//! What mail programs are told when somebody sets up an account: Thunderbird's autoconfiguration
//! (<https://www.bucksch.org/1/projects/thunderbird/autoconfiguration/config-file-format>) and Outlook's autodiscover
//! (MS-OXDSCLI, the "plain old XML" of POP, IMAP and SMTP).
//!
//! The answer is the same for every address, so that nobody learns which accounts there are.

use crate::mail::Mailbox;

use super::public::{Incoming, Login};
use super::xml::escaped;

/// What this server offers to mail programs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Offer {
    /// The name that clients connect to, which its certificate carries.
    pub hostname: String,
    /// The ports for mail, the best first.
    pub outgoing: Vec<Outgoing>,
    /// What to log in as.
    pub login: Login,
    /// The server that mail is read from.
    pub incoming: Option<Incoming>,
}

/// A port that takes mail from clients that log in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Outgoing {
    /// The port.
    pub port: u16,
    /// Its TLS. A port without is not offered.
    pub security: Security,
}

/// The TLS of a port.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Security {
    /// From the beginning, as RFC 8314 prefers.
    Tls,
    /// By STARTTLS.
    StartTls,
}

impl Security {
    const fn of_imap(port: u16) -> Self {
        if port == 993 {
            Self::Tls
        } else {
            Self::StartTls
        }
    }

    const fn thunderbird(self) -> &'static str {
        match self {
            Self::StartTls => "STARTTLS",
            Self::Tls => "SSL",
        }
    }

    const fn outlook(self) -> &'static str {
        match self {
            Self::StartTls => "TLS",
            Self::Tls => "SSL",
        }
    }
}

impl Offer {
    /// Chooses what is offered of ports that clients can log in at with TLS: one of each kind, the standard one where it
    /// is there, the one with TLS from the beginning first.
    pub fn choose(ports: impl IntoIterator<Item = Outgoing>) -> Vec<Outgoing> {
        let standard = |port: &Outgoing| match port.security {
            Security::StartTls => port.port == 587,
            Security::Tls => port.port == 465,
        };
        let mut all: Vec<_> = ports.into_iter().collect();
        // Servers take port 25 for their own mail, and many networks keep clients from it.
        all.sort_by_key(|port| (port.security, !standard(port), port.port == 25, port.port));
        all.dedup_by_key(|port| port.security);
        all
    }

    /// Writes Thunderbird's file. `address` is whose account it will be, if that was told.
    pub fn autoconfig(&self, address: Option<&str>) -> String {
        let address = address.and_then(|address| Mailbox::parse(address).ok());
        let domain = address.map_or_else(
            || self.hostname.clone(),
            |address| address.domain().as_ascii().to_owned(),
        );
        let (domain, host) = (escaped(&domain), escaped(&self.hostname));
        let user = match self.login {
            Login::Address | Login::Untold => "%EMAILADDRESS%",
            Login::LocalPart => "%EMAILLOCALPART%",
        };
        let server = |kind: &str, element: &str, host: &str, port: u16, security: Security| {
            format!(
                "    <{element} type=\"{kind}\">\n      <hostname>{}</hostname>\n      <port>{port}</port>\n      \
                 <socketType>{}</socketType>\n      <authentication>password-cleartext</authentication>\n      \
                 <username>{user}</username>\n    </{element}>\n",
                escaped(host),
                security.thunderbird(),
            )
        };
        let incoming = self.incoming.iter().map(|imap| {
            let security = Security::of_imap(imap.port);
            server("imap", "incomingServer", &imap.host, imap.port, security)
        });
        let outgoing = self.outgoing.iter().map(|port| {
            server(
                "smtp",
                "outgoingServer",
                &self.hostname,
                port.port,
                port.security,
            )
        });
        let servers: String = incoming.chain(outgoing).collect();
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<clientConfig version=\"1.1\">\n  \
             <emailProvider id=\"{domain}\">\n    <domain>{domain}</domain>\n    \
             <displayName>{host}</displayName>\n    <displayShortName>{host}</displayShortName>\n{servers}  \
             </emailProvider>\n</clientConfig>\n"
        )
    }

    /// Writes the answer to Outlook.
    pub fn autodiscover(&self, asked: &Autodiscover) -> String {
        let login = match self.login {
            Login::Address | Login::Untold => asked.address.to_string(),
            Login::LocalPart => asked.address.local_part().as_unquoted().to_owned(),
        };
        let protocol = |kind: &str, host: &str, port: u16, security: Security| {
            format!(
                "      <Protocol>\n        <Type>{kind}</Type>\n        <Server>{}</Server>\n        \
                 <Port>{port}</Port>\n        <LoginName>{}</LoginName>\n        <DomainRequired>off</DomainRequired>\n        \
                 <SPA>off</SPA>\n        <SSL>on</SSL>\n        <Encryption>{}</Encryption>\n        \
                 <AuthRequired>on</AuthRequired>\n      </Protocol>\n",
                escaped(host),
                escaped(&login),
                security.outlook(),
            )
        };
        let incoming = self.incoming.iter().map(|imap| {
            let security = Security::of_imap(imap.port);
            protocol("IMAP", &imap.host, imap.port, security)
        });
        // Outlook takes one port.
        let outgoing = self.outgoing.iter().take(1);
        let outgoing =
            outgoing.map(|port| protocol("SMTP", &self.hostname, port.port, port.security));
        let protocols: String = incoming.chain(outgoing).collect();
        format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n\
             <Autodiscover xmlns=\"http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006\">\n  \
             <Response xmlns=\"http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a\">\n    \
             <Account>\n      <AccountType>email</AccountType>\n      <Action>settings</Action>\n{protocols}    \
             </Account>\n  </Response>\n</Autodiscover>\n"
        )
    }
}

/// What Outlook asks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Autodiscover {
    address: Mailbox,
}

impl Autodiscover {
    /// Reads the one element of the request that counts, without a reader of XML: what such a reader can be made to do by
    /// those who write the document is not worth it.
    pub fn read(content: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(content).ok()?;
        let (_, rest) = text.split_once("<EMailAddress>")?;
        let (address, _) = rest.split_once("</EMailAddress>")?;
        let address = address.trim().replace("&amp;", "&");
        let address = Mailbox::parse(&address).ok()?;
        Some(Self { address })
    }

    /// Writes the answer to what is not understood (MS-OXDSCLI §2.2.4.1.1.3).
    pub fn refusal() -> String {
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n\
         <Autodiscover xmlns=\"http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006\">\n  \
         <Response>\n    <Error Time=\"00:00:00.0000000\" Id=\"0\">\n      <ErrorCode>600</ErrorCode>\n      \
         <Message>Invalid Request</Message>\n      <DebugData />\n    </Error>\n  </Response>\n</Autodiscover>\n"
            .to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(login: Login) -> Offer {
        let ports = [
            (25, Security::StartTls),
            (2465, Security::Tls),
            (587, Security::StartTls),
            (465, Security::Tls),
        ];
        let ports = ports.map(|(port, security)| Outgoing { port, security });
        Offer {
            hostname: "relay.example".to_owned(),
            outgoing: Offer::choose(ports),
            login,
            incoming: None,
        }
    }

    #[test]
    fn the_standard_port_of_each_kind_is_offered_tls_first() {
        let chosen = offer(Login::Address).outgoing;
        let ports: Vec<_> = chosen.iter().map(|port| port.port).collect();
        assert_eq!(ports, [465, 587]);
        let odd = [25, 2525].map(|port| Outgoing {
            port,
            security: Security::StartTls,
        });
        assert_eq!(Offer::choose(odd)[0].port, 2525);
    }

    #[test]
    fn thunderbirds_file_has_a_server_for_each_port() {
        let text = offer(Login::LocalPart).autoconfig(Some("me@Bücher.example"));
        let expected = "    <outgoingServer type=\"smtp\">
      <hostname>relay.example</hostname>
      <port>465</port>
      <socketType>SSL</socketType>
      <authentication>password-cleartext</authentication>
      <username>%EMAILLOCALPART%</username>
    </outgoingServer>
    <outgoingServer type=\"smtp\">
      <hostname>relay.example</hostname>
      <port>587</port>
      <socketType>STARTTLS</socketType>
";
        assert!(text.contains(expected), "{text}");
        assert!(
            text.contains("<domain>xn--bcher-kva.example</domain>"),
            "{text}"
        );
        let nasty = offer(Login::Address).autoconfig(Some("\"<x>&\"@b.example"));
        assert!(
            !nasty.contains("<x>") && nasty.contains("<domain>b.example"),
            "{nasty}"
        );
        let untold = offer(Login::Address).autoconfig(Some("not an address"));
        assert!(untold.contains("<domain>relay.example</domain>"));
    }

    #[test]
    fn outlook_is_told_the_best_port_and_the_server_that_mail_is_read_from() {
        let offer = Offer {
            incoming: Some(Incoming {
                host: "imap.example".to_owned(),
                port: 143,
            }),
            ..offer(Login::Address)
        };
        let content = "<a><EMailAddress> \"&amp;<b>\"@b.example\n</EMailAddress></a>";
        let asked = Autodiscover::read(content.as_bytes()).unwrap();
        let text = offer.autodiscover(&asked);
        let login = "<LoginName>&quot;&amp;&lt;b&gt;&quot;@b.example</LoginName>";
        assert!(text.contains(login), "{text}");
        assert_eq!(text.matches("<Type>SMTP</Type>").count(), 1);
        assert!(
            text.contains("<Port>465</Port>") && text.contains("<Encryption>SSL<"),
            "{text}"
        );
        assert!(
            text.contains("<Port>143</Port>") && text.contains("<Encryption>TLS<"),
            "{text}"
        );
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for content in [
            "",
            "<EMailAddress>x",
            "<EMailAddress></EMailAddress>",
            "<EMailAddress>no address</EMailAddress>",
        ] {
            assert_eq!(Autodiscover::read(content.as_bytes()), None, "{content}");
        }
        assert_eq!(
            Autodiscover::read(b"<EMailAddress>\xff@b.example</EMailAddress>"),
            None
        );
    }
}
