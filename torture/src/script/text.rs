//! The text form of scripts: `put 3 40 sync; expire 3 40 60 buffered; delete 3 sync; batch 1 sync; step 5; flush; kill`.

use std::fmt;
use std::str::FromStr;

use engine::Durability;

use super::{Operation, Script};

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |durability: &Durability| match durability {
            Durability::Sync => "sync",
            Durability::Buffered => "buffered",
        };
        match self {
            Self::Put { key, len, seconds: 0, durability } => {
                write!(f, "put {key} {len} {}", name(durability))
            }
            Self::Put { key, len, seconds, durability } => {
                write!(f, "expire {key} {len} {seconds} {}", name(durability))
            }
            Self::Delete { key, durability } => write!(f, "delete {key} {}", name(durability)),
            Self::Batch { key, durability } => write!(f, "batch {key} {}", name(durability)),
            Self::Step(count) => write!(f, "step {count}"),
            Self::Flush => f.write_str("flush"),
            Self::Compact => f.write_str("compact"),
            Self::Sync => f.write_str("sync"),
            Self::Kill => f.write_str("kill"),
            Self::Close => f.write_str("close"),
            Self::Wait(seconds) => write!(f, "wait {seconds}"),
        }
    }
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, operation) in self.0.iter().enumerate() {
            f.write_str(if at == 0 { "" } else { "; " })?;
            operation.fmt(f)?;
        }
        Ok(())
    }
}

fn number<T: FromStr>(word: Option<&str>, operation: &str) -> Result<T, String> {
    let word = word.ok_or_else(|| format!("`{operation}` lacks a number"))?;
    word.parse().map_err(|_| format!("`{word}` in `{operation}` is not a number that fits"))
}

fn durability(word: Option<&str>, operation: &str) -> Result<Durability, String> {
    match word {
        Some("sync") => Ok(Durability::Sync),
        Some("buffered") => Ok(Durability::Buffered),
        _ => Err(format!("`{operation}` lacks `sync` or `buffered`")),
    }
}

impl FromStr for Operation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut words = text.split_whitespace();
        let verb = words.next().unwrap_or_default();
        let operation = match verb {
            "put" | "expire" => Self::Put {
                key: number(words.next(), text)?,
                len: number(words.next(), text)?,
                seconds: if verb == "put" { 0 } else { number(words.next(), text)? },
                durability: durability(words.next(), text)?,
            },
            "delete" => {
                Self::Delete { key: number(words.next(), text)?, durability: durability(words.next(), text)? }
            }
            "batch" => {
                Self::Batch { key: number(words.next(), text)?, durability: durability(words.next(), text)? }
            }
            "step" => Self::Step(number(words.next(), text)?),
            "flush" => Self::Flush,
            "compact" => Self::Compact,
            "sync" => Self::Sync,
            "kill" => Self::Kill,
            "close" => Self::Close,
            "wait" => Self::Wait(number(words.next(), text)?),
            _ => return Err(format!("`{text}` is no operation")),
        };
        match words.next() {
            None => Ok(operation),
            Some(word) => Err(format!("`{word}` is one word too many in `{text}`")),
        }
    }
}

impl FromStr for Script {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let operations = text.split(';').map(str::trim).filter(|operation| !operation.is_empty());
        operations.map(Operation::from_str).collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::super::random;
    use super::*;

    #[test]
    fn text_comes_back() {
        for seed in 0..50 {
            let script = random(&mut fastrand::Rng::with_seed(seed), 60);
            assert_eq!(script.to_string().parse(), Ok(script));
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in
            ["put", "put 1 2", "put 1 2 never", "put 999 2 sync", "step", "step 1 2", "jump", "flush now"]
        {
            assert!(text.parse::<Script>().is_err(), "{text}");
        }
    }
}
