//! Names of files and processes as q has them: symbols and strings that begin with a colon.

use crate::{
    QError, R,
    host::Target,
    value::{Sym, Value},
};

/// The path of a file symbol, without its colon; `None` for anything else.
pub fn of(value: &Value) -> Option<String> {
    let name = value.as_sym()?.bytes();
    let path = name.strip_prefix(b":")?;
    Some(String::from_utf8_lossy(path).into_owned())
}

/// As [`of`], of a symbol with or without a colon, or a string.
pub fn named(value: &Value) -> R<String> {
    let name = value.as_name().ok_or_else(QError::type_)?;
    let text = String::from_utf8_lossy(&name).into_owned();
    Ok(text.strip_prefix(':').map_or(text.clone(), str::to_owned))
}

/// The file symbol of a path.
pub fn symbol(path: &str) -> Value {
    Value::Sym(Sym::new(format!(":{path}")))
}

/// True for a path that means a folder: it ends in a slash.
pub fn is_folder(path: &str) -> bool {
    path.ends_with('/')
}

/// A path below a folder.
pub fn join(folder: &str, name: &str) -> String {
    match folder {
        "" => name.to_owned(),
        f if f.ends_with('/') => format!("{f}{name}"),
        f => format!("{f}/{name}"),
    }
}

/// The last part of a path.
pub fn leaf(path: &str) -> &str {
    path.trim_end_matches('/').rsplit('/').next().unwrap_or(path)
}

/// The folder that holds a path; `.` where it names none.
pub fn parent(path: &str) -> &str {
    match path.trim_end_matches('/').rsplit_once('/') {
        Some(("", _)) => "/",
        Some((folder, _)) => folder,
        None => ".",
    }
}

/// A name read from a file that may be put behind a folder: one plain part.
pub fn plain(name: &str) -> R<&str> {
    match name {
        "" | "." | ".." => Err(QError::new(format!("{name:?} is no plain file name"))),
        n if n.contains(['/', '\\', '\0']) => Err(QError::new(format!("{n:?} is no plain file name"))),
        n => Ok(n),
    }
}

/// What `hopen` is to open, from `host:port[:user:password]` and kin without the leading colon.
pub fn target(text: &str, timeout: u64) -> R<Target> {
    if let Some(path) = text.strip_prefix("fifo://") {
        return Ok(Target::Fifo(path.to_owned()));
    }
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (scheme, rest),
        None => ("", text),
    };
    let number = |port: &str| port.parse::<u16>().ok().filter(|p| *p > 0);
    let after = |rest: &str| rest.to_owned();
    match scheme {
        "unix" | "unixs" => {
            let (port, credentials) = rest.split_once(':').unwrap_or((rest, ""));
            let port = number(port).ok_or_else(|| QError::new(format!("hop. bad port: {port}")))?;
            let credentials = after(credentials);
            Ok(Target::Process { host: None, port, tls: false, credentials, timeout })
        }
        "" | "tcp" | "tcps" => {
            let mut parts = rest.splitn(3, ':');
            let (host, port, credentials) = (parts.next(), parts.next(), parts.next());
            match (host, port.and_then(number)) {
                (Some(host), Some(port)) => Ok(Target::Process {
                    host: Some(host.to_owned()),
                    port,
                    tls: scheme == "tcps",
                    credentials: after(credentials.unwrap_or_default()),
                    timeout,
                }),
                _ => Ok(Target::File(text.to_owned())),
            }
        }
        _ => Err(QError::new(format!("hop. unknown protocol: {scheme}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_is_told_from_a_file_by_its_port() {
        let process = |host: Option<&str>, port, credentials: &str| Target::Process {
            host: host.map(str::to_owned),
            port,
            tls: false,
            credentials: credentials.to_owned(),
            timeout: 7,
        };
        assert_eq!(target("localhost:5000", 7), Ok(process(Some("localhost"), 5000, "")));
        assert_eq!(target(":5000:me:pass:word", 7), Ok(process(Some(""), 5000, "me:pass:word")));
        assert_eq!(target("unix://5000", 7), Ok(process(None, 5000, "")));
        assert_eq!(target("data/new.txt", 7), Ok(Target::File("data/new.txt".into())));
        assert_eq!(target("c:/q/x", 7), Ok(Target::File("c:/q/x".into())));
        assert!(target("ftp://x:1", 7).is_err());
    }
}
