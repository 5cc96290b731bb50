//! Raw to checked: pure, and everything at once. Each file is read into values on its own; then names are
//! looked up across files; then the estate as a whole is judged.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    checked::{Checked, Origin},
    raw::{self, Node, Span, Text},
    report::{Finding, Report, nearest},
    source::Source,
};
use crate::words::Time;

mod api;
mod credential;
mod data;
mod delivery;
mod estate;
mod gateway;
mod limits;
mod lives;
mod lock;
mod ownership;
mod partner;
mod reader;
pub(super) mod trial;

pub(super) use estate::at;
use reader::Reader;
#[cfg(test)]
pub(super) use reader::reader_asked;

/// Says whether a JSON Schema compiles: path, text → what is wrong with it. Compiling is a stage's work,
/// so it is handed in.
pub type CheckSchema<'a> = &'a dyn Fn(&str, &str) -> Result<(), String>;

/// The canonical types of events, by family.
pub(crate) const EVENT_KINDS: &[&str] = &[
    "order.released",
    "order.changed",
    "order.cancelled",
    "order.accepted",
    "order.rejected",
    "fulfilment.allocated",
    "fulfilment.picked",
    "fulfilment.packed",
    "fulfilment.shorted",
    "shipment.planned",
    "shipment.tendered",
    "shipment.tender-accepted",
    "shipment.tender-declined",
    "shipment.loaded",
    "shipment.dispatched",
    "shipment.milestone",
    "shipment.delivered",
    "shipment.cancelled",
    "receiving.advised",
    "receiving.received",
    "receiving.returned",
    "inventory.moved",
    "inventory.adjusted",
    "inventory.counted",
    "inventory.status-changed",
    "freight.quoted",
    "freight.invoiced",
    "freight.approved",
    "freight.disputed",
    "freight.cost-posted",
    "billing.invoiced",
    "billing.credited",
    "billing.paid",
];

/// Checks a folder's bytes. The tree is there exactly when the report has no error.
pub fn check(source: &Source, now: Time, check_schema: CheckSchema<'_>) -> (Option<Checked>, Report) {
    let mut report = Report::of(source.files.len() + source.problems.len());
    for problem in &source.problems {
        report.push(Finding::error(problem.what.clone()).in_file(&problem.path));
    }
    for path in &source.passed_over {
        let finding = Finding::warning("a link to a folder, which is not followed: nothing in it counts");
        report.push(finding.in_file(path).help("put the folder itself here"));
    }
    let mut references = References::default();
    let estate = read_files(source, now, check_schema, &mut report, &mut references);
    references.resolve(&mut report);
    let checked = estate.finish();
    if let Some(checked) = &checked
        && report.errors() == 0
    {
        estate::judge(checked, now, &mut report);
    }
    report.sort();
    let fine = report.errors() == 0;
    (checked.filter(|_| fine), report)
}

/// What a name names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Ask {
    Api,
    Certificate,
    ClientAuthority,
    Issuer,
    KeyHash,
    Keys,
    Partner,
    Route,
    Schema,
    SignatureKey,
    Subscription,
    Table,
    Target,
    TokenRule,
}

impl Ask {
    fn word(self) -> &'static str {
        match self {
            Self::Api => "API",
            Self::Certificate => "credential with this certificate",
            Self::ClientAuthority => "authority of clients",
            Self::Issuer => "issuer",
            Self::KeyHash => "credential with this key",
            Self::Keys => "file of keys",
            Self::Partner => "partner",
            Self::Route => "operation that answers",
            Self::Schema => "schema",
            Self::SignatureKey => "credential with the key",
            Self::Subscription => "subscription",
            Self::Table => "table",
            Self::Target => "target",
            Self::TokenRule => "credential for these tokens",
        }
    }
}

/// Names that exist and names that must.
#[derive(Default)]
pub(super) struct References {
    declared: BTreeMap<(Ask, String), Origin>,
    wanted: Vec<(Ask, String, Arc<Text>, Span)>,
}

impl References {
    fn resolve(self, report: &mut Report) {
        for (ask, name, text, span) in &self.wanted {
            if self.declared.contains_key(&(*ask, name.clone())) {
                continue;
            }
            let known =
                || self.declared.keys().filter(|(kind, _)| kind == ask).map(|(_, name)| name.as_str());
            if *ask == Ask::ClientAuthority {
                let finding = Finding::error("clients are not asked for a certificate")
                    .help("name the authority of theirs in gateway.yaml: `tls: { …, client_ca: file:PATH }`");
                report.push(finding.at(text, *span));
                continue;
            }
            let finding = Finding::error(format!("there is no {} `{}`", ask.word(), reader::clip(name)));
            // Comparing with every name is worth it only for findings that somebody will see.
            if report.is_full() {
                report.push(finding);
                continue;
            }
            let finding = match nearest(name, known()) {
                Some(near) => finding.help(format!("did you mean `{near}`?")),
                None => match known().take(10).collect::<Vec<_>>() {
                    known if known.is_empty() => finding,
                    known => finding.help(format!("there are: {}", known.join(", "))),
                },
            };
            report.push(finding.at(text, *span));
        }
    }
}

/// What the files gave so far.
#[derive(Default)]
struct Estate {
    gateway: Option<super::checked::Gateway>,
    issuers: BTreeMap<Arc<str>, super::checked::Issuer>,
    partners: BTreeMap<crate::words::PartnerName, super::checked::Partner>,
    apis: BTreeMap<crate::words::ApiName, super::checked::Api>,
    targets: BTreeMap<crate::words::TargetName, super::checked::Target>,
    subscriptions: BTreeMap<crate::words::SubscriptionName, super::checked::Subscription>,
    ownership: BTreeMap<String, super::checked::Owned>,
    schemas: BTreeMap<String, Arc<str>>,
    tables: BTreeMap<String, Arc<super::checked::Table>>,
    lock: Option<BTreeMap<crate::words::MapperName, super::checked::Pin>>,
}

impl Estate {
    fn finish(self) -> Option<Checked> {
        Some(Checked {
            gateway: self.gateway?,
            issuers: self.issuers,
            partners: self.partners,
            apis: self.apis,
            targets: self.targets,
            subscriptions: self.subscriptions,
            ownership: self.ownership,
            schemas: self.schemas,
            tables: self.tables,
            lock: self.lock,
        })
    }
}

fn read_files(
    source: &Source,
    now: Time,
    check_schema: CheckSchema<'_>,
    report: &mut Report,
    references: &mut References,
) -> Estate {
    let mut estate = Estate::default();
    if !source.files.contains_key("gateway.yaml")
        && !source.problems.iter().any(|p| &*p.path == "gateway.yaml")
    {
        let finding = Finding::error("the estate has no `gateway.yaml`");
        report.push(finding.help("it needs `estate:` and `listen:` at least"));
    }
    for (path, bytes) in &source.files {
        let Some(text) = utf8(path, bytes, report) else { continue };
        let mut reader = Reader { text: &text, report, references };
        match Room::of(path) {
            Room::Yaml(kind) => {
                if let Some(node) = yaml(&mut reader) {
                    estate.take(&mut reader, kind, &node, now);
                    // After the rules that know the place, so that theirs is the sentence that is kept.
                    reader.secrets_within(&node, "");
                }
            }
            // Its digests look like secrets and are none.
            Room::Lock => estate.lock = yaml(&mut reader).map(|node| lock::lock(&mut reader, &node)),
            Room::Schema => {
                reader
                    .references
                    .declared
                    .insert((Ask::Schema, path.to_string()), reader.origin(Span::default()));
                if data::schema(&mut reader, check_schema) {
                    estate.schemas.insert(path.to_string(), text.text.as_str().into());
                }
            }
            Room::Table => {
                let name = path.trim_start_matches("tables/").trim_end_matches(".csv");
                reader.declares(Ask::Table, name, Span::default());
                if let Some(table) = data::table(&mut reader, name) {
                    estate.tables.insert(name.to_owned(), Arc::new(table));
                }
            }
            Room::Keys => {
                reader.declares(Ask::Keys, path, Span::default());
                data::keys(&mut reader);
            }
            Room::Elsewhere => {
                let finding = Finding::error("this file is no part of an estate").in_file(path);
                report.push(match suggestion(path) {
                    Some(help) => finding.help(help),
                    None => finding.help(
                        "files are: gateway.yaml, issuers.yaml, mappers.lock, ownership.yaml, partners/*.yaml, apis/*.yaml, targets/*.yaml, \
                         subscriptions/*.yaml, schemas/**.json, tables/*.csv, keys/*.json",
                    ),
                });
            }
        }
    }
    estate
}

/// Which kind of file a path is.
enum Room {
    Yaml(Kind),
    Lock,
    Schema,
    Table,
    Keys,
    Elsewhere,
}

#[derive(Clone, Copy)]
enum Kind {
    Gateway,
    Issuers,
    Ownership,
    Partner,
    Api,
    Target,
    Subscription,
}

impl Room {
    fn of(path: &str) -> Self {
        let yaml = path.ends_with(".yaml");
        match path.split_once('/') {
            None if path == "gateway.yaml" => Self::Yaml(Kind::Gateway),
            None if path == "mappers.lock" => Self::Lock,
            None if path == "issuers.yaml" => Self::Yaml(Kind::Issuers),
            None if path == "ownership.yaml" => Self::Yaml(Kind::Ownership),
            Some(("partners", _)) if yaml => Self::Yaml(Kind::Partner),
            Some(("apis", _)) if yaml => Self::Yaml(Kind::Api),
            Some(("targets", _)) if yaml => Self::Yaml(Kind::Target),
            Some(("subscriptions", _)) if yaml => Self::Yaml(Kind::Subscription),
            Some(("schemas", _)) if path.ends_with(".json") => Self::Schema,
            Some(("tables", _)) if path.ends_with(".csv") => Self::Table,
            Some(("keys", _)) if path.ends_with(".json") => Self::Keys,
            None | Some(_) => Self::Elsewhere,
        }
    }
}

fn suggestion(path: &str) -> Option<String> {
    if let Some(stem) = path.strip_suffix(".yml") {
        return Some(format!("rename it to `{stem}.yaml`"));
    }
    match path.split_once('/') {
        Some((folder, rest)) => {
            let near = nearest(
                folder,
                ["partners", "apis", "targets", "subscriptions", "schemas", "tables", "keys"],
            )?;
            (near != folder).then(|| format!("did you mean `{near}/{rest}`?"))
        }
        None => nearest(path, ["gateway.yaml", "issuers.yaml", "mappers.lock", "ownership.yaml"])
            .map(|near| format!("did you mean `{near}`?")),
    }
}

/// The text of a file, if it is one.
fn utf8(path: &Arc<str>, bytes: &[u8], report: &mut Report) -> Option<Arc<Text>> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) if text.trim().is_empty() => {
            report.push(Finding::error("the file is empty").in_file(path));
            None
        }
        Ok(text) => Some(Arc::new(Text::new(path.clone(), text.to_owned()))),
        Err(error) => {
            let at = error.valid_up_to();
            let line = bytes.iter().take(at).filter(|byte| **byte == b'\n').count() + 1;
            let finding = Finding::error("the file is not UTF-8").in_file(path);
            report.push(
                finding.note(format!("line {line}, byte {at} is 0x{:02x}", bytes.get(at).unwrap_or(&0))),
            );
            None
        }
    }
}

fn yaml(reader: &mut Reader<'_>) -> Option<Node> {
    match raw::parse(&reader.text.text) {
        Ok(node) if partner::is_empty(&node) => {
            let file = reader.text.path.clone();
            reader.report.push(Finding::error("the file says nothing").in_file(&file));
            None
        }
        Ok(node) => Some(node),
        Err(error) => {
            reader.error(error.at.unwrap_or_default(), error.message);
            None
        }
    }
}

impl Estate {
    fn take(&mut self, reader: &mut Reader<'_>, kind: Kind, node: &Node, now: Time) {
        match kind {
            Kind::Gateway => self.gateway = gateway::gateway(reader, node),
            Kind::Issuers => {
                self.issuers.extend(
                    gateway::issuers(reader, node).into_iter().map(|issuer| (issuer.name.clone(), issuer)),
                );
            }
            Kind::Ownership => self.ownership = ownership::ownership(reader, node),
            Kind::Partner => {
                self.partners
                    .extend(partner::partner(reader, node, now).map(|item| (item.name.clone(), item)));
            }
            Kind::Api => self.apis.extend(api::api(reader, node, now).map(|item| (item.name.clone(), item))),
            Kind::Target => {
                self.targets.extend(delivery::target(reader, node).map(|item| (item.name.clone(), item)));
            }
            Kind::Subscription => {
                let subscription = delivery::subscription(reader, node);
                self.subscriptions.extend(subscription.map(|item| (item.name.clone(), item)));
            }
        }
    }
}
