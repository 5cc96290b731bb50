//! TLS of a listener, and what its clients show of themselves.

use std::{fmt::Write as _, net::IpAddr, sync::Arc, time::Duration};

use rustls::{
    DigitallySignedStruct, DistinguishedName, RootCertStore, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    server::{
        WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem::PemObject};
use x509_parser::{
    extensions::GeneralName,
    prelude::{FromDer, X509Certificate},
    x509::X509Name,
};

use crate::words::{Certificate, Clock, Digest, Subject, Time};

/// A certificate with its key, and whose clients' certificates are believed.
pub struct Tls {
    config: Arc<rustls::ServerConfig>,
    clients: Option<Arc<dyn ClientCertVerifier>>,
    clock: Arc<dyn Clock>,
    not_after: Option<Time>,
}

impl Tls {
    /// Reads a certificate chain and its key (PEM) for HTTP/2 and HTTP/1.1. With `authorities` (PEM), clients are
    /// asked for a certificate of theirs; they may come without.
    ///
    /// # Errors
    /// A file is missing, is no PEM, or the key is not the certificate's.
    pub fn new(
        certificate: &[u8],
        key: &[u8],
        authorities: Option<&[u8]>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, String> {
        let chain = certificates(certificate, "the certificate")?;
        let not_after = chain.first().and_then(|leaf| read(leaf, None)).map(|leaf| leaf.not_after);
        let key =
            PrivateKeyDer::from_pem_slice(key).map_err(|error| format!("the key is no PEM: {error}"))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let clients = authorities.map(|authorities| -> Result<Arc<dyn ClientCertVerifier>, String> {
            let mut roots = RootCertStore::empty();
            for authority in certificates(authorities, "the clients' authority")? {
                roots.add(authority).map_err(|error| format!("the clients' authority: {error}"))?;
            }
            let built = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
            built.build().map_err(|error| format!("the clients' authority: {error}"))
        });
        let clients = clients.transpose()?;
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring offers TLS 1.2 and 1.3");
        let config = match &clients {
            None => config.with_no_client_auth(),
            Some(clients) => config.with_client_cert_verifier(Arc::new(Judged(Arc::clone(clients)))),
        };
        let mut config = config.with_single_cert(chain, key).map_err(|error| error.to_string())?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { config: Arc::new(config), clients, clock, not_after })
    }

    /// When its own certificate ends.
    pub fn not_after(&self) -> Option<Time> {
        self.not_after
    }

    pub(super) fn config(&self) -> &Arc<rustls::ServerConfig> {
        &self.config
    }

    /// The certificate that a client has shown, and whether an authority vouches for it now.
    pub(super) fn client(&self, chain: &[CertificateDer<'_>]) -> Option<Arc<Certificate>> {
        let (leaf, others) = chain.split_first()?;
        let now = Duration::from_millis(u64::try_from(self.clock.now().millis()).unwrap_or(0));
        let now = UnixTime::since_unix_epoch(now);
        let judged = self.clients.as_ref()?.verify_client_cert(leaf, others, now);
        read(leaf, judged.err().map(|error| error.to_string())).map(Arc::new)
    }
}

fn certificates(pem: &[u8], what: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let all: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| format!("{what} is no PEM: {error}"))?;
    if all.is_empty() { Err(format!("the file of {what} holds no certificate")) } else { Ok(all) }
}

/// Lets a certificate that nobody vouches for through the handshake, which proves its holder all the same. The
/// authority is asked straight afterwards, by [`Tls::client`]: so a stranger gets the one answer that all strangers get,
/// in words, instead of a broken connection that tells what was wrong; and the log says it exactly.
#[derive(Debug)]
struct Judged(Arc<dyn ClientCertVerifier>);

impl ClientCertVerifier for Judged {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

fn read(der: &CertificateDer<'_>, untrusted: Option<String>) -> Option<Certificate> {
    let (_, parsed) = X509Certificate::from_der(der).ok()?;
    let names = parsed.subject_alternative_name().ok().flatten();
    let names = names.iter().flat_map(|names| &names.value.general_names).filter_map(name).collect();
    let moment = |seconds: i64| Time::from_millis(seconds.saturating_mul(1000));
    Some(Certificate {
        sha256: Digest::of(der),
        subject: subject(parsed.subject()),
        names,
        not_before: moment(parsed.validity().not_before.timestamp()),
        not_after: moment(parsed.validity().not_after.timestamp()),
        untrusted,
    })
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some(format!("dns:{}", name.to_ascii_lowercase())),
        GeneralName::URI(uri) => Some(format!("uri:{uri}")),
        GeneralName::RFC822Name(address) => Some(format!("email:{address}")),
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
            let address = v4.or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from));
            address.ok().map(|address| format!("ip:{address}"))
        }
        _ => None,
    }
}

/// By RFC 4514: the last part first, types by their short names.
fn subject(name: &X509Name<'_>) -> Subject {
    let parts = name.iter_rdn().map(|part| {
        let attributes = part.iter().map(|attribute| {
            let kind = attribute.attr_type();
            let short = x509_parser::objects::oid2abbrev(kind, x509_parser::objects::oid_registry());
            let kind = short.map_or_else(|_| kind.to_id_string(), str::to_ascii_uppercase);
            let value = attribute.as_str().map(escaped);
            let value = value.unwrap_or_else(|_| {
                attribute.as_slice().iter().fold("#".to_owned(), |mut text, byte| {
                    let _ = write!(text, "{byte:02x}");
                    text
                })
            });
            format!("{kind}={value}")
        });
        attributes.collect::<Vec<_>>().join("+")
    });
    let mut parts: Vec<_> = parts.collect();
    parts.reverse();
    Subject::of(parts)
}

/// What RFC 4514, section 2.4, asks to be escaped.
fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for (index, c) in value.char_indices() {
        let edge = index == 0 && matches!(c, '#' | ' ') || index + 1 == value.len() && c == ' ';
        if edge || matches!(c, '"' | '+' | ',' | ';' | '<' | '>' | '\\') {
            text.push('\\');
        }
        text.push(c);
    }
    text
}
