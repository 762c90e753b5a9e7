//! The smallest HTTP server that puts `git http-backend` on a socket, with basic authentication where it is asked for.
//!
//! One request a connection; bodies with a length or in chunks; what the program answers is passed on as it comes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use super::servers::Serving;

/// What a client asks.
struct Request {
    method: String,
    path: String,
    query: String,
    /// Names in lower case.
    headers: Vec<(String, String)>,
}

impl Request {
    fn read(reader: &mut impl BufRead) -> Option<Self> {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let mut words = line.split_whitespace();
        let (method, target) = (words.next()?.to_owned(), words.next()?);
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let (path, query) = (path.to_owned(), query.to_owned());
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            match line.trim_end().split_once(':') {
                Some((name, value)) => headers.push((name.to_lowercase(), value.trim().to_owned())),
                None => return Some(Self { method, path, query, headers }),
            }
        }
    }

    fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(one, _)| one == name).map_or("", |(_, value)| value)
    }

    fn body(&self, reader: &mut impl BufRead) -> Vec<u8> {
        let mut body = Vec::new();
        if let Ok(length) = self.header("content-length").parse() {
            let _ = reader.take(length).read_to_end(&mut body);
        } else if self.header("transfer-encoding") == "chunked" {
            loop {
                let mut size = String::new();
                let _ = reader.read_line(&mut size);
                let size = u64::from_str_radix(size.trim(), 16).unwrap_or(0);
                let _ = reader.by_ref().take(size).read_to_end(&mut body);
                let _ = reader.read_line(&mut String::new());
                if size == 0 {
                    break;
                }
            }
        }
        body
    }
}

/// Answers the request on `stream` from the repositories in `root`, to whoever knows `account`.
pub fn answer(root: &Path, account: Option<(&str, &str)>, stream: TcpStream, serving: &Serving) {
    let mut out = stream.try_clone().unwrap();
    let _ = out.set_nodelay(true);
    let mut reader = BufReader::new(stream);
    let Some(request) = Request::read(&mut reader) else { return };
    let is_known = account.is_none_or(|(user, password)| {
        request.header("authorization") == format!("Basic {}", base64(&format!("{user}:{password}")))
    });
    if is_known {
        if request.header("expect") == "100-continue" {
            let _ = out.write_all(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        let body = request.body(&mut reader);
        run(root, &request, account, body, (&mut out, serving));
    } else {
        let refusal = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"git\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        let _ = out.write_all(refusal.as_bytes());
    }
    let _ = out.shutdown(Shutdown::Write);
    // What the client still sends is read, or it would take the closed line for a failure.
    let _ = std::io::copy(&mut reader, &mut std::io::sink());
}

fn run(root: &Path, request: &Request, account: Option<(&str, &str)>, body: Vec<u8>, (out, serving): (&mut TcpStream, &Serving)) {
    let mut command = Command::new("git");
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("GIT_")) {
        command.env_remove(name);
    }
    // Whoever is known by name may push; elsewhere the settings of the repository say so.
    if let Some((user, _)) = account {
        command.env("REMOTE_USER", user);
    }
    let started = command
        .args(["-c", "http.receivepack=true", "-c", "safe.directory=*", "http-backend"])
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REQUEST_METHOD", &request.method)
        .env("PATH_INFO", &request.path)
        .env("QUERY_STRING", &request.query)
        .env("CONTENT_TYPE", request.header("content-type"))
        .env("CONTENT_LENGTH", body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", request.header("content-encoding"))
        .env("GIT_PROTOCOL", request.header("git-protocol"))
        .env("REMOTE_ADDR", "127.0.0.1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn();
    let Ok(mut child) = started else { return };
    let (mut input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let _ = input.write_all(&body);
        });
        serving.during(child.id(), || {
            pass_on(BufReader::new(output), out);
            let _ = child.wait();
        });
    });
}

/// The program's headers as those of HTTP, and what follows them as it is; nothing, when it ended before it said any.
fn pass_on(mut output: impl BufRead, out: &mut TcpStream) {
    let (mut status, mut headers) = ("200 OK".to_owned(), String::new());
    loop {
        let mut line = String::new();
        if output.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        match line.trim_end().split_once(':') {
            Some(("Status", value)) => status = value.trim().to_owned(),
            Some((name, value)) => headers.push_str(&format!("{name}:{value}\r\n")),
            None => break,
        }
    }
    let _ = write!(out, "HTTP/1.1 {status}\r\n{headers}Connection: close\r\n\r\n");
    let _ = std::io::copy(&mut output, out);
}

/// RFC 4648.
fn base64(text: &str) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in text.as_bytes().chunks(3) {
        let bits = chunk.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for n in 0..4 {
            let letter = ALPHABET[(bits >> (18 - 6 * n) & 63) as usize];
            out.push(if n <= chunk.len() { char::from(letter) } else { '=' });
        }
    }
    out
}
