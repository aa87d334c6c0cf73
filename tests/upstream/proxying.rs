//! Proxies on the way to an upstream.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use posthouse::clock::SystemClock;
use posthouse::dial::{Dialer, Proxy, ProxyLogin};
use posthouse::dns::StaticResolver;
use posthouse::mail::{Health, Stage};
use posthouse::secret::Secret;
use posthouse::upstream::smtp::{Settings, SmtpUpstream, TlsPolicy};

use crate::fake_proxy::{FakeProxy, Refusal, Script as ProxyScript};
use crate::fake_upstream::{FakeUpstream, ReservedPort, Script, Tls};
use crate::support::{
    Lines, MESSAGE, all, assert_deferred, assert_relayed, envelope, order, relay_one, settings,
    trusting,
};

fn proxy(scheme: &str, address: SocketAddr, password: Option<&str>) -> Proxy {
    let login = password.map(|password| ProxyLogin {
        username: "relay".to_owned(),
        password: Secret::new(password.to_owned()),
    });
    let proxy = Proxy::parse(&format!("{scheme}://{address}")).unwrap();
    Proxy { login, ..proxy }
}

/// An upstream that knows no name by itself.
fn start(settings: Settings) -> SmtpUpstream {
    let nobody = StaticResolver::default();
    SmtpUpstream::new(settings, Arc::new(nobody), Arc::new(SystemClock)).unwrap()
}

const SCHEMES: [&str; 2] = ["socks5", "http"];

#[tokio::test]
async fn mail_goes_through_a_proxy_that_looks_the_name_up() {
    for scheme in SCHEMES {
        let server = FakeUpstream::start(Script::default().tls(Tls::StartTls)).await;
        let proxy_server = FakeProxy::start(ProxyScript::to(server.address)).await;
        let (trusting, _file) = trusting(&server, TlsPolicy::Required);
        let upstream = start(Settings {
            port: 2525,
            proxy: Some(proxy(scheme, proxy_server.address, None)),
            ..trusting
        });
        let attempt = relay_one(&upstream).await;
        assert_relayed(&attempt);
        assert_eq!(proxy_server.asked(), ["localhost:2525"], "{scheme}");
        assert!(server.messages()[0].is_encrypted);
        assert_eq!(attempt.via.unwrap().address, proxy_server.address);
    }
}

#[tokio::test]
async fn implicit_tls_goes_through_a_proxy() {
    for scheme in SCHEMES {
        // The server says nothing before the handshake, so that nothing can come with the proxy's answer.
        let server = FakeUpstream::start(Script::default()).await;
        let proxy_server = FakeProxy::start(ProxyScript::to(server.address)).await;
        let upstream = start(Settings {
            host: "192.0.2.1".to_owned(),
            port: 465,
            proxy: Some(proxy(scheme, proxy_server.address, None)),
            ..settings(&server)
        });
        let attempt = relay_one(&upstream).await;
        assert_relayed(&attempt);
        assert_eq!(proxy_server.asked(), ["192.0.2.1:465"], "{scheme}");
    }
}

#[tokio::test]
async fn what_mx_records_name_is_looked_up_here() {
    let server = FakeUpstream::start(Script::default()).await;
    let proxy_server = FakeProxy::start(ProxyScript::to(server.address)).await;
    let resolver = StaticResolver::default()
        .with_exchangers("a.example", &["mx.a.example"])
        .with_host("mx.a.example", &["2001:db8::1".parse().unwrap()]);
    let settings = Settings {
        host: "a.example".to_owned(),
        port: 25,
        mx: true,
        proxy: Some(proxy("http", proxy_server.address, None)),
        ..settings(&server)
    };
    let upstream = SmtpUpstream::new(settings, Arc::new(resolver), Arc::new(SystemClock)).unwrap();
    assert_relayed(&relay_one(&upstream).await);
    assert_eq!(proxy_server.asked(), ["[2001:db8::1]:25"]);
}

#[tokio::test]
async fn a_proxy_gets_the_login_it_wants_and_nobody_else_sees_it() {
    for scheme in SCHEMES {
        let server = FakeUpstream::start(Script::default()).await;
        let script = ProxyScript::to(server.address).login("relay", "hunter2");
        let proxy_server = FakeProxy::start(script).await;
        let with = |password| Settings {
            proxy: Some(proxy(scheme, proxy_server.address, password)),
            ..settings(&server)
        };
        let envelope = envelope(&["r@example.net"]);
        let recipients = all(&envelope);
        let transcript = Arc::new(Lines::default());
        let order = order(&envelope, &recipients, MESSAGE.as_bytes());
        let upstream = start(with(Some("hunter2")));
        let watching = Arc::<Lines>::clone(&transcript);
        assert_relayed(&upstream.attempt_observed(order, watching).await);
        let through = format!("through {scheme}://{}", proxy_server.address);
        assert!(
            transcript.text().contains(&through),
            "{}",
            transcript.text()
        );
        assert!(!transcript.text().contains("hunter2"));
        for (password, words) in [
            (Some("wrong"), "refuses the login"),
            (None, "wants a login"),
        ] {
            let attempt = relay_one(&start(with(password))).await;
            let text = assert_deferred(&attempt, Stage::Connect, &Health::Unusable);
            assert!(text.contains(words), "{text}");
        }
    }
}

#[tokio::test]
async fn what_a_proxy_cannot_or_may_not_reach_is_told_apart() {
    let server = FakeUpstream::start(Script::default()).await;
    for (scheme, refusal, health, words) in [
        (
            "socks5",
            Refusal::Socks(5),
            Health::Unreachable,
            "cannot reach the server: it refuses",
        ),
        (
            "socks5",
            Refusal::Socks(2),
            Health::Unusable,
            "does not allow the connection",
        ),
        (
            "socks5",
            Refusal::Close,
            Health::Unreachable,
            "closed the connection",
        ),
        (
            "http",
            Refusal::Close,
            Health::Unreachable,
            "closed the connection",
        ),
        (
            "http",
            Refusal::Http("HTTP/1.1 502 Bad Gateway"),
            Health::Unreachable,
            "it answers 502 Bad Gateway",
        ),
        (
            "http",
            Refusal::Http("HTTP/1.1 403 Forbidden"),
            Health::Unusable,
            "does not allow the connection",
        ),
    ] {
        let script = ProxyScript::to(server.address).refusal(refusal);
        let proxy_server = FakeProxy::start(script).await;
        let attempt = relay_one(&start(Settings {
            proxy: Some(proxy(scheme, proxy_server.address, None)),
            ..settings(&server)
        }))
        .await;
        let text = assert_deferred(&attempt, Stage::Connect, &health);
        assert!(text.contains(words), "{text}");
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_server_that_is_no_proxy_needs_a_person() {
    let server = FakeUpstream::start(Script::default()).await;
    for scheme in SCHEMES {
        let attempt = relay_one(&start(Settings {
            proxy: Some(proxy(scheme, server.address, None)),
            ..settings(&server)
        }))
        .await;
        let text = assert_deferred(&attempt, Stage::Connect, &Health::Unusable);
        assert!(text.contains("is not one of this kind"), "{text}");
    }
    assert!(server.messages().is_empty());
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_named() {
    let server = FakeUpstream::start(Script::default()).await;
    let nobody = ReservedPort::new();
    let attempt = relay_one(&start(Settings {
        proxy: Some(proxy("socks5", nobody.address, None)),
        ..settings(&server)
    }))
    .await;
    let text = assert_deferred(&attempt, Stage::Connect, &Health::Unreachable);
    let name = format!("the proxy socks5://{} cannot be reached", nobody.address);
    assert!(text.contains(&name), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_silent_proxy_costs_no_more_than_the_limit() {
    let server = FakeUpstream::start(Script::default()).await;
    for scheme in SCHEMES {
        let script = ProxyScript::to(server.address).refusal(Refusal::Silence);
        let proxy_server = FakeProxy::start(script).await;
        let resolver = Arc::new(StaticResolver::default());
        let dialer =
            Dialer::new(resolver, None).through(Some(proxy(scheme, proxy_server.address, None)));
        let limit = Duration::from_secs(20);
        let error = dialer.to_name("mx.example", 25, limit).await.unwrap_err();
        assert!(error.to_string().contains("no answer in time"), "{error}");
        assert!(!error.is_lasting());
    }
}

#[tokio::test]
async fn the_local_address_is_that_of_the_way_to_the_proxy() {
    let server = FakeUpstream::start(Script::default()).await;
    let proxy_server = FakeProxy::start(ProxyScript::to(server.address)).await;
    let with = |local: &str| Settings {
        // An upstream of IPv6 alone, behind a proxy of IPv4.
        host: "2001:db8::1".to_owned(),
        local_address: Some(local.parse().unwrap()),
        proxy: Some(proxy("socks5", proxy_server.address, None)),
        ..settings(&server)
    };
    assert_relayed(&relay_one(&start(with("127.0.0.3"))).await);
    let attempt = relay_one(&start(with("::1"))).await;
    assert_deferred(&attempt, Stage::Connect, &Health::Unreachable);
}

#[tokio::test]
async fn a_dialer_without_proxy_looks_names_up_itself() {
    let server = FakeUpstream::start(Script::default()).await;
    let dead = IpAddr::V4(Ipv4Addr::new(127, 255, 255, 254));
    let live = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let resolver = StaticResolver::default().with_host("mx.example", &[dead, live]);
    let dialer = Dialer::new(Arc::new(resolver), None);
    let limit = Duration::from_secs(20);
    let port = server.address.port();
    let stream = dialer.to_name("mx.example", port, limit).await.unwrap();
    assert_eq!(stream.peer_addr().unwrap(), server.address);
    let unknown = dialer.to_name("other.example", port, limit).await;
    assert!(unknown.unwrap_err().to_string().contains("not found"));
}
