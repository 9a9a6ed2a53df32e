//! The binary as its operator runs it: a process with a command line, signals and two pipes.

#[cfg(test)]
mod cli;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod gateway;
#[cfg(test)]
mod metering;
#[cfg(test)]
mod secrets;
#[cfg(test)]
mod server;
#[cfg(test)]
mod writer;
