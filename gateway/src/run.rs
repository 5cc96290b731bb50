//! Puts the house together, and takes it down in order: sockets, deliveries, journal.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock, Weak},
};

use anyhow::Context as _;
use tokio::{sync::watch, task::JoinHandle};

use crate::{
    admin::{Admin, Jobs, Token},
    audit,
    canonical::Canon,
    deliver::{self, Runner},
    journal::{Journal, sqlite},
    mapper::{self, Host},
    observe::Metrics,
    pipeline::{Followers, Gateway, KeysInUse},
    policy::{self, KeySets, Policies, Registry, Workshop, checked},
    server::{self, Listener},
    spool::Spool,
    throttle::{Limiter, Places},
    words::{Clock, IdSource, Random, Time},
};

mod figures;
mod tidy;

/// What `serve` was asked for.
pub struct Options {
    /// The policy folder.
    pub policies: PathBuf,
    /// The data folder: journal, mappers, caches, the admin token.
    pub data: PathBuf,
    /// Mappers to put into the data folder first.
    pub mappers: Vec<PathBuf>,
    /// Where compiled code is kept, if not in the data folder.
    pub compiled: Option<PathBuf>,
    /// Overrides the policy's address.
    pub listen: Option<SocketAddr>,
    /// Overrides the policy's admin address.
    pub admin: Option<SocketAddr>,
    /// The executable that compiles mappers as a child.
    pub compiler: PathBuf,
}

/// A gateway that serves.
pub struct Running {
    /// Where partners call.
    pub listen: SocketAddr,
    /// Where operators call, if by TCP.
    pub admin: Option<SocketAddr>,
    /// Where operators call, in words.
    pub admin_shown: String,
    /// What is in force.
    pub policies: Arc<Policies>,
    /// Durable memory.
    pub journal: Arc<dyn Journal>,
    stop: watch::Sender<bool>,
    failed: watch::Receiver<bool>,
    tasks: Vec<JoinHandle<()>>,
    store: Arc<sqlite::Store>,
}

impl Running {
    /// Starts everything that `options` asks for.
    ///
    /// # Errors
    /// What stands in the way, with the file and line where there is one.
    pub async fn start(
        options: Options,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> anyhow::Result<Self> {
        let data = &options.data;
        make_private(data)?;
        let (source, checked) = policy::read_checked(&options.policies, &*clock)?;
        let settings = checked.gateway.clone();
        let in_flight = usize::try_from(settings.limits.in_flight_max_bytes).unwrap_or(usize::MAX);
        let host = Host::new(mapper::Settings {
            cache: options.compiled.unwrap_or_else(|| data.join("compiled")),
            compiler: options.compiler,
            workers: std::thread::available_parallelism().map_or(2, std::num::NonZero::get),
            byte_budget: in_flight,
            queue_per_partner: 256,
            bound_waste: true,
        })?;
        let (mut registry, damage) = Registry::open(&data.join("mappers"), clock.now())?;
        for file in &options.mappers {
            registry.take_in(file, "serve --mapper", clock.now())?;
        }
        let counted = Arc::clone(&host);
        // The policies count too, and are made with the figures.
        let in_force = Arc::new(OnceLock::<Weak<Policies>>::new());
        let asked = Arc::clone(&in_force);
        let metrics = Metrics::new(move || {
            let stored = asked.get().and_then(Weak::upgrade).map(|policies| policies.stored());
            let mut rows = figures::of_mappers(&counted.figures());
            rows.extend(figures::of_generations(&stored.unwrap_or_default()));
            rows
        });
        let keys = Arc::new(KeySets::new(Arc::clone(&clock)));
        let workshop = Workshop { host: Arc::clone(&host), folder: options.policies.clone(), keys };
        let shown = Arc::clone(&metrics);
        let audit_file = data.join("audit.log");
        let audit = audit::Log::open(&audit_file)
            .with_context(|| format!("the audit file {}", audit_file.display()))?;
        let registry = (registry, damage);
        let (audit, time) = (Arc::new(audit), Arc::clone(&clock));
        let policies = Policies::start(&source, checked, workshop, registry, audit, time, shown).await?;

        let _ = in_force.set(Arc::downgrade(&policies));

        let store = sqlite::Store::open(&data.join("journal"), &settings.estate, Arc::clone(&clock))
            .with_context(|| format!("the journal in {}", data.display()))?;
        let store = Arc::new(store);
        let journal: Arc<dyn Journal> = Arc::clone(&store) as Arc<dyn Journal>;

        let calls: Arc<dyn deliver::Call> = Arc::new(deliver::HttpCall::new());
        let runner = Runner::new(deliver::runner::Parts {
            journal: Arc::clone(&journal),
            plan: policies.plan(),
            call: Arc::clone(&calls),
            clock: Arc::clone(&clock),
            random: Arc::clone(&random),
            timer: Arc::new(deliver::runner::RuntimeTimer(Arc::clone(&clock))),
        });
        let stop = watch::Sender::new(false);
        let spool_folder = data.join("spool");
        std::fs::create_dir_all(&spool_folder)?;
        let limiter = Limiter::open(&data.join("quotas"), clock.now());
        let limiter = Arc::new(limiter.with_context(|| format!("the quotas in {}", data.display()))?);
        let gateway = Arc::new(Gateway {
            policies: Arc::clone(&policies),
            journal: Arc::clone(&journal),
            host,
            canon: Arc::new(Canon::new()),
            limiter: Arc::clone(&limiter),
            places: Places::new(settings.limits.requests),
            spool: Spool::new(spool_folder, in_flight, settings.limits.body_timeout),
            calls,
            clock: Arc::clone(&clock),
            random: Arc::clone(&random),
            ids: Arc::new(IdSource::new()),
            metrics,
            keys: KeysInUse::default(),
            followers: Followers::default(),
            stop: stop.subscribe(),
        });

        let limits = server::Limits {
            connections: usize::try_from(settings.limits.connections)?,
            header_timeout: settings.limits.header_timeout,
            write_timeout: settings.limits.body_timeout,
            drain: settings.limits.drain,
        };
        let (listener, certificate) =
            data_listener(&settings, options.listen, &options.policies, &clock).await?;
        let listen = listener.address().context("the data plane listens on TCP")?;
        let (admin_listener, token, admin_shown) =
            admin_listener(&settings, options.admin, data, &*random).await?;
        let admin_address = admin_listener.as_ref().and_then(Listener::address);
        let tidying = Arc::clone(&clock);
        let admin = Arc::new(Admin {
            gateway: Arc::clone(&gateway),
            deliveries: Arc::clone(&runner),
            shadowing: tokio::sync::Mutex::default(),
            token,
            jobs: Jobs::default(),
        });

        let (failed_sender, failed) = watch::channel(false);
        let drain = settings.limits.drain;
        let mut tasks = vec![
            tokio::spawn(server::serve(listener, limits.clone(), gateway, stop.subscribe())),
            tokio::spawn(policy::follow(Arc::clone(&policies), options.policies, stop.subscribe())),
            tokio::spawn(tidy::run(limiter, Arc::clone(&policies), tidying, certificate, stop.subscribe())),
        ];
        tasks.push(tokio::spawn(Arc::clone(&policies).tend(stop.subscribe())));
        let earlier = Arc::clone(&policies);
        tokio::spawn(async move { earlier.make_ready().await });
        if let Some(listener) = admin_listener {
            tasks.push(tokio::spawn(server::serve(listener, limits, admin, stop.subscribe())));
        }
        let mut stopping = stop.subscribe();
        tasks.push(tokio::spawn(async move {
            let ended = runner.run(async move { server::stopped(&mut stopping).await }, drain).await;
            if let Err(error) = ended {
                tracing::error!(%error, "deliveries stopped");
                failed_sender.send_replace(true);
            }
        }));
        Ok(Self { listen, admin: admin_address, admin_shown, policies, journal, stop, failed, tasks, store })
    }

    /// Waits until the store has failed for good. Then nothing may be acknowledged any more: the process must end.
    pub async fn failed(&self) {
        let (mut failed, mut stopped) = (self.failed.clone(), self.store.stopped());
        tokio::select! {
            Ok(_) = stopped.wait_for(Option::is_some) => {}
            // The sender lives as long as its task: an error here is an ordinary end.
            Ok(_) = failed.wait_for(|failed| *failed) => {}
        }
    }

    /// Drains and closes: sockets first, then deliveries, then the journal.
    ///
    /// # Errors
    /// The journal could not be closed cleanly; it verifies itself at the next start.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.stop.send_replace(true);
        for task in self.tasks {
            let _ = task.await;
        }
        self.store.close().await.context("the journal")
    }
}

async fn data_listener(
    settings: &checked::Gateway,
    listen: Option<SocketAddr>,
    folder: &Path,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<(Listener, Option<Time>)> {
    let tls = match &settings.tls {
        None => None,
        Some(tls) => {
            let read = |secret| policy::read_secret(secret, folder).map_err(anyhow::Error::msg);
            let (certificate, key) = (read(&tls.certificate)?, read(&tls.key)?);
            let clients = tls.client_ca.as_ref().map(read).transpose()?;
            let clients = clients.as_ref().map(String::as_bytes);
            let made = server::Tls::new(certificate.as_bytes(), key.as_bytes(), clients, Arc::clone(clock));
            Some(Arc::new(made.map_err(anyhow::Error::msg)?))
        }
    };
    let address = listen.unwrap_or(settings.listen);
    let ends = tls.as_ref().and_then(|tls| tls.not_after());
    let listener = Listener::tcp(address, tls).await;
    let listener = listener.map_err(|error| {
        anyhow::anyhow!("cannot listen on {address}: {error}\n  help: `--listen` takes another address")
    });
    Ok((listener?, ends))
}

async fn admin_listener(
    settings: &checked::Gateway,
    admin: Option<SocketAddr>,
    data: &Path,
    random: &dyn Random,
) -> anyhow::Result<(Option<Listener>, Option<Token>, String)> {
    let token_file = data.join("admin.token");
    let (address, token_file) = match (&settings.admin, admin) {
        (_, Some(address)) => (address, token_file),
        (None, None) => return Ok((None, None, "nowhere".to_owned())),
        (Some(checked::Admin::Tcp { listen, token_file: file }), None) => {
            (*listen, file.clone().unwrap_or(token_file))
        }
        (Some(checked::Admin::Socket(path)), None) => {
            let path = data.join(path);
            let listener =
                Listener::unix(&path).await.with_context(|| format!("the socket {}", path.display()))?;
            return Ok((Some(listener), None, path.display().to_string()));
        }
    };
    let token = Token::read_or_make(&token_file, random);
    let token = token.with_context(|| format!("the admin token {}", token_file.display()))?;
    let listener = Listener::tcp(address, None).await;
    let listener = listener.map_err(|error| {
        anyhow::anyhow!("cannot listen on {address}: {error}\n  help: `--admin` takes another address")
    })?;
    let shown = listener.address().map_or_else(String::new, |address| format!("http://{address}"));
    Ok((Some(listener), Some(token), shown))
}

/// The data folder is nobody else's business.
fn make_private(data: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let what = || format!("the data folder {} must be this user's own, to write in", data.display());
    std::fs::create_dir_all(data).with_context(what)?;
    std::fs::set_permissions(data, std::fs::Permissions::from_mode(0o700)).with_context(what)
}
