//! Whom a request claims to be, before anything of it is checked: what failures are counted under.

use http::{HeaderMap, header::AUTHORIZATION, request::Parts};

use crate::words::Peer;

/// Longest name that is looked at.
const LONGEST: usize = 160;

/// A name for the credential that a request claims: the readable part of an API key, a token's header (which names its
/// key), the key of a signature, the partner of a webhook. Nothing secret is in it. Cheap, because every request is
/// asked; none if the request claims nobody.
pub fn claimed<'a>(head: &'a Parts, peer: &Peer) -> Option<&'a str> {
    let text = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
    let name = match key_or_token(&head.headers) {
        // `xd_acme-3pl_…`: what is behind the last underscore is the secret.
        Some(secret) if secret.starts_with("xd_") => secret.rsplit_once('_').map(|(name, _)| name),
        Some(token) => token.split_once('.').map(|(header, _)| header),
        None if head.headers.contains_key("signature-input") => {
            let input = text("signature-input")?;
            let (_, rest) = input.split_once("keyid=\"")?;
            rest.split_once('"').map(|(keyid, _)| keyid)
        }
        None if head.headers.contains_key("webhook-signature") => {
            Some(head.uri.query().filter(|query| query.contains("partner=")).unwrap_or("webhook"))
        }
        None => peer.certificate.as_ref().map(|_| "certificate"),
    };
    name.map(|name| &name[..name.len().min(LONGEST)]).filter(|name| !name.is_empty())
}

fn key_or_token(headers: &HeaderMap) -> Option<&str> {
    if let Some(key) = headers.get("x-api-key") {
        return key.to_str().ok();
    }
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    value.split_once(' ').map(|(_, secret)| secret.trim_start())
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn of(fields: &[(&str, &str)]) -> Option<String> {
        let mut request = Request::post("/hook?partner=nordfracht");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let (head, ()) = request.body(()).unwrap().into_parts();
        claimed(&head, &Peer::default()).map(str::to_owned)
    }

    #[test]
    fn the_name_of_a_claim_holds_nothing_secret() {
        assert_eq!(of(&[("x-api-key", "xd_acme-3pl_secret")]).as_deref(), Some("xd_acme-3pl"));
        assert_eq!(of(&[("authorization", "Bearer xd_demo_acme_secret")]).as_deref(), Some("xd_demo_acme"));
        assert_eq!(
            of(&[("authorization", "Bearer eyJhbGciOi.claims.signature")]).as_deref(),
            Some("eyJhbGciOi")
        );
        assert_eq!(of(&[("x-api-key", "secret-of-another-form")]), None);
        assert_eq!(
            of(&[("signature-input", "sig=();created=1;keyid=\"nord-1\"")]).as_deref(),
            Some("nord-1")
        );
        assert_eq!(of(&[("webhook-signature", "v1,x")]).as_deref(), Some("partner=nordfracht"));
        assert_eq!(of(&[]), None);
        let long = format!("xd_{}_x", "a".repeat(5000));
        assert_eq!(of(&[("x-api-key", &long)]).map(|name| name.len()), Some(LONGEST));
    }
}
