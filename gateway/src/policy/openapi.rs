//! OpenAPI 3.1 of what a partner may call, made of the policies; and policies begun from an OpenAPI file.

mod import;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{
    checked::{Api, Binding, Checked, CredentialKind, Operation, SelectBy, Version, VersionState},
    units,
};
use crate::words::{Mode, PartnerName, Time, VersionName};

pub use import::{Begun, Import, import};

/// The OpenAPI document of everything that `partner` may call at `now`; of everything at all without a partner.
pub fn document(checked: &Checked, partner: Option<&PartnerName>, now: Time) -> Value {
    let mut written =
        Written { checked, partner, now, paths: Map::new(), schemas: Map::new(), tags: Vec::new() };
    for api in checked.apis.values() {
        written.api(api);
    }
    written.schemas.extend(shared());
    let whose = partner.and_then(|name| checked.partners.get(name));
    let whose = whose.map(|partner| partner.title.clone().unwrap_or_else(|| partner.name.to_string()));
    let title = match &whose {
        Some(whose) => format!("{} for {whose}", checked.gateway.estate),
        None => checked.gateway.estate.to_string(),
    };
    let security = written.security();
    let named: Vec<Value> = security.keys().map(|name| json!({ (*name): [] })).collect();
    json!({
        "openapi": "3.1.0",
        "info": { "title": title, "version": units::day(now),
            "description": "What is not here is not granted. Refusals are problem details (RFC 9457)." },
        "servers": [{ "url": "/" }],
        "tags": written.tags,
        "security": named,
        "paths": written.paths,
        "components": { "securitySchemes": security, "schemas": written.schemas },
    })
}

struct Written<'a> {
    checked: &'a Checked,
    partner: Option<&'a PartnerName>,
    now: Time,
    paths: Map<String, Value>,
    schemas: Map<String, Value>,
    tags: Vec<Value>,
}

impl Written<'_> {
    fn api(&mut self, api: &Api) {
        let mut used = false;
        for operation in api.operations.values() {
            for (name, binding) in &operation.versions {
                let Some(version) = api.versions.get(name).filter(|version| self.lives(version)) else {
                    continue;
                };
                if self.granted(api, operation, name) {
                    self.operation(api, operation, name, version, binding);
                    used = true;
                }
            }
        }
        if used {
            self.tags.push(json!({ "name": api.name }));
        }
    }

    fn lives(&self, version: &Version) -> bool {
        matches!(version.state, VersionState::Active | VersionState::Deprecated)
            && version.sunset.is_none_or(|sunset| sunset > self.now)
    }

    fn granted(&self, api: &Api, operation: &Operation, version: &VersionName) -> bool {
        let Some(partner) = self.partner else { return true };
        api.grants.iter().any(|grant| {
            grant.partner == *partner
                && grant.operations.contains(&operation.name)
                && grant.versions.contains(version)
        })
    }

    fn operation(
        &mut self,
        api: &Api,
        operation: &Operation,
        name: &VersionName,
        version: &Version,
        binding: &Binding,
    ) {
        let by_path = api.select.by.contains(&SelectBy::Path);
        let path = if by_path { format!("/{name}{}", operation.path) } else { operation.path.clone() };
        let mut parameters: Vec<Value> = operation
            .path
            .split('/')
            .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
            .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
            .collect();
        if let (false, Some(header)) = (by_path, &api.select.header) {
            parameters.push(
                json!({ "name": header, "in": "header", "required": api.select.default.as_ref() != Some(name),
                "schema": { "const": name } }),
            );
        }
        if operation.method != "GET" {
            parameters.push(json!({ "name": "Idempotency-Key", "in": "header",
                "required": operation.idempotency.required, "schema": { "type": "string", "maxLength": 255 },
                "description": format!("The same on every retry of one document; remembered for {}.",
                    units::span(operation.idempotency.ttl)) }));
        }
        let gone = version.state == VersionState::Deprecated
            || version.deprecated.is_some_and(|deprecated| deprecated <= self.now);
        let mut written = json!({
            "operationId": format!("{}.{}.{name}", api.name, operation.name),
            "tags": [api.name],
            "parameters": parameters,
            "responses": self.responses(binding),
        });
        if !operation.scopes.is_empty() {
            written["description"] = format!("Asks for the scopes {}.", operation.scopes.join(", ")).into();
        }
        if gone {
            written["deprecated"] = true.into();
            written["x-sunset"] = version.sunset.map_or(Value::Null, |sunset| units::day(sunset).into());
            written["x-successor"] = json!(version.successor);
        }
        if operation.limits != super::checked::Limits::default() {
            written["x-limits"] = units::limits(&operation.limits).into();
        }
        if !matches!(operation.method.as_str(), "GET" | "DELETE") {
            written["requestBody"] =
                json!({ "required": true, "content": self.content(api, operation, name, binding) });
        }
        let methods = self.paths.entry(path).or_insert_with(|| json!({}));
        methods[operation.method.to_ascii_lowercase()] = written;
    }

    fn content(
        &mut self,
        api: &Api,
        operation: &Operation,
        version: &VersionName,
        binding: &Binding,
    ) -> Value {
        let schema = binding.schema.as_ref().and_then(|path| {
            let text = self.checked.schemas.get(path)?;
            let mut schema: Value = serde_json::from_str(text).ok()?;
            // References within a schema begin at its own top, and that needs an address of its own here.
            if let Some(members) = schema.as_object_mut().filter(|members| !members.contains_key("$id")) {
                members.insert("$id".to_owned(), format!("https://crossdock.invalid/{path}").into());
            }
            let name = format!("{}.{}.{version}", api.name, operation.name);
            self.schemas.insert(name.clone(), schema);
            Some(json!({ "schema": { "$ref": format!("#/components/schemas/{name}") } }))
        });
        let any = vec!["*/*".to_owned()];
        let types = match (binding.media_types.is_empty(), &schema) {
            (false, _) => binding.media_types.clone(),
            (true, Some(_)) => vec!["application/json".to_owned()],
            (true, None) => any,
        };
        let described = |kind: String| (kind, schema.clone().unwrap_or_else(|| json!({})));
        Value::Object(types.into_iter().map(described).collect())
    }

    fn responses(&self, binding: &Binding) -> Value {
        let problem = json!({ "description": "Refused: the problem says whose fault it is and whether to retry",
            "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } } });
        match binding.mode {
            Mode::Exchange => json!({
                "202": { "description": "Durably accepted",
                    "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Receipt" } } } },
                "default": problem,
            }),
            Mode::Proxy => {
                json!({ "2XX": { "description": "The answer of the system behind it" }, "default": problem })
            }
        }
    }

    /// The ways in which the partner may show who it is.
    fn security(&self) -> BTreeMap<&'static str, Value> {
        let partners =
            self.checked.partners.values().filter(|partner| self.partner.is_none_or(|p| partner.name == *p));
        let kinds =
            partners.flat_map(|partner| &partner.credentials).map(|credential| match &credential.kind {
                CredentialKind::ApiKey { .. } => {
                    ("key", json!({ "type": "apiKey", "in": "header", "name": "X-Api-Key" }))
                }
                CredentialKind::Certificate(_) => ("certificate", json!({ "type": "mutualTLS" })),
                CredentialKind::Webhook { .. } => (
                    "webhook",
                    json!({ "type": "apiKey", "in": "header", "name": "webhook-signature",
                        "description": "A signature by Standard Webhooks" }),
                ),
                CredentialKind::Signature { .. } => (
                    "signature",
                    json!({ "type": "apiKey", "in": "header", "name": "Signature",
                        "description": "An HTTP message signature (RFC 9421)" }),
                ),
                CredentialKind::Jwt { .. } => {
                    ("token", json!({ "type": "http", "scheme": "bearer", "bearerFormat": "JWT" }))
                }
            });
        kinds.collect()
    }
}

/// What every answer is made of.
fn shared() -> [(String, Value); 2] {
    let text = || json!({ "type": "string" });
    let receipt = json!({
        "type": "object",
        "description": "The document and its events are durable",
        "required": ["message_id", "events"],
        "properties": { "message_id": text(), "partner": text(), "operation": text(), "version": text(),
            "received_at": { "type": "string", "format": "date-time" }, "revision": text(), "document": text(),
            "events": { "type": "array", "items": { "type": "object",
                "properties": { "id": text(), "type": text(), "outcome": { "enum": ["stored", "repeats", "held"] } } } } },
    });
    let problem = json!({
        "type": "object",
        "description": "Problem details, RFC 9457",
        "required": ["type", "title", "status", "detail", "fault", "retryable"],
        "properties": { "type": text(), "title": text(), "status": { "type": "integer" }, "detail": text(),
            "fault": { "enum": ["caller", "mapper", "gateway", "target"] }, "retryable": { "type": "boolean" },
            "message_id": text(), "revision": text(), "errors": { "type": "array", "items": { "type": "object",
                "properties": { "code": text(), "message": text(), "rule": text(), "at": { "type": "object",
                    "properties": { "scheme": text(), "path": text(), "offset": { "type": "integer" },
                        "length": { "type": "integer" } } } } } } },
    });
    [("Receipt".to_owned(), receipt), ("Problem".to_owned(), problem)]
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::policy;

    fn told(partner: &str, on: &str) -> Value {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies");
        let now = units::date(on).unwrap();
        let (checked, _) = policy::check(&policy::read(&folder).unwrap(), now, &|_, _| Ok(()));
        document(&checked.unwrap(), Some(&PartnerName::new(partner).unwrap()), now)
    }

    fn paths(document: &Value) -> Vec<&String> {
        document["paths"].as_object().unwrap().keys().collect()
    }

    #[test]
    fn a_partner_is_told_what_it_may_call_on_that_day_and_nothing_else() {
        let before = told("acme-3pl", "2026-11-25");
        assert_eq!(paths(&before), ["/v1/shipments/confirmations", "/v2/shipments/confirmations"]);
        let old = &before["paths"]["/v1/shipments/confirmations"]["post"];
        assert_eq!((&old["deprecated"], &old["x-sunset"]), (&json!(true), &json!("2027-04-01")));
        let new = &before["paths"]["/v2/shipments/confirmations"]["post"];
        assert_eq!(new["deprecated"], Value::Null);
        assert!(new["requestBody"]["content"]["application/edi-x12"].is_object());
        assert_eq!(before["security"], json!([{ "key": [] }]));
        assert_eq!(paths(&told("acme-3pl", "2027-04-01")), ["/v2/shipments/confirmations"]);
    }

    #[test]
    fn every_reference_leads_somewhere_and_schemas_keep_their_own() {
        let document = told("nordfracht", "2026-11-25");
        assert_eq!(document["security"], json!([{ "token": [] }]));
        let body = &document["paths"]["/v1/tracking/milestones"]["post"]["requestBody"]["content"]["application/json"];
        let to = body["schema"]["$ref"].as_str().unwrap();
        let schema = document.pointer(to.strip_prefix('#').unwrap()).unwrap();
        assert!(schema["$id"].is_string(), "{schema}");
        contract_compiles(schema);
        for name in ["Receipt", "Problem"] {
            assert!(document["components"]["schemas"][name].is_object());
        }
    }

    fn contract_compiles(schema: &Value) {
        crate::contract::Schema::compile(&schema.to_string(), "embedded").unwrap();
    }
}
