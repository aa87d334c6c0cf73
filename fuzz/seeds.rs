//! Makes seeds for the targets from the data of the tests: dialogues, configurations, messages.
//!
//! `seeds PROJECT FOLDER` writes one folder for each target below FOLDER. It needs nothing but the standard library, so that
//! it is built without the flags of the targets.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

fn main() -> io::Result<()> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(project), Some(folder)) = (arguments.next(), arguments.next()) else {
        return Err(io::Error::other(
            "name the project and the folder for the seeds",
        ));
    };
    let seeds = Seeds(folder);
    for path in files(&project.join("tests/data/dialogues"))? {
        seeds.of_dialogue(&name(&path), &fs::read_to_string(&path)?)?;
    }
    for path in files(&project.join("tests/data/config"))? {
        seeds.put("config", &name(&path), &fs::read(&path)?)?;
    }
    for path in files(&project.join("config"))? {
        seeds.put("config", &name(&path), &fs::read(&path)?)?;
    }
    for path in files(&project.join("tests/data/dsn"))? {
        let octets = fs::read(&path)?;
        seeds.put("mime", &name(&path), &[&[3, 7][..], &octets[..]].concat())?;
        seeds.put("header", &name(&path), &octets)?;
    }
    for (number, field) in SENDERS.iter().enumerate() {
        seeds.put(
            "header",
            &format!("sender-{number}"),
            format!("{field}\r\n").as_bytes(),
        )?;
    }
    for (number, address) in ADDRESSES.iter().enumerate() {
        seeds.put("address", &format!("address-{number}"), address.as_bytes())?;
    }
    for (number, octets) in MIME.iter().enumerate() {
        seeds.put(
            "mime",
            &format!("mime-{number}"),
            &[&[1, 7][..], octets.as_bytes()].concat(),
        )?;
    }
    for (number, octets) in PROXY.iter().enumerate() {
        seeds.put("proxy", &format!("proxy-{number}"), octets)?;
    }
    for (number, (flags, lines)) in SASL.iter().enumerate() {
        let octets = [&[*flags][..], lines.as_bytes()].concat();
        seeds.put("sasl", &format!("sasl-{number}"), &octets)?;
    }
    for (number, text) in TOKENS.iter().enumerate() {
        seeds.put("token", &format!("token-{number}"), text.as_bytes())?;
    }
    seeds.put("record", "empty", &[])
}

struct Seeds(PathBuf);

impl Seeds {
    fn put(&self, target: &str, name: &str, octets: &[u8]) -> io::Result<()> {
        let folder = self.0.join(target);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(name), octets)
    }

    /// What the client says makes a session, its lines commands; what the server says makes replies.
    fn of_dialogue(&self, name: &str, text: &str) -> io::Result<()> {
        let (mut client, mut server) = (Vec::new(), Vec::new());
        let mut flags = 2 | 1 << 2;
        for (number, line) in text.lines().enumerate() {
            match line.split_at_checked(3) {
                Some(("C: ", rest)) => {
                    self.put("command", &format!("{name}-{number}"), rest.as_bytes())?;
                    client.extend_from_slice(rest.as_bytes());
                    client.extend_from_slice(b"\r\n");
                }
                Some(("R: ", rest)) => client.extend_from_slice(&unescape(rest)),
                Some(("S: ", rest)) => {
                    server.extend_from_slice(rest.as_bytes());
                    server.extend_from_slice(b"\r\n");
                }
                _ if line.starts_with("@ network") => flags |= 32,
                _ if line == "@ auth always" => flags = flags & !12 | 2 << 2,
                _ if line == "@ tls off" => flags = flags & !3 | 1,
                _ => {}
            }
        }
        self.put("session", name, &[&[flags, 7][..], &client[..]].concat())?;
        self.put(
            "session",
            &format!("{name}-free"),
            &[&[1 | 2 << 2 | 32, 3][..], &client[..]].concat(),
        )?;
        self.put("data", name, &[&[0, 3][..], &client[..]].concat())?;
        self.put("reply", name, &[&[7][..], &server[..]].concat())
    }
}

/// Octets as dialogues write them behind `R: `.
fn unescape(text: &str) -> Vec<u8> {
    let (mut octets, mut rest) = (Vec::new(), text.bytes());
    while let Some(octet) = rest.next() {
        let next = if octet == b'\\' { rest.next() } else { None };
        match next {
            None => octets.push(octet),
            Some(b'r') => octets.push(b'\r'),
            Some(b'n') => octets.push(b'\n'),
            Some(b'0') => octets.push(0),
            Some(b'x') => {
                let digits: String = rest.by_ref().take(2).map(char::from).collect();
                octets.push(u8::from_str_radix(&digits, 16).unwrap_or(b'x'));
            }
            Some(other) => octets.push(other),
        }
    }
    octets
}

/// Returns all files below a folder.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let (mut found, mut open) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

const SENDERS: &[&str] = &[
    "From: me@own.example",
    "From: \"Ceo <ceo@corp.example>\" <me@own.example>",
    "From: =?utf-8?q?ceo=40corp.example?= <me@own.example>",
    "From: a@own.example, b@corp.example\r\nSender: a@own.example",
    "From: me@own.example\r\nFrom: ceo@corp.example",
    "From: Group: a@own.example, \"b\" <b@own.example>;",
    "From: me@own.example (ceo@corp.example)\r\nResent-From: x@own.example",
    "From : <@a,@b:me@own.example>",
    "From:\r\n =?iso-2022-jp?b?GyRCJCIbKEI=?=\r\n <me@own.example>",
    "From: \u{fc}ser@own.example\r\nResent-Sender: me@else.example",
];

const ADDRESSES: &[&str] = &[
    "me@own.example",
    "\"a b\\\"c\"@own.example",
    "a@[192.0.2.1]",
    "a@[IPv6:2001:db8::1]",
    "\u{fc}ser@b\u{fc}cher.example",
    "a@xn--bcher-kva.example",
    "a+b@own.example.",
    "+41+2B",
];

const MIME: &[&str] = &[
    "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\
     Content-Transfer-Encoding: 8bit\r\n\r\n\u{fc}ber\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\n\u{e4}\r\n--b--\r\n",
    "MIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\r\n\u{1}\u{ff}\r\n",
    "Subject: \u{e4}\r\n\r\nbody\r\n",
];

const PROXY: &[&[u8]] = &[
    b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 587\r\nEHLO x\r\n",
    b"PROXY TCP6 2001:db8::1 2001:db8::2 65535 0\r\n",
    b"PROXY UNKNOWN ffff:f...f:ffff\r\n",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc6\x33\x64\x01\xdc\x04\x02\x4b",
    b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0EHLO x\r\n",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x10\xc0\0\x02\x01\xc6\x33\x64\x01\xdc\x04\x02\x4b\x04\0\x01x",
];

/// Flags (the mechanism, the binding), and the lines of a client or its messages in plain text.
const SASL: &[(u8, &str)] = &[
    (0, "AGFsaWNlAHNlY3JldA=="),
    (1, "YWxpY2U=\nc2VjcmV0"),
    (2, "dXNlcj1hbGljZQFhdXRoPUJlYXJlciBhYmMuZGVmLmdoaQEB"),
    (3, "bixhPWFsaWNlLAFhdXRoPUJlYXJlciBhYmMuZGVmLmdoaQEB"),
    (
        4,
        "biwsbj11c2VyLHI9ck9wck5HZndFYmVSV2diTkVrcU8=\n\
         Yz1iaXdzLHI9ck9wck5HZndFYmVSV2diTkVrcU8laHZZRHBXVWEyUmFUQ0FmdXhGSWxqKWhObEYkazAscD1kSHpiWmFwV0lrNGpVaE4rVXRlOXl0YWc5empmTUhnc3FtbWl6N0FuZFZRPQ==",
    ),
    (
        0x24,
        "n,,n=user,r=rOprNGfwEbeRWgbNEkqO\n\
         c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
    ),
    (
        0x15,
        "p=tls-exporter,a=us=3Der,n=us=3Der,r=abc\nc=x,r=y,p=z",
    ),
    (0x25, "y,,n=user,r=abc"),
    (3, "alice=,b\nabc.def.ghi"),
];

const TOKENS: &[&str] = &[
    // RFC 7515 Appendix A.3.
    "eyJhbGciOiJFUzI1NiJ9.\
     eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.\
     DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
    "{\"alg\":\"none\",\"typ\":\"JWT\"}\0{\"iss\":\"joe\",\"exp\":1300819380}\0",
    "{\"alg\":\"ES256\",\"kid\":\"a\",\"crit\":[]}\0{\"iss\":\"joe\",\"aud\":[\"a\"],\"nbf\":1,\"exp\":1300819380}\0sig",
    "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"use\":\"sig\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\",\
     \"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}]}",
    "{\"keys\":[{\"kty\":\"RSA\",\"alg\":\"RS256\",\"n\":\"AQAB\",\"e\":\"AQAB\"},{\"kty\":\"oct\",\"k\":\"AA\"},{\"kty\":\"OKP\",\
     \"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}",
    "{\"active\":true,\"aud\":[\"posthouse\"],\"email\":\"alice\",\"email_verified\":true,\"exp\":1300819380.5,\"scope\":\"a b\"}",
];
