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
