//! `gateway.yaml` and `issuers.yaml`.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use super::{Ask, reader::Reader};
use crate::{
    policy::{
        checked::{
            Admin, Gateway, GatewayLimits, Issuer, Jwks, Retention, Setting, Signatures, Tls, TokenAlgorithm,
        },
        raw::{Entry, Node, Span},
        report::Finding,
        units,
    },
    words::{Digest, EstateName},
};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

pub(super) fn gateway(reader: &mut Reader<'_>, node: &Node) -> Option<Gateway> {
    let origin = reader.origin(node.span);
    let mut fields = reader.fields(node, start(node))?;
    let estate = fields.required(reader, "estate", |r, n| r.parsed(n, EstateName::new));
    let listen = fields.required(reader, "listen", address);
    let admin_entry = fields.get("admin");
    let admin = admin_entry.and_then(|entry| admin(reader, &entry.value));
    if let (Some(Admin::Tcp { listen: admin, .. }), Some(entry)) = (&admin, admin_entry)
        && listen == Some(*admin)
        && admin.port() != 0
    {
        reader.error(entry.value.span, "the admin API needs an address of its own");
    }
    let tls = fields.optional(reader, "tls", |reader, node| {
        let mut fields = reader.fields(node, node.span)?;
        let certificate = fields.required(reader, "certificate", |r, n| r.secret(n));
        let key = fields.required(reader, "key", |r, n| r.secret(n));
        let client_ca = fields.optional(reader, "client_ca", |r, n| r.secret(n));
        if fields.get("client_ca").is_some() {
            reader.declares(Ask::ClientAuthority, "tls", node.span);
        }
        fields.end(reader);
        Some(Tls { certificate: certificate?, key: key?, client_ca })
    });
    let limits = fields.optional(reader, "limits", |r, n| limits(r, Some(n)));
    let retention = fields.optional(reader, "retention", |r, n| retention(r, Some(n)));
    let signatures = fields.optional(reader, "mappers", signatures).unwrap_or_default();
    fields.end(reader);
    Some(Gateway {
        origin,
        signatures,
        estate: estate?,
        listen: listen?,
        admin,
        tls,
        limits: match limits {
            Some(limits) => limits,
            None => self::limits(reader, None)?,
        },
        retention: match retention {
            Some(retention) => retention,
            None => self::retention(reader, None)?,
        },
    })
}

/// `mappers: { signatures: required, keys: { NAME: KEY } }`
fn signatures(reader: &mut Reader<'_>, node: &Node) -> Option<Signatures> {
    let mut fields = reader.fields(node, node.span)?;
    let required = fields.or(reader, "signatures", false, |reader, node| {
        reader.parsed(node, |text| match text {
            "required" => Ok(true),
            "optional" => Ok(false),
            _ => Err("expected `required` or `optional`"),
        })
    });
    let keys = fields.optional(reader, "keys", |reader, node| {
        let mut keys = BTreeMap::new();
        for entry in reader.map(node)? {
            let key = reader.parsed(&entry.value, |text| {
                // In base64 it would look like the secrets that must not stand here.
                let digits = Digest::parse(text);
                digits.map(|digits| *digits.as_bytes()).ok_or(
                    "expected an Ed25519 public key of 64 hexadecimal digits, as `crossdock plugin sign --new` \
                     prints it",
                )
            });
            keys.extend(key.map(|key| (entry.key.clone(), key)));
        }
        Some(keys)
    });
    fields.end(reader);
    let keys = keys.unwrap_or_default();
    if required && keys.is_empty() {
        reader.error(node.span, "signatures are required, and no key is named under `keys`");
    }
    Some(Signatures { required, keys })
}

/// A whole file's node begins where its first key does.
fn start(node: &Node) -> Span {
    Span { start: node.span.start, end: node.span.start }
}

fn address(reader: &mut Reader<'_>, node: &Node) -> Option<SocketAddr> {
    reader.parsed(node, |text| {
        text.parse::<SocketAddr>()
            .map_err(|_| "expected an address and a port, such as `127.0.0.1:8080` or `[::]:8443`")
    })
}

fn admin(reader: &mut Reader<'_>, node: &Node) -> Option<Admin> {
    let mut fields = reader.fields(node, node.span)?;
    let listen = fields.get("listen");
    let socket = fields.get("socket");
    let token_file = fields.optional(reader, "token_file", |r, n| r.short(n, 1024)).map(PathBuf::from);
    fields.end(reader);
    match (listen, socket) {
        (Some(listen), None) => {
            let listen = address(reader, &listen.value)?;
            Some(Admin::Tcp { listen, token_file })
        }
        (None, Some(socket)) => reader.short(&socket.value, 100).map(|path| Admin::Socket(path.into())),
        (None, None) | (Some(_), Some(_)) => {
            reader.error(node.span, "expected either `listen` or `socket`");
            None
        }
    }
}

/// Limits of the listener; the defaults where the file is silent.
fn limits(reader: &mut Reader<'_>, node: Option<&Node>) -> Option<GatewayLimits> {
    let mut limits = GatewayLimits {
        body_max_bytes: 1 << 20,
        header_timeout: 10 * SECOND,
        body_timeout: 30 * SECOND,
        connections: 4096,
        requests: 2048,
        in_flight_max_bytes: 256 << 20,
        drain: 20 * SECOND,
    };
    let Some(node) = node else { return Some(limits) };
    let mut fields = reader.fields(node, node.span)?;
    limits.body_max_bytes = fields.or(reader, "body", limits.body_max_bytes, |r, n| size(r, n, 1, 1 << 30));
    limits.header_timeout =
        fields.or(reader, "header_timeout", limits.header_timeout, |r, n| between(r, n, SECOND, HOUR));
    limits.body_timeout =
        fields.or(reader, "body_timeout", limits.body_timeout, |r, n| between(r, n, SECOND, HOUR));
    limits.connections =
        fields.or(reader, "connections", limits.connections, |r, n| r.number(n, 1, 1_000_000));
    limits.requests = fields.or(reader, "requests", limits.requests, |r, n| r.number(n, 1, 1_000_000));
    let in_flight = fields.get("in_flight");
    if let Some(entry) = in_flight {
        limits.in_flight_max_bytes =
            size(reader, &entry.value, 1 << 20, 1 << 40).unwrap_or(limits.in_flight_max_bytes);
    }
    limits.drain = fields.or(reader, "drain", limits.drain, |r, n| between(r, n, Duration::ZERO, HOUR));
    fields.end(reader);
    if limits.in_flight_max_bytes < limits.body_max_bytes {
        let at = in_flight.map_or(node.span, |entry| entry.value.span);
        reader.error(at, "less than one body of `limits.body` could be in flight");
    }
    Some(limits)
}

fn retention(reader: &mut Reader<'_>, node: Option<&Node>) -> Option<Retention> {
    let mut retention = Retention { receipts: 30 * DAY };
    let Some(node) = node else { return Some(retention) };
    let mut fields = reader.fields(node, node.span)?;
    retention.receipts =
        fields.or(reader, "receipts", retention.receipts, |r, n| between(r, n, HOUR, 3660 * DAY));
    fields.end(reader);
    Some(retention)
}

pub(super) fn issuers(reader: &mut Reader<'_>, node: &Node) -> Vec<Issuer> {
    let Some(entries) = reader.map(node) else { return Vec::new() };
    entries.iter().filter_map(|entry| issuer(reader, entry)).collect()
}

fn issuer(reader: &mut Reader<'_>, entry: &Entry) -> Option<Issuer> {
    reader.declares(Ask::Issuer, &entry.key, entry.at);
    if EstateName::new(&entry.key).is_err() {
        reader.error(entry.at, "an issuer's name is 1 to 64 of a–z, 0–9, `-`, `_` and `.`");
    }
    let mut fields = reader.fields(&entry.value, entry.at)?;
    let issuer = fields.required(reader, "issuer", |r, n| r.short(n, 1024));
    let audience = fields.required(reader, "audience", |r, n| r.some(n, Reader::string));
    let algorithms = fields.required(reader, "algorithms", algorithms);
    let jwks = fields.required(reader, "jwks", jwks);
    let leeway = fields.or(reader, "leeway", 30 * SECOND, |r, n| between(r, n, Duration::ZERO, 5 * MINUTE));
    let required_claims = fields.or(reader, "required_claims", Vec::new(), |r, n| r.list(n, Reader::string));
    let certificate_bound_entry = fields.get("certificate_bound");
    let certificate_bound = fields.or(reader, "certificate_bound", false, |r, n| r.boolean(n));
    if let (true, Some(entry)) = (certificate_bound, certificate_bound_entry) {
        reader.refers(Ask::ClientAuthority, "tls", entry.value.span);
    }
    fields.end(reader);
    Some(Issuer {
        origin: reader.origin(entry.at),
        name: entry.key.as_str().into(),
        issuer: issuer?,
        audience: audience?,
        algorithms: algorithms?,
        jwks: jwks?,
        leeway,
        required_claims,
        certificate_bound,
    })
}

fn algorithms(reader: &mut Reader<'_>, node: &Node) -> Option<Vec<TokenAlgorithm>> {
    let mut symmetric = None;
    let named = reader.some(node, |reader, item| {
        let text = reader.scalar(item)?;
        if matches!(text, "HS256" | "HS384" | "HS512") {
            symmetric = Some(item.span);
            return None;
        }
        if text.eq_ignore_ascii_case("none") {
            reader.error(item.span, "`none` accepts tokens that nobody signed");
            return None;
        }
        reader.word(item, &TokenAlgorithm::ALL)
    })?;
    if let Some(span) = symmetric {
        let finding = if named.is_empty() {
            Finding::error("tokens signed with a shared secret are not accepted")
        } else {
            Finding::error("mixed algorithms: a public key would be taken for a shared secret")
        };
        reader.push(finding.help("use a pair of keys: RS256, PS256, ES256 or EdDSA"), span);
        return None;
    }
    Some(named)
}

fn jwks(reader: &mut Reader<'_>, node: &Node) -> Option<Jwks> {
    let mut fields = reader.fields(node, node.span)?;
    let file = fields.get("file");
    let url = fields.get("url");
    let times = [
        ("refresh", 10 * MINUTE, MINUTE, 7 * DAY),
        ("stale_if_error", HOUR, Duration::ZERO, 7 * DAY),
        ("unknown_kid_cooldown", 30 * SECOND, SECOND, HOUR),
    ]
    .map(|(key, default, from, to)| {
        let entry = fields.get(key);
        if let (Some(entry), Some(_)) = (entry, file) {
            reader.error(entry.at, format!("`{key}` is about keys behind a `url`"));
        }
        entry.and_then(|entry| between(reader, &entry.value, from, to)).unwrap_or(default)
    });
    fields.end(reader);
    let [refresh, stale_if_error, unknown_kid_cooldown] = times;
    match (file, url) {
        (Some(file), None) => {
            let path = reader.setting(&file.value)?;
            if let Setting::Text(path) | Setting::Env { default: Some(path), .. } = &path
                && path.starts_with("keys/")
            {
                reader.refers(Ask::Keys, path, file.value.span);
            }
            Some(Jwks::File(path))
        }
        (None, Some(url)) => {
            let url = reader.url(&url.value)?;
            Some(Jwks::Url { url, refresh, stale_if_error, unknown_kid_cooldown })
        }
        (None, None) | (Some(_), Some(_)) => {
            reader.error(node.span, "expected either `file` or `url`");
            None
        }
    }
}

/// A duration within bounds.
pub(super) fn between(
    reader: &mut Reader<'_>,
    node: &Node,
    from: Duration,
    to: Duration,
) -> Option<Duration> {
    let duration = reader.parsed(node, units::duration)?;
    if duration < from || duration > to {
        reader.error(node.span, format!("expected {} to {}", shown(from), shown(to)));
        return None;
    }
    Some(duration)
}

/// A size within bounds.
pub(super) fn size(reader: &mut Reader<'_>, node: &Node, from: u64, to: u64) -> Option<u64> {
    let size = reader.parsed(node, units::size)?;
    if size < from || size > to {
        reader.error(node.span, format!("expected {from} to {to} bytes"));
        return None;
    }
    Some(size)
}

fn shown(duration: Duration) -> String {
    let millis = duration.as_millis();
    for (name, length) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)] {
        if millis > 0 && millis.is_multiple_of(length) {
            return format!("{}{name}", millis / length);
        }
    }
    format!("{millis}ms")
}

/// The name of an issuer that another file mentions.
pub(super) fn issuer_name(reader: &mut Reader<'_>, node: &Node) -> Option<Arc<str>> {
    let name = reader.string(node)?;
    reader.refers(Ask::Issuer, &name, node.span);
    Some(name.into())
}
