//! The benchmarks, with what they need: a PostgreSQL, and for the data plane the product itself and programs of other people.

use crate::postgres::{self, Server};
use crate::{Result, peers, process};

/// The benchmark that measures processes.
const DATA_PLANE: &str = "data-plane";

/// Runs the benchmarks that the arguments name; all, if they name none.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let mut benches = process::cargo();
    benches.args(["run", "--release", "--package", "tenantry-benches"]);
    if measures_the_data_plane(arguments) {
        // By itself: built together with the benchmarks, its dependencies would get the features that those ask for.
        process::run(process::cargo().args(["build", "--release", "--package", "tenantry"]))?;
        benches.args(["--features", "peers"]).env(peers::OF_BENCHES, peers::install_for_benches()?);
    }
    let server = Server::start()?;
    benches.arg("--").args(arguments).env(postgres::ADDRESS, server.address());
    process::run(&mut benches).and(server.stop())
}

fn measures_the_data_plane(arguments: &[String]) -> bool {
    // Options have numbers.
    let is_name = |argument: &&String| argument.starts_with(|first: char| first.is_ascii_alphabetic());
    let mut names = arguments.iter().filter(is_name).peekable();
    let all = names.peek().is_none() && arguments.iter().all(|argument| argument != "--help");
    all || names.any(|name| name == DATA_PLANE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_product_is_built_only_if_it_is_measured() {
        for (line, expected) in [
            ("", true),
            ("--seconds 1 --sqlite", true),
            ("creates data-plane", true),
            ("creates --accounts 20000", false),
            ("--help", false),
        ] {
            let arguments: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            assert_eq!(measures_the_data_plane(&arguments), expected, "{line}");
        }
    }
}
