//! The command line.

use std::fmt;
use std::time::Duration;

use crate::Result;

/// How to call this.
pub(crate) const USAGE: &str = "\
Usage: cargo xtask bench [creates|children|move|rights|sign-ins|usage|data-plane]…
         [--sqlite|--postgres] [--seconds N] [--rounds N] [--accounts N]

  creates        accounts created in a second by 16 clients
  children       a page of 100 children among a million accounts
  move           a subtree of 10,000 accounts, moved between two trees
  rights         what a user with 5 memberships may do on a path of 5 levels; no engine
  sign-ins       users who sign in with a password, by 16 clients
  usage          records of usage, until they are added up in the database
  data-plane     decisions and the gateway, with a million accounts and keys, beside nginx and others; on SQLite

  --sqlite       only on SQLite
  --postgres     only on PostgreSQL
  --seconds N    how long product and floor are measured in each round (3)
  --rounds N     how many rounds `data-plane` has (5)
  --accounts N   how many accounts there are for `children` and `data-plane` (1000000)

The SQLite files are in the directory for temporary files: set TMPDIR to measure on another disk.";

/// What to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Benchmark {
    Creates,
    Children,
    Move,
    Rights,
    SignIns,
    Usage,
    DataPlane,
}

impl Benchmark {
    const ALL: [Self; 7] =
        [Self::Creates, Self::Children, Self::Move, Self::Rights, Self::SignIns, Self::Usage, Self::DataPlane];

    const fn name(self) -> &'static str {
        match self {
            Self::Creates => "creates",
            Self::Children => "children",
            Self::Move => "move",
            Self::Rights => "rights",
            Self::SignIns => "sign-ins",
            Self::Usage => "usage",
            Self::DataPlane => "data-plane",
        }
    }
}

impl fmt::Display for Benchmark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What to measure it on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

/// What to measure, on what, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) benchmarks: Vec<Benchmark>,
    pub(crate) engines: Vec<Engine>,
    /// How long each side is measured in a round.
    pub(crate) stretch: Duration,
    /// How many rounds [`Benchmark::DataPlane`] has.
    pub(crate) rounds: usize,
    /// How many accounts there are for [`Benchmark::Children`] and [`Benchmark::DataPlane`].
    pub(crate) accounts: usize,
}

impl Options {
    /// Reads the arguments of this program.
    pub(crate) fn parse(arguments: &[String]) -> Result<Self> {
        let mut options = Self {
            benchmarks: vec![],
            engines: vec![],
            stretch: Duration::from_secs(3),
            rounds: 5,
            accounts: 1_000_000,
        };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--sqlite" => options.engines.push(Engine::Sqlite),
                "--postgres" => options.engines.push(Engine::Postgres),
                "--seconds" => options.stretch = Duration::from_secs(number(argument, arguments.next())?),
                "--rounds" => options.rounds = usize::try_from(number(argument, arguments.next())?)?,
                "--accounts" => options.accounts = usize::try_from(number(argument, arguments.next())?)?,
                name => match Benchmark::ALL.iter().find(|benchmark| benchmark.name() == name) {
                    Some(benchmark) => options.benchmarks.push(*benchmark),
                    None => return Err(format!("no such benchmark or option: {name}\n\n{USAGE}").into()),
                },
            }
        }
        if options.benchmarks.is_empty() {
            options.benchmarks = Benchmark::ALL.to_vec();
        }
        if options.engines.is_empty() {
            options.engines = vec![Engine::Sqlite, Engine::Postgres];
        }
        Ok(options)
    }
}

fn number(option: &str, text: Option<&String>) -> Result<u64> {
    let number = text.and_then(|text| text.parse().ok()).filter(|number| *number > 0);
    number.ok_or_else(|| format!("{option} takes a positive number\n\n{USAGE}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options> {
        Options::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn everything_is_measured_unless_something_is_chosen() {
        let all = parse("").expect("no arguments are fine");
        assert_eq!((all.benchmarks.len(), all.engines.len()), (7, 2));
        let some = parse("move --sqlite --seconds 7").expect("all of these exist");
        assert_eq!((some.benchmarks, some.engines), (vec![Benchmark::Move], vec![Engine::Sqlite]));
        assert_eq!(some.stretch, Duration::from_secs(7));
    }

    #[test]
    fn what_is_unknown_is_refused() {
        for line in ["moves", "--seconds", "--seconds 0", "--accounts many"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
