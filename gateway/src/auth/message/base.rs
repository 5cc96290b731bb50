//! The text that a message signature signs (RFC 9421, section 2.5): one line for each component that it covers.

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{header, request::Parts};
use sfv::{Dictionary, FieldType, InnerList, Item, ListEntry, Parser};

use crate::words::Peer;

/// Components of one signature; real ones cover five to ten.
const MOST_COMPONENTS: usize = 64;

type Why = &'static str;

/// The identifiers of the components in the form in which they stand in the base: `"@method"`, `"@query-param";name="id"`.
pub(super) fn identifiers(input: &InnerList) -> Result<Vec<String>, Why> {
    if input.items.len() > MOST_COMPONENTS {
        return Err("it covers more than 64 components");
    }
    let mut found: Vec<String> = Vec::with_capacity(input.items.len());
    for item in &input.items {
        let name = item.bare_item.as_string().ok_or("a component is not a string")?.as_str();
        if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err("a component's name has upper-case letters");
        }
        let identifier = item.serialize();
        if found.iter().any(|other| same(other, &identifier)) {
            return Err("it covers a component twice");
        }
        found.push(identifier);
    }
    Ok(found)
}

/// Parameters may stand in any order and still mean the same component.
fn same(one: &str, other: &str) -> bool {
    let parts = |text: &str| {
        let mut parts: Vec<String> = text.split(';').map(str::to_owned).collect();
        parts.sort_unstable();
        parts
    };
    one == other || one.contains(';') && parts(one) == parts(other)
}

/// Whether a required component is covered, by itself or by one that contains it. A query that is not there need not be.
pub(super) fn covers(head: &Parts, covered: &[String], wanted: &str) -> bool {
    if wanted == "@query" && head.uri.query().is_none() {
        return true;
    }
    let has = |name: &str| covered.iter().any(|covered| covered.trim_matches('"') == name);
    let whole = match wanted {
        "@path" | "@query" => &["@target-uri", "@request-target"][..],
        "@authority" | "@scheme" => &["@target-uri"],
        _ => &[],
    };
    has(wanted) || whole.iter().any(|name| has(name))
}

/// The whole base.
pub(super) fn text(head: &Parts, peer: &Peer, input: &InnerList) -> Result<String, Why> {
    let mut base = String::with_capacity(512);
    for item in &input.items {
        let name = item.bare_item.as_string().ok_or("a component is not a string")?.as_str();
        let value =
            if name.starts_with('@') { derived(head, peer, name, item)? } else { field(head, name, item)? };
        let _ = writeln!(base, "{}: {value}", item.serialize());
    }
    let parameters = super::parameters(input).ok_or("its parameters cannot be written")?;
    let _ = write!(base, "\"@signature-params\": {parameters}");
    Ok(base)
}

/// Components that are no fields (section 2.2).
fn derived(head: &Parts, peer: &Peer, name: &str, item: &Item) -> Result<String, Why> {
    if name == "@query-param" {
        return query_param(head, item);
    }
    if !item.params.is_empty() {
        return Err("a component has a parameter that is not for requests");
    }
    let path = || match head.uri.path() {
        "" => "/",
        path => path,
    };
    let query = || head.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    match name {
        "@method" => Ok(head.method.as_str().to_owned()),
        "@path" => Ok(path().to_owned()),
        "@query" => Ok(head.uri.query().map_or_else(|| "?".to_owned(), |query| format!("?{query}"))),
        "@scheme" => Ok(scheme(peer).to_owned()),
        "@authority" => authority(head, peer),
        "@request-target" => Ok(format!("{}{}", path(), query())),
        "@target-uri" => Ok(format!("{}://{}{}{}", scheme(peer), authority(head, peer)?, path(), query())),
        _ => Err("it covers a component that no request has"),
    }
}

fn scheme(peer: &Peer) -> &'static str {
    if peer.secure { "https" } else { "http" }
}

/// Lower case, without the port that the scheme implies (section 2.2.3).
fn authority(head: &Parts, peer: &Peer) -> Result<String, Why> {
    let named = head.uri.authority().map(http::uri::Authority::as_str);
    let host = || head.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let authority = named.or_else(host).ok_or("the request names no host")?.to_ascii_lowercase();
    let port = if peer.secure { ":443" } else { ":80" };
    Ok(authority.strip_suffix(port).unwrap_or(&authority).to_owned())
}

/// One parameter of the query by its name (section 2.2.8).
fn query_param(head: &Parts, item: &Item) -> Result<String, Why> {
    let wanted = item.params.get("name").filter(|_| item.params.len() == 1);
    let wanted = wanted.and_then(|name| name.as_string()).ok_or("`@query-param` has no `name`")?.as_str();
    let pairs = head.uri.query().unwrap_or_default().split('&');
    let mut values = pairs.filter_map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (encoded(name) == wanted).then(|| encoded(value))
    });
    match (values.next(), values.next()) {
        (Some(value), None) => Ok(value),
        (None, _) => Err("it covers a parameter that is not in the query"),
        (Some(_), Some(_)) => Err("it covers a parameter that stands in the query twice"),
    }
}

/// Decoded as a form and encoded again, so that both sides write the same characters the same way.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        let byte = match byte {
            b'+' => b' ',
            b'%' => {
                let hex = tail.get(..2).and_then(|pair| std::str::from_utf8(pair).ok());
                match hex.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
                    Some(byte) => {
                        rest = &tail[2..];
                        byte
                    }
                    None => b'%',
                }
            }
            byte => byte,
        };
        if byte.is_ascii_alphanumeric() || b"*-._".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// A field: all of its lines, or a member of it, or its bytes (section 2.1).
fn field(head: &Parts, name: &str, item: &Item) -> Result<String, Why> {
    let lines: Vec<_> = head.headers.get_all(name).iter().collect();
    if lines.is_empty() {
        return Err("it covers a field that is not there");
    }
    let texts = || -> Result<Vec<&str>, Why> {
        let mut texts = Vec::with_capacity(lines.len());
        for line in &lines {
            texts.push(line.to_str().map_err(|_| "it covers a field that is no text")?.trim());
        }
        Ok(texts)
    };
    let (key, bytes) = (item.params.get("key"), item.params.get("bs"));
    match (key, bytes, item.params.len()) {
        (None, None, 0) => Ok(texts()?.join(", ")),
        (Some(key), None, 1) => {
            let key = key.as_string().ok_or("`key` is not a string")?.as_str();
            let whole: Option<Dictionary> = Parser::new(&texts()?.join(", ")).parse().ok();
            let whole = whole.ok_or("it covers a member of a field that is no dictionary")?;
            match whole.get(key).ok_or("it covers a member that its field lacks")? {
                ListEntry::Item(item) => Ok(item.serialize()),
                list => vec![list.clone()].serialize().ok_or("it covers an empty member"),
            }
        }
        (None, Some(flag), 1) if flag.as_boolean() == Some(true) => {
            let quoted =
                lines.iter().map(|line| format!(":{}:", STANDARD.encode(line.as_bytes().trim_ascii())));
            Ok(quoted.collect::<Vec<_>>().join(", "))
        }
        _ => Err("a component has a parameter that is not known here"),
    }
}
