//! Policies begun from an OpenAPI file: an API whose operations are passed on to the system that the file describes.

use std::{collections::BTreeSet, fmt::Write as _};

use serde_json::{Map, Value, json};

use crate::words::{ApiName, OperationName};

/// How an import is asked for.
#[derive(Clone, Debug)]
pub struct Import {
    /// The API's name, and its target's.
    pub name: ApiName,
    /// Who may call all of it; none: nobody yet.
    pub partner: Option<String>,
}

/// Files to begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begun {
    /// Path in the policy folder, and text.
    pub files: Vec<(String, String)>,
    /// What was left out, and why.
    pub left_out: Vec<String>,
}

/// Methods that an operation may have.
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];
/// Deepest chain of references that is followed.
const DEPTH: usize = 64;

/// Begins policies from an OpenAPI 3 document.
///
/// # Errors
/// It is none, or has no operation that can be served.
pub fn import(openapi: &Value, asked: &Import) -> Result<Begun, String> {
    match openapi["openapi"].as_str() {
        Some(version) if version.starts_with("3.") => {}
        Some(version) => return Err(format!("OpenAPI {version}: 3.0 and 3.1 can be read")),
        None if openapi["swagger"].is_string() => {
            return Err("this is Swagger 2.0: convert it to OpenAPI 3 first".to_owned());
        }
        None => return Err("no OpenAPI document: `openapi` is missing".to_owned()),
    }
    let major = openapi["info"]["version"].as_str().unwrap_or("1").trim_start_matches('v');
    let major = major.split('.').next().and_then(|major| major.parse::<u32>().ok()).unwrap_or(1).max(1);
    let version = format!("v{major}");
    let name = &asked.name;
    let mut begun = Begun { files: Vec::new(), left_out: Vec::new() };
    let mut operations = String::new();
    let mut names = BTreeSet::new();
    for (path, methods) in openapi["paths"].as_object().into_iter().flatten() {
        for method in METHODS {
            let Some(operation) = methods.get(method) else { continue };
            let shown = format!("{} {path}", method.to_uppercase());
            let route = match unversioned(path) {
                Ok(route) => route,
                Err(why) => {
                    begun.left_out.push(format!("{shown}: {why}"));
                    continue;
                }
            };
            let id = unique(&mut names, &named(operation, method, path));
            let _ = writeln!(operations, "  {id}:\n    match: {} {route}", method.to_uppercase());
            let scopes = scopes(openapi, operation);
            if !scopes.is_empty() {
                let _ = writeln!(operations, "    scopes: {}", json!(scopes));
            }
            let mut binding = vec!["mode: proxy".to_owned(), format!("target: {name}")];
            let body = behind(openapi, &operation["requestBody"]);
            let content = body["content"].as_object();
            let types: Vec<&str> =
                content.into_iter().flat_map(|types| types.keys()).map(String::as_str).collect();
            let plain = |kind: &&str| !kind.contains('*') && !kind.contains(';');
            if !types.is_empty() && types.iter().all(plain) {
                binding.push(format!("media_types: {}", json!(types)));
            }
            if let [kind] = types[..]
                && kind.ends_with("json")
                && let Some(schema) = content.and_then(|types| types[kind].get("schema"))
            {
                let file = format!("schemas/{name}/{id}.{version}.json");
                binding.push(format!("schema: {file}"));
                begun.files.push((file, format!("{:#}\n", alone(openapi, schema))));
            }
            let _ = writeln!(operations, "    versions:\n      {version}: {{ {} }}", binding.join(", "));
        }
    }
    if names.is_empty() {
        return Err("the document has no operation that can be served".to_owned());
    }
    let title = openapi["info"]["title"].as_str().unwrap_or("an OpenAPI document").replace(['\n', '\r'], " ");
    let mut api = format!(
        "# Begun from {title}. Every operation is passed on to the target `{name}`.\napi: {name}\nlayer: partner\n\
         select: {{ by: [path], default: {version} }}\nversions:\n  {version}: {{ state: active }}\noperations:\n{operations}"
    );
    if let Some(partner) = &asked.partner {
        let all: Vec<&String> = names.iter().collect();
        let _ = writeln!(
            api,
            "grants:\n  - {{ partner: {partner}, operations: {}, versions: [{version}] }}",
            json!(all)
        );
    }
    begun.files.push((format!("apis/{name}.yaml"), api));
    let url =
        openapi["servers"][0]["url"].as_str().filter(|url| url.starts_with("http") && !url.contains('{'));
    let variable = format!("{}_URL", name.as_str().to_ascii_uppercase().replace(['-', '.'], "_"));
    let url = url.map_or_else(
        || format!("url: env:{variable}"),
        |url| format!("url: {{ env: {variable}, default: {} }}", json!(url)),
    );
    begun.files.push((format!("targets/{name}.yaml"), format!("target: {name}\n{url}\n")));
    begun.files.sort();
    Ok(begun)
}

/// A path as `match` has it: without a version in front, of plain segments and whole parameters.
fn unversioned(path: &str) -> Result<String, String> {
    let (_, rest) = crate::contract::split_version(path);
    let part = |text: &str| {
        let inner = text.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')).unwrap_or(text);
        !inner.is_empty() && inner.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte))
    };
    match rest.strip_prefix('/') {
        Some(parts) if parts.split('/').all(part) => Ok(rest.to_owned()),
        _ => Err("a path is made of plain segments and whole `{parameters}`".to_owned()),
    }
}

/// A name for an operation: its own, or its method and path.
fn named(operation: &Value, method: &str, path: &str) -> String {
    let text = operation["operationId"].as_str().map_or_else(|| format!("{method}{path}"), str::to_owned);
    let mut name = String::new();
    let mut before = ' ';
    for letter in text.chars() {
        if letter.is_ascii_uppercase() && (before.is_ascii_lowercase() || before.is_ascii_digit()) {
            name.push('-');
        }
        match letter {
            letter if letter.is_ascii_alphanumeric() => name.push(letter.to_ascii_lowercase()),
            _ if !name.ends_with('-') && !name.is_empty() => name.push('-'),
            _ => {}
        }
        before = letter;
    }
    let name: String = name.trim_matches('-').chars().take(60).collect();
    OperationName::new(&name).map_or_else(|_| method.to_owned(), |name| name.to_string())
}

fn unique(names: &mut BTreeSet<String>, name: &str) -> String {
    let numbered = (2..).map(|number| format!("{name}-{number}"));
    let free = std::iter::once(name.to_owned()).chain(numbered).find(|name| !names.contains(name));
    let free = free.unwrap_or_default();
    names.insert(free.clone());
    free
}

/// The scopes that an operation asks for, whichever scheme they belong to.
fn scopes(openapi: &Value, operation: &Value) -> BTreeSet<String> {
    let security = operation.get("security").unwrap_or(&openapi["security"]);
    let schemes = security.as_array().into_iter().flatten().filter_map(Value::as_object).flatten();
    let scopes = schemes.flat_map(|(_, scopes)| scopes.as_array().into_iter().flatten());
    let text = scopes.filter_map(Value::as_str).filter(|scope| !scope.is_empty() && !scope.contains(' '));
    text.map(str::to_owned).collect()
}

fn behind<'v>(openapi: &'v Value, value: &'v Value) -> &'v Value {
    let pointer = value.get("$ref").and_then(Value::as_str).and_then(|to| to.strip_prefix('#'));
    pointer.and_then(|pointer| openapi.pointer(pointer)).unwrap_or(value)
}

/// A schema with everything that it refers to, so that it stands alone.
fn alone(openapi: &Value, schema: &Value) -> Value {
    let mut defs = Map::new();
    let mut schema = moved(openapi, schema, &mut defs, 0);
    if let Some(members) = schema.as_object_mut() {
        members.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
        if !defs.is_empty() {
            members.insert("$defs".to_owned(), Value::Object(defs));
        }
    }
    schema
}

fn moved(openapi: &Value, schema: &Value, defs: &mut Map<String, Value>, depth: usize) -> Value {
    match schema {
        _ if depth > DEPTH => Value::Bool(true),
        Value::Object(members) => {
            if let Some(name) = members.get("$ref").and_then(Value::as_str) {
                let Some(name) = name.strip_prefix("#/components/schemas/") else { return Value::Bool(true) };
                if !defs.contains_key(name) {
                    // Before it is filled: a schema may refer to itself.
                    defs.insert(name.to_owned(), Value::Bool(true));
                    let found = moved(openapi, &openapi["components"]["schemas"][name], defs, depth + 1);
                    defs.insert(name.to_owned(), found);
                }
                return json!({ "$ref": format!("#/$defs/{name}") });
            }
            let nullable = members.get("nullable") == Some(&Value::Bool(true));
            let mut out: Map<String, Value> = members
                .iter()
                // What only OpenAPI knows says nothing about documents.
                .filter(|(name, _)| {
                    !matches!(
                        name.as_str(),
                        "nullable" | "discriminator" | "xml" | "externalDocs" | "example"
                    )
                })
                .map(|(name, value)| (name.clone(), moved(openapi, value, defs, depth + 1)))
                .collect();
            if nullable && let Some(kind) = out.get("type").and_then(Value::as_str).map(str::to_owned) {
                out.insert("type".to_owned(), json!([kind, "null"]));
            }
            for (flag, bound) in [("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")] {
                // OpenAPI 3.0 has booleans here, as draft 4 had.
                if let Some(strict) = out.get(flag).and_then(Value::as_bool) {
                    out.remove(flag);
                    if let Some(value) = out.remove(bound).filter(|_| strict) {
                        out.insert(flag.to_owned(), value);
                    }
                }
            }
            Value::Object(out)
        }
        Value::Array(items) => items.iter().map(|item| moved(openapi, item, defs, depth + 1)).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked() -> Import {
        Import { name: ApiName::new("rates").unwrap(), partner: Some("acme".to_owned()) }
    }

    #[test]
    fn an_openapi_file_begins_an_api_a_target_and_schemas_that_stand_alone() {
        let openapi = json!({
            "openapi": "3.0.3", "info": { "title": "Rates", "version": "2.4.1" },
            "servers": [{ "url": "https://rates.example/api" }],
            "security": [{ "oauth": ["rates:read"] }],
            "paths": {
                "/v2/quotes": { "post": { "operationId": "createQuote", "security": [{ "oauth": ["rates:write"] }],
                    "requestBody": { "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Quote" } } } } } },
                "/v2/quotes/{id}": { "get": {}, "head": {} },
                "/files/{name}.pdf": { "get": {} },
            },
            "components": { "schemas": { "Quote": { "type": "object", "properties": {
                "next": { "$ref": "#/components/schemas/Quote" },
                "weight": { "type": "number", "nullable": true, "minimum": 0, "exclusiveMinimum": true } } } } },
        });
        let begun = import(&openapi, &asked()).unwrap();
        let text = |path: &str| begun.files.iter().find(|(name, _)| name == path).unwrap().1.clone();
        let api = text("apis/rates.yaml");
        for line in [
            "  create-quote:\n    match: POST /quotes\n    scopes: [\"rates:write\"]\n",
            "      v2: { mode: proxy, target: rates, media_types: [\"application/json\"], schema: schemas/rates/create-quote.v2.json }",
            "  get-v2-quotes-id:\n    match: GET /quotes/{id}\n    scopes: [\"rates:read\"]",
            "  - { partner: acme, operations: [\"create-quote\",\"get-v2-quotes-id\"], versions: [v2] }",
        ] {
            assert!(api.contains(line), "{line} is not in\n{api}");
        }
        assert_eq!(
            text("targets/rates.yaml"),
            "target: rates\nurl: { env: RATES_URL, default: \"https://rates.example/api\" }\n"
        );
        let schema: Value = serde_json::from_str(&text("schemas/rates/create-quote.v2.json")).unwrap();
        assert_eq!(schema["$ref"], "#/$defs/Quote");
        assert_eq!(schema["$defs"]["Quote"]["properties"]["next"], json!({ "$ref": "#/$defs/Quote" }));
        let weight = json!({ "type": ["number", "null"], "exclusiveMinimum": 0 });
        assert_eq!(schema["$defs"]["Quote"]["properties"]["weight"], weight);
        assert_eq!(begun.left_out.len(), 1, "{:?}", begun.left_out);
        crate::contract::Schema::compile(&schema.to_string(), "x").unwrap();
    }

    #[test]
    fn what_is_no_openapi_3_is_refused_by_name() {
        for (document, wanted) in [
            (json!({ "swagger": "2.0" }), "Swagger 2.0"),
            (json!({ "openapi": "4.0" }), "OpenAPI 4.0"),
            (json!([]), "`openapi` is missing"),
            (json!({ "openapi": "3.1.0", "paths": {} }), "no operation"),
        ] {
            let error = import(&document, &asked()).unwrap_err();
            assert!(error.contains(wanted), "{error}");
        }
    }
}
