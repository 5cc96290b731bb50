//! From method and path to what the policies put there: `/orders/{id}`.

use std::{collections::BTreeMap, sync::Arc};

use http::Method;

use crate::words::Pairs;

/// Segments that a path or a template may have.
const MOST_SEGMENTS: usize = 32;

/// Why a set of templates can't be served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// Not a template.
    #[error("`{template}` is not a path template: {why}")]
    Template {
        /// What was given.
        template: String,
        /// What is wrong.
        why: &'static str,
    },
    /// Both match some path and neither is the more exact one.
    #[error("{method} `{first}` and `{second}` match the same paths")]
    Overlap {
        /// Their method.
        method: Method,
        /// The earlier one.
        first: String,
        /// The later one.
        second: String,
    },
}

/// What is served where. Where several templates match a path, the one with the literal segment wins.
#[derive(Debug)]
pub struct Routes<T> {
    root: Arc<Node>,
    all: Vec<Route<T>>,
}

/// What a request meets.
#[derive(Debug, PartialEq, Eq)]
pub enum Match<'a, T> {
    /// It, and the parameters in the path, decoded.
    Found(&'a T, Pairs),
    /// Nothing by this method; the `Allow` field names those that are served.
    MethodNotAllowed(String),
    /// Nothing.
    NotFound,
}

#[derive(Debug)]
struct Route<T> {
    method: Method,
    template: String,
    segments: Vec<Segment>,
    value: T,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal(String),
    Parameter(String),
}

#[derive(Debug, Default)]
struct Node {
    literals: BTreeMap<String, Node>,
    parameter: Option<Box<Node>>,
    /// Indices of the routes that end here.
    routes: Vec<usize>,
}

impl<T> Routes<T> {
    /// Puts every value at its method and template.
    ///
    /// # Errors
    /// A template that is none; two that match the same paths.
    pub fn build(routes: impl IntoIterator<Item = (Method, String, T)>) -> Result<Self, RouteError> {
        let (mut root, mut all) = (Node::default(), Vec::<Route<T>>::new());
        for (method, template, value) in routes {
            let segments =
                parse(&template).map_err(|why| RouteError::Template { template: template.clone(), why })?;
            let rival =
                all.iter().find(|other| other.method == method && ambiguous(&other.segments, &segments));
            if let Some(rival) = rival {
                return Err(RouteError::Overlap { method, first: rival.template.clone(), second: template });
            }
            root.insert(&segments, all.len());
            all.push(Route { method, template, segments, value });
        }
        Ok(Self { root: Arc::new(root), all })
    }

    /// The same paths with other values.
    pub fn map<U>(&self, value: impl Fn(&T) -> U) -> Routes<U> {
        let route = |route: &Route<T>| Route {
            method: route.method.clone(),
            template: route.template.clone(),
            segments: route.segments.clone(),
            value: value(&route.value),
        };
        Routes { root: Arc::clone(&self.root), all: self.all.iter().map(route).collect() }
    }

    /// What a method and a path (as sent, without its query) meet. A path is cut at its slashes before it is
    /// decoded, so an encoded slash stays inside its parameter; dot segments, empty segments, control
    /// characters and bytes that are not UTF-8 meet nothing.
    pub fn find(&self, method: &Method, path: &str) -> Match<'_, T> {
        let Some(segments) = decode(path) else { return Match::NotFound };
        let mut candidates = Vec::new();
        self.root.collect(&segments, &mut candidates);
        let routes = candidates.into_iter().map(|index| &self.all[index]);
        if let Some(route) = routes.clone().find(|route| route.method == *method) {
            let parameters =
                route.segments.iter().zip(&segments).filter_map(|(segment, value)| match segment {
                    Segment::Parameter(name) => Some((name.clone(), value.clone())),
                    Segment::Literal(_) => None,
                });
            return Match::Found(&route.value, parameters.collect());
        }
        let mut allow: Vec<_> = routes.map(|route| route.method.as_str()).collect();
        allow.sort_unstable();
        allow.dedup();
        if allow.is_empty() { Match::NotFound } else { Match::MethodNotAllowed(allow.join(", ")) }
    }
}

impl Node {
    fn insert(&mut self, segments: &[Segment], index: usize) {
        match segments {
            [] => self.routes.push(index),
            [Segment::Literal(text), rest @ ..] => {
                self.literals.entry(text.clone()).or_default().insert(rest, index);
            }
            [Segment::Parameter(_), rest @ ..] => {
                self.parameter.get_or_insert_default().insert(rest, index);
            }
        }
    }

    /// All routes that match, the more exact before the less exact.
    fn collect(&self, segments: &[String], into: &mut Vec<usize>) {
        let [first, rest @ ..] = segments else {
            into.extend(&self.routes);
            return;
        };
        if let Some(node) = self.literals.get(first) {
            node.collect(rest, into);
        }
        if let Some(node) = self.parameter.as_deref().filter(|_| !first.is_empty()) {
            node.collect(rest, into);
        }
    }
}

/// Whether some path matches both and neither is at least as exact as the other in every segment.
fn ambiguous(a: &[Segment], b: &[Segment]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let (mut a_is_finer, mut b_is_finer) = (false, false);
    for pair in a.iter().zip(b) {
        match pair {
            (Segment::Literal(a), Segment::Literal(b)) if a != b => return false,
            (Segment::Literal(_), Segment::Parameter(_)) => a_is_finer = true,
            (Segment::Parameter(_), Segment::Literal(_)) => b_is_finer = true,
            _ => {}
        }
    }
    a_is_finer == b_is_finer
}

fn parse(template: &str) -> Result<Vec<Segment>, &'static str> {
    let path = template.strip_prefix('/').ok_or("it must begin with `/`")?;
    let mut segments: Vec<Segment> = Vec::new();
    for text in path.split('/') {
        let segment = match text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) {
            Some(name) => {
                let fine = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
                if name.is_empty() || !name.chars().all(fine) {
                    return Err("a parameter's name is made of letters, digits, `_` and `-`");
                }
                Segment::Parameter(name.to_owned())
            }
            None if text.is_empty() && path.is_empty() => Segment::Literal(String::new()),
            None if matches!(text, "" | "." | "..") => return Err("a segment is empty or a dot segment"),
            None if text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte)) =>
            {
                Segment::Literal(text.to_owned())
            }
            None => return Err("a segment is either one `{parameter}` or characters that need no encoding"),
        };
        if matches!(segment, Segment::Parameter(_)) && segments.contains(&segment) {
            return Err("a parameter appears twice");
        }
        segments.push(segment);
    }
    if segments.len() > MOST_SEGMENTS { Err("it has more than 32 segments") } else { Ok(segments) }
}

fn decode(path: &str) -> Option<Vec<String>> {
    let path = path.strip_prefix('/')?;
    if path.split('/').nth(MOST_SEGMENTS).is_some() {
        return None;
    }
    path.split('/').map(decode_segment).collect()
}

fn decode_segment(segment: &str) -> Option<String> {
    let mut bytes = segment.bytes();
    let mut decoded = Vec::with_capacity(segment.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            byte => byte,
        });
    }
    let decoded = String::from_utf8(decoded).ok()?;
    (!matches!(decoded.as_str(), "." | "..") && !decoded.contains(char::is_control)).then_some(decoded)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn routes(templates: &[&str]) -> Result<Routes<String>, RouteError> {
        Routes::build(templates.iter().map(|line| {
            let (method, template) = line.split_once(' ').unwrap();
            (method.parse().unwrap(), template.to_owned(), (*line).to_owned())
        }))
    }

    fn found(routes: &Routes<String>, method: Method, path: &str) -> String {
        match routes.find(&method, path) {
            Match::Found(value, parameters) => {
                let parameters: Vec<_> =
                    parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
                format!("{value} {}", parameters.join(" ")).trim_end().to_owned()
            }
            Match::MethodNotAllowed(allow) => format!("405 {allow}"),
            Match::NotFound => "404".to_owned(),
        }
    }

    #[test]
    fn a_request_meets_the_most_exact_template() {
        let routes = routes(&[
            "GET /orders/{id}",
            "GET /orders/new",
            "PUT /orders/{id}",
            "POST /orders/{id}/lines/{line}",
            "GET /",
        ])
        .unwrap();
        for (method, path, wanted) in [
            (Method::GET, "/orders/new", "GET /orders/new"),
            (Method::GET, "/orders/8841-22", "GET /orders/{id} id=8841-22"),
            (Method::PUT, "/orders/new", "PUT /orders/{id} id=new"),
            (Method::POST, "/orders/7/lines/a%20b", "POST /orders/{id}/lines/{line} id=7 line=a b"),
            (Method::DELETE, "/orders/7", "405 GET, PUT"),
            (Method::GET, "/", "GET /"),
            (Method::GET, "/orders", "404"),
            (Method::GET, "/orders/", "404"),
            (Method::GET, "/orders/7/", "404"),
            (Method::GET, "//orders/7", "404"),
            (Method::GET, "orders/7", "404"),
            (Method::GET, "", "404"),
        ] {
            assert_eq!(found(&routes, method.clone(), path), wanted, "{method} {path}");
        }
    }

    #[test]
    fn decoding_neither_opens_a_path_nor_smuggles_a_character() {
        let routes = routes(&["GET /orders/{id}", "GET /admin/x"]).unwrap();
        for (path, wanted) in [
            ("/orders/PO%2F12", "GET /orders/{id} id=PO/12"),
            ("/%6frders/7", "GET /orders/{id} id=7"),
            ("/orders/%C3%A9", "GET /orders/{id} id=é"),
            ("/orders/%252e", "GET /orders/{id} id=%2e"),
            ("/admin%2Fx", "404"),
            ("/orders/..", "404"),
            ("/orders/%2e%2E", "404"),
            ("/orders/%2e", "404"),
            ("/orders/../admin/x", "404"),
            ("/orders/%00", "404"),
            ("/orders/a%0d%0ab", "404"),
            ("/orders/%c2%85", "404"),
            ("/orders/%ff", "404"),
            ("/orders/%c0%ae", "404"),
            ("/orders/%4", "404"),
            ("/orders/%zz", "404"),
            ("/orders/%+1", "404"),
        ] {
            assert_eq!(found(&routes, Method::GET, path), wanted, "{path}");
        }
    }

    #[test]
    fn templates_that_match_the_same_paths_are_refused() {
        for pair in [
            ["GET /a/{x}", "GET /a/{y}"],
            ["GET /a/b", "GET /a/b"],
            ["GET /a/{x}/c", "GET /a/b/{y}"],
            ["GET /{x}/{y}/c", "GET /a/{y}/{z}"],
        ] {
            assert!(matches!(routes(&pair), Err(RouteError::Overlap { .. })), "{pair:?}");
        }
        for pair in
            [["GET /a/{x}", "POST /a/{y}"], ["GET /a/{x}", "GET /b/{x}"], ["GET /a/{x}", "GET /a/{x}/{y}"]]
        {
            assert!(routes(&pair).is_ok(), "{pair:?}");
        }
    }

    #[test]
    fn a_template_that_is_none_is_refused() {
        let long = format!("GET {}", "/a".repeat(33));
        for template in [
            "GET a",
            "GET /a//b",
            "GET /a/",
            "GET /{}",
            "GET /{a}/{a}",
            "GET /x{a}",
            "GET /..",
            "GET /a%20b",
            "GET /é",
            &long,
        ] {
            assert!(matches!(routes(&[template]), Err(RouteError::Template { .. })), "{template}");
        }
    }

    proptest! {
        #[test]
        fn any_value_survives_its_way_through_a_path(value in "[^\\p{Cc}]{1,20}") {
            prop_assume!(value != "." && value != "..");
            let routes = routes(&["GET /orders/{id}"]).unwrap();
            let encoded: String = value.bytes().map(|byte| format!("%{byte:02X}")).collect();
            let answer = routes.find(&Method::GET, &format!("/orders/{encoded}"));
            prop_assert!(matches!(answer, Match::Found(_, parameters) if parameters == [("id".to_owned(), value)]));
        }

        #[test]
        fn no_path_panics(path in "(/[a-z{}%0-9.\\PC]{0,6}){0,6}") {
            let routes = routes(&["GET /a/{id}", "GET /{x}"]).unwrap();
            routes.find(&Method::GET, &path);
        }
    }
}
