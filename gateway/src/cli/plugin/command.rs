//! Runs another program line by line, and stops it when it falls silent.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Command, ExitStatus, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    time::Duration,
};

/// Longest line that is kept of a program's output; what is beyond belongs to no message worth showing.
const LINE_BYTES: u64 = 1 << 20;

/// A line of a program's output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Of its standard output.
    Out(String),
    /// Of its standard error.
    Err(String),
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// By itself, and well.
    Fine,
    /// By itself, with an error.
    Failed(Option<i32>),
    /// It was stopped, for it had said nothing for too long.
    Silent,
    /// It is not installed.
    Absent,
}

/// Runs `command`, hands over each line as it comes, and stops it after `patience` without one.
pub(super) fn run(command: &mut Command, patience: Duration, each: &mut dyn FnMut(Line)) -> End {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let Ok(mut child) = child else { return End::Absent };
    let (send, lines) = mpsc::channel();
    let readers = [
        child.stdout.take().map(|out| spawn_reader(out, send.clone(), Line::Out)),
        child.stderr.take().map(|err| spawn_reader(err, send, Line::Err)),
    ];
    let stopped = loop {
        match lines.recv_timeout(patience) {
            Ok(line) => each(line),
            Err(RecvTimeoutError::Disconnected) => break false,
            Err(RecvTimeoutError::Timeout) => break true,
        }
    };
    if stopped {
        // It may have ended in this very moment; then there is nothing left to stop.
        let _ = child.kill();
        let _ = child.wait();
        return End::Silent;
    }
    for reader in readers.into_iter().flatten() {
        let _ = reader.join();
    }
    child.wait().map_or(End::Failed(None), end)
}

fn end(status: ExitStatus) -> End {
    if status.success() { End::Fine } else { End::Failed(status.code()) }
}

fn spawn_reader(
    stream: impl Read + Send + 'static,
    send: mpsc::Sender<Line>,
    wrap: fn(String) -> Line,
) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let mut stream = BufReader::new(stream);
        let mut line = Vec::new();
        loop {
            line.clear();
            match stream.by_ref().take(LINE_BYTES).read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) => {
                    let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                    if send.send(wrap(text)).is_err() {
                        return;
                    }
                }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn both_streams_are_read_line_by_line_and_the_end_is_known() {
        let mut seen = Vec::new();
        let end = run(&mut shell("echo a; echo b >&2; exit 3"), Duration::from_secs(60), &mut |line| {
            seen.push(line);
        });
        seen.sort_by_key(|line| matches!(line, Line::Err(_)));
        assert_eq!(seen, [Line::Out("a".into()), Line::Err("b".into())]);
        assert_eq!(end, End::Failed(Some(3)));
    }

    #[test]
    fn a_program_that_falls_silent_is_stopped() {
        let end = run(Command::new("tail").args(["-f", "/dev/null"]), Duration::from_millis(1), &mut |_| ());
        assert_eq!(end, End::Silent);
    }

    #[test]
    fn a_program_that_is_not_installed_is_named_absent() {
        let mut command = Command::new("/nonexistent/program");
        assert_eq!(run(&mut command, Duration::from_secs(1), &mut |_| ()), End::Absent);
    }
}
