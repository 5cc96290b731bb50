//! The gateway under load: a child process, and the CPU time that it takes.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, bail};
use serde_json::Value;
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::http::Reader;

/// A running gateway; ends with this value.
pub struct Gateway {
    child: Child,
    pub address: SocketAddr,
    admin: SocketAddr,
    token: String,
}

/// What is served.
pub struct Serving {
    pub binary: PathBuf,
    pub estate: PathBuf,
    pub mapper: PathBuf,
}

impl Gateway {
    /// Starts it on the cores that this thread may use, with its data in `data`.
    pub fn start(serving: &Serving, data: &Path, target: SocketAddr) -> anyhow::Result<Self> {
        let mut command = Command::new(&serving.binary);
        command.args(["serve", "--json", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
        command
            .arg("--policies")
            .arg(&serving.estate)
            .arg("--data")
            .arg(data)
            .arg("--mapper")
            .arg(&serving.mapper);
        command.env("BENCH_TARGET_URL", format!("http://{target}/"));
        command.env("CROSSDOCK_LOG", std::env::var("CROSSDOCK_LOG").unwrap_or_else(|_| "warn".to_owned()));
        let mut child = command.stdout(Stdio::piped()).spawn().context("the gateway does not start")?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("stdout is piped")?).read_line(&mut line)?;
        if line.is_empty() {
            bail!("the gateway ended before it served: {}", child.wait()?);
        }
        let ready: serde_json::Value = serde_json::from_str(&line)?;
        let address = |name: &str| -> anyhow::Result<SocketAddr> {
            let text = ready[name].as_str().context("no address")?;
            Ok(text.trim_start_matches("http://").parse()?)
        };
        let token = fs::read_to_string(data.join("admin.token"))?.trim().to_owned();
        Ok(Self { child, address: address("listen")?, admin: address("admin")?, token })
    }

    /// Asks the admin API for a change that it grants.
    pub async fn admin(&self, path: &str, kind: &str, body: &[u8]) -> anyhow::Result<Value> {
        let mut stream = TcpStream::connect(self.admin).await?;
        let head = format!(
            "POST /api/v1/{path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n",
            self.admin,
            self.token,
            body.len()
        );
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(body).await?;
        let mut reader = Reader::new();
        let length = reader.next(&mut stream, 0).await?.context("no answer")?;
        let message = reader.message(length);
        if message.status() != 200 {
            bail!("{path}: {} {}", message.status(), String::from_utf8_lossy(message.body));
        }
        Ok(serde_json::from_slice(message.body)?)
    }

    /// Seconds of user and system time of all its threads. Its one child compiles the mapper before it serves.
    pub fn cpu(&self) -> anyhow::Result<f64> {
        let text = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let fields: Vec<_> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |index: usize| {
            fields.get(index).and_then(|field| field.parse::<f64>().ok()).context("/proc/PID/stat")
        };
        // SAFETY: a plain question to the system.
        let a_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
        Ok((ticks(11)? + ticks(12)?) / a_second as f64)
    }

    /// Resident memory in MiB.
    pub fn memory(&self) -> anyhow::Result<f64> {
        let text = fs::read_to_string(format!("/proc/{}/statm", self.child.id()))?;
        let pages: f64 = text.split(' ').nth(1).context("/proc/PID/statm")?.parse()?;
        Ok(pages * 4096.0 / 1024.0 / 1024.0)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Binds this thread, and what it starts, to these cores.
pub fn bind(cores: &[usize]) -> anyhow::Result<()> {
    // SAFETY: the set is plain bits, and the calls only read and write it.
    let bound = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        for core in cores {
            libc::CPU_SET(*core, &mut set);
        }
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set)
    };
    if bound != 0 {
        bail!("cores {cores:?}: {}", std::io::Error::last_os_error())
    }
    Ok(())
}
