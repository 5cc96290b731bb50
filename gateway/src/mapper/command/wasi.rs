//! WASI preview 1 as a mapper gets it (`wasi_snapshot_preview1`, the last one of 2019): arguments, three streams,
//! a clock that stands still, random numbers that repeat, and an end. Everything else is there, so that guests link,
//! and answers an errno.

use wasmtime::{Caller, Extern, FuncType, Linker, Val, ValType};

use super::{
    super::{
        call::{Log, State},
        limits::Meter,
        tables::{KEY_BYTES, KEY_COLUMNS},
    },
    memory::{Memory, offset},
    streams::Streams,
};

/// The module that WASI's functions are imported from.
const WASI: &str = "wasi_snapshot_preview1";

/// The module of our own.
const OURS: &str = "crossdock";

const BADF: i32 = 8;
pub(super) const FAULT: i32 = 21;
pub(super) const INVAL: i32 = 28;
const NOTSUP: i32 = 58;
const SPIPE: i32 = 70;
const NOTCAPABLE: i32 = 76;

/// Bytes of a host call after which the clock is looked at: nothing else stops a guest while the host works for it.
const CHUNK: usize = 64 << 10;

/// The same for random numbers, which cost more.
const RANDOM_CHUNK: usize = 8 << 10;

/// Things that one `poll_oneoff` may wait for.
const MOST_SUBSCRIPTIONS: u32 = 64;

/// Bytes of a key in JSON for a look-up.
const KEY_JSON: u32 = 32 << 10;

/// What a look-up answers if there is no such row.
const NO_ROW: i32 = -1;

/// What a look-up answers if its arguments cannot be used.
const BAD_LOOKUP: i32 = -2;

/// What the host gives.
const GIVEN: [&str; 16] = [
    "args_get",
    "args_sizes_get",
    "clock_res_get",
    "clock_time_get",
    "environ_get",
    "environ_sizes_get",
    "fd_close",
    "fd_fdstat_get",
    "fd_filestat_get",
    "fd_prestat_get",
    "fd_read",
    "fd_write",
    "poll_oneoff",
    "proc_exit",
    "random_get",
    "sched_yield",
];

/// What it denies: the name, its parameters (`i` for 32 bits, `I` for 64), and what it answers for an open stream.
/// Where there is no stream, the answer is that the descriptor is bad.
const DENIED: [(&str, &str, i32); 30] = [
    ("fd_advise", "iIIi", SPIPE),
    ("fd_allocate", "iII", SPIPE),
    ("fd_datasync", "i", NOTSUP),
    ("fd_fdstat_set_flags", "ii", NOTSUP),
    ("fd_fdstat_set_rights", "iII", NOTCAPABLE),
    ("fd_filestat_set_size", "iI", NOTCAPABLE),
    ("fd_filestat_set_times", "iIIi", NOTCAPABLE),
    ("fd_pread", "iiiIi", SPIPE),
    ("fd_prestat_dir_name", "iii", BADF),
    ("fd_pwrite", "iiiIi", SPIPE),
    ("fd_readdir", "iiiIi", NOTCAPABLE),
    ("fd_renumber", "ii", NOTSUP),
    ("fd_seek", "iIii", SPIPE),
    ("fd_sync", "i", NOTSUP),
    ("fd_tell", "ii", SPIPE),
    ("path_create_directory", "iii", NOTCAPABLE),
    ("path_filestat_get", "iiiii", NOTCAPABLE),
    ("path_filestat_set_times", "iiiiIIi", NOTCAPABLE),
    ("path_link", "iiiiiii", NOTCAPABLE),
    ("path_open", "iiiiiIIii", NOTCAPABLE),
    ("path_readlink", "iiiiii", NOTCAPABLE),
    ("path_remove_directory", "iii", NOTCAPABLE),
    ("path_rename", "iiiiii", NOTCAPABLE),
    ("path_symlink", "iiiii", NOTCAPABLE),
    ("path_unlink_file", "iii", NOTCAPABLE),
    ("proc_raise", "i", NOTSUP),
    ("sock_accept", "iii", NOTCAPABLE),
    ("sock_recv", "iiiiii", NOTCAPABLE),
    ("sock_send", "iiiii", NOTCAPABLE),
    ("sock_shutdown", "ii", NOTCAPABLE),
];

/// Whether a command may import this, `module.name`.
pub(in super::super) fn imports(import: &str) -> bool {
    match import.split_once('.') {
        Some((WASI, name)) => GIVEN.contains(&name) || DENIED.iter().any(|(denied, ..)| *denied == name),
        Some((OURS, "lookup")) => true,
        _ => false,
    }
}

/// The command ended itself.
#[derive(Debug, thiserror::Error)]
#[error("ended with exit code {0}")]
pub(super) struct Exit(pub i32);

/// Why a host call does not succeed.
pub(super) enum Halt {
    /// The guest is told.
    Errno(i32),
    /// The guest is ended.
    Stop(wasmtime::Error),
}

impl<E: Into<wasmtime::Error>> From<E> for Halt {
    fn from(error: E) -> Self {
        Self::Stop(error.into())
    }
}

/// A host call: the guest's memory and the host's side of it.
struct Desk<'a> {
    memory: Memory<'a>,
    streams: &'a mut Streams,
    log: &'a mut Log,
    meter: &'a Meter,
}

/// A linker with all that a command may import.
pub(in super::super) fn linker(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    type Guest<'a> = Caller<'a, State>;
    linker.func_wrap(WASI, "args_sizes_get", |guest: Guest<'_>, count: u32, size: u32| {
        serve(guest, |desk| desk.args_sizes_get(count, size))
    })?;
    linker.func_wrap(WASI, "args_get", |guest: Guest<'_>, places: u32, text: u32| {
        serve(guest, |desk| desk.args_get(places, text))
    })?;
    linker.func_wrap(WASI, "environ_sizes_get", |guest: Guest<'_>, count: u32, size: u32| {
        serve(guest, |desk| {
            desk.memory.put(count, &[0; 4])?;
            desk.memory.put(size, &[0; 4])
        })
    })?;
    linker.func_wrap(WASI, "environ_get", |guest: Guest<'_>, _places: u32, _text: u32| {
        serve(guest, |_| Ok(()))
    })?;
    linker.func_wrap(WASI, "clock_res_get", |guest: Guest<'_>, clock: u32, place: u32| {
        serve(guest, |desk| desk.clock_res_get(clock, place))
    })?;
    linker.func_wrap(
        WASI,
        "clock_time_get",
        |guest: Guest<'_>, clock: u32, _precision: u64, place: u32| {
            serve(guest, |desk| desk.clock_time_get(clock, place))
        },
    )?;
    linker.func_wrap(WASI, "fd_close", |guest: Guest<'_>, fd: u32| serve(guest, |desk| desk.fd_close(fd)))?;
    linker.func_wrap(WASI, "fd_fdstat_get", |guest: Guest<'_>, fd: u32, place: u32| {
        serve(guest, |desk| desk.fd_fdstat_get(fd, place))
    })?;
    linker.func_wrap(WASI, "fd_filestat_get", |guest: Guest<'_>, fd: u32, place: u32| {
        serve(guest, |desk| desk.fd_filestat_get(fd, place))
    })?;
    linker.func_wrap(WASI, "fd_prestat_get", |guest: Guest<'_>, _fd: u32, _place: u32| {
        serve(guest, |_| Err(Halt::Errno(BADF)))
    })?;
    linker.func_wrap(
        WASI,
        "fd_read",
        |guest: Guest<'_>, fd: u32, vectors: u32, count: u32, place: u32| {
            serve(guest, |desk| desk.fd_read(fd, vectors, count, place))
        },
    )?;
    linker.func_wrap(
        WASI,
        "fd_write",
        |guest: Guest<'_>, fd: u32, vectors: u32, count: u32, place: u32| {
            serve(guest, |desk| desk.fd_write(fd, vectors, count, place))
        },
    )?;
    linker.func_wrap(
        WASI,
        "poll_oneoff",
        |guest: Guest<'_>, from: u32, to: u32, count: u32, place: u32| {
            serve(guest, |desk| desk.poll_oneoff(from, to, count, place))
        },
    )?;
    linker.func_wrap(WASI, "proc_exit", |_: Guest<'_>, code: i32| -> wasmtime::Result<()> {
        Err(wasmtime::Error::new(Exit(code)))
    })?;
    linker.func_wrap(WASI, "random_get", |guest: Guest<'_>, place: u32, length: u32| {
        serve(guest, |desk| desk.random_get(place, length))
    })?;
    linker.func_wrap(WASI, "sched_yield", |guest: Guest<'_>| serve(guest, |_| Ok(())))?;
    for (name, parameters, errno) in DENIED {
        let parameters = parameters.chars().map(|of| if of == 'I' { ValType::I64 } else { ValType::I32 });
        let ty = FuncType::new(engine, parameters, [ValType::I32]);
        linker.func_new(WASI, name, ty, move |guest, parameters, results| {
            let fd = parameters.first().and_then(Val::i32).unwrap_or(-1);
            let answer = serve(guest, |desk| {
                let known = u32::try_from(fd).is_ok_and(|fd| desk.is_open(fd).is_ok());
                let about_a_stream = name.starts_with("fd_") && !known;
                Err(Halt::Errno(if about_a_stream { BADF } else { errno }))
            })?;
            if let Some(result) = results.first_mut() {
                *result = Val::I32(answer);
            }
            Ok(())
        })?;
    }
    linker.func_wrap(OURS, "lookup", look_up)?;
    Ok(linker)
}

/// Counts the call, finds the memory, and turns what became of it into an errno.
fn serve(
    mut guest: Caller<'_, State>,
    work: impl FnOnce(&mut Desk<'_>) -> Result<(), Halt>,
) -> wasmtime::Result<i32> {
    guest.data_mut().count_host_call()?;
    let export = guest.data().streams.as_ref().map(|streams| streams.memory);
    let memory = export.and_then(|export| guest.get_module_export(&export)).and_then(Extern::into_memory);
    let memory = memory.ok_or_else(|| wasmtime::Error::msg("the memory is gone"))?;
    let (memory, State { streams, log, meter, .. }) = memory.data_and_store_mut(&mut guest);
    let Some(streams) = streams.as_mut() else { return Ok(BADF) };
    match work(&mut Desk { memory: Memory(memory), streams, log, meter }) {
        Ok(()) => Ok(0),
        Err(Halt::Errno(errno)) => Ok(errno),
        Err(Halt::Stop(error)) => Err(error),
    }
}

impl Desk<'_> {
    /// The number of a stream that is open.
    fn is_open(&self, fd: u32) -> Result<u32, Halt> {
        let open = usize::try_from(fd).ok().and_then(|fd| self.streams.open.get(fd));
        if open.copied().unwrap_or(false) { Ok(fd) } else { Err(Halt::Errno(BADF)) }
    }

    fn args_sizes_get(&mut self, count: u32, size: u32) -> Result<(), Halt> {
        let arguments = &self.streams.arguments;
        let length: usize = arguments.iter().map(|argument| argument.len() + 1).sum();
        let (number, length) = (small(arguments.len())?, small(length)?);
        self.memory.put(count, &number.to_le_bytes())?;
        self.memory.put(size, &length.to_le_bytes())
    }

    fn args_get(&mut self, mut places: u32, mut text: u32) -> Result<(), Halt> {
        for argument in &self.streams.arguments {
            self.memory.put(places, &text.to_le_bytes())?;
            self.memory.put(text, argument.as_bytes())?;
            let end = offset(text, small(argument.len())?)?;
            self.memory.put(end, &[0])?;
            (places, text) = (offset(places, 4)?, offset(end, 1)?);
        }
        Ok(())
    }

    fn clock_res_get(&mut self, clock: u32, place: u32) -> Result<(), Halt> {
        let nanos: u64 = if clock < 4 { 1_000_000 } else { return Err(Halt::Errno(INVAL)) };
        self.memory.put(place, &nanos.to_le_bytes())
    }

    /// The wall clock stands at the moment of the message. The monotonic clock moves by what was waited for, or a
    /// guest that sleeps would sleep for ever; the clocks of CPU time stand at its beginning.
    fn clock_time_get(&mut self, clock: u32, place: u32) -> Result<(), Halt> {
        let nanos = match clock {
            0 => self.streams.now,
            1 => self.monotonic(),
            2 | 3 => 0,
            _ => return Err(Halt::Errno(INVAL)),
        };
        self.memory.put(place, &nanos.to_le_bytes())
    }

    fn monotonic(&self) -> u64 {
        self.streams.now.saturating_add(self.streams.waited)
    }

    fn fd_close(&mut self, fd: u32) -> Result<(), Halt> {
        self.is_open(fd)?;
        if let Some(open) = usize::try_from(fd).ok().and_then(|fd| self.streams.open.get_mut(fd)) {
            *open = false;
        }
        Ok(())
    }

    /// A stream of no particular kind: as a terminal it would be written to line by line.
    fn fd_fdstat_get(&mut self, fd: u32, place: u32) -> Result<(), Halt> {
        const READ: u64 = 1 << 1;
        const WRITE: u64 = 1 << 6;
        const POLL: u64 = 1 << 27;
        let rights = POLL | if self.is_open(fd)? == 0 { READ } else { WRITE };
        let mut stat = [0; 24];
        stat[8..16].copy_from_slice(&rights.to_le_bytes());
        self.memory.put(place, &stat)
    }

    fn fd_filestat_get(&mut self, fd: u32, place: u32) -> Result<(), Halt> {
        self.is_open(fd)?;
        let mut stat = [0; 64];
        stat[24] = 1;
        self.memory.put(place, &stat)
    }

    fn fd_read(&mut self, fd: u32, vectors: u32, count: u32, place: u32) -> Result<(), Halt> {
        if self.is_open(fd)? != 0 {
            return Err(Halt::Errno(BADF));
        }
        self.memory.bytes(place, 4)?;
        let (vectors, _) = self.memory.vectors(vectors, count)?;
        let mut read = 0;
        for (at, length) in vectors {
            read += self.streams.read(self.memory.bytes_mut(at, length)?);
        }
        self.memory.put(place, &small(read)?.to_le_bytes())
    }

    fn fd_write(&mut self, fd: u32, vectors: u32, count: u32, place: u32) -> Result<(), Halt> {
        let fd = self.is_open(fd)?;
        if fd == 0 {
            return Err(Halt::Errno(BADF));
        }
        self.memory.bytes(place, 4)?;
        let (vectors, total) = self.memory.vectors(vectors, count)?;
        for (at, length) in vectors {
            for (index, part) in self.memory.bytes(at, length)?.chunks(CHUNK).enumerate() {
                if index > 0 {
                    self.meter.check_time()?;
                }
                if fd == 1 {
                    self.streams.print(part)?;
                } else {
                    self.streams.complain(part, self.log);
                }
            }
        }
        self.memory.put(place, &total.to_le_bytes())
    }

    fn random_get(&mut self, place: u32, length: u32) -> Result<(), Halt> {
        for (index, part) in self.memory.bytes_mut(place, length)?.chunks_mut(RANDOM_CHUNK).enumerate() {
            if index > 0 {
                self.meter.check_time()?;
            }
            self.streams.random(part);
        }
        Ok(())
    }

    /// Answers at once. Streams are always ready; if only clocks are waited for, the first of them has come.
    fn poll_oneoff(&mut self, from: u32, to: u32, count: u32, place: u32) -> Result<(), Halt> {
        const SUBSCRIPTION: u32 = 48;
        const EVENT: u32 = 32;
        if count == 0 || count > MOST_SUBSCRIPTIONS {
            return Err(Halt::Errno(INVAL));
        }
        self.memory.bytes(place, 4)?;
        let mut waits = Vec::new();
        for index in 0..count {
            let at = offset(from, index * SUBSCRIPTION)?;
            waits.push(self.subscription(at)?);
        }
        let streams = waits.iter().any(|wait| wait.clock.is_none());
        let first = waits.iter().filter_map(|wait| wait.clock).min().unwrap_or(0);
        if !streams {
            self.streams.waited = self.streams.waited.saturating_add(first);
        }
        let mut events = 0;
        for wait in &waits {
            let due = if streams { wait.clock.unwrap_or(0) == 0 } else { wait.clock == Some(first) };
            if due {
                self.memory.put(offset(to, events * EVENT)?, &wait.event)?;
                events += 1;
            }
        }
        self.memory.put(place, &events.to_le_bytes())
    }

    fn subscription(&self, at: u32) -> Result<Wait, Halt> {
        let kind = self.memory.u8(offset(at, 8)?)?;
        let mut event = [0; 32];
        event[..8].copy_from_slice(&self.memory.u64(at)?.to_le_bytes());
        event[10] = kind;
        if kind == 0 {
            let (nanos, flags) = (self.memory.u64(offset(at, 24)?)?, self.memory.u16(offset(at, 40)?)?);
            let wall = self.memory.u32(offset(at, 16)?)? == 0;
            let now = if wall { self.streams.now } else { self.monotonic() };
            let relative = if flags & 1 == 0 { nanos } else { nanos.saturating_sub(now) };
            return Ok(Wait { clock: Some(relative), event });
        }
        let fd = self.memory.u32(offset(at, 16)?)?;
        match self.is_open(fd) {
            Ok(0) => {
                event[16..24].copy_from_slice(&u64::from(small(self.streams.unread())?).to_le_bytes());
            }
            Ok(_) => event[16..24].copy_from_slice(&u64::from(u16::MAX).to_le_bytes()),
            Err(_) => event[8] = BADF.to_le_bytes()[0],
        }
        Ok(Wait { clock: None, event })
    }
}

/// Something that a guest waits for.
struct Wait {
    /// Nanoseconds from now; none for a stream.
    clock: Option<u64>,
    /// What it is told.
    event: [u8; 32],
}

fn small(number: usize) -> Result<u32, Halt> {
    u32::try_from(number).map_err(|_| Halt::Errno(INVAL))
}

/// `crossdock.lookup(table, table_len, key, key_len, out, out_cap)`: the row as a JSON object. Answers its length, and
/// writes it if there is room; negative if there is no row or the arguments cannot be used.
fn look_up(
    guest: Caller<'_, State>,
    table: u32,
    table_length: u32,
    key: u32,
    key_length: u32,
    out: u32,
    capacity: u32,
) -> wasmtime::Result<i32> {
    let tables = std::sync::Arc::clone(&guest.data().tables);
    let mut answer = NO_ROW;
    let served = serve(guest, |desk| {
        let bad = Halt::Errno(BAD_LOOKUP);
        if key_length > KEY_JSON {
            return Err(bad);
        }
        let key = desk.memory.bytes(key, key_length)?;
        let Some(columns) = columns(key) else { return Err(bad) };
        let Ok(table) = std::str::from_utf8(desk.memory.bytes(table, table_length)?) else { return Err(bad) };
        // A longer one cannot be in any table, and hashing it would cost what the guest does not pay.
        let fits = columns.len() <= KEY_COLUMNS && columns.iter().all(|column| column.len() <= KEY_BYTES);
        let row = if fits && table.len() <= KEY_BYTES { tables.lookup(table, &columns) } else { None };
        let Some(row) = row else { return Ok(()) };
        let row = super::super::tables::row_json(&row);
        let length = small(row.len())?;
        if length <= capacity {
            desk.memory.put(out, row.as_bytes())?;
        }
        answer = i32::try_from(length).map_err(|_| Halt::Errno(BAD_LOOKUP))?;
        Ok(())
    })?;
    Ok(if served == 0 { answer } else { BAD_LOOKUP })
}

/// A key is an array of strings, or one string.
fn columns(key: &[u8]) -> Option<Vec<Box<str>>> {
    match serde_json::from_slice::<Vec<Box<str>>>(key) {
        Ok(columns) => Some(columns),
        Err(_) => serde_json::from_slice::<Box<str>>(key).ok().map(|column| vec![column]),
    }
}
