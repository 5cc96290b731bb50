//! A call as people have it at hand: a curl command line, or the text of an HTTP request.

use std::path::Path;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

/// A call, before anybody knows whose it is.
#[derive(Debug)]
pub(super) struct Request {
    pub method: Method,
    /// Path and query.
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Options of curl that take a value and say nothing about the call.
const PASSED_OVER: [&str; 14] = [
    "-o",
    "--output",
    "-m",
    "--max-time",
    "--connect-timeout",
    "--retry",
    "-w",
    "--write-out",
    "--cacert",
    "--cert",
    "--key",
    "--resolve",
    "-x",
    "--proxy",
];

/// Reads a curl command line. Files that it names are seen from `here`.
pub(super) fn curl(text: &str, here: &Path) -> Result<Request, String> {
    let words = words(text)?;
    let mut words = words.iter().map(String::as_str).peekable();
    words.next_if(|word| *word == "curl" || word.ends_with("/curl"));
    let (mut method, mut url, mut headers) = (None, None, HeaderMap::new());
    let mut body: Option<Vec<u8>> = None;
    let mut get = false;
    while let Some(word) = words.next() {
        // `-XPOST` and `--request=POST` are one word each.
        let (option, joined) = match word.split_once('=') {
            Some((option, value)) if word.starts_with("--") => (option, Some(value)),
            _ if word.len() > 2
                && !word.starts_with("--")
                && "-X-H-d-u-o-m".contains(word.get(..2).unwrap_or("?")) =>
            {
                word.split_at_checked(2).map_or((word, None), |(option, value)| (option, Some(value)))
            }
            _ => (word, None),
        };
        let mut value =
            || joined.or_else(|| words.next()).ok_or_else(|| format!("curl {option}: a value is missing"));
        match option {
            "-X" | "--request" => method = Some(value()?.to_owned()),
            "-H" | "--header" => add(&mut headers, value()?)?,
            "-A" | "--user-agent" => add(&mut headers, &format!("User-Agent: {}", value()?))?,
            "--url" => url = Some(value()?.to_owned()),
            "-d" | "--data" | "--data-ascii" | "--data-binary" | "--data-raw" | "--json" => {
                let value = value()?;
                let raw = option == "--data-raw";
                let bytes = match value.strip_prefix('@').filter(|_| !raw) {
                    Some(file) => {
                        let path = here.join(file);
                        let bytes =
                            std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
                        // curl itself takes line ends out of what is not binary.
                        let plain = matches!(option, "-d" | "--data" | "--data-ascii");
                        bytes.into_iter().filter(|byte| !plain || !b"\r\n\0".contains(byte)).collect()
                    }
                    None => value.as_bytes().to_vec(),
                };
                if option == "--json" {
                    headers
                        .entry(header::CONTENT_TYPE)
                        .or_insert(HeaderValue::from_static("application/json"));
                    headers.entry(header::ACCEPT).or_insert(HeaderValue::from_static("application/json"));
                }
                match &mut body {
                    Some(body) => {
                        body.push(b'&');
                        body.extend(bytes);
                    }
                    None => body = Some(bytes),
                }
            }
            "-G" | "--get" => get = true,
            "-I" | "--head" => method = Some("HEAD".to_owned()),
            "-u" | "--user" => {
                value()?;
                return Err(
                    "curl -u: Basic is no credential of partners; they send a key or a token".to_owned()
                );
            }
            option if PASSED_OVER.contains(&option) => {
                value()?;
            }
            "-F" | "--form" | "-T" | "--upload-file" => {
                return Err(format!(
                    "curl {option}: this command reads calls whose body is given with --data-binary"
                ));
            }
            option if option.starts_with('-') => {}
            word => url = Some(word.to_owned()),
        }
    }
    let url = url.ok_or("the curl command names no URL")?;
    let mut path = path_of(&url)?;
    if let (true, Some(query)) = (get, body.take_if(|_| get)) {
        path = format!(
            "{path}{}{}",
            if path.contains('?') { '&' } else { '?' },
            String::from_utf8_lossy(&query)
        );
    }
    if body.is_some() {
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        headers.entry(header::CONTENT_TYPE).or_insert(form);
    }
    let method = method.unwrap_or_else(|| if body.is_some() { "POST" } else { "GET" }.to_owned());
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| format!("`{method}` is no method"))?;
    Ok(Request { method, path, headers, body: body.unwrap_or_default().into() })
}

/// Reads the text of a request: `POST /path HTTP/1.1`, header fields, an empty line, the body.
pub(super) fn request(text: &[u8]) -> Result<Request, String> {
    let wrong = "expected `POST /path HTTP/1.1`, header fields, an empty line and the body";
    let mut rest = text;
    let mut line = || -> Option<String> {
        let end = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |end| end + 1);
        let (line, after) = rest.split_at_checked(end).filter(|(line, _)| !line.is_empty())?;
        rest = after;
        Some(String::from_utf8_lossy(line).trim_end_matches(['\r', '\n']).to_owned())
    };
    let first = line().ok_or(wrong)?;
    let mut parts = first.split_ascii_whitespace();
    let (Some(method), Some(target)) = (parts.next(), parts.next()) else { return Err(wrong.to_owned()) };
    if parts.next().is_some_and(|protocol| !protocol.starts_with("HTTP/")) {
        return Err(wrong.to_owned());
    }
    let mut headers = HeaderMap::new();
    while let Some(field) = line().filter(|field| !field.is_empty()) {
        add(&mut headers, &field)?;
    }
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| format!("`{method}` is no method"))?;
    Ok(Request { method, path: path_of(target)?, headers, body: Bytes::copy_from_slice(rest) })
}

/// Adds `Name: value`.
pub(super) fn add(headers: &mut HeaderMap, field: &str) -> Result<(), String> {
    let wrong = || {
        format!(
            "`{}` is no header field: `Name: value` is needed",
            field.chars().take(40).collect::<String>()
        )
    };
    let (name, value) = field.split_once(':').ok_or_else(wrong)?;
    let name = HeaderName::try_from(name.trim()).map_err(|_| wrong())?;
    let value = HeaderValue::try_from(value.trim()).map_err(|_| wrong())?;
    headers.append(name, value);
    Ok(())
}

/// Path and query of a URL, or of a path alone.
pub(super) fn path_of(url: &str) -> Result<String, String> {
    let wrong = || format!("`{}` is neither a URL nor a path", url.chars().take(80).collect::<String>());
    let with_scheme =
        if url.starts_with('/') || url.contains("://") { url.to_owned() } else { format!("http://{url}") };
    let uri: http::Uri = with_scheme.parse().map_err(|_| wrong())?;
    Ok(uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string))
}

/// Splits as a shell does: blanks, quotes, backslashes. Variables stay as they are.
pub(super) fn words(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => match letters.next() {
                // A line that goes on.
                Some('\n') | None => {}
                Some('\r') => {
                    letters.next();
                }
                Some(next) => word.get_or_insert_default().push(next),
            },
            '\'' | '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match letters.next() {
                        None => return Err("a quotation mark is not closed".to_owned()),
                        Some(end) if end == letter => break,
                        Some('\\') if letter == '"' => match letters.next() {
                            Some('\n') | None => {}
                            Some(next) if "\"\\$`".contains(next) => word.push(next),
                            Some(next) => word.extend(['\\', next]),
                        },
                        Some(inner) => word.push(inner),
                    }
                }
            }
            blank if blank.is_whitespace() => words.extend(word.take()),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.x12"), "ISA*1~\nIEA~\n").unwrap();
        match curl(text, folder.path()) {
            Err(error) => error,
            Ok(request) => {
                let fields: Vec<String> = request
                    .headers
                    .iter()
                    .map(|(name, value)| format!(" {name}={}", value.to_str().unwrap()))
                    .collect();
                let body = String::from_utf8_lossy(&request.body).replace('\n', "⏎");
                format!("{} {}{} [{body}]", request.method, request.path, fields.concat())
            }
        }
    }

    #[test]
    fn a_curl_command_is_read_as_curl_would_send_it() {
        for (text, wanted) in [
            ("curl https://g.example/v2/x", "GET /v2/x []"),
            ("curl g.example:8080/x?a=1", "GET /x?a=1 []"),
            ("curl g.example", "GET / []"),
            (
                "curl -sS -X POST 'https://g/x' \\\n  -H 'X-Api-Key: k' --data-binary @a.x12",
                "POST /x x-api-key=k content-type=application/x-www-form-urlencoded [ISA*1~⏎IEA~⏎]",
            ),
            ("curl -d @a.x12 -HContent-Type:a/b g/x", "POST /x content-type=a/b [ISA*1~IEA~]"),
            ("curl --json '{\"a\": \"it\\'s\"}'", "a quotation mark is not closed"),
            (
                "curl --json \"{\\\"a\\\":1}\" g/x",
                "POST /x content-type=application/json accept=application/json [{\"a\":1}]",
            ),
            (
                "curl -XPUT --url=g/x --data-raw @a.x12 -H 'content-type: t/p'",
                "PUT /x content-type=t/p [@a.x12]",
            ),
            ("curl -G -d a=1 -d b=2 g/x", "GET /x?a=1&b=2 []"),
            ("curl -u me:pw g/x", "curl -u: Basic is no credential of partners; they send a key or a token"),
            ("curl -X", "curl -X: a value is missing"),
            ("curl -s", "the curl command names no URL"),
        ] {
            assert_eq!(shown(text), wanted, "{text}");
        }
    }

    #[test]
    fn the_text_of_a_request_is_read_with_either_line_end() {
        for end in ["\r\n", "\n"] {
            let text = ["POST /v1/x?y=1 HTTP/1.1", "Host: g", "X-Api-Key: k", "", "one", "two"].join(end);
            let read = request(text.as_bytes()).unwrap();
            assert_eq!((read.method.as_str(), read.path.as_str()), ("POST", "/v1/x?y=1"));
            assert_eq!(read.headers["x-api-key"], "k");
            assert_eq!(read.body, format!("one{end}two"));
        }
        assert!(request(b"").is_err() && request(b"hello there you").is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_readers_panic(text in "[-XHd@'\"\\\\ a-z:/?=\n\u{e9}]{0,60}") {
            let _ = curl(&text, Path::new("/nowhere"));
            let _ = request(text.as_bytes());
        }
    }
}
