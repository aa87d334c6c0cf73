//! A Postfix of our own on loopback: own configuration, own queue, ports chosen by the system.
//!
//! It relays everything to one next hop. It needs root (or sudo without a password), since Postfix does.

use std::io;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use crate::support::process::{tail, wait_for, write_file};

/// A running Postfix. Dropping it stops it.
pub(crate) struct Postfix {
    directory: PathBuf,
    plain: SocketAddr,
    implicit: SocketAddr,
}

/// What it is to be.
pub(crate) struct Settings<'a> {
    /// Where its mail goes.
    pub(crate) next_hop: SocketAddr,
    /// Connections to the next hop.
    pub(crate) connections: usize,
    /// Certificate and key (PEM), where STARTTLS and implicit TLS are to be offered.
    pub(crate) certificate: Option<(&'a Path, &'a Path)>,
    /// User name and password, where a login is required of everybody.
    pub(crate) login: Option<(&'a str, &'a str)>,
    /// The SHA-256 of the one client certificate with which mail is taken, in pairs of hexadecimal digits with colons.
    pub(crate) client: Option<&'a str>,
}

impl Postfix {
    /// Says why Postfix cannot be started here, if so.
    pub(crate) fn missing() -> Option<String> {
        if !Path::new("/usr/sbin/postfix").exists() {
            return Some("Postfix is not installed".to_owned());
        }
        if !Path::new("/usr/sbin/saslpasswd2").exists() {
            return Some("sasl2-bin is not installed".to_owned());
        }
        match as_root("true").stderr(Stdio::null()).status() {
            Ok(status) if status.success() => None,
            Ok(_) | Err(_) => Some("Postfix needs root, or sudo without a password".to_owned()),
        }
    }

    /// Starts it below `directory`, which its own user must be able to reach.
    ///
    /// # Errors
    ///
    /// A step failed; the message holds its output or the end of the log.
    pub(crate) fn start(directory: &Path, settings: &Settings<'_>) -> io::Result<Self> {
        let (plain, implicit) = (free_port()?, free_port()?);
        std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o755))?;
        let config = directory.join("config");
        for folder in ["config/sasl", "sasl", "queue", "data"] {
            std::fs::create_dir_all(directory.join(folder))?;
        }
        write_file(
            &config.join("main.cf"),
            main_cf(directory, settings).as_bytes(),
        )?;
        let master = master_cf(plain, implicit, settings.certificate.is_some());
        write_file(&config.join("master.cf"), master.as_bytes())?;
        if let Some(fingerprint) = settings.client {
            let line = format!("{fingerprint} relay\n");
            write_file(&config.join("clients"), line.as_bytes())?;
        }
        if let Some((user, password)) = settings.login {
            prepare_login(directory, user, password)?;
        }
        must(as_root("chown").arg("-R").arg("root:root").arg(&config))?;
        must(as_root("chown").arg("root").arg(directory.join("queue")))?;
        must(as_root("chown").arg("postfix").arg(directory.join("data")))?;
        must(
            as_root("/usr/sbin/postfix")
                .arg("-c")
                .arg(&config)
                .arg("start"),
        )?;
        let postfix = Self {
            directory: directory.to_owned(),
            plain,
            implicit,
        };
        let up = wait_for(Duration::from_secs(20), || {
            Ok(TcpStream::connect(plain).ok())
        })?;
        match up {
            Some(_) => Ok(postfix),
            None => Err(io::Error::other(format!(
                "not ready: {}",
                postfix.log_tail()
            ))),
        }
    }

    /// Where it takes mail in plain text, with STARTTLS where there is a certificate.
    pub(crate) fn plain(&self) -> SocketAddr {
        self.plain
    }

    /// Where it takes mail with TLS from the first octet.
    pub(crate) fn implicit(&self) -> SocketAddr {
        self.implicit
    }

    /// Returns the id of its master process.
    ///
    /// # Errors
    ///
    /// It has written none.
    pub(crate) fn id(&self) -> io::Result<u32> {
        let path = self.directory.join("queue/pid/master.pid");
        let output = must(as_root("cat").arg(path))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.trim().parse().map_err(io::Error::other)
    }

    /// Returns the end of its log.
    pub(crate) fn log_tail(&self) -> String {
        tail(&self.directory.join("maillog"))
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        let config = self.directory.join("config");
        // Nothing is left to do where it fails; the queue may belong to other users and is removed as root.
        drop(must(
            as_root("/usr/sbin/postfix")
                .arg("-c")
                .arg(config)
                .arg("stop"),
        ));
        for folder in ["queue", "data", "config", "sasl"] {
            drop(must(
                as_root("rm").arg("-rf").arg(self.directory.join(folder)),
            ));
        }
    }
}

fn main_cf(directory: &Path, settings: &Settings<'_>) -> String {
    let dir = directory.display();
    let hop = settings.next_hop;
    let connections = settings.connections;
    let common = format!(
        "compatibility_level = 3.6\n\
         queue_directory = {dir}/queue\ndata_directory = {dir}/data\n\
         maillog_file = {dir}/maillog\nmaillog_file_prefixes = {dir}\n\
         mail_owner = postfix\nsetgid_group = postdrop\n\
         myhostname = postfix.example\nmydestination =\nlocal_recipient_maps =\n\
         inet_interfaces = 127.0.0.1\ninet_protocols = ipv4\nmynetworks = 127.0.0.0/8\n\
         relayhost = [{}]:{}\nalias_maps =\nalias_database =\n\
         local_header_rewrite_clients =\nalways_add_missing_headers = yes\nsmtputf8_enable = yes\n\
         message_size_limit = 104857600\nmailbox_size_limit = 0\n\
         default_destination_concurrency_limit = {connections}\n\
         initial_destination_concurrency = {connections}\n\
         default_process_limit = 400\nqmgr_message_active_limit = 20000\n\
         smtpd_client_connection_count_limit = 0\nsmtpd_client_connection_rate_limit = 0\n\
         smtpd_peername_lookup = no\nsmtp_tls_security_level = none\n\
         smtpd_relay_restrictions = {}, reject\nsmtpd_recipient_restrictions = permit",
        hop.ip(),
        hop.port(),
        match (settings.login, settings.client) {
            (Some(_), _) => "permit_sasl_authenticated",
            (None, Some(_)) => "permit_tls_clientcerts",
            (None, None) => "permit_mynetworks",
        },
    );
    let mut lines = vec![common];
    if let Some((certificate, key)) = settings.certificate {
        lines.extend([
            "smtpd_tls_security_level = may".to_owned(),
            "smtpd_tls_session_cache_database =".to_owned(),
            format!("smtpd_tls_cert_file = {}", certificate.display()),
            format!("smtpd_tls_key_file = {}", key.display()),
        ]);
    }
    if settings.client.is_some() {
        lines.extend([
            "smtpd_tls_ask_ccert = yes".to_owned(),
            "smtpd_tls_fingerprint_digest = sha256".to_owned(),
            format!("relay_clientcerts = texthash:{dir}/config/clients"),
        ]);
    }
    if settings.login.is_some() {
        lines.extend([
            "smtpd_sasl_auth_enable = yes".to_owned(),
            "smtpd_sasl_type = cyrus".to_owned(),
            "smtpd_sasl_path = smtpd".to_owned(),
            "smtpd_sasl_local_domain = postfix.example".to_owned(),
            format!("cyrus_sasl_config_path = {dir}/config/sasl"),
        ]);
    }
    lines.join("\n") + "\n"
}

/// The services of Postfix 3.7's own master.cf that a relay needs, none of them chrooted.
fn master_cf(plain: SocketAddr, implicit: SocketAddr, tls: bool) -> String {
    let implicit = if tls {
        format!("{implicit} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes\n")
    } else {
        String::new()
    };
    format!(
        "{plain} inet n - n - - smtpd\n{implicit}\
         pickup unix n - n 60 1 pickup\n\
         cleanup unix n - n - 0 cleanup\n\
         qmgr unix n - n 300 1 qmgr\n\
         tlsmgr unix - - n 1000? 1 tlsmgr\n\
         rewrite unix - - n - - trivial-rewrite\n\
         bounce unix - - n - 0 bounce\n\
         defer unix - - n - 0 bounce\n\
         trace unix - - n - 0 bounce\n\
         flush unix n - n 1000? 0 flush\n\
         proxymap unix - - n - - proxymap\n\
         smtp unix - - n - - smtp\n\
         showq unix n - n - - showq\n\
         error unix - - n - - error\n\
         retry unix - - n - - error\n\
         discard unix - - n - - discard\n\
         anvil unix - - n - 1 anvil\n\
         scache unix - - n - 1 scache\n\
         postlog unix-dgram n - n - 1 postlogd\n"
    )
}

/// Makes a password file that Cyrus SASL offers PLAIN and LOGIN from.
fn prepare_login(directory: &Path, user: &str, password: &str) -> io::Result<()> {
    let file = directory.join("sasl/sasldb2");
    let config = format!(
        "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nmech_list: PLAIN LOGIN\nsasldb_path: {}\n",
        file.display()
    );
    // Debian's Postfix looks nowhere but below its configuration.
    write_file(&directory.join("config/sasl/smtpd.conf"), config.as_bytes())?;
    let mut command = as_root("/usr/sbin/saslpasswd2");
    command.args(["-p", "-c", "-u", "postfix.example", "-f"]);
    let mut child = command.arg(&file).arg(user).stdin(Stdio::piped()).spawn()?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(password.as_bytes())?;
    }
    if !child.wait()?.success() {
        return Err(io::Error::other("saslpasswd2 failed"));
    }
    must(as_root("chown").arg("postfix").arg(&file)).map(drop)
}

/// A command that runs as root: directly or through sudo.
fn as_root(program: &str) -> Command {
    if rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("sudo");
    command.arg("-n").arg(program);
    command
}

fn must(command: &mut Command) -> io::Result<Output> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(output);
    }
    Err(io::Error::other(format!(
        "{command:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )))
}

/// Asks the system for a free port. It is given back before Postfix takes it: Postfix cannot be handed a socket.
fn free_port() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}
