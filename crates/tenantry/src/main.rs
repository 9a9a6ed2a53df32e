//! The one binary: the server, the demo, and the tools of its operator.

mod config;
mod demo;
mod serve;
mod tools;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Why the process ends with a message.
type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> std::process::ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error),
    };
    let command = match config::command() {
        Ok(command) => command,
        Err(error) => return failed(error.as_ref()),
    };
    let cli = match <config::Cli as clap::FromArgMatches>::from_arg_matches(&command.get_matches()) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    match runtime.block_on(run(cli)) {
        Ok(code) => code,
        Err(error) => failed(error.as_ref()),
    }
}

async fn run(cli: config::Cli) -> Result<std::process::ExitCode, Failure> {
    match cli.command {
        config::Command::Serve(options) => serve::run(&options).await,
        config::Command::Demo(options) => demo::run(&options).await,
        config::Command::Migrate(options) => tools::migrate(&options).await,
        config::Command::Fsck(options) => tools::fsck(&options).await,
        config::Command::Openapi => tools::openapi(),
    }
}

#[expect(clippy::print_stderr, reason = "the last words of the process")]
fn failed(error: &dyn std::error::Error) -> std::process::ExitCode {
    eprintln!("tenantry: {error}");
    std::process::ExitCode::FAILURE
}
