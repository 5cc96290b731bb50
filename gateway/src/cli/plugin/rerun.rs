//! `plugin rerun`: an exported message, mapped again on this machine and compared with what was stored.

use std::{path::PathBuf, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::Args;
use serde_json::{Value, json};

use super::{
    DONE, NO, Tools, USE,
    bench::{self, Bench, Opened, Setting},
    cases::{CaseContext, CaseLimits},
    complain, show,
    written::PairsForm,
};
use crate::{
    admin::bundle::{Bundle, FORMAT},
    mapper::Tables,
    policy::differ,
    words::{ApiName, Digest, Document},
};

#[derive(Debug, Args)]
pub(super) struct RerunArgs {
    /// A file that `crossdock message rerun ID --export FILE` wrote.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// One JSON line on standard output.
    #[arg(long)]
    json: bool,
}

/// Runs it and gives the exit code: 0 the same bytes, 1 something differs.
pub(super) fn run(args: &RerunArgs, tools: Tools<'_>) -> anyhow::Result<u8> {
    let file = args.file.display();
    let text = match std::fs::read(&args.file) {
        Ok(text) => text,
        Err(error) => return Ok(complain(&format_args!("{file}: {error}"), USE)),
    };
    let bundle: Bundle = match serde_json::from_slice(&text) {
        Ok(bundle) => bundle,
        Err(error) => {
            let what =
                format!("{file}: {error}\n  help: crossdock message rerun ID --export FILE writes one");
            return Ok(complain(&what, USE));
        }
    };
    let bench = Bench::new(tools)?;
    let Unpacked { opened, setting, document } = match unpack(&bundle, &bench) {
        Ok(unpacked) => unpacked,
        Err(Unusable { what, code }) => return Ok(complain(&format_args!("{file}: {what}"), code)),
    };
    let now = mapped(&bench, &opened, &setting, document, bundle.partial);
    let then = Value::from(bundle.events.clone());
    let (same, differences) = match &now {
        Ok(now) => (*now == then, differ::json(&then, now)),
        Err(why) => (false, differ::one("(refused)", "mapped", why)),
    };
    let differences: Vec<Value> = differences
        .into_iter()
        .map(|(field, (then, now))| json!({ "field": field.trim_start_matches("[]."), "then": then, "now": now }))
        .collect();
    let found = json!({
        "message_id": bundle.message_id, "mapper": bundle.mapper, "version": opened.mapper.version(),
        "digest": bundle.mapper_digest, "revision_then": bundle.revision_then, "revision_now": bundle.revision_now,
        "same": same, "events": bundle.events.len(), "differences": differences,
    });
    if args.json {
        show::line("rerun", found);
    } else {
        crate::cli::lookup::print_rerun(&found);
    }
    Ok(if same { DONE } else { NO })
}

/// A bundle on the bench.
pub(super) struct Unpacked {
    /// Its mapper.
    pub opened: Opened,
    /// What the mapper is told, and what it may use.
    pub setting: Setting,
    /// The document.
    pub document: Document,
}

/// Why a bundle cannot be used, and the exit code.
pub(super) struct Unusable {
    pub what: String,
    pub code: u8,
}

/// Takes a bundle apart, and lets the host admit and compile its mapper.
pub(super) fn unpack(bundle: &Bundle, bench: &Bench<'_>) -> Result<Unpacked, Unusable> {
    let unusable = |what: String, code: u8| Unusable { what, code };
    if bundle.format != FORMAT {
        return Err(unusable(format!("format {}, this version reads {FORMAT}", bundle.format), USE));
    }
    let (Ok(wasm), Ok(content)) = (STANDARD.decode(&bundle.wasm), STANDARD.decode(&bundle.document)) else {
        return Err(unusable("mapper or document is not base64".to_owned(), USE));
    };
    if Digest::of(&wasm) != bundle.mapper_digest {
        let what = format!("its mapper is not {}: the file was changed", bundle.mapper_digest.short());
        return Err(unusable(what, NO));
    }
    let opened = bench.open_bytes(wasm.into()).map_err(|error| unusable(error.to_string(), NO))?;
    let setting = setting(bundle, &opened.mapper).map_err(|error| unusable(error, USE))?;
    let document = Document {
        media_type: bundle.media_type.clone(),
        content: content.into(),
        parameters: bundle.parameters.clone(),
    };
    Ok(Unpacked { opened, setting, document })
}

fn setting(bundle: &Bundle, mapper: &crate::mapper::Mapper) -> Result<Setting, String> {
    let (api, operation) = bundle.operation.split_once('/').unwrap_or(("", &bundle.operation));
    let received_at = serde_json::to_value(bundle.received_at).ok();
    let told = CaseContext {
        partner: Some(bundle.partner.to_string()),
        sender: bundle.sender.clone(),
        receiver: bundle.receiver.clone(),
        operation: operation.to_owned(),
        version: bundle.version.clone(),
        received_at: received_at.and_then(|time| time.as_str().map(str::to_owned)),
        zone: bundle.zone.clone(),
        config: Some(bundle.config.clone()),
        parameters: PairsForm(bundle.parameters.clone()),
        mapper_limits: CaseLimits { cpu: Some(format!("{}ms", bundle.cpu_micros.div_ceil(1000).max(1))) },
        ..CaseContext::default()
    };
    let api = ApiName::new(api).map_err(|error| format!("operation: {error}"))?;
    let setting = Setting::new(&told, mapper.manifest(), None, None)?;
    Ok(setting.within(api, Arc::new(Tables::read(&bundle.tables))))
}

/// The events of now in the form of the bundle, or why there are none.
fn mapped(
    bench: &Bench<'_>,
    opened: &Opened,
    setting: &Setting,
    document: Document,
    partial: bool,
) -> Result<Value, String> {
    let content = document.content.clone();
    let ran = bench.read_document(&opened.mapper, setting, document);
    let mapped = ran.map_err(|failure| show::failure_line(&failure))?.value;
    if let Some(first) = mapped.objection(partial) {
        return Err(show::diagnostic_line(first));
    }
    let events = bench.check(mapped.drafts, setting, &content);
    let events = events.map_err(|error| {
        bench::diagnostics(&error).iter().map(show::diagnostic_line).collect::<Vec<_>>().join("; ")
    })?;
    Ok(events.iter().map(differ::whole).collect())
}
