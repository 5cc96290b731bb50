//! The demo's estate: the worked policies with the addresses of this run's systems, the mappers, a running gateway.

use std::{
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context as _;
use tempfile::TempDir;

use super::{systems::System, tokens::Issuer};
use crate::{
    cli::{client::Client, plugin::build},
    run::{Options, Running},
    words::{Clock, Random},
};

/// The mappers that the worked estate names.
const MAPPERS: [&str; 3] = ["sap-idoc", "x12-wms", "easypost"];

/// Everything that the story is told with.
pub(super) struct Estate {
    /// The ERP, which receives IDocs.
    pub erp: System,
    /// The warehouse, which receives X12.
    pub wms: System,
    /// The carrier's tracking, which receives JSON.
    pub tms: System,
    /// The customers' portal, which receives canonical events.
    pub portal: System,
    /// The carrier's token issuer.
    pub issuer: Issuer,
    /// The gateway.
    pub running: Running,
    /// Its admin API.
    pub admin: Client,
    /// The mappers, in the order of `MAPPERS`.
    pub mappers: Vec<build::Built>,
    folder: TempDir,
}

impl Estate {
    /// Builds the mappers, starts the systems and the gateway.
    pub async fn start(
        progress: &(dyn Fn(&str) + Sync),
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> anyhow::Result<Self> {
        let root = source()?;
        let mappers = mappers(&root, progress)?;
        let folder = TempDir::with_prefix("crossdock-demo-").context("a folder for the demo")?;
        let (erp, wms) = (System::start().await?, System::start().await?);
        let (tms, portal) = (System::start().await?, System::start().await?);
        let issuer = Issuer::new()?;
        let policies = folder.path().join("policies");
        copy(&root.join("policies"), &policies)?;
        let addresses = [(7001, &wms), (7002, &erp), (7003, &tms), (7004, &portal)];
        let addresses: Vec<_> = addresses.iter().map(|(port, system)| (*port, system.address)).collect();
        readdress(&policies.join("targets"), &addresses)?;
        std::fs::write(policies.join("keys/corp.jwks.json"), issuer.jwks()).context("the demo's key set")?;
        let data = folder.path().join("data");
        let options = Options {
            policies,
            data: data.clone(),
            mappers: mappers.iter().map(|built| built.wasm.clone()).collect(),
            // Shared with `plugin test` and the next demo: compiling takes seconds.
            compiled: Some(build::Places::usual()?.compiled),
            listen: Some(free(8080)),
            admin: Some(free(9080)),
            compiler: std::env::current_exe()?,
        };
        progress("starting the gateway");
        let running = Running::start(options, clock, random).await?;
        let admin = running.admin.context("the demo's admin API listens on TCP")?;
        let admin = Client::at(&admin.to_string(), &data.join("admin.token"));
        Ok(Self { erp, wms, tms, portal, issuer, running, admin, mappers, folder })
    }

    /// The data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Changes a policy file as its owner would: an editor that saves.
    pub fn edit(&self, file: &str, change: impl Fn(&str) -> String) -> anyhow::Result<()> {
        let path = self.folder.path().join("policies").join(file);
        let text = std::fs::read_to_string(&path).with_context(|| format!("read {file}"))?;
        std::fs::write(&path, change(&text)).with_context(|| format!("write {file}"))
    }
}

/// The folder with `plugins/` and `policies/`: here or above, else where this binary was built from.
fn source() -> anyhow::Result<PathBuf> {
    let here = std::env::current_dir()?;
    let built_from = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut candidates = here.ancestors().map(Path::to_path_buf).chain([built_from]);
    let found = candidates
        .find(|folder| folder.join("policies/gateway.yaml").is_file() && folder.join("plugins").is_dir());
    found.context("the demo needs the folders `policies` and `plugins` of the source tree; run it in there")
}

fn mappers(root: &Path, progress: &(dyn Fn(&str) + Sync)) -> anyhow::Result<Vec<build::Built>> {
    let build =
        |name: &&str| build::build(&root.join("plugins").join(name), progress).map_err(anyhow::Error::from);
    // Builds wait for a compiler: not on a thread that serves.
    tokio::task::block_in_place(|| MAPPERS.iter().map(build).collect())
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from).with_context(|| format!("{}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// Puts this run's addresses in the place of the estate's own.
fn readdress(targets: &Path, addresses: &[(u16, SocketAddr)]) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(targets)? {
        let path = entry?.path();
        let mut text = std::fs::read_to_string(&path)?;
        for (port, address) in addresses {
            text = text.replace(&format!("127.0.0.1:{port}"), &address.to_string());
        }
        std::fs::write(&path, text)?;
    }
    Ok(())
}

/// The usual port, or a free one where somebody else has it.
fn free(port: u16) -> SocketAddr {
    let usual = SocketAddr::from(([127, 0, 0, 1], port));
    if TcpListener::bind(usual).is_ok() { usual } else { SocketAddr::from(([127, 0, 0, 1], 0)) }
}
