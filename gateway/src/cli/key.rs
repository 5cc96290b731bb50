//! `key`: API keys for partners, and the lines of policy that let them in.

use std::{
    io::{IsTerminal as _, Read as _},
    process::ExitCode,
    time::Duration,
};

use clap::{Args, Subcommand};
use serde_json::json;

use super::show;
use crate::{
    policy::units::{date, day},
    words::{Clock, Digest, PartnerName, Random, Time},
};

/// How long a key is good if nobody says: rotating it once a year is usual.
const YEAR: Duration = Duration::from_secs(365 * 86_400);

/// Characters of a key's secret part, five random bits each: 160 bits.
const LENGTH: usize = 32;

/// Letters and digits that are not taken for each other (RFC 4648, base32, in lower case).
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// Longest key that is hashed, in bytes.
const LONGEST: u64 = 4096;

/// Make and hash API keys.
#[derive(Debug, Args)]
pub struct KeyArgs {
    #[command(subcommand)]
    command: KeyCommand,
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    /// Make a key for a partner, and the lines for its policy file
    ///
    /// The key goes to standard output and is kept nowhere; the lines, which hold its hash, go to standard error. For a
    /// rotation add them beside the old credential: both serve until you take the old one away.
    #[command(after_help = "Examples:\n  crossdock key new acme-3pl --scope shipments:write\n  \
        crossdock key new acme-3pl --expires 2027-06-30 > acme.key")]
    New(NewArgs),
    /// Hash a key that exists, from standard input
    #[command(after_help = "Example:\n  crossdock key hash < acme.key")]
    Hash {
        /// One JSON line
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
struct NewArgs {
    /// The partner, as its policy file names it
    #[arg(value_name = "PARTNER", value_parser = partner)]
    partner: PartnerName,
    /// Name of the credential; `key-` and today's date if none is given
    #[arg(long, value_name = "NAME", value_parser = credential)]
    name: Option<String>,
    /// What the key may be used for, such as `shipments:write`; may be repeated
    #[arg(long = "scope", value_name = "SCOPE", value_parser = scope)]
    scopes: Vec<String>,
    /// The day from which it is no longer good; a year from now if none is given
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = |text: &str| date(text))]
    expires: Option<Time>,
    /// One JSON line with all of it on standard output
    #[arg(long)]
    json: bool,
}

/// Runs a `key` command.
///
/// # Errors
/// Standard input cannot be read.
pub fn run(args: KeyArgs, clock: &dyn Clock, random: &dyn Random) -> anyhow::Result<ExitCode> {
    match args.command {
        KeyCommand::New(args) => Ok(new(&args, clock.now(), random)),
        KeyCommand::Hash { json } => hash(json),
    }
}

fn new(args: &NewArgs, now: Time, random: &dyn Random) -> ExitCode {
    let expires = args.expires.unwrap_or_else(|| now.after(YEAR));
    if expires <= now {
        anstream::eprintln!("error: {} is not in the future; today is {}", day(expires), day(now));
        return ExitCode::from(2);
    }
    let key = make(&args.partner, random);
    let sha256 = Digest::of(key.as_bytes());
    let name = args.name.clone().unwrap_or_else(|| format!("key-{}", day(now)));
    if args.json {
        show::line(&json!({ "key": key, "partner": args.partner, "credential": name, "sha256": sha256,
            "expires": day(expires), "scopes": args.scopes }));
        return ExitCode::SUCCESS;
    }
    anstream::println!("{key}");
    anstream::eprintln!(
        "\nThis is shown once and kept nowhere. For the file of {} in partners/, under `credentials`:\n\n{}",
        args.partner,
        lines(&name, &sha256, expires, &args.scopes)
    );
    ExitCode::SUCCESS
}

/// A key: who it is for, for people who find one, and its secret part.
fn make(partner: &PartnerName, random: &dyn Random) -> String {
    let mut key = format!("xd_{partner}_");
    let (mut bits, mut left) = (0, 0);
    for _ in 0..LENGTH {
        if left < 5 {
            // What is left of the word before is dropped, so that each character has five bits of one word.
            (bits, left) = (random.next(), 64);
        }
        key.push(char::from(ALPHABET[(bits & 31) as usize]));
        (bits, left) = (bits >> 5, left - 5);
    }
    key
}

/// The credential as a partner's file has it.
fn lines(name: &str, sha256: &Digest, expires: Time, scopes: &[String]) -> String {
    format!(
        "  {name}:\n    api_key: {{ sha256: {sha256}, expires: {} }}\n    scopes: [{}]",
        day(expires),
        scopes.join(", ")
    )
}

fn hash(as_json: bool) -> anyhow::Result<ExitCode> {
    if std::io::stdin().is_terminal() {
        anstream::eprintln!("the key, then Enter and Ctrl-D:");
    }
    let mut key = String::new();
    std::io::stdin().take(LONGEST + 1).read_to_string(&mut key)?;
    let key = key.trim_end_matches(['\r', '\n']);
    if key.is_empty() || key.len() as u64 > LONGEST || key.contains(char::is_whitespace) {
        anstream::eprintln!(
            "error: expected one key of 1 to {LONGEST} bytes without spaces\nhelp: crossdock key hash < acme.key"
        );
        return Ok(ExitCode::from(2));
    }
    let sha256 = Digest::of(key.as_bytes());
    if as_json {
        show::line(&json!({ "sha256": sha256 }));
    } else {
        anstream::println!("{sha256}");
    }
    Ok(ExitCode::SUCCESS)
}

fn partner(text: &str) -> Result<PartnerName, String> {
    PartnerName::new(text).map_err(|error| error.to_string())
}

/// The same form as a partner's name has.
fn credential(text: &str) -> Result<String, String> {
    partner(text).map(|name| name.to_string())
}

/// A scope by RFC 6749, section 3.3, without what would need quotes in YAML.
fn scope(text: &str) -> Result<String, String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b":._/-".contains(&byte);
    if !text.is_empty() && text.len() <= 128 && text.bytes().all(fits) && !text.ends_with(':') {
        Ok(text.to_owned())
    } else {
        Err("a scope is 1 to 128 letters, digits, `:`, `.`, `_`, `/` and `-`".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::words::SystemRandom;

    struct Counting(AtomicU64);

    impl Random for Counting {
        fn next(&self) -> u64 {
            // Every bit pattern of five once in a while.
            self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed)
        }
    }

    #[test]
    fn a_key_says_whose_it_is_and_has_160_bits_of_the_randomness_given() {
        let acme = PartnerName::new("acme-3pl").unwrap();
        let key = make(&acme, &SystemRandom);
        let secret = key.strip_prefix("xd_acme-3pl_").unwrap();
        assert!(secret.len() == 32 && secret.bytes().all(|byte| ALPHABET.contains(&byte)), "{key}");
        assert_ne!(key, make(&acme, &SystemRandom));
        let counting = Counting(AtomicU64::new(1));
        make(&acme, &counting);
        // Twelve characters a word: 32 of them take three.
        let steps = counting.0.load(Ordering::Relaxed).wrapping_sub(1);
        assert_eq!(steps, 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(3));
    }

    #[test]
    fn what_would_break_the_lines_is_no_scope() {
        for text in ["shipments:write", "a", "read.all", "x/y_z-1"] {
            assert!(scope(text).is_ok(), "{text}");
        }
        for text in ["", "a b", "a,b", "]", "a: b", "a:", "#", &"x".repeat(129)] {
            assert!(scope(text).is_err(), "{text}");
        }
    }
}
