//! Clients that show a certificate: who is let in by it, and that everybody else hears the same.

use std::sync::Arc;

use anyhow::{Context as _, ensure};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use crossdock_tests::{ACME_KEY, Estate, Reply, call_over};
use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::net::TcpStream;

use crate::{
    refusals::refused,
    world::{CONFIRMATIONS, MILESTONES, World, case, confirmation, receipt},
};

const EDI: [(&str, &str); 1] = [("content-type", "application/edi-x12")];

/// Somebody who vouches for clients.
struct Authority {
    certificate: rcgen::Certificate,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with its key.
struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Authority {
    fn new(name: &str) -> anyhow::Result<Self> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key)?;
        Ok(Self { certificate, issuer: Issuer::new(params, key) })
    }

    /// A client of this name, whose certificate ends in so many days.
    fn client(&self, name: &str, days: i64) -> anyhow::Result<Identity> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(vec![name.to_owned()])?;
        // From the general to the particular, as certificates have it; RFC 4514 writes it the other way round.
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "Acme");
        params.distinguished_name.push(DnType::CommonName, name);
        // rcgen's dates are of its own crate of times; its helper makes them of a day.
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs();
        let (year, month, day) = date(i64::try_from(now)? / 86_400 + days);
        params.not_after = rcgen::date_time_ymd(year, month, day);
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        let certificate = params.signed_by(&key, &self.issuer)?;
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        Ok(Identity { chain: vec![certificate.der().clone()], key })
    }
}

/// A day of the Gregorian calendar from the days since 1970 (Howard Hinnant's algorithm).
fn date(days: i64) -> (i32, u8, u8) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = yoe + era * 400 + i64::from(month <= 2);
    (year as i32, month as u8, (doy - (153 * mp + 2) / 5 + 1) as u8)
}

/// The worked estate behind TLS, whose warehouse comes with a certificate.
struct Secured {
    world: World,
    roots: rustls::RootCertStore,
}

impl Secured {
    async fn start(
        authority: &Authority,
        mtls: &str,
        change: impl FnOnce(Estate) -> anyhow::Result<Estate>,
    ) -> anyhow::Result<Self> {
        let key = KeyPair::generate()?;
        let own = CertificateParams::new(vec!["gateway.example".to_owned()])?.self_signed(&key)?;
        let mut roots = rustls::RootCertStore::empty();
        roots.add(own.der().clone())?;
        let world = World::with(|estate| {
            let keys = estate.folder().join("keys");
            std::fs::write(keys.join("tls.crt.pem"), own.pem())?;
            std::fs::write(keys.join("tls.key.pem"), key.serialize_pem())?;
            std::fs::write(keys.join("clients.pem"), authority.certificate.pem())?;
            let estate = estate.edit("gateway.yaml", |text| {
                format!(
                    "{text}\ntls: {{ certificate: file:keys/tls.crt.pem, key: file:keys/tls.key.pem, client_ca: file:keys/clients.pem }}\n"
                )
            })?;
            let credential = format!("credentials:\n  edi:\n    mtls: {mtls}\n    scopes: [shipments:write]\n");
            change(estate.edit("partners/acme-3pl.yaml", |text| text.replace("credentials:\n", &credential))?)
        })
        .await?;
        Ok(Self { world, roots })
    }

    /// Posts over a connection of its own, with this certificate or none.
    async fn post(
        &self,
        identity: Option<&Identity>,
        path: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> anyhow::Result<Reply> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(self.roots.clone());
        let config = match identity {
            None => config.with_no_client_auth(),
            Some(identity) => {
                config.with_client_auth_cert(identity.chain.clone(), identity.key.clone_key())?
            }
        };
        let stream = TcpStream::connect(&self.world.gateway.address).await?;
        let stream = tokio_rustls::TlsConnector::from(Arc::new(config))
            .connect("gateway.example".try_into()?, stream)
            .await?;
        call_over(stream, "POST", "gateway.example", path, headers, body.into()).await
    }
}

#[tokio::test]
async fn a_client_is_let_in_by_its_certificate_and_everybody_else_hears_the_same() -> anyhow::Result<()> {
    let (ours, theirs) = (Authority::new("Clients of Northstar")?, Authority::new("Clients of Northstar")?);
    let secured = Secured::start(&ours, "{ subject: \"CN=edi.acme.example, O=Acme\" }", Ok).await?;
    let own = ours.client("edi.acme.example", 400)?;
    let reply = secured.post(Some(&own), CONFIRMATIONS, &EDI, confirmation("0080009801", 9801)?).await?;
    assert_eq!(receipt(&reply)?["partner"], "acme-3pl");

    let strangers = [
        ("none", None),
        ("expired", Some(ours.client("edi.acme.example", -1)?)),
        ("of another authority", Some(theirs.client("edi.acme.example", 400)?)),
        ("of nobody", Some(ours.client("edi.globex.example", 400)?)),
    ];
    let mut said = Vec::new();
    for (what, identity) in &strangers {
        let reply = secured.post(identity.as_ref(), CONFIRMATIONS, &EDI, "x".to_owned()).await;
        let problem = refused(&reply.context(*what)?, 401, "unauthenticated", "caller", false)?;
        said.push((problem["title"].clone(), problem["detail"].clone()));
    }
    said.dedup();
    assert_eq!(said.len(), 1, "the answers differ, and tell what was wrong: {said:?}");
    // A key serves over the same door, whoever's certificate comes with it.
    let headers = [EDI[0], ("x-api-key", ACME_KEY)];
    let reply = secured
        .post(strangers[2].1.as_ref(), CONFIRMATIONS, &headers, confirmation("0080009802", 9802)?)
        .await?;
    receipt(&reply)?;
    Ok(())
}

#[tokio::test]
async fn a_token_that_is_bound_to_a_certificate_serves_over_no_other() -> anyhow::Result<()> {
    let ours = Authority::new("Clients of Northstar")?;
    let secured = Secured::start(&ours, "{ san: dns:edi.acme.example }", Ok).await?;
    let (own, other) = (ours.client("tms.nordfracht.example", 400)?, ours.client("evil.example", 400)?);
    let thumbprint = URL_SAFE_NO_PAD.encode(Sha256::digest(&own.chain[0]));
    let token =
        secured.world.estate.token_with(|claims| claims["cnf"] = json!({ "x5t#S256": thumbprint }))?;
    let headers = [("authorization", token.as_str()), ("content-type", "application/json")];
    let milestone = case("easypost", "tracker-delivered/in.json")?;
    receipt(&secured.post(Some(&own), MILESTONES, &headers, milestone.clone()).await?)?;
    for identity in [None, Some(&other)] {
        let reply = secured.post(identity, MILESTONES, &headers, milestone.clone()).await?;
        refused(&reply, 401, "unauthenticated", "caller", false)?;
    }
    let free = secured.world.estate.token()?;
    let headers = [("authorization", free.as_str()), ("content-type", "application/json")];
    receipt(&secured.post(None, MILESTONES, &headers, milestone).await?)?;
    Ok(())
}

#[tokio::test]
async fn a_certificate_is_known_by_its_fingerprint_after_a_reload_too() -> anyhow::Result<()> {
    let ours = Authority::new("Clients of Northstar")?;
    let own = ours.client("edi.acme.example", 400)?;
    let fingerprint =
        Sha256::digest(&own.chain[0]).iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>();
    let secured = Secured::start(&ours, "{ san: dns:nobody.example }", Ok).await?;
    let reply = secured.post(Some(&own), CONFIRMATIONS, &EDI, "x".to_owned()).await?;
    ensure!(reply.status == 401, "{}", reply.text());
    secured.world.estate.save("partners/acme-3pl.yaml", |text| {
        text.replace("san: dns:nobody.example", &format!("fingerprint: \"{}\"", fingerprint.join(":")))
    })?;
    crossdock_tests::until("the certificate is known", async || {
        let reply = secured.post(Some(&own), CONFIRMATIONS, &EDI, confirmation("0080009803", 9803)?).await?;
        Ok(reply.status == 202)
    })
    .await
}
