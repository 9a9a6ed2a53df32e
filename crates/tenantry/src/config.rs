//! Where configuration comes from: flags, then `TENANTRY_*` variables, then `tenantry.toml`.
//!
//! The flags below are the whole list: their names are those of the variables and of the keys in
//! the file, and `docs/configuration.md` is made from them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};
use tenantry_server::Networks;
use tenantry_server::config::Provider;
use tenantry_server::{Address, Config, Timeouts};
use tenantry_store::{Limits, Location};

use crate::Failure;

/// The account tree of an API platform.
#[derive(Debug, Parser)]
#[command(name = "tenantry", version, propagate_version = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
#[expect(clippy::large_enum_variant, reason = "there is one, and it is made once")]
pub(crate) enum Command {
    /// Run the server; brings the database schema up to date first.
    Serve(ServeOptions),
    /// Run a server with a tree to play with, in a directory that is thrown away.
    Demo(DemoOptions),
    /// Bring the database schema up to date.
    Migrate(DatabaseOptions),
    /// Check the invariants of the database; it may be in use meanwhile.
    Fsck(FsckOptions),
    /// Print the OpenAPI document.
    Openapi,
}

/// Where the database is.
#[derive(Debug, Clone, Args)]
pub(crate) struct DatabaseOptions {
    /// Directory of the embedded database, and of the usage that is not in a database yet. No two servers share one.
    #[arg(long, env = "TENANTRY_DATA_DIR", default_value = "./tenantry-data", value_name = "DIR")]
    pub(crate) data_dir: PathBuf,
    /// A `postgres://` address, instead of the embedded database.
    #[arg(long, env = "TENANTRY_DATABASE_URL", value_name = "URL", hide_env_values = true, hide_default_value = true)]
    pub(crate) database_url: Option<String>,
    /// The deepest level of a new tree; the operator can change it tree by tree.
    #[arg(long, env = "TENANTRY_DEFAULT_MAX_DEPTH", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=16), value_name = "N")]
    pub(crate) default_max_depth: u32,
    /// The most open children of one account in a new tree.
    #[arg(long, env = "TENANTRY_DEFAULT_MAX_CHILDREN", default_value_t = 100, value_name = "N")]
    pub(crate) default_max_children: u32,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct ServeOptions {
    /// Address of the control plane.
    #[arg(long, env = "TENANTRY_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    pub(crate) listen: SocketAddr,
    /// Address for the customers of the APIs: what it is asked goes to the API behind, but for `/org`, `/org/child_orgs` and
    /// `/secrets`.
    #[arg(long, env = "TENANTRY_GATEWAY_LISTEN", default_value = "127.0.0.1:8081", value_name = "ADDRESS")]
    pub(crate) gateway_listen: SocketAddr,
    /// Address of health and metrics.
    #[arg(long, env = "TENANTRY_OPS_LISTEN", default_value = "127.0.0.1:9090", value_name = "ADDRESS")]
    pub(crate) ops_listen: SocketAddr,
    #[command(flatten)]
    pub(crate) database: DatabaseOptions,
    /// The operator token, 32 characters or more. Without one, the first start makes one and prints it once.
    #[arg(
        long,
        env = "TENANTRY_OPERATOR_TOKEN",
        value_name = "TOKEN",
        hide_env_values = true,
        hide_default_value = true
    )]
    pub(crate) operator_token: Option<String>,
    /// The address under which people reach the control plane; the listening address unless given.
    #[arg(long, env = "TENANTRY_PUBLIC_URL", value_name = "URL")]
    pub(crate) public_url: Option<String>,
    /// Where mail is sent, such as `smtp://127.0.0.1:1025` or `smtps://user:password@mail.example`; `?tls=required` asks for
    /// STARTTLS. Without one, mails are kept for the operator to read, and inviters are shown the links.
    #[arg(long, env = "TENANTRY_SMTP_URL", value_name = "URL", hide_env_values = true, hide_default_value = true)]
    pub(crate) smtp_url: Option<String>,
    /// A PEM file with certificates of authorities that the mail server's may be signed by, besides the usual ones. Whether
    /// the connection is encrypted is up to the address alone.
    #[arg(long, env = "TENANTRY_SMTP_CA", value_name = "FILE")]
    pub(crate) smtp_ca: Option<PathBuf>,
    /// Who mails are from.
    #[arg(long, env = "TENANTRY_MAIL_FROM", default_value = "Tenantry <tenantry@localhost>", value_name = "MAILBOX")]
    pub(crate) mail_from: String,
    /// Seals what has to be read again, such as the secrets of authenticators, besides what the database holds: a copy of
    /// the database alone then opens nothing. It cannot be changed later.
    #[arg(long, env = "TENANTRY_SECRET", value_name = "TEXT", hide_env_values = true, hide_default_value = true)]
    pub(crate) secret: Option<String>,
    /// An identity provider where users can sign in: `name=…;issuer=https://…;client_id=…;client_secret=…`. May be given
    /// several times, in the variable apart by spaces.
    #[arg(
        long,
        env = "TENANTRY_OIDC_PROVIDER",
        value_name = "PROVIDER",
        value_delimiter = ' ',
        value_parser = provider,
        hide_env_values = true,
        hide_default_value = true
    )]
    pub(crate) oidc_provider: Vec<Provider>,
    /// The proxies in front, as networks or addresses: of a chain in `X-Forwarded-For`, the last hop that is none of them is the
    /// client. Without any, the client is whoever connects.
    #[arg(long, env = "TENANTRY_TRUSTED_PROXIES", value_delimiter = ',', value_name = "NETWORKS")]
    pub(crate) trusted_proxies: Vec<String>,
    /// Where the gateway forwards to, such as `http://127.0.0.1:9000`, unless an API says otherwise; `h2c://` for HTTP/2 without TLS.
    #[arg(long, env = "TENANTRY_UPSTREAM", value_name = "URL", value_parser = upstream)]
    pub(crate) upstream: Option<Address>,
    /// A PEM file with certificates of authorities that servers behind the gateway may be signed by, besides the usual ones.
    #[arg(long, env = "TENANTRY_UPSTREAM_CA", value_name = "FILE")]
    pub(crate) upstream_ca: Option<PathBuf>,
    /// Has answers of the gateway wait until what the call used is on the disk: then not even a power failure loses a record of
    /// an answered call.
    #[arg(long, env = "TENANTRY_USAGE_BEFORE_ANSWER")]
    pub(crate) usage_before_answer: bool,
    /// What the servers behind can check with that it is Tenantry who says who calls: the key of `X-Tenantry-Signature`.
    #[arg(
        long,
        env = "TENANTRY_IDENTITY_SECRET",
        value_name = "TEXT",
        hide_env_values = true,
        hide_default_value = true
    )]
    pub(crate) identity_secret: Option<String>,
    /// The settings that an account may override.
    #[arg(
        long,
        env = "TENANTRY_OVERRIDABLE_SETTINGS",
        value_delimiter = ',',
        default_value = "timezone,language,recording,policies",
        value_name = "NAMES"
    )]
    pub(crate) overridable_settings: Vec<String>,
    /// Seconds for the head of a request to arrive.
    #[arg(long, env = "TENANTRY_HEADER_TIMEOUT", default_value_t = 10, value_name = "SECONDS")]
    pub(crate) header_timeout: u64,
    /// Seconds that may pass between two bytes.
    #[arg(long, env = "TENANTRY_IDLE_TIMEOUT", default_value_t = 60, value_name = "SECONDS")]
    pub(crate) idle_timeout: u64,
    /// Seconds for a request as a whole.
    #[arg(long, env = "TENANTRY_REQUEST_TIMEOUT", default_value_t = 30, value_name = "SECONDS")]
    pub(crate) request_timeout: u64,
    /// Seconds that a server behind the gateway may do nothing.
    #[arg(long, env = "TENANTRY_UPSTREAM_TIMEOUT", default_value_t = 60, value_name = "SECONDS")]
    pub(crate) upstream_timeout: u64,
    /// Seconds for requests in flight when the server is told to stop.
    #[arg(long, env = "TENANTRY_DRAIN_TIMEOUT", default_value_t = 30, value_name = "SECONDS")]
    pub(crate) drain_timeout: u64,
    /// How log lines look.
    #[arg(long, env = "TENANTRY_LOG_FORMAT", default_value = "text", value_name = "FORMAT")]
    pub(crate) log_format: LogFormat,
    /// Which log lines: a level, or directives such as `info,sqlx=warn`.
    #[arg(long, env = "TENANTRY_LOG", default_value = "info", value_name = "FILTER")]
    pub(crate) log: String,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct DemoOptions {
    /// Address of the control plane.
    #[arg(long, env = "TENANTRY_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    pub(crate) listen: SocketAddr,
    /// Address of health and metrics.
    #[arg(long, env = "TENANTRY_OPS_LISTEN", default_value = "127.0.0.1:9090", value_name = "ADDRESS")]
    pub(crate) ops_listen: SocketAddr,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct FsckOptions {
    #[command(flatten)]
    pub(crate) database: DatabaseOptions,
    /// Print the report as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// For machines: one JSON object a line.
    Json,
}

impl DatabaseOptions {
    pub(crate) fn location(&self) -> Location {
        match &self.database_url {
            Some(url) => Location::Server(url.clone()),
            None => Location::File(self.data_dir.join("tenantry.sqlite3")),
        }
    }

    pub(crate) fn default_limits(&self) -> Limits {
        Limits {
            max_depth: Some(self.default_max_depth),
            max_children: Some(self.default_max_children),
            super_organization: false,
        }
    }

    /// Makes the directory of the embedded database, for nobody else to read.
    pub(crate) fn make_directory(&self) -> Result<(), Failure> {
        if self.database_url.is_some() {
            return Ok(());
        }
        let mut builder = std::fs::DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(builder.recursive(true), 0o700);
        builder.create(&self.data_dir).map_err(|error| format!("{}: {error}", self.data_dir.display()))?;
        Ok(())
    }
}

impl ServeOptions {
    /// Reads the files that are named, too: the server only gets what is in them.
    pub(crate) fn server_config(&self, public_url: String) -> Result<Config, Failure> {
        let seconds = Duration::from_secs;
        Ok(Config {
            public_url,
            operator_token: self.operator_token.clone(),
            overridable_settings: self.overridable_settings.iter().cloned().collect::<BTreeSet<_>>(),
            smtp_url: self.smtp_url.clone(),
            smtp_ca: certificates("smtp-ca", self.smtp_ca.as_deref())?,
            upstream: self.upstream.clone(),
            upstream_ca: certificates("upstream-ca", self.upstream_ca.as_deref())?,
            identity_secret: self.identity_secret.clone(),
            usage_before_answer: self.usage_before_answer,
            mail_from: self.mail_from.clone(),
            secret: self.secret.clone(),
            trusted_proxies: Networks::parse(&self.trusted_proxies).map_err(|bad| {
                format!("trusted-proxies: number {} is neither a network nor an address", bad.place + 1)
            })?,
            providers: self.oidc_provider.clone(),
            usage_dir: self.database.data_dir.join("usage"),
            timeouts: Timeouts {
                header: seconds(self.header_timeout),
                idle: seconds(self.idle_timeout),
                request: seconds(self.request_timeout),
                upstream: seconds(self.upstream_timeout),
                drain: seconds(self.drain_timeout),
            },
        })
    }
}

/// The text of a file that a setting names.
fn certificates(setting: &str, path: Option<&Path>) -> Result<Option<String>, Failure> {
    let Some(path) = path else { return Ok(None) };
    let pem = std::fs::read_to_string(path).map_err(|error| format!("{setting}: {}: {error}", path.display()))?;
    Ok(Some(pem))
}

/// Reads the address of a server behind.
fn upstream(text: &str) -> Result<Address, String> {
    text.parse().map_err(|_| "takes an address without a path, such as http://127.0.0.1:9000".to_owned())
}

/// Reads an identity provider: what it is called, where it is, and who Tenantry is there.
fn provider(text: &str) -> Result<Provider, String> {
    let pairs: BTreeMap<&str, &str> = text.split(';').filter_map(|pair| pair.trim().split_once('=')).collect();
    let part =
        |name: &str| pairs.get(name).map(|value| (*value).to_owned()).ok_or_else(|| format!("`{name}=…` is missing"));
    Ok(Provider {
        name: part("name")?,
        issuer: part("issuer")?,
        client_id: part("client_id")?,
        client_secret: part("client_secret")?,
    })
}

/// The command line, with the values of `tenantry.toml` as defaults: flags and variables win over them.
pub(crate) fn command() -> Result<clap::Command, Failure> {
    let mut command = Cli::command();
    let Some((path, text)) = read_file()? else { return Ok(command) };
    let table: toml::Table = text.parse().map_err(|error| mistake(&path, &text, &error))?;
    for (key, value) in table {
        let text = plain(&value).ok_or_else(|| format!("{path}: `{key}` takes a text, a number or a list of them"))?;
        let id = key.replace('-', "_");
        command = set_default(command, &id, &text).ok_or_else(|| format!("{path}: there is no setting `{key}`"))?;
    }
    Ok(command)
}

/// Where the file is wrong, without the line itself: it may hold a secret.
fn mistake(path: &str, text: &str, error: &toml::de::Error) -> String {
    let start = error.span().map_or(0, |span| span.start);
    let line = text.get(..start).map_or(1, |before| before.matches('\n').count() + 1);
    format!("{path}, line {line}: {}", error.message())
}

fn plain(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Array(values) => Some(values.iter().map(plain).collect::<Option<Vec<_>>>()?.join(",")),
        _ => None,
    }
}

/// Makes `text` the default of the argument `id` of every subcommand that has it.
fn set_default(mut command: clap::Command, id: &str, text: &str) -> Option<clap::Command> {
    let mut known = false;
    let names: Vec<String> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    for name in names {
        command = command.mut_subcommand(name, |sub| {
            if !sub.get_arguments().any(|arg| arg.get_id() == id && arg.get_env().is_some()) {
                return sub;
            }
            known = true;
            let text = text.to_owned();
            sub.mut_arg(id, |arg| arg.default_value(text))
        });
    }
    known.then_some(command)
}

#[expect(clippy::disallowed_methods, reason = "this is where configuration is read")]
fn read_file() -> Result<Option<(String, String)>, Failure> {
    let named = std::env::var("TENANTRY_CONFIG").ok();
    let path = named.clone().unwrap_or_else(|| "tenantry.toml".to_owned());
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some((path, text))),
        Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{path}: {error}").into()),
    }
}

/// The page about configuration.
#[cfg(test)]
fn page() -> String {
    use std::fmt::Write as _;

    let mut page = "# Configuration\n\n<!-- Generated from `crates/tenantry/src/config.rs` by `cargo xtask generate`. -->\n\n\
        A flag wins over its variable, a variable over `tenantry.toml` (or the file that `TENANTRY_CONFIG` names), whose keys\n\
        are the flags without the dashes in front: `listen = \"127.0.0.1:8080\"`.\n"
        .to_owned();
    for sub in Cli::command().get_subcommands().filter(|sub| ["serve", "fsck"].contains(&sub.get_name())) {
        let about = sub.get_about().map(ToString::to_string).unwrap_or_default();
        let _ = write!(
            page,
            "\n## tenantry {}\n\n{about}\n\n| flag | variable | default | |\n|---|---|---|---|\n",
            sub.get_name()
        );
        for arg in sub.get_arguments().filter(|arg| !["help", "version"].contains(&arg.get_id().as_str())) {
            let variable = arg.get_env().map(|name| format!("`{}`", name.display())).unwrap_or_default();
            let defaults: Vec<_> = arg.get_default_values().iter().map(|value| value.display().to_string()).collect();
            let default = if defaults.is_empty() || arg.get_env().is_none() {
                String::new()
            } else {
                format!("`{}`", defaults.join(","))
            };
            let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
            let _ = writeln!(page, "| `--{}` | {variable} | {default} | {help} |", arg.get_long().unwrap_or_default());
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_configuration_page() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
        tenantry_testkit::assert_golden(&path, &page());
    }

    #[test]
    fn providers_are_read_whole_or_refused() {
        let read = provider("name=corp;issuer=https://id.example;client_id=a;client_secret=b=c").expect("whole");
        assert_eq!((read.name.as_str(), read.client_secret.as_str()), ("corp", "b=c"));
        assert!(provider("name=corp;issuer=https://id.example").is_err_and(|error| error.contains("client_id")));
    }

    #[test]
    fn a_file_is_a_default_that_flags_win_over() {
        let command = set_default(Cli::command(), "ops_listen", "127.0.0.1:7").expect("known");
        let listen = |args: &[&str]| {
            let matches = command.clone().try_get_matches_from(args).expect("valid");
            matches.subcommand().and_then(|(_, sub)| sub.get_one::<SocketAddr>("ops_listen")).copied()
        };
        assert_eq!(listen(&["tenantry", "serve"]), "127.0.0.1:7".parse().ok());
        assert_eq!(listen(&["tenantry", "serve", "--ops-listen", "127.0.0.1:9"]), "127.0.0.1:9".parse().ok());
        assert!(set_default(Cli::command(), "no_such", "x").is_none());
        assert!(set_default(Cli::command(), "json", "true").is_none(), "not a setting, only a flag");
    }
}
